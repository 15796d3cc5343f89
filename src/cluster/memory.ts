import type { BusPipe } from './member.js';
import { MeshBus, type MeshOptions } from './mesh.js';

/** One end of a pipe within this process; what is written arrives in a later turn, as from a socket. */
class MemoryPipe implements BusPipe {
  other: MemoryPipe | null = null;
  #handlers: { data(chunk: Uint8Array): void; close(): void } | null = null;
  #waiting: Uint8Array[] = [];
  #scheduled = false;
  #closed = false;
  #ended = false;

  start(handlers: { data(chunk: Uint8Array): void; close(): void }): void {
    this.#handlers = handlers;
    this.#schedule();
  }

  write(bytes: Uint8Array): void {
    if (this.#closed) return;
    this.other!.#waiting.push(bytes);
    this.other!.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled || this.#closed || this.#handlers === null) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      for (const chunk of this.#waiting.splice(0)) {
        if (this.#closed) return;
        this.#handlers!.data(chunk);
      }
      if (this.#ended) this.#close();
    });
  }

  end(): void {
    this.other!.#ended = true;
    this.other!.#schedule();
  }

  destroy(): void {
    this.#close();
    this.other!.#waiting = [];
    setImmediate(() => this.other!.#close());
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#waiting = [];
    this.#handlers?.close();
  }
}

/** Two ends of one pipe. */
export function memoryPipes(): [BusPipe, BusPipe] {
  const a = new MemoryPipe();
  const b = new MemoryPipe();
  a.other = b;
  b.other = a;
  return [a, b];
}

/** Buses within one process, each connected with all: for tests and simulation. */
export class MemoryHub {
  readonly #buses: MeshBus[] = [];

  join(options: MeshOptions): MeshBus {
    const bus = new MeshBus(options);
    for (const other of this.#buses) this.connect(bus, other);
    this.#buses.push(bus);
    return bus;
  }

  /** Connects two buses; for those that lost each other. */
  connect(a: MeshBus, b: MeshBus): void {
    const [x, y] = memoryPipes();
    a.attach(x);
    b.attach(y);
  }
}
