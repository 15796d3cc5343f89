import { type KeepAliveOutcome, keepAliveBytesMax } from '../presence/index.js';

/** Keep-alives judged in one go: enough that what a batch costs vanishes, and the last waits no longer than 10 ms. */
export const keepAliveBatchItemsMax = 128;
/** Of a message that is too long in any case this much is kept, so that it is refused for that. */
const keptBytesMax = keepAliveBytesMax + 1;
/** Received keep-alives are copied behind each other into buffers of this size; one has about 600 bytes. */
const trayBytes = 64 * 1024;

/** What becomes of the keep-alives in a {@link KeepAliveInbox}. */
export interface InboxHandlers<S> {
  /** Judges the messages; outcomes in their order. */
  judge(messages: readonly Uint8Array[]): Promise<KeepAliveOutcome[]>;
  /** Called for each message once, in the order they came in; outcome null when judging failed. `bytes` may be kept. */
  judged(bytes: Uint8Array, sender: S, outcome: KeepAliveOutcome | null): void;
  /** A bug of ours: neither the process nor the other messages end of it. */
  failed(error: unknown): void;
}

/**
 * Gathers the keep-alives of all connections that arrive in one turn of the event loop, so that they are read, hashed and
 * verified together. A lone one waits for the end of the turn it came in, no longer.
 */
export class KeepAliveInbox<S> {
  #messages: Uint8Array[] = [];
  #senders: S[] = [];
  #tray = new Uint8Array(0);
  #used = 0;
  #scheduled = false;

  constructor(private readonly handlers: InboxHandlers<S>) {}

  /** Takes a copy of the message. */
  add(message: Uint8Array, sender: S): void {
    this.#messages.push(this.#copy(message));
    this.#senders.push(sender);
    if (this.#messages.length >= keepAliveBatchItemsMax) void this.#judge();
    else if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(() => {
        this.#scheduled = false;
        if (this.#messages.length > 0) void this.#judge();
      });
    }
  }

  /** One buffer for many: an array of its own for each costs more than all that is then done with it before the hash. */
  #copy(message: Uint8Array): Uint8Array {
    const size = Math.min(message.length, keptBytesMax);
    if (this.#used + size > this.#tray.length) {
      this.#tray = new Uint8Array(trayBytes);
      this.#used = 0;
    }
    this.#tray.set(size < message.length ? message.subarray(0, size) : message, this.#used);
    this.#used += size;
    return this.#tray.subarray(this.#used - size, this.#used);
  }

  async #judge(): Promise<void> {
    const messages = this.#messages;
    const senders = this.#senders;
    this.#messages = [];
    this.#senders = [];
    let outcomes: KeepAliveOutcome[] | null = null;
    try {
      outcomes = await this.handlers.judge(messages);
    } catch (error) {
      this.handlers.failed(error);
    }
    for (let i = 0; i < messages.length; i++)
      try {
        this.handlers.judged(messages[i]!, senders[i]!, outcomes === null ? null : outcomes[i]!);
      } catch (error) {
        this.handlers.failed(error);
      }
  }
}
