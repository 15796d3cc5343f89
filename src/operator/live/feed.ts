import { Packr } from 'msgpackr';
import { addressText } from '../../identity/index.js';
import type { WebSocketTransport } from '../../link/node/index.js';
import type { ApiBackend } from '../api/backend.js';
import { detailOf, livePeersMax } from './detail.js';
import { LiveHistory } from './history.js';
import type { LiveDetail, LiveHello, LiveMessage, LiveTick } from './messages.js';
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
/** A copy: the packer writes into a buffer of its own that it uses again. JSON goes as text. */
const encoders: Readonly<Record<LiveFormat, (message: LiveMessage) => Uint8Array | string>> = {
  msgpack: (message) => Uint8Array.from(packr.pack(message)),
  json: (message) => JSON.stringify(message),
};

interface Viewer {
  readonly transport: WebSocketTransport;
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
    const { cluster } = backend;
    cluster?.keepHistory(() => this.#history.columns());
    // Of the processes before: the leader's place passes on, and the picture of the last minutes with it.
    void cluster?.history().then((columns) => {
      if (columns !== null) this.#history.before(columns);
    });
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
  encode(message: LiveMessage, format: LiveFormat = 'msgpack'): Uint8Array | string {
    return encoders[format](message);
  }

  /** Feeds a connection until it ends. What it sends is ignored. */
  add(transport: WebSocketTransport, format: LiveFormat): void {
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
    for (const message of [this.#hello(), this.#last]) write(transport, this.encode(message, format));
    void this.#detail().then((detail) => {
      if (this.#viewers.has(viewer)) write(transport, this.encode(detail, format));
    });
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
    const { endpoint, ...own } = sampleLive(node);
    const { values, drops } = this.backend.cluster?.live(own) ?? own;
    this.#history.push(atMs, values);
    return {
      kind: 'tick',
      atMs,
      values: LIVE_SERIES.map((name) => values[name]),
      endpoint,
      phase: node.phase,
      draining: node.draining,
      ...(node.newerVersion === null ? {} : { update: node.newerVersion }),
      checks: node.readyChecks(),
      drops,
    };
  }

  #turn(): void {
    this.#last = this.#tick();
    this.#tell(this.#last);
    if (this.#viewers.size === 0 || this.#last.atMs - this.#detailAtMs < liveDetailMs) return;
    this.#detailAtMs = this.#last.atMs;
    void this.#detail().then((detail) => this.#tell(detail));
  }

  async #detail(): Promise<LiveDetail> {
    return detailOf(this.backend, (await this.backend.cluster?.others(livePeersMax)) ?? null);
  }

  #tell(message: LiveMessage): void {
    const encoded = new Map<LiveFormat, Uint8Array | string>();
    for (const { transport, format } of this.#viewers) {
      if (transport.bufferedBytes > liveUnreadBytesMax) continue;
      let bytes = encoded.get(format);
      if (bytes === undefined) {
        bytes = this.encode(message, format);
        encoded.set(format, bytes);
      }
      write(transport, bytes);
    }
  }
}

function write(transport: WebSocketTransport, message: Uint8Array | string): void {
  if (typeof message === 'string') transport.writeText(message);
  else transport.write(message);
}
