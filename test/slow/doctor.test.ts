import { spawn, spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Child } from '../../src/cli/devnet/child.js';
import { freePort } from '../../src/cli/devnet/free-port.js';
import type { DoctorReport, Finding } from '../../src/operator/index.js';

const MAIN = resolve(import.meta.dirname, '../../dist/cli/main.js');
const PASSWORD = 'correct horse battery staple';

let dir: string;
let relay: Child;
let settings: string[];

const port = async (): Promise<string> => String(await freePort('127.0.0.1'));

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'starling-doctor-'));
  await writeFile(join(dir, 'password'), PASSWORD, { mode: 0o600 });
  settings = [
    ...['--networkType', 'regtest', '--standalone', '--ip', '127.0.0.1', '--p2pBind', '127.0.0.1'],
    ...['--port', await port(), '--wsPort', await port(), '--apiport', await port()],
    ...['--opsBind', `127.0.0.1:${await port()}`, '--maxConnections', '200'],
    ...['--wallet', join(dir, 'relay.wal'), '--walletPasswordFile', join(dir, 'password')],
    ...['--dataFolderPath', join(dir, 'data')],
  ];
});
afterAll(async () => {
  await relay.stop();
  await rm(dir, { recursive: true, force: true });
});

interface Ended {
  readonly code: number;
  readonly report: DoctorReport;
}

/** Runs the doctor as a process of its own, through a shell line in which `$@` is the command. */
function doctor(shell = '"$@"', dataFolder = join(dir, 'data')): Promise<Ended> {
  const given = settings.map((x) => (x === join(dir, 'data') ? dataFolder : x));
  const command = [process.execPath, MAIN, 'doctor', '--json', ...given];
  const child = spawn('bash', ['-c', shell, 'doctor', ...command], { stdio: ['ignore', 'pipe', 'inherit'] });
  let out = '';
  child.stdout.on('data', (d: Buffer) => {
    out += d.toString();
  });
  return new Promise((done, fail) => {
    child.on('error', fail);
    child.on('close', (code) => {
      try {
        done({ code: code ?? -1, report: JSON.parse(out) as DoctorReport });
      } catch {
        fail(new Error(`exit ${code}, no report: ${out}`));
      }
    });
  });
}

const of = (r: DoctorReport, check: string): Finding[] => r.findings.filter((f) => f.check === check);

it('examines a start, then the relay that runs, then what is left of one that was killed', async () => {
  const before = await doctor();
  expect(before.report.findings.filter((f) => f.verdict === 'fails')).toEqual([]);
  expect(before.code).toBe(0);
  expect(of(before.report, 'wallet')[0]).toMatchObject({ verdict: 'warning' });
  relay = new Child('relay', MAIN, ['relay', '--json', ...settings]);
  await relay.waitFor('started', 120_000, (e) => e.event === 'started');
  const beside = await doctor();
  expect(beside.report.findings.filter((f) => f.verdict !== 'ok')).toEqual([]);
  expect(of(beside.report, 'ports').length).toBe(4);
  for (const f of of(beside.report, 'ports')) expect(f.found).toContain('held by the running relay');
  expect(of(beside.report, 'reachable')[0]?.found).toContain('answers a hello');
  expect(of(beside.report, 'relay')[0]?.found).toBe(`process ${relay.pid} is ready`);
  process.kill(relay.pid, 'SIGKILL');
  await relay.stop();
  expect(of((await doctor()).report, 'lock')[0]?.found).toContain('which is gone');
}, 240_000);

it('a limit of open files that is really low', async () => {
  const low = await doctor('ulimit -n 300; exec "$@"');
  expect(low.code).toBe(1);
  expect(of(low.report, 'files')[0]).toMatchObject({ verdict: 'fails', found: '300 open files, 456 wanted' });
});

const mounts = spawnSync('unshare', ['-rm', 'sh', '-c', 'mount -t tmpfs -o size=1m t /mnt']).status === 0;
it.runIf(mounts)('a disk that is really full (a file system of one megabyte)', async () => {
  const data = join(dir, 'small');
  await mkdir(data);
  const line = `mount -t tmpfs -o size=1m t ${data} && dd if=/dev/zero of=${data}/fill bs=1k count=1024 2>/dev/null; exec "$@"`;
  const full = await doctor(`unshare -rm bash -c '${line}' doctor "$@"`, data);
  expect(full.code).toBe(1);
  expect(of(full.report, 'disk')[0]).toMatchObject({ verdict: 'fails' });
  expect(of(full.report, 'data')[0]?.found).toContain('ENOSPC');
});
