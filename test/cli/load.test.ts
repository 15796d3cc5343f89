import { expect, test } from 'vitest';
import { CliError, Exit } from '../../src/cli/exit.js';
import { run } from '../../src/cli/load.js';
import type { Output } from '../../src/cli/terminal.js';

/** Output that is kept. */
function kept(): Output & { readonly text: string[] } {
  const text: string[] = [];
  return { text, out: (t) => text.push(t), err: (t) => text.push(t), colour: false, live: false };
}

async function failure(...args: string[]): Promise<CliError> {
  const e = await run(args, kept()).then(
    () => null,
    (error: unknown) => error,
  );
  expect(e).toBeInstanceOf(CliError);
  return e as CliError;
}

test('--help says what it is for and how not to use it', async () => {
  const o = kept();
  expect(await run(['--help'], o)).toBe(Exit.ok);
  expect(o.text.join('')).toMatch(/Usage: starling load SCENARIO --target[\s\S]*--iOwnThisTarget/);
});

test('--list names the scenarios with what they do', async () => {
  const o = kept();
  expect(await run(['--list'], o)).toBe(Exit.ok);
  for (const name of ['pairs', 'storm', 'mixed-day']) expect(o.text.join('')).toContain(name);
});

test('a target that is not this machine is refused before anything is sent', async () => {
  const e = await failure('pairs', '--target', '192.0.2.1:10235');
  expect(e.exitCode).toBe(Exit.configuration);
  expect(e.message).toContain('192.0.2.1 is not this machine');
  expect(e.hint).toContain('--iOwnThisTarget');
});

test.each<[string[], RegExp]>([
  [[], /one scenario/],
  [['pairs', 'idle'], /one scenario/],
  [['pairs'], /--target/],
  [['nothing', '--target', '127.0.0.1:1'], /no scenario nothing: there are/],
  [['pairs', '--target', '127.0.0.1'], /host:port/],
  [['pairs', '--target', '127.0.0.1:1', '--set', 'x'], /PATH=VALUE/],
  [['pairs', '--target', '127.0.0.1:1', '--set', 'groups.0.clients=many'], /groups\[0\].clients must be/],
  [['pairs', '--target', '127.0.0.1:1', '--clients', '3'], /multiple of 2/],
  [['pairs', '--target', '127.0.0.1:1', '--line', '1.0'], /--line must be one of/],
  [['pairs', '--target', '127.0.0.1:1', '--cpus', 'a'], /--cpus wants/],
  [['pairs', '--target', '127.0.0.1:1', '--processes', '0'], /--processes must be/],
])('%j is wrong use', async (args, message) => {
  const e = await failure(...args);
  expect(e.exitCode).toBe(Exit.configuration);
  expect(e.message).toMatch(message);
});
