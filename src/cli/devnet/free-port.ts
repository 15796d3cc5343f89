import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/**
 * Below what systems give out by themselves (Linux from 32768, macOS and Windows from 49152), so that between choosing a
 * port and listening there nobody's `listen(0)` and nobody's connection takes it.
 */
const range = { first: 20_000, end: 32_000 } as const;
const attemptsMax = 1_000;
/** Whoever got one may not listen there yet. */
const given = new Set<number>();

/** Whether nobody listens there right now. Rejects where the host is no address of this machine. */
export function isFreePort(host: string, port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (e: NodeJS.ErrnoException) => {
      if (e.code === 'EADDRINUSE' || e.code === 'EACCES') resolve(false);
      else reject(e);
    });
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** A port nobody listens on right now, and none that was given before in this process. */
export async function freePort(host: string): Promise<number> {
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const port = randomInt(range.first, range.end);
    if (given.has(port) || !(await isFreePort(host, port))) continue;
    given.add(port);
    return port;
  }
  throw new Error(`no free port on ${host} among ${attemptsMax} from ${range.first} to ${range.end - 1}`);
}
