import { Unpackr } from 'msgpackr/index-no-eval';
import type { LiveMessage } from '../../operator/live/index.js';

/** Waits before the first and the last attempts to come back. */
const retryMsMin = 500;
const retryMsMax = 10_000;
/** Without a tick for so long the connection is given up: a laptop that slept, a network that changed. */
const silentMsMax = 5_000;

export interface LiveEvents {
  message(message: LiveMessage): void;
  /** Null while connected; otherwise why not. */
  state(trouble: string | null): void;
  /** The relay wants a login again. */
  loggedOut(): void;
}

/** Keeps the feed open: comes back by itself after restarts of the relay and sleep of this machine. */
export class Live {
  #socket: WebSocket | null = null;
  #retryMs = retryMsMin;
  #heardMs = 0;
  #timer = 0;
  #stopped = false;
  // Messages are plain maps: with records the decoder would write code, which the page's policy forbids.
  readonly #unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true });

  constructor(
    private readonly events: LiveEvents,
    private readonly check: () => Promise<boolean>,
  ) {
    this.#open();
    this.#timer = window.setInterval(() => this.#watch(), 1_000);
  }

  stop(): void {
    this.#stopped = true;
    window.clearInterval(this.#timer);
    this.#socket?.close();
  }

  #watch(): void {
    if (this.#socket?.readyState === WebSocket.OPEN && Date.now() - this.#heardMs > silentMsMax)
      this.#socket.close();
  }

  #open(): void {
    const socket = new WebSocket(`${location.origin.replace(/^http/, 'ws')}/v1/live`);
    socket.binaryType = 'arraybuffer';
    this.#socket = socket;
    socket.onopen = () => {
      this.#heardMs = Date.now();
      this.#retryMs = retryMsMin;
      this.events.state(null);
    };
    socket.onmessage = (event: MessageEvent<ArrayBuffer>) => {
      this.#heardMs = Date.now();
      this.events.message(this.#unpackr.unpack(new Uint8Array(event.data)) as LiveMessage);
    };
    socket.onclose = () => void this.#lost();
  }

  async #lost(): Promise<void> {
    if (this.#stopped) return;
    this.events.state('no connection to the relay, trying again');
    try {
      if (!(await this.check())) {
        this.stop();
        this.events.loggedOut();
        return;
      }
    } catch {
      // Nobody answers: the next attempt will tell.
    }
    await new Promise((resolve) => setTimeout(resolve, this.#retryMs));
    this.#retryMs = Math.min(retryMsMax, 2 * this.#retryMs);
    if (!this.#stopped) this.#open();
  }
}
