import { createServer, type Server, type Socket } from 'node:net';
import type { Counters } from '../counters/index.js';

/** Connections the kernel holds until we accept. */
const backlog = 4_096;

/** Second descriptors kept: one to listen on after a pause, one to be able to pause again, one on its way. */
const sparesMax = 3;

/** A native handle of a listening socket: what travels between processes. Node types none. */
export type ListenHandle = { close(): void };

export interface GateOptions {
  readonly name: string;
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly counters: Counters;
  /** Every accepted connection, not read from. */
  onSocket(gate: string, socket: Socket): void;
  /** False while another connection would take the last descriptors. */
  room(): boolean;
  /** Whether so much room is left that it is worth accepting again after a pause. */
  roomy(): boolean;
  /** A second descriptor was used up. */
  onSpareUsed(): void;
}

/**
 * A listener that can stop accepting without closing: with too few descriptors left the runtime would accept and
 * close everybody who waits, whereas whoever waits in the kernel's backlog is served later. The kernel's socket
 * lives as long as any descriptor of it, so further ones are kept (they come back from a worker they were sent
 * to), the listening one is closed to pause and another listened on to go on.
 */
export class Gate {
  #server: Server;
  readonly #spares: ListenHandle[] = [];
  #paused = false;
  #closed = false;
  #port = 0;

  private constructor(private readonly options: GateOptions) {
    this.#server = this.#make();
  }

  /** @throws the system's error when the address cannot be bound */
  static open(options: GateOptions): Promise<Gate> {
    const gate = new Gate(options);
    const server = gate.#server;
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host: options.host, port: options.port, backlog, exclusive: true }, () => {
        server.off('error', reject);
        const at = server.address();
        gate.#port = at === null || typeof at === 'string' ? 0 : at.port;
        resolve(gate);
      });
    });
  }

  get name(): string {
    return this.options.name;
  }

  get port(): number {
    return this.#port;
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** Second descriptors it would like to have. */
  get sparesWanted(): number {
    return this.#closed ? 0 : sparesMax - this.#spares.length;
  }

  /** A handle to send to a worker, which sends it back. */
  get handle(): ListenHandle | null {
    return this.#spares[0] ?? (this.#server as unknown as { _handle: ListenHandle | null })._handle;
  }

  /** A second descriptor has come. */
  addSpare(handle: ListenHandle): void {
    if (this.#closed || this.#spares.length >= sparesMax) handle.close();
    else this.#spares.push(handle);
  }

  #make(): Server {
    const server = createServer({ pauseOnConnect: true, noDelay: true }, (socket) => {
      socket.on('error', () => undefined);
      // Or every process would keep a list of the sockets that went to it.
      (socket as unknown as { server: unknown }).server = undefined;
      this.options.onSocket(this.options.name, socket);
      if (!this.options.room()) this.#pause();
    });
    server.on('error', () => undefined);
    return server;
  }

  #pause(): void {
    if (this.#paused || this.#closed) return;
    const { counters, name } = this.options;
    const count = (result: string): void =>
      counters
        .counter('ixian_accept_pauses_total', 'Times a listener stopped accepting for want of descriptors', {
          gate: name,
          result,
        })
        .add();
    if (this.#spares.length === 0) {
      count('no_spare');
      return;
    }
    count('paused');
    this.#paused = true;
    // Within the call that accepted: the runtime's loop of accepts ends with it.
    this.#server.close();
  }

  /** Accepts again if there is room; call it whenever some became free. */
  resume(): void {
    // The last one stays: without it the next pause would not be possible.
    if (!this.#paused || this.#closed || this.#spares.length < 2 || !this.options.roomy()) return;
    this.#paused = false;
    this.#server = this.#make();
    this.#server.listen(this.#spares.pop(), backlog);
    this.options.onSpareUsed();
  }

  close(): void {
    this.#closed = true;
    for (const handle of this.#spares.splice(0)) handle.close();
    this.#server.close();
  }
}
