import { rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { BusPipe } from './member.js';
import { MeshBus, type MeshOptions } from './mesh.js';

/** A member that does not answer the dial is tried again this often, this many times in all: it may still start. */
const dialAgainMs = 100;
const dialsMax = 100;
/** The same after a lost connection: a member that has ended has no socket any more. */
const redialsMax = 10;

/** A Unix socket as a pipe. What is written within one turn leaves in one system call. */
class SocketPipe implements BusPipe {
  #corked = false;

  constructor(private readonly socket: Socket) {}

  start(handlers: { data(chunk: Uint8Array): void; close(): void }): void {
    this.socket.on('data', (chunk: Uint8Array) => handlers.data(chunk));
    this.socket.on('error', () => undefined);
    this.socket.on('close', () => handlers.close());
  }

  write(bytes: Uint8Array): void {
    if (!this.#corked) {
      this.#corked = true;
      this.socket.cork();
      setImmediate(() => {
        this.#corked = false;
        this.socket.uncork();
      });
    }
    this.socket.write(bytes);
  }

  end(): void {
    this.socket.end();
  }

  destroy(): void {
    this.socket.destroy();
  }
}

export interface ProcessBusOptions extends MeshOptions {
  /** Folder of the sockets that nobody else may enter (mode 0700): whoever reaches a socket is a member. */
  readonly folder: string;
}

/**
 * The bus between processes of one host. Each listens on a Unix socket of its name in a private folder; of two
 * members the one that is told of the other by {@link ProcessBus.dial} opens the connection.
 */
export class ProcessBus extends MeshBus {
  readonly #folder: string;
  readonly #server: Server;
  #left = false;

  private constructor(options: ProcessBusOptions) {
    super(options);
    this.#folder = options.folder;
    this.#server = createServer((socket) => this.attach(new SocketPipe(socket)));
    this.#server.on('error', () => undefined);
  }

  /** Rejects when the socket cannot be made. */
  static async open(options: ProcessBusOptions): Promise<ProcessBus> {
    const bus = new ProcessBus(options);
    await new Promise<void>((resolve, reject) => {
      bus.#server.once('error', reject);
      bus.#server.listen(bus.#path(options.self), () => resolve());
    });
    return bus;
  }

  #path(name: string): string {
    return join(this.#folder, `${name}.sock`);
  }

  /**
   * Connects with a member that is there already, or comes within `attempts` times 100 ms, and again whenever that
   * connection is lost while the member lives. False when it cannot be reached.
   */
  async dial(name: string, attempts = dialsMax): Promise<boolean> {
    for (let n = 1; n <= attempts && !this.#left; n++) {
      const socket = await this.#reach(name);
      if (socket !== null) {
        socket.once('close', () => {
          if (!this.#left) setTimeout(() => void this.dial(name, redialsMax), dialAgainMs).unref();
        });
        this.attach(new SocketPipe(socket));
        return true;
      }
      if (n < attempts) await new Promise((r) => setTimeout(r, dialAgainMs));
    }
    return false;
  }

  #reach(name: string): Promise<Socket | null> {
    return new Promise((resolve) => {
      const s = connect(this.#path(name));
      s.once('connect', () => {
        s.removeAllListeners();
        resolve(s);
      });
      s.once('error', () => {
        s.destroy();
        resolve(null);
      });
    });
  }

  override async close(): Promise<void> {
    this.#left = true;
    this.#server.close();
    await super.close();
    await rm(this.#path(this.self), { force: true });
  }
}
