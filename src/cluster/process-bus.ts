import { rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { BusPipe } from './member.js';
import { MeshBus, type MeshOptions } from './mesh.js';

/** A member that does not answer the dial is tried again this often, this many times in all. */
const dialAgainMs = 100;
const dialsMax = 10;

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

  /** Connects with a member that is there already. False when it cannot be reached. */
  async dial(name: string): Promise<boolean> {
    for (let attempt = 1; attempt <= dialsMax; attempt++) {
      const socket = await new Promise<Socket | null>((resolve) => {
        const s = connect(this.#path(name));
        s.once('connect', () => resolve(s));
        s.once('error', () => {
          s.destroy();
          resolve(null);
        });
      });
      if (socket !== null) {
        socket.removeAllListeners();
        this.attach(new SocketPipe(socket));
        return true;
      }
      await new Promise((r) => setTimeout(r, dialAgainMs));
    }
    return false;
  }

  override async close(): Promise<void> {
    this.#server.close();
    await super.close();
    await rm(this.#path(this.self), { force: true });
  }
}
