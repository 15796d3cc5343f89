import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import {
  builtInScenarios,
  LoadError,
  loadScenario,
  parseScenario,
  parseTarget,
  withSetting,
} from '../../src/load/index.js';
import { nicenessOf } from '../../src/load/plan.js';

const minimal = { name: 'x', groups: [{ clients: 2, activities: [{ do: 'messages', perSecond: 1 }] }] };

/** What is wrong with a scenario, or null. */
function fault(value: unknown): string | null {
  try {
    parseScenario(value);
    return null;
  } catch (e) {
    expect(e).toBeInstanceOf(LoadError);
    expect((e as LoadError).kind).toBe('scenario');
    return (e as LoadError).message;
  }
}

const set = (path: string, value: unknown): unknown => withSetting(minimal, path, value);

describe('scenarios', () => {
  test('a minimal one gets its defaults', () => {
    const s = parseScenario(minimal);
    expect(s).toMatchObject({ windowSeconds: 10, drainSeconds: 30 });
    expect(s.groups[0]).toMatchObject({ name: 'group1', transport: 'tcp', reconnect: true });
    expect(s.groups[0]!.activities[0]).toMatchObject({ to: 'pair', bytes: 512, arrivals: 'even' });
  });

  test('a process gives way as far as the least nice of its groups', () => {
    const groups = [{ clients: 2, niceness: 5 }, { clients: 2 }, { clients: 2, niceness: 7 }];
    const scenario = parseScenario({ name: 'x', groupsApart: true, groups });
    const of = (processes: number): number[] =>
      Array.from({ length: processes }, (_, processIndex) =>
        nicenessOf({ scenario, processIndex, processes }),
      );
    expect(of(1)).toEqual([0]);
    expect(of(2)).toEqual([5, 0]);
    expect(of(4)).toEqual([5, 0, 7, 0]);
  });

  test.each<[unknown, string]>([
    [null, 'a scenario must be an object'],
    [{ ...minimal, groups: [] }, 'groups must hold at least one group'],
    [{ ...minimal, windowSecond: 3 }, 'windowSecond is not a known setting'],
    [set('name', ''), 'name must be a text'],
    [set('groups.0.niceness', 5), 'groups[0].niceness needs groupsApart'],
    [set('groups.0.niceness', 20), 'groups[0].niceness must be a whole number from'],
    [set('windowSeconds', 0), 'windowSeconds must be a number from'],
    [set('groups.0.clients', 3), 'groups[0].clients must be a multiple of 2'],
    [set('groups.0.clients', 1e9), 'groups[0].clients must be a whole number from'],
    [set('groups.0.clients', '2'), 'groups[0].clients must be a whole number from'],
    [set('groups.0.transport', 'udp'), 'groups[0].transport must be one of tcp, ws'],
    [set('groups.0.reconnect', 1), 'groups[0].reconnect must be true or false'],
    [set('groups.0.activities', {}), 'groups[0].activities must be a list'],
    [set('groups.0.activities.0.do', 'dance'), 'groups[0].activities[0].do must be one of'],
    [set('groups.0.activities.0.perSecond', -1), 'groups[0].activities[0].perSecond must be a number'],
    [set('groups.0.activities.0.bytes', 20), 'groups[0].activities[0].bytes must be a whole number from'],
    [
      set('groups.0.activities.0', { do: 'lookups', of: 'keepAlives', wallets: 5, perSecond: 1 }),
      'groups[0].activities[0].wallets: keep-alives renew 0 wallets, fewer than 5',
    ],
    [set('groups.0.activities.0.speed', 1), 'groups[0].activities[0].speed is not a known setting'],
  ])('%j is refused: %s', (value, message) => {
    expect(fault(value)).toContain(message);
  });

  test('those that come with the package are well-formed and say what they do', () => {
    const names = builtInScenarios();
    expect(names).toContain('pairs');
    for (const name of names) {
      const s = loadScenario(name);
      expect(s.name).toBe(name);
      expect(s.about.length).toBeGreaterThan(20);
    }
  });

  test('single values can be replaced', () => {
    const s = loadScenario('pairs', [
      ['groups.0.clients', 4],
      ['groups.0.activities.0.perSecond', 'max'],
    ]);
    expect(s.groups[0]!.clients).toBe(4);
    expect(s.groups[0]!.activities[0]).toMatchObject({ perSecond: 'max' });
    expect(() => loadScenario('pairs', [['groups.7.clients', 4]])).toThrow('no place groups.7.clients');
    expect(() => loadScenario('pairs', [['__proto__.x', 4]])).toThrow('no place');
    expect(() => loadScenario('pairs', [['groups.__proto__', 4]])).toThrow('no place');
  });

  const folder = mkdtempSync(join(tmpdir(), 'starling-load-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  test('are read from files, and a file that is none is named', () => {
    const path = join(folder, 'own.json');
    writeFileSync(path, JSON.stringify(minimal));
    expect(loadScenario(path).name).toBe('x');
    writeFileSync(path, '{');
    expect(() => loadScenario(path)).toThrow('is not JSON');
    expect(() => loadScenario(join(folder, 'none.json'))).toThrow(LoadError);
    expect(() => loadScenario('none')).toThrow('there are');
  });
});

describe('targets', () => {
  test('on this machine are taken', () => {
    expect(parseTarget('127.0.0.1:10235')).toMatchObject({ host: '127.0.0.1', port: 10235, wsPort: 10236 });
    expect(parseTarget('localhost:1')).toMatchObject({ host: 'localhost', port: 1 });
    expect(parseTarget('127.9.8.7:1')).toMatchObject({ host: '127.9.8.7' });
    expect(parseTarget('[::1]:65535')).toMatchObject({ host: '::1', port: 65535 });
  });

  test.each([
    '192.0.2.1:10235',
    'relay.example.org:10235',
    '0.0.0.0:1',
    '127.example.org:1',
    '[2001:db8::1]:1',
    '128.0.0.1:1',
  ])('%s is refused unless the caller says that it is theirs', (text) => {
    expect(() => parseTarget(text)).toThrow(/is not this machine/);
    expect(parseTarget(text, { iOwnThisTarget: true }).port).toBeGreaterThan(0);
  });

  test.each(['', '127.0.0.1', '127.0.0.1:0', '127.0.0.1:65536', ':1', '127.0.0.1:x', '::1:5'])(
    '%j is none',
    (text) => {
      expect(() => parseTarget(text)).toThrow('host:port');
    },
  );
});
