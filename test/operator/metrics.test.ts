import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Counters } from '../../src/counters/index.js';
import { encodeStreamMessage, streamMessage } from '../../src/messages/index.js';
import {
  formatFor,
  METRICS,
  METRICS_ABSENT,
  OpsServer,
  RENAMED,
  renderMetrics,
} from '../../src/operator/index.js';
import { Code } from '../../src/wire/index.js';
import { signerOf } from '../link/support.js';
import { connected, until } from '../relay/support.js';
import { startNode } from './support.js';

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const namesIn = (text: string): string[] => [
  ...new Set(text.match(/\b(?:ixian|process|nodejs)_[a-z][a-z0-9_]*[a-z0-9]/g) ?? []),
];
/** Family of a name in a query: `_bucket`, `_sum` and `_count` belong to their histogram. */
const familyOf = (name: string): string => {
  const base = name.replace(/_(bucket|sum|count)$/, '');
  return METRICS.some((m) => m.name === base && m.kind === 'histogram') ? base : name;
};
const known = new Set(METRICS.map((m) => m.name));

describe('names', () => {
  it('are those of 11 §12.2: shown, or absent with a reason', () => {
    const spec = read('docs/protocol/11-operator-surface.md');
    const section = spec.slice(spec.indexOf('### 12.2'), spec.indexOf('### 12.3'));
    const names = namesIn(
      section.slice(section.indexOf('| `ixian_build_info`'), section.indexOf('plus standard')),
    );
    expect(names.length).toBeGreaterThan(40);
    for (const n of names) expect([n, known.has(n) !== Object.hasOwn(METRICS_ABSENT, n)]).toEqual([n, true]);
    for (const n of Object.keys(METRICS_ABSENT)) expect(names).toContain(n);
  });
  it('docs/metrics.md lists exactly what is shown, with kind and labels', () => {
    const rows = [...read('docs/metrics.md').matchAll(/^\| `([a-z0-9_]+)` \| (\w+) \| (.*?) \| (.*?) \|$/gm)];
    expect(rows.map((r) => [r[1], r[2], r[3], r[4]])).toEqual(
      METRICS.map((m) => [m.name, m.kind, m.labels.map((l) => `\`${l}\``).join(', '), m.about]),
    );
  });
  it('of the Grafana dashboard and the alert rules exist, each alert explains itself', () => {
    const dashboard = read('docs/grafana/starling-relay.json');
    JSON.parse(dashboard);
    const alerts = read('docs/alerts/starling-relay.yml');
    for (const text of [dashboard, alerts]) {
      const used = namesIn(text).map(familyOf);
      expect(used.length).toBeGreaterThan(5);
      for (const n of used) expect([n, known.has(n)]).toEqual([n, true]);
    }
    const count = (what: RegExp): number => alerts.match(what)?.length ?? 0;
    const rules = count(/- alert:/g);
    expect(rules).toBeGreaterThanOrEqual(8);
    for (const what of [/expr:/g, /severity:/g, /summary:/g, /description:/g])
      expect(count(what)).toBe(rules);
  });
  it('are all that the sources count: none is forgotten', () => {
    const root = new URL('../../src/', import.meta.url);
    const counted = new Set<string>();
    for (const dir of ['link/', 'presence/', 'relay/', 'operator/', 'identity/'])
      for (const f of readdirSync(new URL(dir, root), { recursive: true, encoding: 'utf8' })) {
        if (!f.endsWith('.ts') || f.startsWith('metrics')) continue;
        const text = readFileSync(new URL(dir + f, root), 'utf8');
        for (const x of text.matchAll(/'((?:ixian_|presence_)[a-z_]+_(?:total|seconds|bytes|pending))'/g))
          counted.add(x[1]!);
      }
    expect(counted.size).toBeGreaterThan(25);
    for (const n of counted) expect([n, known.has(RENAMED[n]?.to ?? n)]).toEqual([n, true]);
    for (const r of Object.values(RENAMED)) expect(known).toContain(r.to);
  });
  it('say their unit, and counters end in _total', () => {
    for (const m of METRICS) {
      if (m.kind === 'counter') expect(m.name).toMatch(/_total$/);
      if (m.kind === 'histogram') expect(m.name).toMatch(/_seconds$/);
      for (const l of m.labels) expect(l).not.toMatch(/address|ip$|wallet|peer$|id$/);
    }
  });
});

describe('the format follows Accept', () => {
  it.each([
    ['', 'prometheus'],
    ['*/*', 'prometheus'],
    ['text/plain', 'prometheus'],
    ['application/openmetrics-text', 'openmetrics'],
    ['application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5', 'openmetrics'],
    ['application/openmetrics-text;q=0.2,text/plain', 'prometheus'],
    ['application/openmetrics-text;q=0', 'prometheus'],
  ])('%s → %s', (accept, format) => expect(formatFor(accept)).toBe(format));
});

describe('rendering', () => {
  it('escapes, adds up renamed counters and shows even what is not listed', () => {
    const c = new Counters();
    c.counter('ixian_connections_refused_total', '', { reason: 'connections' }).add(2);
    c.counter('ixian_connections_refused_total', '', { reason: 'pre_hello' }).add(3);
    c.counter('ixian_frames_dropped_total', '', { reason: 'a"b\\c\nd' }).add();
    const text = renderMetrics(c, [], 'prometheus');
    expect(text).toContain('ixian_connections_rejected_total{direction="in",reason="capacity"} 5\n');
    expect(text).toContain('ixian_frames_dropped_total{reason="a\\"b\\\\c\\nd"} 1\n');
    c.counter('ixian_unheard_of_total').add();
    expect(renderMetrics(c, [], 'prometheus')).toContain(
      '# TYPE ixian_unheard_of_total counter\nixian_unheard_of_total 1\n',
    );
  });
  it('writes histograms cumulatively', () => {
    const c = new Counters();
    const h = c.histogram('ixian_relay_forward_duration_seconds', '', [0.5, 1]);
    for (const v of [0.2, 0.7, 3]) h.observe(v);
    const text = renderMetrics(c, [], 'openmetrics');
    const lines = text.split('\n').filter((l) => l.startsWith('ixian_relay_forward'));
    expect(lines).toEqual([
      'ixian_relay_forward_duration_seconds_bucket{le="0.5"} 1',
      'ixian_relay_forward_duration_seconds_bucket{le="1.0"} 2',
      'ixian_relay_forward_duration_seconds_bucket{le="+Inf"} 3',
      'ixian_relay_forward_duration_seconds_sum 3.9',
      'ixian_relay_forward_duration_seconds_count 3',
    ]);
    expect(text).toContain('# UNIT ixian_relay_forward_duration_seconds seconds\n');
    expect(text.endsWith('# EOF\n')).toBe(true);
  });
});

/** Checks a page line by line: families whole and once, every sample of its family, numbers readable. */
function lint(page: string, open: boolean): Map<string, { labels: string; value: number }[]> {
  const out = new Map<string, { labels: string; value: number }[]>();
  const types = new Map<string, string>();
  let current = '';
  const seen = new Set<string>();
  for (const line of page.trimEnd().split('\n')) {
    if (line === '# EOF') continue;
    const type = /^# TYPE (\S+) (counter|gauge|histogram|summary)$/.exec(line);
    if (type !== null) {
      expect(types.has(type[1]!)).toBe(false);
      types.set(type[1]!, type[2]!);
      current = type[1]!;
      continue;
    }
    if (/^# (HELP|UNIT) /.test(line)) continue;
    const s = /^([a-z_0-9]+)(\{(?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*\})? (\S+)$/.exec(line);
    expect([line, s !== null]).toEqual([line, true]);
    const kind = types.get(current);
    const suffixes =
      kind === 'histogram' ? ['_bucket', '_sum', '_count'] : [open && kind === 'counter' ? '_total' : ''];
    expect(suffixes.map((x) => current + x)).toContain(s![1]);
    expect(seen.has(s![1]! + (s![2] ?? ''))).toBe(false);
    seen.add(s![1]! + (s![2] ?? ''));
    expect(Number.isFinite(Number(s![3]))).toBe(true);
    out.set(s![1]!, [...(out.get(s![1]!) ?? []), { labels: s![2] ?? '', value: Number(s![3]) }]);
  }
  return out;
}

describe.each(['uws', 'node'] as const)('/metrics of a relay at work over %s', (httpEngine) => {
  let up: Awaited<ReturnType<typeof startNode>>;
  let ops: OpsServer;
  const scrape = (accept: string): Promise<Response> =>
    fetch(`http://127.0.0.1:${ops.port}/metrics`, { headers: { accept } });
  beforeAll(async () => {
    up = await startNode();
    ops = await OpsServer.start(up.node, { bind: { host: '127.0.0.1', port: 0 }, httpEngine });
    const [a, b] = [await connected(up.relay, { wallet: 'w1' }), await connected(up.relay, { wallet: 'w2' })];
    const message = async (to: string): Promise<Uint8Array> =>
      encodeStreamMessage(
        streamMessage({
          version: 1,
          id: new Uint8Array(16),
          type: 2,
          sender: (await signerOf('w1')).address,
          recipient: (await signerOf(to)).address,
          data: new Uint8Array(10),
          timestamp: 1n,
        }),
      );
    a.link.send(Code.s2data, await message('w2'));
    a.link.send(Code.s2data, await message('w3'));
    await until('delivered', () => b.messages.length > 0 && a.messages.length > 0);
  });
  afterAll(async () => {
    await ops.stop();
    await up.stop();
  });

  it('is well formed in both formats and holds what happened', async () => {
    const r = await scrape('text/plain');
    expect(r.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    const plain = lint(await r.text(), false);
    const value = (name: string, labels = ''): number | undefined =>
      plain.get(name)?.find((s) => s.labels === labels)?.value;
    expect(value('ixian_connections', '{direction="in",peer_type="C"}')).toBe(2);
    expect(value('ixian_relay_messages_total', '{type="data",result="forwarded"}')).toBe(1);
    expect(value('ixian_relay_messages_total', '{type="data",result="recipient_offline"}')).toBe(1);
    expect(value('ixian_relay_dropped_total', '{reason="not_connected"}')).toBe(1);
    expect(value('ixian_relay_forward_duration_seconds_count')).toBe(1);
    expect(value('ixian_verify_results_total', '{result="valid"}')).toBe(2);
    expect(value('ixian_verify_pending')).toBe(0);
    expect(value('ixian_sessions')).toBe(2);
    expect(value('ixian_presences', '{type="R"}')).toBe(1);
    expect(value('ixian_node_status', '{status="ready"}')).toBe(1);
    expect(value('ixian_draining')).toBe(0);
    expect(value('ixian_limit', '{limit="clientsMax"}')).toBe(15_000);
    expect(value('process_resident_memory_bytes')).toBeGreaterThan(1e7);
    expect(value('nodejs_eventloop_delay_seconds', '{quantile="0.99"}')).toBeGreaterThanOrEqual(0);
    const open = await scrape('application/openmetrics-text');
    expect(open.headers.get('content-type')).toContain('application/openmetrics-text; version=1.0.0');
    const openPage = await open.text();
    expect(openPage.endsWith('# EOF\n')).toBe(true);
    expect(lint(openPage, true).size).toBe(plain.size);
  });

  it('no label holds an address, and none has more than 100 values', async () => {
    const page = lint(await (await scrape('')).text(), false);
    for (const [name, series] of page) {
      if (!name.endsWith('_bucket')) expect([name, series.length <= 100]).toEqual([name, true]);
      for (const s of series) {
        expect(s.labels).not.toMatch(/\d+\.\d+\.\d+\.\d+"/);
        expect(s.labels).not.toMatch(/"[1-9A-HJ-NP-Za-km-z]{30,}"/);
      }
    }
  });
});
