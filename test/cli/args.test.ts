import { describe, expect, it } from 'vitest';
import { type FlagSpec, parseArgs, parseWhole, renderHelp } from '../../src/cli/args.js';
import { CliError } from '../../src/cli/exit.js';

const SPECS: readonly FlagSpec[] = [
  { name: 'port', short: 'p', value: 'PORT', help: 'TCP port' },
  { name: 'node', short: 'n', value: 'HOST', repeat: true, help: 'peer' },
  { name: 'json', help: 'as JSON' },
];

describe('switches', () => {
  it.each([[['-p', '1']], [['--port', '1']], [['--port=1']], [['--port:1']], [['-p=1']]])(
    'come in every form of the reference (11 §1.1): %j',
    (args) => {
      expect(parseArgs(args, SPECS).get('port')).toBe('1');
    },
  );

  it('keep everything after the first separator', () => {
    expect(parseArgs(['--node=a=b:c'], SPECS).get('node')).toBe('a=b:c');
    expect(parseArgs(['-n', 'host:1'], SPECS).get('node')).toBe('host:1');
  });

  it('add up where they may be repeated, and are refused twice elsewhere', () => {
    expect(parseArgs(['-n', 'a', '--node=b'], SPECS).all('node')).toEqual(['a', 'b']);
    expect(() => parseArgs(['-p', '1', '-p', '2'], SPECS)).toThrow('-p is given more than once');
  });

  it('leave the rest as arguments, everything after -- too', () => {
    const a = parseArgs(['one', '--json', '-', '-5', '--', '--port'], SPECS);
    expect(a.positionals).toEqual(['one', '-', '-5', '--port']);
    expect(a.has('json')).toBe(true);
    expect(a.has('port')).toBe(false);
  });

  it.each([
    [['--prot', '1'], 'unknown switch --prot', 'did you mean --port?'],
    [['--frobnicate'], 'unknown switch --frobnicate', ''],
    [['-x'], 'unknown switch -x', ''],
    [['--port'], '--port needs a value (PORT)', ''],
    [['--json=yes'], '--json takes no value', ''],
  ])('are refused with a hint: %j', (args, message, hint) => {
    let error: unknown;
    try {
      parseArgs(args, SPECS);
    } catch (e) {
      error = e;
    }
    expect(error).toBeInstanceOf(CliError);
    expect(error).toMatchObject({ message, exitCode: 2 });
    if (hint !== '') expect((error as CliError).hint).toBe(hint);
  });

  it('hold whole numbers within a range', () => {
    expect(parseWhole('65535', 'port', 1, 65_535)).toBe(65_535);
    for (const bad of ['0', '65536', '1.5', '-1', '1e3', '', ' 1', '0x10'])
      expect(() => parseWhole(bad, 'port', 1, 65_535)).toThrow('port must be a whole number from 1 to 65535');
  });
});

it('help lists every switch in one column', () => {
  const text = renderHelp({ usage: 'starling x', about: 'Does x.', flags: SPECS, notes: ['More.'] });
  expect(text).toBe(`Usage: starling x

Does x.

  -p, --port PORT  TCP port
  -n, --node HOST  peer
      --json       as JSON
  -h, --help       show this help

More.
`);
});
