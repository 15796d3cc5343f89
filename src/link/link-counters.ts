import type { Counter, Counters, Gauge, Histogram } from '../counters/index.js';
import type { Lane, QueueRefusal } from './send-queue.js';
import type { Direction, LinkClose } from './types.js';

/** Reasons under `ixian_protocol_errors_total` that this room counts. */
export type ProtocolErrorReason =
  | 'crc'
  | 'frame_too_large'
  | 'before_hello'
  | 'hello_again'
  | 'wrong_direction'
  | 'malformed'
  | 'handler';

const KNOWN_TYPES = new Set(['M', 'H', 'R', 'C', 'W']);

/** Codes above this share one label: a peer may send any of 65,536. */
const codeLabelMax = 63;

/** What stands under a key, made at the first use. */
function found<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}

/**
 * The counters of all links over one {@link Counters} (names: docs/protocol/11 §12.2), looked up once instead of
 * per message.
 */
export class LinkCounters {
  static readonly #all = new WeakMap<Counters, LinkCounters>();
  readonly #in: { messages: Counter; bytes: Counter }[] = [];
  readonly #out: { messages: Counter; bytes: Counter }[] = [];
  /** Those of every connection: found by their labels, each would cost it an object and a long string. */
  readonly #started = new Map<Direction, Counter>();
  readonly #open = { in: new Map<string, Gauge>(), out: new Map<string, Gauge>() };
  readonly #closed = { in: new Map<string, Counter>(), out: new Map<string, Counter>() };
  readonly #durations = { in: new Map<string, Histogram>(), out: new Map<string, Histogram>() };

  private constructor(readonly counters: Counters) {}

  static of(counters: Counters): LinkCounters {
    let own = LinkCounters.#all.get(counters);
    if (own === undefined) {
      own = new LinkCounters(counters);
      LinkCounters.#all.set(counters, own);
    }
    return own;
  }

  /** One frame of `code` and `bytes` payload bytes. */
  message(direction: Direction, code: number, bytes: number): void {
    const table = direction === 'in' ? this.#in : this.#out;
    const index = Math.min(code, codeLabelMax + 1);
    let c = table[index];
    if (c === undefined) {
      const labels = { direction, code: index > codeLabelMax ? 'other' : String(code) };
      c = {
        messages: this.counters.counter('ixian_protocol_messages_total', 'Messages by code', labels),
        bytes: this.counters.counter('ixian_protocol_bytes_total', 'Payload bytes by code', labels),
      };
      table[index] = c;
    }
    c.messages.add();
    c.bytes.add(bytes);
  }

  error(reason: ProtocolErrorReason): void {
    this.counters.counter('ixian_protocol_errors_total', 'Protocol errors by reason', { reason }).add();
  }

  /** A message that was not taken for sending. */
  dropped(queue: Lane | 'inventory', reason: QueueRefusal | 'not_open' | 'closed', n = 1): void {
    this.counters
      .counter('ixian_queue_dropped_total', 'Messages not taken', { queue: `send_${queue}`, reason })
      .add(n);
  }

  started(direction: Direction): void {
    found(this.#started, direction, () =>
      this.counters.counter('ixian_connections_opened_total', 'Connections started', { direction }),
    ).add();
  }

  opened(direction: Direction, nodeType: string): void {
    this.#connections(direction, nodeType).add(1);
  }

  closed(direction: Direction, nodeType: string | null, close: LinkClose): void {
    if (nodeType !== null) this.#connections(direction, nodeType).add(-1);
    found(this.#closed[direction], close.why, () => {
      const reason = close.why.replaceAll('-', '_');
      return this.counters.counter('ixian_connections_closed_total', 'Connections ended by reason', {
        direction,
        reason,
      });
    }).add();
  }

  /** We refused a peer in the handshake, with that bye code. */
  refused(direction: Direction, byeCode: number): void {
    this.counters
      .counter('ixian_connections_rejected_total', 'Peers refused by bye code', {
        direction,
        reason: String(byeCode),
      })
      .add();
  }

  handshake(direction: Direction, result: 'ok' | 'failed', seconds: number): void {
    found(this.#durations[direction], result, () =>
      this.counters.histogram('ixian_handshake_duration_seconds', 'From start to helloData', undefined, {
        direction,
        result,
      }),
    ).observe(seconds);
  }

  #connections(direction: Direction, nodeType: string): Gauge {
    const type = KNOWN_TYPES.has(nodeType) ? nodeType : 'other';
    return found(this.#open[direction], type, () =>
      this.counters.gauge('ixian_connections', 'Handshaken connections', { direction, peer_type: type }),
    );
  }
}
