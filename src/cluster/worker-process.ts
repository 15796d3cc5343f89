import type { ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import type { ToParent, ToWorker } from './protocol.js';

/** Stands for a handle that is no connection. */
const noId = Number.NaN;

export interface WorkerEvents {
  message(worker: WorkerProcess, message: ToParent, handle: unknown): void;
  ended(worker: WorkerProcess, code: number | null, signal: string | null): void;
}

/** One worker as its parent sees it. */
export class WorkerProcess {
  state: 'starting' | 'ready' | 'retiring' | 'gone' = 'starting';
  readonly startedMs = Date.now();
  /** Last word of it. */
  heardMs = Date.now();
  drained = false;
  /** Whom it reached over the bus when it became ready. */
  members: readonly string[] = [];
  /** Not started again when it ends: an upgrade waits for it and gives up with it. */
  onlyTry = false;
  /** Why it could not start. */
  failure: Error | null = null;
  /** Handles on their way, oldest first: the runtime sends the next one when it knows what became of the last. */
  readonly #handles: number[] = [];
  #yielded: (() => void) | null = null;
  readonly #readyWaiters: { resolve(): void; reject(e: Error): void }[] = [];
  readonly #endWaiters: (() => void)[] = [];

  constructor(
    readonly name: string,
    readonly generation: number,
    private readonly child: ChildProcess,
    events: WorkerEvents,
  ) {
    child.on('message', (m, handle) => {
      this.heardMs = Date.now();
      const message = m as ToParent;
      if (message.type === 'yielded') this.#yielded?.();
      events.message(this, message, handle);
    });
    child.on('error', () => undefined);
    // Where the worker has no descriptor left the runtime drops the handle and its message there, and says so only
    // in its own words.
    child.on('internalMessage', (m: { readonly cmd?: string }) => {
      if (m.cmd !== 'NODE_HANDLE_ACK' && m.cmd !== 'NODE_HANDLE_NACK') return;
      const id = this.#handles.shift();
      if (m.cmd === 'NODE_HANDLE_NACK' && id !== undefined && !Number.isNaN(id))
        events.message(this, { type: 'full', id }, undefined);
    });
    child.once('exit', (code, signal) => {
      const before = this.state;
      events.ended(this, code, signal);
      this.state = 'gone';
      const why = this.failure ?? new Error(`worker ${this.name} ended with ${signal ?? code}`);
      if (before === 'starting') for (const w of this.#readyWaiters.splice(0)) w.reject(why);
      this.#yielded?.();
      for (const done of this.#endWaiters.splice(0)) done();
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** False when its channel is gone. A socket stays open here too. */
  send(message: ToWorker, handle?: Socket): boolean {
    if (!this.child.connected) return false;
    try {
      // One whose peer reset it meanwhile has no handle any more: the message goes alone, and is declined.
      const alive = (handle as { _handle?: unknown } | undefined)?._handle !== null;
      if (handle !== undefined && alive) this.#handles.push(message.type === 'socket' ? message.id : noId);
      this.child.send(message, handle, { keepOpen: true }, () => undefined);
      return true;
    } catch {
      // The handle was closed meanwhile, or the channel: for the caller the same.
      return false;
    }
  }

  becameReady(): void {
    this.state = 'ready';
    for (const w of this.#readyWaiters.splice(0)) w.resolve();
  }

  /** Resolves when it serves; rejects when it ends before, or is not there in time. */
  ready(timeoutMs: number): Promise<void> {
    if (this.state === 'ready') return Promise.resolve();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`worker ${this.name} is not ready in time`)),
        timeoutMs,
      );
      this.#readyWaiters.push({
        resolve: () => {
          clearTimeout(timer);
          resolve();
        },
        reject: (e) => {
          clearTimeout(timer);
          reject(e);
        },
      });
    });
  }

  /** Has it give up the lead. Rejects when it does not in time. */
  yield(timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('not yielded')), timeoutMs);
      this.#yielded = () => {
        clearTimeout(timer);
        resolve();
      };
      if (!this.send({ type: 'yield' })) this.#yielded();
    });
  }

  /** Resolves when it has ended; it is killed when it takes too long. */
  end(timeoutMs: number): Promise<void> {
    if (this.state === 'gone') return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.kill(), timeoutMs);
      this.#endWaiters.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  kill(): void {
    this.child.kill('SIGKILL');
  }
}
