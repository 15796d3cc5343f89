import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Counters } from '../../src/counters/index.js';
import {
  EventLog,
  LOG_EVENTS,
  type LogOptions,
  levelsFrom,
  levelsOfBits,
  logLinesBurst,
  moduleLevels,
  shortAddress,
} from '../../src/operator/index.js';

function open(over: Partial<LogOptions> = {}): {
  log: EventLog;
  lines: string[];
  parsed(): Record<string, unknown>[];
} {
  const lines: string[] = [];
  const log = new EventLog({
    format: 'json',
    levels: levelsFrom('debug'),
    write: (l) => lines.push(l),
    ...over,
  });
  return { log, lines, parsed: () => lines.map((l) => JSON.parse(l) as Record<string, unknown>) };
}

describe('lines (11 §12.3)', () => {
  it('are one JSON object each, with time, level, event and fields', () => {
    const { log, lines, parsed } = open();
    log.log('info', 'peer_opened', { type: 'C', text: 'a\nb' });
    expect(lines[0]!.indexOf('\n')).toBe(lines[0]!.length - 1);
    const line = parsed()[0]!;
    expect(line).toMatchObject({ level: 'info', event: 'peer_opened', type: 'C', text: 'a\nb' });
    expect(line.time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(Object.keys(line)).not.toContain('pid');
  });
  it('are readable as text, colours only when wanted', () => {
    const { log, lines } = open({ format: 'text' });
    log.log('warn', 'header_refused', { why: 'no good reason', height: 5 });
    expect(lines[0]).toMatch(/^\S+Z warn {2}header_refused why="no good reason" height=5\n$/);
    const coloured = open({ format: 'text', colour: true });
    coloured.log.log('error', 'handler_error');
    expect(coloured.lines[0]).toContain('\u001b[31merror\u001b[0m');
  });
  it('shorten the addresses of peers unless told otherwise', () => {
    const short = open();
    short.log.log('info', 'peer_opened', { peer: '203.0.113.7' });
    const full = open({ fullAddresses: true });
    full.log.log('info', 'peer_opened', { peer: '203.0.113.7' });
    expect([short.parsed()[0]!.peer, full.parsed()[0]!.peer]).toEqual(['203.0.x.x', '203.0.113.7']);
    expect(shortAddress('2001:db8:1::2')).toBe('2001:db8:x');
    expect(shortAddress('[2001:db8:1::2]:5')).toBe('2001:db8:x');
    expect(shortAddress('1AAF8ZagTw6UqiQPUoiKjmoAN45jvR8tdmSmeev4uNzq45QWB')).toBe('1AAF8Zag…');
  });
});

describe('levels', () => {
  it('follow the reference’s bits or a name, and can be changed', () => {
    expect([...levelsOfBits(14)]).toEqual(['info', 'warn', 'error']);
    expect([...levelsOfBits(9)]).toEqual(['trace', 'debug', 'error']);
    const { log, lines } = open({ levels: levelsFrom('warn') });
    log.log('info', 'started');
    expect(lines).toEqual([]);
    log.setLevels(levelsFrom('info'));
    log.log('info', 'started');
    expect(lines.length).toBe(1);
  });
});

it('one kind of event that floods is limited, counted, and told with its next line; others are not touched', () => {
  let now = 0;
  const counters = new Counters();
  const { log, parsed } = open({ counters, nowMs: () => now });
  for (let i = 0; i < logLinesBurst + 25; i++) log.log('debug', 'peer_opened');
  log.log('debug', 'peer_closed');
  expect(parsed().length).toBe(logLinesBurst + 1);
  expect(counters.total('ixian_log_suppressed_total')).toBe(25);
  now = 1_000;
  log.log('debug', 'peer_opened');
  log.log('debug', 'peer_opened');
  expect(
    parsed()
      .slice(-2)
      .map((l) => l.suppressed),
  ).toEqual([25, undefined]);
});

describe('levels of one module', () => {
  it('are its own, the others follow the rest, and every line names its module', () => {
    const lines: Record<string, unknown>[] = [];
    const log = new EventLog({
      format: 'json',
      levels: levelsFrom('warn'),
      modules: moduleLevels(['peers = debug', 'cluster=error']),
      write: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>),
    });
    log.log('debug', 'peer_opened');
    log.log('trace', 'peer_opened');
    log.log('info', 'stopping');
    log.log('warn', 'header_refused');
    log.log('warn', 'worker_ended');
    expect(lines.map((l) => [l.event, l.mod])).toEqual([
      ['peer_opened', 'peers'],
      ['header_refused', 'ledger'],
    ]);
    log.setModules(new Map());
    log.log('debug', 'peer_opened');
    log.log('warn', 'worker_ended');
    expect(lines.slice(2).map((l) => l.event)).toEqual(['worker_ended']);
  });
  it('are refused for a part or a level that does not exist', () => {
    for (const bad of ['everything=debug', 'peers=loud', 'peers', '=debug', ''])
      expect(() => moduleLevels([bad])).toThrow(RangeError);
  });
});

describe('the list of events', () => {
  const root = new URL('../../src/', import.meta.url);
  const sources = ['cluster/', 'relay/', 'operator/', 'cli/'].flatMap((dir) =>
    readdirSync(new URL(dir, root), { recursive: true, encoding: 'utf8' })
      .filter((f) => f.endsWith('.ts'))
      .map((f) => readFileSync(new URL(dir + f, root), 'utf8')),
  );
  const logged = new Set<string>();
  for (const text of sources)
    for (const m of text.matchAll(/\blog\(\s*'(?:trace|debug|info|warn|error)',\s*'([a-z_]+)'/g))
      logged.add(m[1]!);

  it('holds every event that the sources log, and no other', () => {
    expect(logged.size).toBeGreaterThan(10);
    // Printed by other means: the line for scripts.
    logged.add('started');
    expect([...logged].sort()).toEqual(LOG_EVENTS.map((e) => e.event).sort());
  });
  it('is what docs/logs.md says', () => {
    const docs = readFileSync(new URL('../../docs/logs.md', import.meta.url), 'utf8');
    const rows = [...docs.matchAll(/^\| `([a-z_]+)` \| ([a-z]+) \| (.*) \|$/gm)].map((m) => [
      m[1],
      m[2],
      m[3],
    ]);
    expect(rows).toEqual(LOG_EVENTS.map((e) => [e.event, e.mod, e.about]));
  });
});
