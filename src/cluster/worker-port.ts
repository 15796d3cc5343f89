import type { Socket } from 'node:net';
import { connectionCapacity } from './descriptors.js';
import type { Asked, ParentSample, ToParent, ToWorker, WorkerStart } from './protocol.js';

/** Environment variable that tells a process that it is a worker. */
export const WORKER_ENV = 'STARLING_WORKER';

/** Ended connections are reported together this often; also the sign of life. */
const reportMs = 100;
const aliveMs = 1_000;

/** What a worker does about its parent's words. */
export interface WorkerHandlers {
  /** A connection came; it is this process's from now on and nobody has read from it. */
  socket(gate: string, socket: Socket): void;
  leader(name: string | null): void;
  /** Gives up the lead; resolves when nothing of it is held any more. */
  yieldLead(): Promise<void>;
  retire(): void;
  stop(why: string): void;
  reload(): void;
  drain(): void;
}

/** A worker's end of the channel to its parent. */
export class WorkerPort {
  #handlers: WorkerHandlers | null = null;
  readonly #early: { message: ToWorker; handle: unknown }[] = [];
  #capacity = 0;
  #open = 0;
  #closed = 0;
  #parentSamples: readonly ParentSample[] = [];
  readonly #timers: NodeJS.Timeout[] = [];

  private constructor(readonly start: WorkerStart) {
    process.on('message', (m, handle) => this.#take(m as ToWorker, handle));
    // Without its parent a worker has no listener and no leader: it ends in order.
    process.once('disconnect', () => this.#take({ type: 'stop', why: 'parent gone' }, null));
    const every = (ms: number, call: () => void): void => {
      const t = setInterval(call, ms);
      t.unref();
      this.#timers.push(t);
    };
    every(aliveMs, () => this.#say({ type: 'alive' }));
    every(reportMs, () => {
      if (this.#closed === 0) return;
      this.#say({ type: 'closed', count: this.#closed });
      this.#closed = 0;
    });
  }

  /** Whether this process was started by a parent as its worker. */
  static get isWorker(): boolean {
    return process.env[WORKER_ENV] !== undefined && process.send !== undefined;
  }

  /** Waits for the parent's first word. */
  static open(): Promise<WorkerPort> {
    return new Promise((resolve) => {
      process.once('message', (m) => {
        const first = m as ToWorker;
        if (first.type !== 'start') throw new TypeError(`first word of the parent: ${first.type}`);
        resolve(new WorkerPort(first));
      });
    });
  }

  /** Connections this process holds that came from the parent. */
  get connections(): number {
    return this.#open;
  }

  /** What the parent counted last. */
  get parentSamples(): readonly ParentSample[] {
    return this.#parentSamples;
  }

  /** Begins to take what the parent sends; what came before was kept. */
  handle(handlers: WorkerHandlers): void {
    this.#handlers = handlers;
    for (const { message, handle } of this.#early.splice(0)) this.#take(message, handle);
  }

  /** Says that connections may come. `max`: as many as the program wants, fewer where descriptors are short. */
  ready(max: number, members: readonly string[]): void {
    this.#capacity = Math.min(max, connectionCapacity());
    this.#say({ type: 'ready', capacity: this.#capacity, members });
  }

  /** Asks the parent for something that concerns all processes. */
  ask(what: Asked, why: string): void {
    this.#say({ type: 'ask', what, why });
  }

  drained(): void {
    this.#say({ type: 'drained' });
  }

  failed(code: number, text: string): Promise<void> {
    return new Promise((resolve) => {
      if (process.send === undefined) resolve();
      else process.send({ type: 'failed', code, text } satisfies ToParent, () => resolve());
    });
  }

  /** Ends the channel, so that the process can end. */
  close(): void {
    for (const t of this.#timers) clearInterval(t);
    if (process.connected) process.disconnect();
  }

  #say(message: ToParent): void {
    if (!process.connected) return;
    // A channel that closes meanwhile is no matter: the parent knows this process's end by itself.
    process.send?.(message, undefined, undefined, () => undefined);
  }

  #take(m: ToWorker, handle: unknown): void {
    if (m.type === 'counted') {
      this.#parentSamples = m.samples;
      return;
    }
    if (m.type === 'listener') {
      const listener = handle as (Socket & { close(): void }) | undefined;
      if (listener === undefined) return;
      const back = { type: 'listener', gate: m.gate } satisfies ToParent;
      process.send?.(back, listener, undefined, () => listener.close());
      return;
    }
    const h = this.#handlers;
    if (h === null) {
      this.#early.push({ message: m, handle });
      return;
    }
    switch (m.type) {
      case 'socket':
        this.#socket(h, m.id, m.gate, handle as Socket | undefined);
        return;
      case 'leader':
        h.leader(m.name);
        return;
      case 'yield':
        void h.yieldLead().then(() => this.#say({ type: 'yielded' }));
        return;
      case 'retire':
        h.retire();
        return;
      case 'stop':
        h.stop(m.why);
        return;
      case 'reload':
        h.reload();
        return;
      case 'drain':
        h.drain();
        return;
      case 'start':
        return;
    }
  }

  #socket(h: WorkerHandlers, id: number, gate: string, socket: Socket | undefined): void {
    // The parent has given it to another already.
    if (!process.connected) {
      socket?.destroy();
      return;
    }
    // No handle: the system could not give us a descriptor. The parent still has its own.
    if (socket === undefined || (id > 0 && this.#open >= this.#capacity)) {
      this.#say({ type: 'full', id });
      socket?.destroy();
      return;
    }
    socket.on('error', () => undefined);
    // Those for the leader alone (negative ids) are the operator's few and count nowhere.
    if (id > 0) {
      this.#open++;
      socket.once('close', () => {
        this.#open--;
        this.#closed++;
      });
    }
    // Before a byte is read: what is not confirmed may be given to another.
    this.#say({ type: 'took', id });
    h.socket(gate, socket);
  }
}
