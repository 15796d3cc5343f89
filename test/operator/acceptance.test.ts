import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Coordinator } from '../../src/coordinator/index.js';
import { OpsServer, resolveConfig, SETTINGS, showConfig } from '../../src/operator/index.js';
import { NETWORKS } from '../../src/wire/index.js';
import { engine, signerOf } from '../link/support.js';
import { connected, until } from '../relay/support.js';
import { type Api, startApi } from './api-support.js';
import { FACTS, startNode } from './support.js';

// docs/protocol/11 §13, by number; 2 needs a client bridge, 1 (starting), 6, 7 and 10 whole processes: test/slow.

const spec = readFileSync(new URL('../../docs/protocol/11-operator-surface.md', import.meta.url), 'utf8');

describe('check 1: a configuration with every key of §1.2', () => {
  const options = spec.slice(spec.indexOf('### 1.2'), spec.indexOf('The S2 help text'));
  const keys = [...options.matchAll(/^\| [^|]*\| ([^|]+)\|/gm)].flatMap((m) =>
    [...m[1]!.matchAll(/`(\w+)`/g)].map((x) => x[1]!),
  );
  const value = (key: string): string => {
    const s = SETTINGS.find((x) => x.key === key || x.testKey === key)!;
    if (key === 'apiBind') return 'http://localhost:18001/';
    if (key === 'addApiUser') return 'joe:hunter2';
    if (s.value.kind === 'whole') return String(Math.max(s.value.min, 10));
    if (s.value.kind === 'choice') return s.value.values[0]!;
    if (s.value.kind === 'switch') return '1';
    return 'some text';
  };
  it('is understood, and config show maps each key', () => {
    expect(new Set(keys).size).toBeGreaterThan(22);
    const text = keys.map((k) => `${k} = ${value(k)}`).join('\n');
    const config = resolveConfig({
      flags: new Map(),
      environment: {},
      file: { path: 'ixian.cfg', text },
      strict: true,
    });
    const shown = showConfig(config);
    keys.forEach((key, i) => {
      const s = SETTINGS.find((x) => x.key === key || x.testKey === key)!;
      const row = shown.find((r) => r.key === s.key)!;
      // Keys of the test network are read and do not count on the main one.
      if (key !== s.key) return;
      expect(row).toEqual({
        key,
        value: s.secret === true ? '********' : value(key),
        origin: `ixian.cfg:${i + 1}`,
      });
    });
  });
});

describe('over the API', () => {
  let api: Api;
  afterEach(() => api.stop());
  const basic = (text: string): Record<string, string> => ({
    authorization: `Basic ${Buffer.from(text).toString('base64')}`,
  });

  it('check 3: /status has every key of §6 with its type', async () => {
    api = await startApi();
    const table = spec.slice(spec.indexOf('## 6.'), spec.indexOf('The bundled page also reads'));
    const rows = [...table.matchAll(/^\| (`[^|]+`(?: \(verbose\))?) \| ([^|]+) \|/gm)].flatMap((m) => {
      const types = m[2]!.split(',').map((t) => t.trim());
      return [...m[1]!.matchAll(/`([^`]+)`/g)].map((k, i) => ({
        key: k[1]!,
        type: types[i] ?? types[0]!,
        verbose: m[1]!.includes('(verbose)'),
      }));
    });
    expect(rows.length).toBeGreaterThan(20);
    const status = async (query: string): Promise<Record<string, unknown>> =>
      (JSON.parse((await api.ask(`/status${query}`)).text) as { result: Record<string, unknown> }).result;
    const fits = (v: unknown, type: string): boolean =>
      type === 'int'
        ? Number.isInteger(v)
        : type === 'bool'
          ? typeof v === 'boolean'
          : type === 'string[]'
            ? Array.isArray(v) && v.every((x) => typeof x === 'string')
            : typeof v === type;
    const [plain, verbose] = [await status(''), await status('?verbose=1')];
    for (const { key, type, verbose: only } of rows) {
      expect([key, Object.hasOwn(plain, key)]).toEqual([key, !only]);
      expect([key, type, fits(verbose[key], type)]).toEqual([key, type, true]);
    }
  });

  it('check 4: bodies with numbers, without params, without a method', async () => {
    api = await startApi();
    for (const [path, body] of [
      ['/', { method: 'pl', params: { limit: 1, offset: 0 } }],
      ['/', { method: 'status' }],
      ['/status', { verbose: true }],
      ['/blockheight', {}],
    ] as const) {
      const r = await api.ask(path, { method: 'POST', body: JSON.stringify(body) });
      expect([path, body, r.status]).toEqual([path, body, 200]);
      expect(r.text).toContain('"error":null');
    }
  });

  it('check 5: refused address 403, bad password 401, foreign origin 403', async () => {
    api = await startApi({ allow: ['198.51.100.0/24'] });
    expect((await api.ask('/status')).status).toBe(403);
    await api.stop();
    api = await startApi({ users: ['joe:hunter2'] });
    expect((await api.ask('/status', { headers: basic('joe:wrong') })).status).toBe(401);
    const headers = { ...basic('joe:hunter2'), origin: 'https://elsewhere.example' };
    expect((await api.ask('/pauseClient', { headers })).status).toBe(403);
    expect((await api.ask('/v1/drain', { method: 'POST', headers })).status).toBe(403);
    expect((await api.ask('/status', { headers: basic('joe:hunter2') })).status).toBe(200);
  });
});

describe('check 8: /readyz', () => {
  let coordinator: Coordinator;
  let up: Awaited<ReturnType<typeof startNode>>;
  let ops: OpsServer;
  beforeAll(async () => {
    coordinator = new Coordinator({
      network: NETWORKS.reg,
      signer: await signerOf('w1'),
      engine: await engine(),
      host: '127.0.0.2',
      genesisBlocks: 3,
    });
    await coordinator.start();
    up = await startNode(
      { standalone: false, seeds: [{ host: `127.0.0.2:${coordinator.port}`, wallet: null }] },
      { ...FACTS, ready: { ...FACTS.ready, standalone: false } },
    );
    ops = await OpsServer.start(up.node, { bind: { host: '127.0.0.1', port: 0 } });
  });
  afterAll(async () => {
    await ops.stop();
    await up.stop();
    await coordinator.stop();
  });
  const probe = async (path: string): Promise<{ status: number; failing: string[] }> => {
    const r = await fetch(`http://127.0.0.1:${ops.port}${path}`);
    const { checks } = (await r.json()) as { checks: Record<string, { ok: boolean }> };
    return { status: r.status, failing: Object.keys(checks).filter((k) => !checks[k]!.ok) };
  };
  const untilReady = async (status: number, ms: number): Promise<number> => {
    const started = performance.now();
    while ((await probe('/readyz')).status !== status) {
      if (performance.now() - started > ms)
        throw new Error(`never ${status}: ${(await probe('/readyz')).failing}`);
      await new Promise((r) => setTimeout(r, 20));
    }
    return performance.now() - started;
  };

  it('turns 503 at once on drain, and within 5 s when all ledger links drop; /livez stays 200', async () => {
    await untilReady(200, 15_000);
    up.relay.control.setDraining(true);
    expect(await probe('/readyz')).toEqual({ status: 503, failing: ['accepting'] });
    expect((await probe('/livez')).status).toBe(200);
    up.relay.control.setDraining(false);
    expect((await probe('/readyz')).status).toBe(200);
    await coordinator.stop();
    expect(await untilReady(503, 5_000)).toBeLessThan(5_000);
    expect((await probe('/readyz')).failing).toContain('masters');
    expect((await probe('/livez')).status).toBe(200);
  });
});

describe('check 9: the metrics page', () => {
  it('carries no label with more than 100 values, also with many clients (the format: deploy.test.ts)', async () => {
    const up = await startNode();
    const ops = await OpsServer.start(up.node, { bind: { host: '127.0.0.1', port: 0 } });
    for (const w of ['w1', 'w2', 'w3', 'w4', 'w5']) await connected(up.relay, { wallet: w });
    await until('all are in', () => up.relay.status().connections >= 5);
    const page = await (await fetch(`http://127.0.0.1:${ops.port}/metrics`)).text();
    await ops.stop();
    await up.stop();
    const values = new Map<string, Set<string>>();
    for (const line of page.split('\n'))
      for (const [, label, value] of line.matchAll(/[{,](\w+)="((?:[^"\\]|\\.)*)"/g)) {
        const key = `${line.split('{')[0]} ${label}`;
        values.set(key, (values.get(key) ?? new Set()).add(value!));
      }
    expect(values.size).toBeGreaterThan(20);
    for (const [key, of] of values) expect([key, of.size <= 100]).toEqual([key, true]);
  });
});
