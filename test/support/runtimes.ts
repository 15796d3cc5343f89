import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** Other runtimes, from the registry: packages that carry the binaries. Kept beside what npm installed. */
const CACHE = resolve(import.meta.dirname, '../../node_modules/.cache/starling-runtimes');
const INSTALL_MS_MAX = 240_000;

/** Pinned; the path of each one's program inside its folder. */
const RUNTIMES = {
  'node 22': { packageName: 'node', version: '22.23.3', bin: 'node_modules/node/bin/node' },
  'node 24': { packageName: 'node', version: '24.21.0', bin: 'node_modules/node/bin/node' },
  deno: { packageName: 'deno', version: '2.9.6', bin: 'node_modules/.bin/deno' },
  bun: { packageName: 'bun', version: '1.4.5', bin: 'node_modules/.bin/bun' },
  workerd: { packageName: 'workerd', version: '1.20260426.1', bin: 'node_modules/.bin/workerd' },
} as const;
export type RuntimeName = keyof typeof RUNTIMES;
export const runtimeNames = Object.keys(RUNTIMES) as RuntimeName[];

export const runtimeVersion = (name: RuntimeName): string => RUNTIMES[name].version;

/** npm, the one that runs us when there is one. */
export async function npm(args: readonly string[], cwd: string): Promise<void> {
  const own = process.env.npm_execpath;
  const options = { cwd, timeout: INSTALL_MS_MAX, maxBuffer: 1 << 24 };
  if (own?.endsWith('.js') === true) await execute(process.execPath, [own, ...args], options);
  else await execute('npm', args, options);
}

/**
 * The program of a runtime, installed from the registry the first time. Rejects where it does not install or does not
 * run here; who asks decides whether to do without.
 */
export async function runtimeProgram(name: RuntimeName): Promise<string> {
  const { packageName, version, bin } = RUNTIMES[name];
  const place = join(CACHE, `${packageName}-${version}`);
  const program = join(place, bin);
  if (!existsSync(program)) {
    // Beside and renamed, so that an install that was cut off is not taken for a whole one.
    const half = `${place}.${process.pid}`;
    rmSync(half, { recursive: true, force: true });
    mkdirSync(half, { recursive: true });
    writeFileSync(join(half, 'package.json'), '{"private":true}');
    await npm(
      ['install', `${packageName}@${version}`, '--no-audit', '--no-fund', '--loglevel=error', '--no-save'],
      half,
    );
    rmSync(place, { recursive: true, force: true });
    renameSync(half, place);
  }
  await execute(program, ['--version'], { timeout: 60_000 });
  return program;
}
