import { parseAddress } from '../identity/index.js';
import {
  type BlockHeader,
  buildPitProofFor,
  encodeHeader,
  groupHeaders,
  type HeaderTail,
  headerWindow,
} from '../ledger/index.js';
import {
  encodePresence,
  keepAliveChunks,
  type Presence,
  type PresenceStore,
  presenceAnswer,
  randomPresences,
  readKeepAlivePairs,
} from '../presence/index.js';
import type { RelayTree } from '../sectors/index.js';
import {
  Code,
  CuckooFilter,
  decodeGetBalance2,
  decodeGetBlockHeaders3,
  decodeGetBlockHeaders4,
  decodeGetNameRecord,
  decodeGetPIT2,
  decodeGetPresence2,
  decodeGetRandomPresences,
  decodeGetSectorNodes,
  encodeBalance2,
  encodeBlockHeaders3,
  encodeBlockHeaders4,
  encodeNameRecord,
  encodePitData2,
  encodeSectorNodes,
  HeaderMode,
} from '../wire/index.js';
import type { DevChain } from './chain.js';

/** What the answers are made from. */
export interface AnswerContext {
  readonly store: PresenceStore;
  readonly relays: RelayTree;
  readonly chain: DevChain;
  /** Network time in whole seconds. */
  readonly now: () => number;
  /** False at level L0: header requests meet silence. */
  readonly servesHeaders: boolean;
  readonly random: () => number;
}

/** One message to send back. */
export interface Reply {
  readonly code: number;
  readonly payload: Uint8Array;
}

/** Most relays in one sectorNodes (docs/protocol/09 §4.1). */
const sectorAnswerMax = 20;
/** Fewest: with one entry S2 and clients throw while they read it (09 §4.3). */
const SECTOR_ANSWER_MIN = 2;
/** Empty v12 blocks above it are refused by whoever wants transaction ids (09 §7.7). */
const EMPTY_BLOCKS_HEIGHT_MAX = 961;

const none: readonly Reply[] = [];
const one = (code: number, payload: Uint8Array): readonly Reply[] => [{ code, payload }];

/** Receivers of the reference dial the first endpoint listed, so the relay's comes first (09 §4.3 Quirk). */
function relayFirst(p: Presence): Uint8Array {
  const addresses = p.addresses.toSorted((a, b) => Number(b.type === 'R') - Number(a.type === 'R'));
  return encodePresence({ ...p, addresses });
}

/** Row 3: the relays nearest to the prefix; a single one is named twice. */
export function sectorNodesReply(ctx: AnswerContext, payload: Uint8Array): readonly Reply[] {
  const { prefix, max } = decodeGetSectorNodes(payload);
  const wanted = Math.min(Math.max(max, SECTOR_ANSWER_MIN), sectorAnswerMax);
  const found = ctx.relays.size === 0 ? [] : ctx.relays.select(prefix, wanted);
  const presences = found.flatMap((w) => ctx.store.get(w) ?? []).map(relayFirst);
  if (presences.length === 1) presences.push(presences[0]!);
  return one(Code.sectorNodes, encodeSectorNodes({ prefix, presences }));
}

/** Row 4: nobody owns anything here, but the height stops the polling. */
export function balanceReply(ctx: AnswerContext, payload: Uint8Array): readonly Reply[] {
  // The address goes back as received: a relay matches the answer by these bytes (09 §9).
  const address = decodeGetBalance2(payload);
  parseAddress(address, 'getBalance2.address');
  const tip = ctx.chain.tip;
  const height = tip?.number ?? 1;
  const blockChecksum = tip?.checksum ?? null;
  return one(Code.balance2, encodeBalance2({ address, balance: 0n, height, blockChecksum }));
}

/** Row 5: stored presences, the own one among them; silence when unknown. */
export function presenceReply(ctx: AnswerContext, payload: Uint8Array): readonly Reply[] {
  const wallet = parseAddress(decodeGetPresence2(payload), 'getPresence2.address');
  return presenceAnswer(ctx.store, wallet).map((p) => ({ code: Code.updatePresence, payload: p }));
}

/** Row 6. */
export function randomPresencesReply(ctx: AnswerContext, payload: Uint8Array): readonly Reply[] {
  const type = decodeGetRandomPresences(payload);
  return randomPresences(ctx.store, type, ctx.now(), ctx.random).map((p) => ({
    code: Code.updatePresence,
    payload: encodePresence(p),
  }));
}

/** Row 8. */
export function keepAlivesReply(ctx: AnswerContext, payload: Uint8Array): readonly Reply[] {
  return keepAliveChunks(ctx.store, readKeepAlivePairs(payload)).map((p) => ({
    code: Code.keepAlivesChunk,
    payload: p,
  }));
}

/** Row 9: no name exists, and saying so spares the asker its timeout. */
export function nameReply(payload: Uint8Array): readonly Reply[] {
  const { name } = decodeGetNameRecord(payload);
  return one(Code.nameRecord, encodeNameRecord({ name, records: [] }));
}

function encoded(blocks: readonly BlockHeader[], tail: HeaderTail): Uint8Array[] {
  return blocks.map((b) => encodeHeader(b, { signatures: 'none', tail }));
}

/** Row 13, 46 → 47: asked by the 0.9.7 line only, so the tail is its bits form. Served through the tip. */
export async function headers3Reply(ctx: AnswerContext, payload: Uint8Array): Promise<readonly Reply[]> {
  const { from, count } = decodeGetBlockHeaders3(payload);
  const window = ctx.servesHeaders ? headerWindow(from, count, ctx.chain.height, { servesTip: true }) : null;
  if (window === null) return none;
  const headers = encoded(await ctx.chain.range(window), 'bits');
  return groupHeaders(headers).map((g) => ({ code: Code.blockHeaders3, payload: encodeBlockHeaders3(g) }));
}

/** Row 13, 49 → 50: without mode it is the 0.9.7 line that asks. One frame, the question in front. */
export async function headers4Reply(ctx: AnswerContext, payload: Uint8Array): Promise<readonly Reply[]> {
  const q = decodeGetBlockHeaders4(payload);
  const { from, count, filter, mode } = q;
  const window = ctx.servesHeaders ? headerWindow(from, count, ctx.chain.height, { servesTip: true }) : null;
  if (window === null) return none;
  if (mode !== undefined && mode > HeaderMode.transactions) return none;
  const last = window.from + window.count - 1;
  if (mode === HeaderMode.transactions && last > EMPTY_BLOCKS_HEIGHT_MAX) return none;
  const copy = { from, count, filter: filter === null ? null : filter.slice() };
  const headers = encoded(await ctx.chain.range(window), mode === undefined ? 'bits' : 'difficulty');
  return one(Code.blockHeaders4, encodeBlockHeaders4({ ...copy, headers: groupHeaders(headers)[0] ?? [] }));
}

/**
 * Row 16: blocks are empty, so is every proof; clients of the 0.9.8 line walk block by block and need an answer
 * for each (09 §8). A relay gets the filter in front.
 */
export function pitReply(ctx: AnswerContext, payload: Uint8Array, toRelay: boolean): readonly Reply[] {
  const { block, filter } = decodeGetPIT2(payload);
  if (!ctx.servesHeaders || block < 1 || block > ctx.chain.height) return none;
  const parsed = CuckooFilter.decode(filter, 'getPIT2.filter');
  const pit = buildPitProofFor([], parsed);
  const answer = toRelay ? { relayIndex: parsed.encode(), block, pit } : { block, pit };
  return one(Code.pitData2, encodePitData2(answer));
}
