import type { TransportCloseReason, TransportHandlers } from './transport.js';

/**
 * The receiving half that all WebSocket transports share: hands messages on, keeps them while the reader has
 * not started or is paused, reports the end once and only after everything that arrived before it.
 */
export class MessageInbox {
  #handlers: TransportHandlers | null = null;
  /** Null while nothing is unread. */
  #unread: Uint8Array[] | null = null;
  #unreadBytes = 0;
  #paused = false;
  #ended: { readonly reason: TransportCloseReason; readonly detail: string } | null = null;
  #reported = false;

  constructor(
    /** Bytes kept for a reader that does not take them. */
    readonly unreadBytesMax: number,
    /** Told when a message would go beyond; the transport then ends with `violation`. */
    private readonly owner: { overflowed(): void },
  ) {}

  /** True once {@link over} was called. */
  get ended(): boolean {
    return this.#ended !== null;
  }

  start(handlers: TransportHandlers): void {
    if (this.#handlers !== null) throw new TypeError('a transport is started once');
    this.#handlers = handlers;
    this.#later();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#later();
  }

  drain(): void {
    if (!this.#reported) this.#handlers?.drain();
  }

  /** One message. `transient`: the buffer is taken back after this call, so keeping it means copying. */
  take(bytes: Uint8Array, transient: boolean): void {
    if (this.#ended !== null) return;
    if (this.#handlers !== null && !this.#paused && this.#unread === null) {
      this.#handlers.data(bytes);
      return;
    }
    this.#unreadBytes += bytes.length;
    if (this.#unreadBytes > this.unreadBytesMax) {
      this.owner.overflowed();
      return;
    }
    this.#unread ??= [];
    this.#unread.push(transient ? bytes.slice() : bytes);
  }

  /** The end. What is unread is still delivered when the peer ended, and lost otherwise. */
  over(reason: TransportCloseReason, detail: string): void {
    if (this.#ended !== null) return;
    this.#ended = { reason, detail };
    if (reason === 'local' || reason === 'violation') {
      this.#unread = null;
      this.#unreadBytes = 0;
    }
    if (this.#unread === null) this.#report();
  }

  #later(): void {
    queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    while (!this.#paused && !this.#reported && this.#unread !== null) {
      const bytes = this.#unread.shift()!;
      // Before the reader sees it: what arrives from now on goes straight to him, or behind what he leaves.
      if (this.#unread.length === 0) this.#unread = null;
      this.#unreadBytes -= bytes.length;
      this.#handlers!.data(bytes);
    }
    if (this.#unread === null) this.#report();
  }

  #report(): void {
    if (this.#reported || this.#ended === null || this.#handlers === null) return;
    this.#reported = true;
    this.#handlers.close(this.#ended.reason, this.#ended.detail);
  }
}
