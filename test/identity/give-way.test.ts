import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const modulePath = new URL('../../dist/identity/node/index.js', import.meta.url).href;

/** A process of its own, so that this one's threads stay as they are. */
const program = `
  const { poolGivesWay } = await import(${JSON.stringify(modulePath)});
  const { getPriority } = await import('node:os');
  const { readdirSync } = await import('node:fs');
  const nice = () => {
    const own = getPriority(process.pid);
    const all = readdirSync('/proc/self/task').map((t) => getPriority(Number(t)) - own);
    return [all.filter((n) => n === 5).length, all.filter((n) => n !== 5 && n !== 0).length];
  };
  const found = await poolGivesWay();
  const first = nice();
  await poolGivesWay();
  console.log(JSON.stringify({ found, first, again: nice(), own: getPriority(process.pid) }));
`;

describe('the threads of the pool that signs', () => {
  it.runIf(process.platform === 'linux').each(['1', '4', '7'])(
    'give way to the one that talks to peers, all %s of them and nobody else, however often that is asked for',
    async (threads) => {
      const env = { ...process.env, UV_THREADPOOL_SIZE: threads };
      const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], {
        env,
      });
      const n = Number(threads);
      expect(JSON.parse(stdout)).toMatchObject({ found: n, first: [n, 0], again: [n, 0] });
    },
  );
});
