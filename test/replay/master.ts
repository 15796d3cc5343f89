import type { Server } from 'node:net';
import type { ManualClock } from '../../src/clock/index.js';
import {
  Code,
  decodeGetBlockHeaders3,
  decodeGetBlockHeaders4,
  decodeHelloData,
  decodePitData2,
  decodeTransactionsChunk3,
  encodeBlockHeaders3,
  encodeBlockHeaders4,
  encodeFrame,
} from '../../src/wire/index.js';
import { announcedBlocks, headerTable } from './headers.js';
import {
  ANSWER_CODES,
  type Exchange,
  exchangesOf,
  type RecordedConnection,
  requestKey,
  type WireRecord,
} from './recording.js';
import { listenRaw, RawPeer } from './sockets.js';

/** A recorded answer is taken as it stands for a question asked this close to the recorded one. */
const sameMomentMs = 5_000;

/** What the relay asked and whether the recording had something for it. */
export interface Asked {
  readonly ms: number;
  readonly code: number;
  readonly payload: Uint8Array;
  readonly answers: number;
}

/**
 * The master of a recorded session as a TCP server: pushes what it pushed at the recorded times, and answers
 * what it is asked from the recording, by the key of the question. Silence for everything that was not recorded.
 */
export class RecordedMaster {
  readonly asked: Asked[] = [];
  readonly table: ReadonlyMap<number, Uint8Array>;
  readonly port: number;
  peer: RawPeer | null = null;
  readonly #server: Server;
  readonly #exchanges: readonly Exchange[];
  readonly #announced: ReturnType<typeof announcedBlocks>;
  readonly #tipAtStart: number;
  readonly #helloData: WireRecord;

  private constructor(
    readonly connection: RecordedConnection,
    private readonly clock: ManualClock,
    server: { server: Server; port: number },
  ) {
    this.#server = server.server;
    this.port = server.port;
    this.table = headerTable(connection);
    this.#announced = announcedBlocks(connection);
    this.#exchanges = exchangesOf(connection);
    this.#helloData = connection.records.find((r) => r.code === Code.helloData)!;
    this.#tipAtStart = decodeHelloData(this.#helloData.payload).lastBlock;
  }

  static async start(connection: RecordedConnection, clock: ManualClock): Promise<RecordedMaster> {
    let master: RecordedMaster | null = null;
    const server = await listenRaw((socket) => {
      master!.peer = new RawPeer(socket, (r) => {
        if (r.kind === 'frame') master!.#answer(r.code, r.payload);
      });
    });
    master = new RecordedMaster(connection, clock, server);
    return master;
  }

  close(): void {
    this.peer?.socket.destroy();
    this.#server.close();
  }

  /** Milliseconds since the recorded connection began. */
  get ms(): number {
    return this.clock.nowMs() - this.connection.t0;
  }

  /** The recorded records that nobody asked for, with their times. */
  get pushes(): readonly WireRecord[] {
    return this.connection.records.filter(
      (r) => r.from === 'listener' && (r.kind !== 'frame' || !ANSWER_CODES.includes(r.code!)),
    );
  }

  /** The master's last block at this moment, by its own announcements. */
  get lastBlock(): number {
    let last = this.#tipAtStart;
    for (const [n, a] of this.#announced) if (a.ms <= this.ms) last = Math.max(last, n);
    return last;
  }

  /** Recorded headers it had: the reference serves up to the block before its last (docs/protocol/09 §7.1). */
  #headers(from: number, count: number): Uint8Array[] {
    const out: Uint8Array[] = [];
    for (let n = from; n < Math.min(from + count, this.lastBlock); n++) {
      const h = this.table.get(n);
      if (h === undefined) break;
      out.push(h);
    }
    return out;
  }

  #answer(code: number, payload: Uint8Array): void {
    const answers = this.#answersTo(code, payload);
    this.asked.push({ ms: this.ms, code, payload, answers: answers.length });
    for (const a of answers) this.peer!.send(a);
  }

  #answersTo(code: number, payload: Uint8Array): Uint8Array[] {
    if (code === Code.hello) return [this.#helloData.bytes];
    if (code === Code.getBlockHeaders3) {
      const q = decodeGetBlockHeaders3(payload);
      const headers = this.#headers(q.from, q.count);
      return headers.length === 0 ? [] : [encodeFrame(Code.blockHeaders3, encodeBlockHeaders3(headers))];
    }
    const key = requestKey(code, payload);
    const known = this.#exchanges.filter((e) => e.key === key && e.answers.length > 0);
    const near = known.reduce<Exchange | null>(
      (best, e) => (best === null || Math.abs(e.ms - this.ms) < Math.abs(best.ms - this.ms) ? e : best),
      null,
    );
    if (code === Code.getBlockHeaders4 && (near === null || Math.abs(near.ms - this.ms) > sameMomentMs))
      return this.#headers4(payload, known);
    return near?.answers.map((r) => r.bytes) ?? [];
  }

  /** Code 49 at another moment: the headers of that moment, with the transactions and proofs of those blocks. */
  #headers4(payload: Uint8Array, known: readonly Exchange[]): Uint8Array[] {
    const { from, count, filter } = decodeGetBlockHeaders4(payload);
    const headers = this.#headers(from, count);
    if (headers.length === 0) return [];
    const beside = new Map<string, Uint8Array>();
    for (const r of known.flatMap((e) => e.answers)) {
      const block =
        r.code === Code.pitData2
          ? decodePitData2(r.payload, 'relay').block
          : r.code === Code.transactionsChunk3
            ? Number(decodeTransactionsChunk3(r.payload, 'relay').id)
            : null;
      if (block !== null && block < from + headers.length) beside.set(`${r.code}:${block}`, r.bytes);
    }
    return [
      ...beside.values(),
      encodeFrame(Code.blockHeaders4, encodeBlockHeaders4({ from, count, filter, headers })),
    ];
  }
}
