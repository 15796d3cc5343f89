import {
  chmodSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseConfigText, replaceFile, sampleConfig, setConfigValues } from '../../src/operator/index.js';

const set = (text: string, value = 'native'): string => setConfigValues(text, { verifyEngine: value }).text;

describe('setting a value in a configuration text', () => {
  it.each([
    ['a new key comes last', 's2Port = 1\n', 's2Port = 1\nverifyEngine = native\n'],
    ['also behind a last line without an end', 's2Port = 1', 's2Port = 1\nverifyEngine = native\n'],
    ['an empty file', '', 'verifyEngine = native\n'],
    [
      'line ends of the file are kept',
      'a = 1\r\nverifyEngine = auto\r\nb = 2\r\n',
      'a = 1\r\nverifyEngine = native\r\nb = 2\r\n',
    ],
    ['and used for what is new', 'a = 1\r\n', 'a = 1\r\nverifyEngine = native\r\n'],
    [
      'spaces and comments stay',
      '  verifyEngine=auto   # measured\n',
      '  verifyEngine=native   # measured\n',
    ],
    ['quotes stay', 'verifyEngine = "auto"\n', 'verifyEngine = "native"\n'],
    ['an empty value is filled', 'verifyEngine =\nx = 1\n', 'verifyEngine = native\nx = 1\n'],
    ['what the grammar takes for the value goes', 'verifyEngine = # none\n', 'verifyEngine = native\n'],
    [
      'the last one counts',
      'verifyEngine = auto\nverifyEngine = forge\n',
      'verifyEngine = auto\nverifyEngine = native\n',
    ],
    [
      'below the sample’s comment',
      '#verifyEngine = auto\nx = 1\n',
      '#verifyEngine = auto\nverifyEngine = native\nx = 1\n',
    ],
    [
      'another key with its name in it is another key',
      'myverifyEngine = auto\n',
      'myverifyEngine = auto\nverifyEngine = native\n',
    ],
  ])('%s', (_, before, after) => expect(set(before)).toBe(after));

  it('tells what changed, and changes nothing that is so already', () => {
    const { text, changes } = setConfigValues('verifyThreads = 1\nverifyEngine = auto\n', {
      verifyThreads: '1',
      verifyEngine: 'forge',
    });
    expect(text).toBe('verifyThreads = 1\nverifyEngine = forge\n');
    expect(changes).toEqual([{ key: 'verifyEngine', line: 2, before: 'auto', after: 'forge' }]);
    expect(setConfigValues(text, { verifyEngine: 'forge' })).toEqual({ text, changes: [] });
  });

  it('the sample file takes both settings beside their explanation', () => {
    const { text, changes } = setConfigValues(sampleConfig(), { verifyEngine: 'native', verifyThreads: '2' });
    expect(changes.map((c) => c.before)).toEqual([null, null]);
    expect(text).toContain('#verifyEngine = auto\nverifyEngine = native\n');
    expect(text.length).toBe(sampleConfig().length + 'verifyEngine = native\nverifyThreads = 2\n'.length);
  });

  it('whatever the file holds: the key reads as set, every other entry as before', () => {
    const line = fc.oneof(
      fc.constantFrom(
        'verifyEngine = auto',
        'verifyEngine=',
        '# verifyEngine = x',
        'verifyEngine = "a b" # c',
        '',
        '; note',
      ),
      fc.stringMatching(/^[a-z]{1,5} ?= ?[a-z"#= ]{0,8}$/),
    );
    const file = fc.tuple(fc.array(line), fc.constantFrom('\n', '\r\n', '\r')).map(([l, eol]) => l.join(eol));
    fc.assert(
      fc.property(file, (text) => {
        const others = (t: string) =>
          parseConfigText(t)
            .filter((e) => e.key !== 'verifyEngine')
            .map((e) => [e.key, e.value]);
        const after = set(text);
        expect(parseConfigText(after).findLast((e) => e.key === 'verifyEngine')?.value).toBe('native');
        expect(others(after)).toEqual(others(text));
        expect(set(after)).toBe(after);
      }),
    );
  });
});

describe('replacing a file', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'starling-replace-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('keeps rights and links, and leaves nothing else behind', async () => {
    const file = join(folder, 'ixian.cfg');
    writeFileSync(file, 'old');
    chmodSync(file, 0o640);
    const link = join(folder, 'link.cfg');
    symlinkSync(file, link);
    await replaceFile(link, 'new');
    expect(readFileSync(file, 'utf8')).toBe('new');
    expect(statSync(file).mode & 0o777).toBe(0o640);
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
    expect(readdirSync(folder).sort()).toEqual(['ixian.cfg', 'link.cfg']);
  });

  it('a new file is for its owner alone; where it cannot be written nothing is left behind', async () => {
    const file = join(folder, 'ixian.cfg');
    await replaceFile(file, 'new');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    await expect(replaceFile(join(folder, 'nowhere', 'x'), 'text')).rejects.toMatchObject({ code: 'ENOENT' });
    // A folder in its place: the text was written beside it, and is gone again.
    await expect(replaceFile(folder, 'text')).rejects.toThrow();
    expect(readdirSync(folder)).toEqual(['ixian.cfg']);
  });
});
