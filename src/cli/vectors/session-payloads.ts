import {
  decodeHeader,
  decodePitProof,
  decodeTransaction,
  encodeHeader,
  encodeTransaction,
} from '../../ledger/index.js';
import { decodeStreamMessage, encodeStreamMessage } from '../../messages/index.js';
import { decodeKeepAlive, decodePresence, encodeKeepAlive, encodePresence } from '../../presence/index.js';
import {
  bytesEqual,
  Code,
  CuckooFilter,
  decodeAttachEvent,
  decodeBalance2,
  decodeBlockHeaders3,
  decodeBlockHeaders4,
  decodeBye,
  decodeDetachEvent,
  decodeGetBalance2,
  decodeGetBlockHeaders3,
  decodeGetBlockHeaders4,
  decodeGetKeepAlives,
  decodeGetNameRecord,
  decodeGetPIT2,
  decodeGetPresence2,
  decodeGetRandomPresences,
  decodeGetSectorNodes,
  decodeGetTransaction3,
  decodeGetTransactions2,
  decodeHello,
  decodeHelloData,
  decodeInventory2,
  decodeKeepAlivesChunk,
  decodeNameRecord,
  decodePitData2,
  decodeRejected,
  decodeSectorNodes,
  decodeTransactionsChunk3,
  encodeAttachEvent,
  encodeBalance2,
  encodeBlockHeaders3,
  encodeBlockHeaders4,
  encodeBye,
  encodeDetachEvent,
  encodeGetBalance2,
  encodeGetBlockHeaders3,
  encodeGetBlockHeaders4,
  encodeGetKeepAlives,
  encodeGetNameRecord,
  encodeGetPIT2,
  encodeGetPresence2,
  encodeGetRandomPresences,
  encodeGetSectorNodes,
  encodeGetTransaction3,
  encodeGetTransactions2,
  encodeHello,
  encodeHelloData,
  encodeInventory2,
  encodeInventoryItem,
  encodeKeepAlivesChunk,
  encodeNameRecord,
  encodePitData2,
  encodeRejected,
  encodeSectorNodes,
  splitRelayAnswer,
  toHex,
} from '../../wire/index.js';

/** Who receives a payload: answers to relays carry an index in front that answers to clients do not. */
export type Reader = 'relay' | 'client';

/** Why a payload is not what the codecs say: expected and got, so that the first difference can be named. */
export interface Difference {
  readonly what: string;
  readonly expected: string;
  readonly got: string;
}

const differs = (what: string, expected: Uint8Array, got: Uint8Array): Difference | null =>
  bytesEqual(expected, got) ? null : { what, expected: toHex(expected), got: toHex(got) };

type Check = (payload: Uint8Array, reader: Reader) => Difference | null;

/** Decoded and encoded again. */
const same =
  (again: (payload: Uint8Array, reader: Reader) => Uint8Array): Check =>
  (payload, reader) =>
    differs('payload', payload, again(payload, reader));

/** Header tails of the two lines cannot be told apart but by trying (docs/protocol/09 §7.3). */
function headersDiffer(headers: readonly Uint8Array[]): Difference | null {
  for (const bytes of headers) {
    const h = decodeHeader(bytes);
    const compacted = h.signatures.length > 0 && h.signatures.every((s) => s.rsa === null);
    const signatures = compacted ? 'compacted' : 'full';
    const [newer, older] = (['difficulty', 'bits'] as const).map((tail) =>
      encodeHeader(h, { signatures, tail, transactions: true }),
    );
    if (!bytesEqual(bytes, older!)) {
      const d = differs(`header ${h.number}`, bytes, newer!);
      if (d !== null) return d;
    }
  }
  return null;
}

const transactionDiffers = (bytes: Uint8Array): Difference | null =>
  differs('transaction', bytes, encodeTransaction(decodeTransaction(bytes)));

const firstOf = <T>(items: readonly T[], check: (item: T) => Difference | null): Difference | null => {
  for (const i of items) {
    const d = check(i);
    if (d !== null) return d;
  }
  return null;
};

/** What a recorded payload of each code must survive (test/vectors/README.md §5, parser test). */
export const PAYLOAD_CHECKS: { readonly [code: number]: Check } = {
  [Code.hello]: same((p) => encodeHello(decodeHello(p))),
  [Code.helloData]: same((p) => encodeHelloData(decodeHelloData(p))),
  [Code.bye]: same((p) => encodeBye(decodeBye(p))),
  [Code.rejected]: same((p) => encodeRejected(decodeRejected(p))),
  [Code.getKeepAlives]: same((p) => encodeGetKeepAlives(decodeGetKeepAlives(p))),
  [Code.keepAlivesChunk]: (p) => {
    const list = decodeKeepAlivesChunk(p);
    return (
      firstOf(list, (k) => differs('keep-alive', k, encodeKeepAlive(decodeKeepAlive(k)))) ??
      differs('payload', p, encodeKeepAlivesChunk(list))
    );
  },
  [Code.transactionData2]: transactionDiffers,
  [Code.getSectorNodes]: same((p) => encodeGetSectorNodes(decodeGetSectorNodes(p))),
  [Code.sectorNodes]: (p) => {
    const m = decodeSectorNodes(p);
    return (
      firstOf(m.presences, (r) => differs('presence', r, encodePresence(decodePresence(r)))) ??
      differs('payload', p, encodeSectorNodes(m))
    );
  },
  [Code.getPIT2]: same((p) => encodeGetPIT2(decodeGetPIT2(p))),
  [Code.pitData2]: (p, reader) => {
    const m = decodePitData2(p, reader);
    decodePitProof(m.pit);
    return differs('payload', p, encodePitData2(m));
  },
  [Code.updatePresence]: same((p) => encodePresence(decodePresence(p))),
  [Code.s2data]: same((p) => encodeStreamMessage(decodeStreamMessage(p))),
  [Code.getBalance2]: same((p) => encodeGetBalance2(decodeGetBalance2(p))),
  [Code.balance2]: same((p) => encodeBalance2(decodeBalance2(p))),
  [Code.keepAlivePresence]: same((p) => encodeKeepAlive(decodeKeepAlive(p))),
  [Code.getPresence2]: same((p) => encodeGetPresence2(decodeGetPresence2(p))),
  [Code.attachEvent]: same((p) => {
    const { type, filter } = decodeAttachEvent(p);
    return encodeAttachEvent({ type, filter: CuckooFilter.decode(filter).encode() });
  }),
  [Code.detachEvent]: same((p) => encodeDetachEvent(decodeDetachEvent(p))),
  [Code.getNameRecord]: same((p) => encodeGetNameRecord(decodeGetNameRecord(p))),
  [Code.nameRecord]: same((p) => encodeNameRecord(decodeNameRecord(p))),
  [Code.getBlockHeaders3]: same((p) => encodeGetBlockHeaders3(decodeGetBlockHeaders3(p))),
  [Code.blockHeaders3]: (p) => {
    const headers = decodeBlockHeaders3(p);
    return headersDiffer(headers) ?? differs('payload', p, encodeBlockHeaders3(headers));
  },
  [Code.getRandomPresences]: same((p) => encodeGetRandomPresences(decodeGetRandomPresences(p))),
  [Code.getBlockHeaders4]: same((p) => encodeGetBlockHeaders4(decodeGetBlockHeaders4(p))),
  [Code.blockHeaders4]: (p) => {
    const m = decodeBlockHeaders4(p);
    return headersDiffer(m.headers) ?? differs('payload', p, encodeBlockHeaders4(m));
  },
  [Code.getTransactions2]: same((p) => encodeGetTransactions2(decodeGetTransactions2(p))),
  [Code.getTransaction3]: same((p) => encodeGetTransaction3(decodeGetTransaction3(p))),
  [Code.inventory2]: same((p) => {
    const { items } = decodeInventory2(p);
    return encodeInventory2(items.map((i) => encodeInventoryItem(i)));
  }),
  [Code.transactionsChunk3]: (p, reader) => {
    // The announced count is an upper bound (03 §6), so the payload as a whole need not come back; in the
    // relay layout the form for clients must be the rest of it, byte for byte.
    const m = decodeTransactionsChunk3(p, reader);
    const lost = firstOf(m.transactions, transactionDiffers);
    if (lost !== null || reader === 'client') return lost;
    const { forClient } = splitRelayAnswer(p);
    return differs('payload for clients', p.subarray(p.length - forClient.length), forClient);
  },
};
