import { keepAliveBytesMax, presenceBytesMax } from '../presence/index.js';

/** What an inbox does with messages of its kind. */
export interface InboxKind {
  /** Messages judged in one go. */
  readonly batchItemsMax: number;
  /** Of a message that is too long in any case this much is kept, so that it is refused for that. */
  readonly keptBytesMax: number;
}

/** Keep-alives judged in one go: enough that what a batch costs vanishes, and the last waits no longer than 10 ms. */
export const keepAliveBatchItemsMax = 128;
/** Presences judged in one go: a key is hashed for each, so half as many take as long. */
export const presenceBatchItemsMax = 64;

/** Keep-alives (code 34, and entries of code 7). */
export const KEEP_ALIVES: InboxKind = {
  batchItemsMax: keepAliveBatchItemsMax,
  keptBytesMax: keepAliveBytesMax + 1,
};
/** Presences (code 24, and entries of code 19). */
export const PRESENCES: InboxKind = {
  batchItemsMax: presenceBatchItemsMax,
  keptBytesMax: presenceBytesMax + 1,
};

/**
 * Batches whose signatures are being checked before the next one waits for one of them, as long as it is not full: enough
 * to keep every thread busy. Without, a busy relay judged seven thousand keep-alives a second in a thousand batches, and
 * each costs as much as several keep-alives.
 */
export const batchesUnderWayMax = 4;

/** Messages are copied behind each other into buffers of this size; a keep-alive has about 600 bytes. */
const trayBytes = 64 * 1024;

/** What becomes of the messages in a {@link ClaimInbox}. */
export interface InboxHandlers<S, O> {
  /** Judges the messages; outcomes in their order. */
  judge(messages: readonly Uint8Array[]): Promise<O[]>;
  /** Called for each message once, in the order they came in; outcome null when judging failed. `bytes` may be kept. */
  judged(bytes: Uint8Array, sender: S, outcome: O | null): void;
  /** A bug of ours: neither the process nor the other messages end of it. */
  failed(error: unknown): void;
}

/**
 * Gathers the claims of one kind, of all connections, that arrive in one turn of the event loop, so that they are read,
 * hashed and verified together. A lone one waits for the end of the turn it came in, no longer, unless so many are under
 * way that it would wait for them anyway.
 */
export class ClaimInbox<S, O> {
  #messages: Uint8Array[] = [];
  #senders: S[] = [];
  #tray = new Uint8Array(0);
  #used = 0;
  #scheduled = false;
  #underWay = 0;

  constructor(
    private readonly kind: InboxKind,
    private readonly handlers: InboxHandlers<S, O>,
  ) {}

  /** Takes a copy of the message. */
  add(message: Uint8Array, sender: S): void {
    this.#messages.push(this.#copy(message));
    this.#senders.push(sender);
    if (this.#messages.length >= this.kind.batchItemsMax) void this.#judge();
    else this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled || this.#underWay >= batchesUnderWayMax) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (this.#underWay < batchesUnderWayMax) this.flush();
    });
  }

  /** Judges now what has come in so far. */
  flush(): void {
    if (this.#messages.length > 0) void this.#judge();
  }

  /** One buffer for many: an array of its own for each costs more than all that is then done with it before the hash. */
  #copy(message: Uint8Array): Uint8Array {
    const size = Math.min(message.length, this.kind.keptBytesMax);
    if (size > trayBytes) return message.slice(0, size);
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
    let outcomes: O[] | null = null;
    this.#underWay++;
    try {
      outcomes = await this.handlers.judge(messages);
    } catch (error) {
      this.handlers.failed(error);
    }
    this.#underWay--;
    for (let i = 0; i < messages.length; i++)
      try {
        this.handlers.judged(messages[i]!, senders[i]!, outcomes === null ? null : outcomes[i]!);
      } catch (error) {
        this.handlers.failed(error);
      }
    if (this.#messages.length > 0) this.#schedule();
  }
}
