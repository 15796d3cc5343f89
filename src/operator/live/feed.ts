import { Packr } from 'msgpackr';
import { addressText } from '../../identity/index.js';
import type { Transport } from '../../link/index.js';
import type { ApiBackend } from '../api/backend.js';
import { detailOf } from './detail.js';
import { LiveHistory } from './history.js';
import type { LiveHello, LiveMessage, LiveTick } from './messages.js';
import { sampleLive } from './sample.js';
import { LIVE_SERIES } from './series.js';

/** Numbers are told this often, lists this often. */
export const liveTickMs = 1_000;
export const liveDetailMs = 5_000;
/** Dashboards open at once; each costs an encoded snapshot a second. */
export const liveViewersMax = 16;
/** A viewer that has so much unread misses ticks, and is told again when it catches up. */
export const liveUnreadBytesMax = 1024 * 1024;

/** How a viewer wants its messages: msgpack without extensions, or JSON. */
export type LiveFormat = 'msgpack' | 'json';

const packr = new Packr({ useRecords: false, mapsAsObjects: true });
const encodeJson = (message: LiveMessage): Uint8Array => new TextEncoder().encode(JSON.stringify(message));
const encoders: Readonly<Record<LiveFormat, (message: LiveMessage) => Uint8Array>> = {
  // A copy: the packer writes into a buffer of its own that it uses again.
  msgpack: (message) => Uint8Array.from(packr.pack(message)),
  json: encodeJson,
};

interface Viewer {
  readonly transport: Transport;
  readonly format: LiveFormat;
}

/**
 * What the dashboard and `starling top` are fed with (docs/protocol/11 §12.5): one look at the relay a second,
 * encoded once per format however many watch, and a quarter of an hour kept for who comes later.
 */
export class LiveFeed {
  readonly #history = new LiveHistory();
  readonly #viewers = new Set<Viewer>();
  #timer: NodeJS.Timeout | null = null;
  #last: LiveTick;
  #detailAtMs = 0;

  constructor(private readonly backend: ApiBackend) {
    this.#last = this.#tick();
    this.#timer = setInterval(() => this.#turn(), liveTickMs);
    this.#timer.unref();
  }

  get viewers(): number {
    return this.#viewers.size;
  }

  /** True while another viewer may come. */
  get hasRoom(): boolean {
    return this.#viewers.size < liveViewersMax;
  }

  /** A message as a viewer gets it. */
  encode(message: LiveMessage, format: LiveFormat = 'msgpack'): Uint8Array {
    return encoders[format](message);
  }

  /** Feeds a connection until it ends. What it sends is ignored. */
  add(transport: Transport, format: LiveFormat): void {
    if (!this.hasRoom) {
      transport.destroy();
      return;
    }
    const viewer = { transport, format };
    this.#viewers.add(viewer);
    transport.start({
      data: () => undefined,
      drain: () => undefined,
      close: () => void this.#viewers.delete(viewer),
    });
    this.#detailAtMs = Date.now();
    for (const message of [this.#hello(), this.#last, detailOf(this.backend)])
      transport.write(this.encode(message, format));
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    for (const v of [...this.#viewers]) v.transport.destroy();
    this.#viewers.clear();
  }

  #hello(): LiveHello {
    const { node, relay } = this.backend;
    return {
      kind: 'hello',
      version: node.facts.version,
      network: node.facts.network,
      address: addressText(relay.address),
      startedMs: node.startedMs,
      series: LIVE_SERIES,
      history: this.#history.columns(),
      limits: { ...relay.control.limits() },
    };
  }

  /** Takes a row of history and makes the message of it. */
  #tick(): LiveTick {
    const { node } = this.backend;
    const atMs = Date.now();
    const { values, drops, endpoint } = sampleLive(node);
    this.#history.push(atMs, values);
    return {
      kind: 'tick',
      atMs,
      values: LIVE_SERIES.map((name) => values[name]),
      endpoint,
      phase: node.phase,
      draining: node.draining,
      checks: node.readyChecks(),
      drops,
    };
  }

  #turn(): void {
    this.#last = this.#tick();
    this.#tell(this.#last);
    if (this.#viewers.size === 0 || this.#last.atMs - this.#detailAtMs < liveDetailMs) return;
    this.#detailAtMs = this.#last.atMs;
    this.#tell(detailOf(this.backend));
  }

  #tell(message: LiveMessage): void {
    const encoded = new Map<LiveFormat, Uint8Array>();
    for (const { transport, format } of this.#viewers) {
      if (transport.bufferedBytes > liveUnreadBytesMax) continue;
      let bytes = encoded.get(format);
      if (bytes === undefined) {
        bytes = this.encode(message, format);
        encoded.set(format, bytes);
      }
      transport.write(bytes);
    }
  }
}
