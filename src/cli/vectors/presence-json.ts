import { addressText, createSigner, type Signer } from '../../identity/index.js';
import {
  type DroppedAddress,
  difficultyFromText,
  NO_POW_KNOWLEDGE,
  type PowKnowledge,
  type Presence,
  type PresenceAddress,
  type PresenceProblem,
} from '../../presence/index.js';
import { fromHex, NETWORKS, type Network, type NodeType, toHex } from '../../wire/index.js';
import {
  type Answer,
  expectsRefusal,
  type Json,
  type JsonObject,
  type VectorCase,
  type VectorContext,
} from './case.js';
import { bytes, int, text } from './ledger-fields.js';

/** Names of the wallets that presence cases refer to (test/vectors/README.md §2). */
export const WALLET_NAMES: readonly string[] = ['w0', 'w1', 'w2', 'w3', 'w4', 'w5'];

const signers = new Map<string, Promise<Signer>>();

/** Signer of a wallet of wallets.json. */
export function signerOf(ctx: VectorContext, name: string): Promise<Signer> {
  const key = text(ctx.find('wallets.json', name).in, 'privateKey');
  let s = signers.get(key);
  if (s === undefined) {
    s = createSigner(fromHex(key));
    signers.set(key, s);
  }
  return s;
}

/** Raw addresses of {@link WALLET_NAMES}. */
export function walletAddresses(ctx: VectorContext): Map<string, Uint8Array> {
  return new Map(WALLET_NAMES.map((n) => [n, bytes(ctx.find('wallets.json', n).out, 'addressRaw')]));
}

/** The network a case names; main where it names none. */
export function networkOf(o: JsonObject): Network {
  const name = 'network' in o ? text(o, 'network') : 'main';
  if (name !== 'main' && name !== 'test' && name !== 'reg') throw new TypeError(`no network ${name}`);
  return NETWORKS[name];
}

/** Node type of the one who judges; a relay where the case does not say. */
export function ownTypeOf(o: JsonObject): NodeType {
  return ('ownType' in o ? text(o, 'ownType') : 'R') as NodeType;
}

/** Numbers that may be a decimal string or absent. */
function intOr(o: JsonObject, key: string, otherwise: number): number {
  return key in o ? int(o, key) : otherwise;
}

/**
 * What the judging node knows of the ledger. A ledger node has its blocks; a relay has current headers, but
 * the cases give none that is verified and six deep (docs/protocol/05 §6.7), so it sees no block checksum.
 */
export function powKnowledgeOf(o: JsonObject): PowKnowledge {
  const checksum = 'blockHash' in o && o.blockHash !== null ? bytes(o, 'blockHash') : null;
  const isLedger = ownTypeOf(o) !== 'R' && ownTypeOf(o) !== 'C';
  return {
    ...NO_POW_KNOWLEDGE,
    height: 'ownHeight' in o ? int(o, 'ownHeight') : null,
    blockVersion: intOr(o, 'lastBlockVersion', -1),
    warmUp: o.status === 'warm-up',
    ...('minDifficulty' in o ? { minDifficulty: difficultyFromText(text(o, 'minDifficulty')) } : {}),
    blockChecksum: () => (isLedger ? checksum : null),
  };
}

const hexOrNull = (b: Uint8Array | null): string | null => (b === null ? null : toHex(b));

/** A type letter as the files write it: four hex digits of its UTF-16 unit. */
export function typeUnits(type: string): string {
  return type.charCodeAt(0).toString(16).padStart(4, '0');
}

/** Members of an endpoint as the files write them. */
export function addressJson(a: PresenceAddress): JsonObject {
  return {
    version: a.version,
    device: toHex(a.device),
    address: a.hostname,
    type: a.type,
    nodeVersion: a.nodeVersion,
    lastSeen: String(a.lastSeen),
    signatureHead: hexOrNull(a.signature?.subarray(0, 8) ?? null),
    signatureLength: a.signature?.length ?? null,
    pow: hexOrNull(a.pow),
  };
}

/** Members of a presence as the files write them. */
export function presenceJson(p: Presence): JsonObject {
  return {
    version: p.version,
    wallet: addressText(p.wallet),
    publicKeyLength: p.publicKey.length,
    metadata: hexOrNull(p.metadata),
    addresses: p.addresses.map(addressJson),
  };
}

/** What `fn` gives, or `{error}` when it throws: which error is information, that it fails is compared. */
export function attempt(fn: () => Json): Json {
  try {
    return fn();
  } catch (e) {
    if (e instanceof TypeError) throw e;
    return { error: e instanceof Error ? e.name : String(e) };
  }
}

/**
 * A verdict as an answer. "Not valid" and "error" both mean refused (README §1), so where the file expects
 * an error or a strict refusal the refusal itself is the answer.
 */
export function verdict(c: VectorCase, problem: string | null, out: JsonObject): Answer {
  if (problem !== null && expectsRefusal(c)) return { refused: problem };
  return { out };
}

/** Why a presence did not survive, for the report. */
export function reasons(problem: PresenceProblem | null, dropped: readonly DroppedAddress[]): string | null {
  return problem === null ? null : [problem, ...dropped.map((d) => d.reason)].join(', ');
}
