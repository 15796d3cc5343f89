import { describe, expect, it } from 'vitest';
import {
  ConfigError,
  parseConfigText,
  resolveConfig,
  SECRET_MASK,
  SETTINGS,
  sampleConfig,
  showConfig,
} from '../../src/operator/index.js';

const flags = (o: Record<string, string | string[]> = {}): ReadonlyMap<string, readonly string[]> =>
  new Map(Object.entries(o).map(([k, v]) => [k, Array.isArray(v) ? v : [v]]));

const from = (text: string, over: Partial<Parameters<typeof resolveConfig>[0]> = {}) =>
  resolveConfig({ flags: flags(), environment: {}, file: { path: 'ixian.cfg', text }, ...over });

describe('grammar of ixian.cfg (11 §1.1)', () => {
  it('keeps everything after the first =', () => {
    expect(parseConfigText('wsUrl = wss://a/b?c=d')[0]).toEqual({
      key: 'wsUrl',
      value: 'wss://a/b?c=d',
      line: 1,
    });
  });
  it('takes # and ; lines as comments and ignores lines without =', () => {
    expect(parseConfigText('# a = b\n; c = d\nnonsense\n\n  x = y\t')).toEqual([
      { key: 'x', value: 'y', line: 5 },
    ]);
  });
  it('cuts a trailing comment except inside quotes and secrets', () => {
    expect(parseConfigText('apiPort = 8001  # REST')[0]?.value).toBe('8001');
    expect(parseConfigText('wsUrl = "a # b"')[0]?.value).toBe('a # b');
    expect(parseConfigText('addApiUser = joe:pass # word', (k) => k === 'addApiUser')[0]?.value).toBe(
      'joe:pass # word',
    );
    expect(parseConfigText('wsUrl = a#b')[0]?.value).toBe('a#b');
  });
});

describe('values', () => {
  it('a bad number names file, line, key and range', () => {
    expect(() => from('\nmaxLogSize = many')).toThrow(
      new ConfigError('ixian.cfg:2: maxLogSize must be a whole number from 1 to 100000 (MB), not "many"'),
    );
    expect(() => from('s2Port = 65536')).toThrow(ConfigError);
    expect(() => from('networkType = mars')).toThrow(/mainnet or testnet or regtest/);
  });
  it('an unknown key is a warning with a suggestion, and an error when strict', () => {
    expect(from('s2port = 1').warnings).toEqual(['ixian.cfg:1: unknown key s2port, did you mean s2Port?']);
    expect(() => from('s2port = 1', { strict: true })).toThrow(ConfigError);
  });
  it('addApiUser splits at the first colon only, and the last one of a user counts', () => {
    const c = from('addApiUser = joe:a:b\naddApiUser = ann:x\naddApiUser = joe:c');
    expect(c.list('addApiUser')).toEqual(['ann:x', 'joe:c']);
    expect(c.warnings.filter((w) => w.includes('again'))).toEqual([
      'addApiUser is given again for user joe, the last one counts',
    ]);
  });
  it('secrets are never shown, neither in errors nor in listings', () => {
    const c = from('addApiUser = joe:hunter2\nwalletPassword = correct horse');
    const shown = JSON.stringify(showConfig(c));
    expect(shown).not.toMatch(/hunter2|correct horse/);
    expect(shown).toContain(SECRET_MASK);
    expect(c.text('walletPassword')).toBe('correct horse');
  });
  it('reads secrets from files through their twin', () => {
    const c = from('addApiUserFile = /run/users', { readSecret: (p) => `${p}:secret\n` });
    expect(c.list('addApiUser')).toEqual(['/run/users:secret']);
    expect(() =>
      from('addApiUserFile = /x', {
        readSecret: () => {
          throw new Error('ENOENT');
        },
      }),
    ).toThrow(/addApiUserFile: cannot read \/x/);
  });
  it('settings without effect say so', () => {
    expect(from('blockNotify = x').warnings).toEqual(['ixian.cfg:1: blockNotify has no effect']);
  });
});

describe('precedence (11 §1.5)', () => {
  it('flag before environment before file before default', () => {
    const at = (f: Record<string, string>, e: Record<string, string>, text: string): string | null =>
      resolveConfig({ flags: flags(f), environment: e, file: { path: 'f', text } }).text('s2Port');
    expect(at({ port: '1' }, { IXIAN_S2_PORT: '2' }, 's2Port = 3')).toBe('1');
    expect(at({}, { IXIAN_S2_PORT: '2' }, 's2Port = 3')).toBe('2');
    expect(at({}, {}, 's2Port = 3')).toBe('3');
    expect(at({}, {}, '')).toBe('10235');
  });
  it('test networks read their own keys and have their own defaults', () => {
    const c = from('s2Port = 1\ntestnetS2Port = 2\nnetworkType = testnet');
    expect(c.text('s2Port')).toBe('2');
    expect(from('networkType = RegTest').text('s2Port')).toBe('11235');
    expect(from('', { flags: flags({ testnet: '' }) }).text('networkType')).toBe('testnet');
    expect(
      from('addPeer = a:1\naddTestnetPeer = b:2\naddTestnetPeer = c:3\nnetworkType = regtest').list(
        'addPeer',
      ),
    ).toEqual(['b:2', 'c:3']);
  });
  it('repeatable settings take comma-separated lists from the environment', () => {
    const c = from('addPeer = x:1', { environment: { IXIAN_ADD_PEER: 'a:1, b:2' } });
    expect(c.list('addPeer')).toEqual(['a:1', 'b:2']);
  });
  it('an empty environment variable does not count, a bad one names itself', () => {
    expect(from('', { environment: { IXIAN_S2_PORT: '' } }).text('s2Port')).toBe('10235');
    expect(() => from('', { environment: { IXIAN_S2_PORT: 'x' } })).toThrow(/IXIAN_S2_PORT must be/);
  });
});

it('the sample holds every setting a file may hold, and reads back without a warning', () => {
  const text = sampleConfig().replace(/^#(\w+ = .+)$/gm, '$1');
  expect(resolveConfig({ flags: flags(), environment: {}, file: { path: 'sample', text } }).warnings).toEqual(
    [],
  );
  for (const s of SETTINGS)
    if (s.commandLineOnly !== true && s.withoutEffect !== true)
      expect(sampleConfig()).toContain(`#${s.key} =`);
});

it('a number may have words in its place, which the error names', () => {
  const threads = (value: string): string | null =>
    resolveConfig({
      flags: new Map([['verifyThreads', [value]]]),
      environment: {},
      file: null,
    }).text('verifyThreads');
  expect(threads('auto')).toBe('auto');
  expect(threads('0')).toBe('0');
  expect(() => threads('65')).toThrow(/a whole number from 0 to 64 \(threads\) or auto, not "65"/);
  expect(() => threads('many')).toThrow(ConfigError);
});

it('every default lies within its own range', () => {
  for (const s of SETTINGS) {
    const isWord = s.value.kind === 'whole' && s.value.or?.includes(s.default ?? '') === true;
    const f = s.default === null || s.value.kind !== 'whole' || isWord ? null : Number(s.default);
    if (f !== null && s.value.kind === 'whole')
      expect([s.key, f >= s.value.min && f <= s.value.max]).toEqual([s.key, true]);
  }
});
