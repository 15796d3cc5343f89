import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Child, Child as Process } from '../../src/cli/devnet/child.js';

const MAIN = resolve(import.meta.dirname, '../../dist/bin/main.js');
const PASSWORD = 'correct horse battery staple';

let dir: string;
const processes: Running[] = [];
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'starling-life-'));
  await writeFile(join(dir, 'password'), PASSWORD);
});
afterAll(async () => {
  for (const p of processes) await p.child.stop();
  await rm(dir, { recursive: true, force: true });
});

interface Running {
  readonly child: Child;
  readonly config: string;
}

/** A relay without a ledger on free ports; its folder and configuration file bear `name`. */
async function relay(name: string, config: string, folder = name): Promise<Running> {
  const file = join(dir, `${name}.cfg`);
  await writeFile(file, config);
  const child = new Process(name, MAIN, [
    'relay',
    '--json',
    ...['--config', file, '--networkType', 'regtest', '--standalone'],
    ...['--port', '0', '--wsPort', '0', '--ip', '127.0.0.1', '--opsBind', '127.0.0.1:0', '--apiport', '0'],
    ...['--wallet', join(dir, 'relay.wal'), '--walletPasswordFile', join(dir, 'password')],
    ...['--dataFolderPath', join(dir, folder)],
  ]);
  const running = { child, config: file };
  processes.push(running);
  return running;
}

const event = (r: Running, name: string, skip = 0): Promise<Record<string, unknown>> => {
  let left = skip;
  return r.child.waitFor(name, 60_000, (e) => e.event === name && left-- <= 0);
};
/** Waits for the end of the process; `Child` tells it by rejecting, with the exit code in the text. */
const ended = (r: Running): Promise<string> =>
  r.child
    .waitFor('the end', 60_000, () => false)
    .then(
      () => '',
      (e: Error) => e.message.split('\n')[0]!,
    );
const kill = (r: Running, signal: NodeJS.Signals): boolean => process.kill(r.child.pid, signal);

it('a relay lives by its signals: reload, refused neighbour, drain, stop (11 §12.4)', async () => {
  const a = await relay('a', 'maxClients = 5\naddApiUser = joe:hunter2secret');
  await event(a, 'started');
  const ops = (await event(a, 'ops_listening')).port;
  const probe = async (path: string): Promise<number> =>
    (await fetch(`http://127.0.0.1:${ops}${path}`)).status;
  expect([await probe('/livez'), await probe('/startupz'), await probe('/readyz')]).toEqual([200, 200, 200]);

  await writeFile(a.config, 'maxClients = 7\naddApiUser = joe:hunter3secret');
  kill(a, 'SIGHUP');
  expect((await event(a, 'config_reloaded')).changed).toBe('maxClients addApiUser');
  await writeFile(a.config, 'maxClients = many');
  kill(a, 'SIGHUP');
  expect((await event(a, 'config_reload_failed')).error).toContain('maxClients must be a whole number');
  const page = await (await fetch(`http://127.0.0.1:${ops}/metrics`)).text();
  expect(page).toContain('ixian_limit{limit="clientsMax"} 7\n');
  expect(page).toContain('ixian_config_reloads_total{result="failed"} 1\n');

  const second = await relay('b', '', 'a');
  expect(await ended(second)).toContain('exit 5');
  const insecure = await relay('c', 'apiBind = http://+:18001/');
  expect(await ended(insecure)).toContain('exit 2');

  kill(a, 'SIGUSR2');
  expect(await event(a, 'drain_ended')).toMatchObject({ complete: true });
  await event(a, 'stopped');
  expect(await ended(a)).toContain('exit 0');
  const seen = JSON.stringify(a.child.events) + a.child.lastWords;
  for (const secret of [PASSWORD, 'hunter2secret', 'hunter3secret']) expect(seen).not.toContain(secret);
  await expect(readFile(join(dir, 'a', 'starling.lock'))).rejects.toThrow(/ENOENT/);
});

it('SIGTERM and the API’s shutdown end it with 0', async () => {
  const a = await relay('d', '');
  await event(a, 'started');
  kill(a, 'SIGTERM');
  expect((await event(a, 'stopping')).why).toBe('SIGTERM');
  expect(await ended(a)).toContain('exit 0');
  const b = await relay('e', 'addApiUser = joe:x');
  const { port } = await event(b, 'api_listening');
  await event(b, 'started');
  const url = `http://127.0.0.1:${port}/shutdown`;
  expect((await fetch(url)).status).toBe(401);
  const headers = { authorization: `Basic ${Buffer.from('joe:x').toString('base64')}` };
  expect(await (await fetch(url, { headers })).text()).toBe(
    '{"result":"Node shutdown","error":null,"id":null}',
  );
  expect(await ended(b)).toContain('exit 0');
  const audit = JSON.parse(await readFile(join(dir, 'e', 'audit.log'), 'utf8')) as Record<string, unknown>;
  expect(audit).toMatchObject({ user: 'joe', action: 'shutdown', result: 'ok' });
});
