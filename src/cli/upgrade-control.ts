import { readFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** In the data folder: where the parent of that relay listens for `starling upgrade`. */
export const CONTROL_FILE = 'starling.control';
/** A command line longer than this is nobody's we know. */
const lineBytesMax = 1_024;

/** One thing that happened, as a line of JSON between parent and command. */
export type Progress = { readonly event: string } & Readonly<Record<string, unknown>>;

/**
 * The parent's ear for commands of the same user: a Unix socket in a folder that nobody else may enter. One command
 * is understood, `upgrade`; its progress comes back as lines of JSON.
 */
export class ControlServer {
  private constructor(private readonly server: Server) {}

  static open(
    path: string,
    upgrade: (tell: (event: string, fields: Readonly<Record<string, unknown>>) => void) => Promise<void>,
  ): Promise<ControlServer> {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      let line = '';
      socket.on('data', (chunk: Uint8Array) => {
        line += Buffer.from(chunk).toString();
        if (line.length > lineBytesMax) socket.destroy();
        else if (line === 'upgrade\n') void obey(socket, upgrade);
        else if (line.includes('\n')) socket.end('{"event":"unknown_command"}\n');
      });
    });
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, () => resolve(new ControlServer(server)));
    });
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.server.close(() => resolve());
    });
  }
}

async function obey(
  socket: Socket,
  upgrade: (tell: (event: string, fields: Readonly<Record<string, unknown>>) => void) => Promise<void>,
): Promise<void> {
  await upgrade((event, fields) => {
    if (!socket.destroyed) socket.write(`${JSON.stringify({ event, ...fields })}\n`);
  });
  socket.end();
}

/** No parent listens for that data folder. */
export class NoParent extends Error {
  override readonly name = 'NoParent';
}

/**
 * Asks the parent of the relay in `dataDir` to upgrade and tells what it says; resolves with its last word.
 *
 * @throws NoParent when there is none
 */
export async function askUpgrade(dataDir: string, tell: (p: Progress) => void): Promise<Progress> {
  let path: string;
  try {
    path = readFileSync(join(dataDir, CONTROL_FILE), 'utf8').trim();
  } catch {
    throw new NoParent(`no relay with a parent runs in ${dataDir}`);
  }
  const socket = connect(path);
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', () => resolve());
    socket.once('error', () => reject(new NoParent(`the parent of the relay in ${dataDir} does not answer`)));
  });
  socket.write('upgrade\n');
  let last: Progress = { event: 'no_answer' };
  for await (const line of createInterface({ input: socket })) {
    last = JSON.parse(line) as Progress;
    tell(last);
  }
  return last;
}
