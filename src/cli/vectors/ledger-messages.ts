import { sectorPrefix } from '../../identity/index.js';
import { encodeNameEntry } from '../../ledger/index.js';
import {
  Code,
  CuckooFilter,
  encodeBalance2,
  encodeGetBalance2,
  encodeGetBlockHeaders3,
  encodeGetBlockHeaders4,
  encodeGetNameRecord,
  encodeGetPIT2,
  encodeGetPresence2,
  encodeGetSectorNodes,
  encodeGetTransaction3,
  encodeGetTransactions2,
  encodeNameRecord,
  encodePitData2,
  encodeRejected,
  encodeSectorNodes,
  fromHex,
  toHex,
} from '../../wire/index.js';
import type { Answer, JsonObject, VectorCase, VectorContext } from './case.js';
import { big, bytes, bytesOrNull, int, list, objects, texts } from './ledger-fields.js';

type Built = readonly [code: keyof typeof Code, payload: Uint8Array];

/** Presence bytes of a named wallet: the case that lists relays in full carries them. */
function presenceOf(relay: string, ctx: VectorContext, file: string): Uint8Array | null {
  const full = objects(ctx.find(file, 'message sectorNodes three relays').in, 'relays');
  const found = full.find((r) => r.wallet === relay);
  return found === undefined ? null : bytes(found, 'presence');
}

function sectorNodes(c: VectorCase, ctx: VectorContext, file: string): Uint8Array {
  const presences = list(c.in, 'relays')
    .map((r) => (typeof r === 'string' ? presenceOf(r, ctx, file) : bytes(r as JsonObject, 'presence')))
    // A relay without a stored presence is left out (09 §4.2).
    .filter((p) => p !== null);
  return encodeSectorNodes({ prefix: bytes(c.in, 'prefix'), presences });
}

function nameRecord(c: VectorCase): Uint8Array {
  const records = objects(c.in, 'records').map((r) =>
    encodeNameEntry({ key: bytes(r, 'key'), ttl: int(r, 'ttl'), data: bytes(r, 'data') }),
  );
  return encodeNameRecord({ name: bytes(c.in, 'name'), records });
}

function build(c: VectorCase, ctx: VectorContext, file: string): Built | null {
  const q = c.in;
  switch (c.name.split(' ')[1]) {
    case 'getBlockHeaders3':
      return ['getBlockHeaders3', encodeGetBlockHeaders3({ from: int(q, 'from'), count: int(q, 'count') })];
    case 'getRelevantBlockTransactions': {
      const filter = CuckooFilter.build([bytes(q, 'ownAddress')]).encode();
      const question = { from: int(q, 'from'), count: int(q, 'count'), filter };
      return ['getBlockHeaders4', encodeGetBlockHeaders4(question)];
    }
    case 'getBlockHeaders4': {
      const filter = bytesOrNull(q, 'filter');
      const question = { from: int(q, 'from'), count: int(q, 'count'), filter, mode: int(q, 'mode') };
      return ['getBlockHeaders4', encodeGetBlockHeaders4(question)];
    }
    case 'getTransaction3': {
      const question = { transactionId: bytes(q, 'txid'), block: int(q, 'block') };
      return ['getTransaction3', encodeGetTransaction3(question)];
    }
    case 'getTransactions2': {
      const transactionIds = texts(q, 'ids').map(fromHex);
      return ['getTransactions2', encodeGetTransactions2({ id: int(q, 'block'), transactionIds })];
    }
    case 'getPresence2':
      return ['getPresence2', encodeGetPresence2(bytes(q, 'address'))];
    case 'getSectorNodes': {
      const prefix = sectorPrefix(bytes(q, 'address'));
      return ['getSectorNodes', encodeGetSectorNodes({ prefix, max: int(q, 'max') })];
    }
    case 'rejected':
      return ['rejected', encodeRejected({ reason: int(q, 'code'), transactionId: bytes(q, 'txid') })];
    case 'getNameRecord': {
      const question = { name: bytes(q, 'name'), record: bytesOrNull(q, 'recordKey') };
      return ['getNameRecord', encodeGetNameRecord(question)];
    }
    case 'nameRecord':
      return ['nameRecord', nameRecord(c)];
    case 'sectorNodes':
      return ['sectorNodes', sectorNodes(c, ctx, file)];
    default:
      return null;
  }
}

/** The 0.9.7 line has its own name for code 49 (docs/protocol/09, table of lines). */
function codeName(code: keyof typeof Code, line: string): string {
  return code === 'getBlockHeaders4' && line === '0.9.7' ? 'getRelevantBlockTransactions' : code;
}

/** Answers a `message …` case: one message with its code and payload. */
export function messageCase(c: VectorCase, ctx: VectorContext, file: string): Answer {
  const built = build(c, ctx, file);
  if (built === null) return { uncovered: `no builder for ${c.name}` };
  const [code, payload] = built;
  return {
    out: {
      messages: [{ code: codeName(code, c.line), codeNumber: Code[code], payload: toHex(payload) }],
    },
  };
}

/** Answers the balance cases. */
export function balanceCase(c: VectorCase): Answer {
  const address = bytes(c.in, 'address');
  if (c.name.startsWith('getBalance2')) return { out: { payload: toHex(encodeGetBalance2(address)) } };
  const payload = encodeBalance2({
    address,
    balance: big(c.in, 'balanceUnits'),
    height: int(c.in, 'block'),
    blockChecksum: bytes(c.in, 'blockChecksum'),
  });
  return { out: { payload: toHex(payload) } };
}

/** The request for a proof and its answer in both layouts. */
export function pitMessages(block: number, filter: Uint8Array, pit: Uint8Array): JsonObject {
  return {
    request: toHex(encodeGetPIT2({ block, filter })),
    answerToClient: toHex(encodePitData2({ block, pit })),
    answerToRelay: toHex(encodePitData2({ relayIndex: filter, block, pit })),
  };
}
