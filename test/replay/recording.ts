import { decodeTransaction, transactionId } from '../../src/ledger/index.js';
import {
  bytesKey,
  Code,
  concatBytes,
  decodeBalance2,
  decodeGetBalance2,
  decodeGetPIT2,
  decodeGetSectorNodes,
  decodeGetTransaction3,
  decodePitData2,
  decodeRejected,
  decodeSectorNodes,
  FRAME_HEADER_BYTES,
  fromHex,
  headersQuestionKey,
  NETWORKS,
  splitRelayAnswer,
} from '../../src/wire/index.js';
import { vectorFile } from '../link/support.js';

/** One wire record of a recorded connection; test/vectors/README.md §5. */
export interface WireRecord {
  /** Milliseconds since that connection's first packet. */
  readonly ms: number;
  readonly from: 'dialer' | 'listener';
  readonly kind: 'time' | 'frame' | 'byte';
  readonly code?: number;
  readonly bytes: Uint8Array;
  /** Of a frame, else empty. */
  readonly payload: Uint8Array;
}

export interface RecordedConnection {
  readonly dialer: string;
  /** Address without port. */
  readonly dialerIp: string;
  readonly listenerAddress: string;
  /** Unix milliseconds of its first packet. */
  readonly t0: number;
  /** Milliseconds after `t0` at which a side ended it, null when the recording stops before. */
  readonly endMs: number | null;
  readonly endBy: 'dialer' | 'listener' | null;
  readonly records: readonly WireRecord[];
}

interface RawConnection {
  readonly dialer: string;
  readonly dialer_addr: string;
  readonly listener_addr: string;
  readonly t0_unix_ms: number;
  readonly end: readonly { readonly ms: number; readonly by: 'dialer' | 'listener' }[];
  readonly records: readonly {
    readonly ms: number;
    readonly from: 'dialer' | 'listener';
    readonly kind: 'time' | 'frame' | 'byte';
    readonly code?: number;
    readonly hex: string;
  }[];
}

/** The connections of a recorded session, decoded. */
export function recording(file: 'session-m-s2.json' | 'session-c98-s2.json'): RecordedConnection[] {
  return vectorFile<{ connections: RawConnection[] }>(file).connections.map((c) => ({
    dialer: c.dialer,
    dialerIp: c.dialer_addr.split(':')[0]!,
    listenerAddress: c.listener_addr,
    t0: c.t0_unix_ms,
    endMs: c.end[0]?.ms ?? null,
    endBy: c.end[0]?.by ?? null,
    records: c.records.map((r) => {
      const bytes = fromHex(r.hex);
      return {
        ms: r.ms,
        from: r.from,
        kind: r.kind,
        ...(r.code === undefined ? {} : { code: r.code }),
        bytes,
        payload: r.kind === 'frame' ? bytes.subarray(FRAME_HEADER_BYTES) : new Uint8Array(0),
      };
    }),
  }));
}

/** A request with everything that was sent for it. */
export interface Exchange {
  readonly key: string;
  /** When it was asked, milliseconds after `t0`. */
  readonly ms: number;
  readonly request: WireRecord;
  readonly answers: WireRecord[];
}

const keyOf = (code: number, ...parts: readonly Uint8Array[]): string =>
  `${code}:${bytesKey(concatBytes(...parts))}`;

/** What a request can be recognised by (docs/protocol/09 §13), null for messages that ask nothing. */
export function requestKey(code: number, payload: Uint8Array): string | null {
  switch (code) {
    case Code.getSectorNodes:
      // The maximum is the asker's affair: the answer names the prefix alone.
      return keyOf(code, decodeGetSectorNodes(payload).prefix);
    case Code.getBalance2:
      return keyOf(code, decodeGetBalance2(payload));
    case Code.getRandomPresences:
    case Code.getBlockHeaders3:
      return keyOf(code, payload);
    case Code.getBlockHeaders4:
      return keyOf(code, headersQuestionKey(payload));
    case Code.getPIT2:
      // The answer repeats the filter alone.
      return keyOf(code, decodeGetPIT2(payload).filter);
    case Code.getTransaction3:
      return keyOf(code, decodeGetTransaction3(payload).transactionId);
    case Code.transactionData2:
      return keyOf(code, transactionId(decodeTransaction(payload), NETWORKS.reg.lock));
    default:
      return null;
  }
}

/** The requests that an answer may belong to. */
function answerKeys(code: number, payload: Uint8Array): string[] {
  switch (code) {
    case Code.sectorNodes:
      return [keyOf(Code.getSectorNodes, decodeSectorNodes(payload).prefix)];
    case Code.balance2:
      return [keyOf(Code.getBalance2, decodeBalance2(payload).address)];
    case Code.blockHeaders4:
      return [keyOf(Code.getBlockHeaders4, headersQuestionKey(payload))];
    case Code.pitData2: {
      const index = decodePitData2(payload, 'relay').relayIndex ?? new Uint8Array(0);
      return [keyOf(Code.getBlockHeaders4, index), keyOf(Code.getPIT2, index)];
    }
    case Code.transactionsChunk3:
      return [keyOf(Code.getBlockHeaders4, splitRelayAnswer(payload).relayIndex)];
    case Code.transactionData2:
      return [keyOf(Code.getTransaction3, transactionId(decodeTransaction(payload), NETWORKS.reg.lock))];
    case Code.rejected:
      return [keyOf(Code.transactionData2, decodeRejected(payload).transactionId ?? new Uint8Array(0))];
    case Code.updatePresence:
      return [keyOf(Code.getRandomPresences, Uint8Array.of(0x4d))];
    default:
      return [];
  }
}

/** Codes that a ledger node sends because it was asked. Everything else it sends is a push. */
export const ANSWER_CODES: readonly number[] = [
  Code.helloData,
  Code.sectorNodes,
  Code.balance2,
  Code.blockHeaders3,
  Code.blockHeaders4,
  Code.pitData2,
  Code.transactionsChunk3,
  Code.transactionData2,
  Code.rejected,
  Code.updatePresence,
];

/** Longest time between a recorded request and its answer. */
const answerMsMax = 2_000;

/** Every recorded request of the dialer with the answers it got. Headers by number are not in here. */
export function exchangesOf(connection: RecordedConnection): Exchange[] {
  const out: Exchange[] = [];
  for (const r of connection.records) {
    if (r.kind !== 'frame') continue;
    if (r.from === 'dialer') {
      const key = requestKey(r.code!, r.payload);
      if (key !== null) out.push({ key, ms: r.ms, request: r, answers: [] });
      continue;
    }
    const keys = answerKeys(r.code!, r.payload);
    const open = out.filter((e) => keys.includes(e.key) && r.ms - e.ms <= answerMsMax);
    open.at(-1)?.answers.push(r);
  }
  return out;
}
