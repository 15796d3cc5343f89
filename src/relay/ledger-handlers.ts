import { parseAddress } from '../identity/index.js';
import { decodeTransaction, type HeaderChain, transactionId, verifyPitProof } from '../ledger/index.js';
import {
  Code,
  CuckooFilter,
  concatBytes,
  DecodeError,
  decodeBalance2,
  decodeGetBalance2,
  decodeGetBlockHeaders4,
  decodeGetNameRecord,
  decodeGetPIT2,
  decodeGetTransaction3,
  decodeGetTransactions2,
  decodeNameRecord,
  decodePitData2,
  decodeRejected,
  decodeTransactionsChunk3,
  encodePitData2,
  encodeTransactionsChunk3,
  headersQuestionKey,
} from '../wire/index.js';
import type { RelayContext } from './context.js';
import { tellTransaction } from './follower.js';
import type { LedgerProxy } from './ledger-proxy.js';
import { transactionBytesMax } from './limits.js';
import type { AskingPeer, RelayPeer } from './peer.js';
import type { PendingTransactions } from './pending-transactions.js';

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Block and canonical filter: what a proof is asked by and answered with (09 §13). */
function pitKey(block: number, filter: Uint8Array): Uint8Array {
  return concatBytes(utf8(`${block}|`), filter);
}

/** Stands for "no mode" of code 49 beside the real ones (0…3). */
const noMode = 255;

/**
 * What clients ask of the ledger and what ledger nodes answer: matches answers to questions by the keys of
 * docs/protocol/09 §13, strips what is meant for the relay alone, checks the inclusion proofs it can check.
 */
export class LedgerHandlers {
  constructor(
    private readonly ctx: RelayContext,
    private readonly chain: HeaderChain,
    private readonly proxy: LedgerProxy,
    private readonly transactions: PendingTransactions,
  ) {}

  #count(result: string): void {
    this.ctx.counters
      .counter('ixian_inclusion_proofs_total', 'Inclusion proofs passed on, by verdict', { result })
      .add();
  }

  // --- questions of clients -------------------------------------------------------------------------------

  getBalance(peer: AskingPeer, payload: Uint8Array): void {
    const wallet = parseAddress(decodeGetBalance2(payload), 'getBalance2.address');
    this.proxy.ask(peer, { code: Code.getBalance2, key: wallet, payload });
  }

  getName(peer: AskingPeer, payload: Uint8Array): void {
    const q = decodeGetNameRecord(payload);
    // The answer carries the name alone: two record keys of one name must not be open together.
    this.proxy.ask(peer, { code: Code.getNameRecord, key: q.name, variant: payload, payload });
  }

  getPit(peer: AskingPeer, payload: Uint8Array): void {
    const q = decodeGetPIT2(payload);
    // The ledger answers with the filter as it re-serialises it: the canonical form is the key (03 §6.2 e).
    const filter = CuckooFilter.decode(q.filter).encode();
    this.proxy.ask(peer, { code: Code.getPIT2, key: pitKey(q.block, filter), payload });
  }

  getTransaction(peer: AskingPeer, payload: Uint8Array): void {
    const q = decodeGetTransaction3(payload);
    const own = this.transactions.get(q.transactionId);
    if (own !== null && q.block === 0) {
      peer.send(Code.transactionData2, own);
      return;
    }
    this.proxy.ask(peer, { code: Code.getTransaction3, key: q.transactionId, variant: payload, payload });
  }

  getTransactions(peer: AskingPeer, payload: Uint8Array): void {
    const q = decodeGetTransactions2(payload);
    const key = utf8(`${q.id}`);
    this.proxy.ask(peer, { code: Code.getTransactions2, key, variant: payload, payload });
  }

  getHeaders4(peer: AskingPeer, payload: Uint8Array): void {
    const q = decodeGetBlockHeaders4(payload);
    this.proxy.ask(peer, {
      code: Code.getBlockHeaders4,
      key: headersQuestionKey(payload),
      variant: Uint8Array.of(q.mode ?? noMode),
      withMode: q.mode !== undefined,
      payload,
    });
  }

  /** A client's transaction: forwarded as received, unjudged (mode `off` of 10 §8.4). */
  submit(peer: AskingPeer, payload: Uint8Array): void {
    if (payload.length > transactionBytesMax) {
      this.#refused('too_large');
      return;
    }
    if (!peer.maySubmit(this.ctx.limits, this.ctx.clock.nowMs())) {
      this.#refused('rate_limit');
      return;
    }
    const tx = decodeTransaction(payload);
    this.transactions.submit(peer, transactionId(tx, this.ctx.network.lock), payload);
  }

  #refused(result: string): void {
    this.ctx.counters
      .counter('ixian_transactions_relayed_total', 'Client transactions by result', { result })
      .add();
  }

  // --- answers of ledger nodes ----------------------------------------------------------------------------

  balance(from: RelayPeer, payload: Uint8Array): void {
    const wallet = parseAddress(decodeBalance2(payload).address, 'balance2.address');
    this.proxy.answer(Code.getBalance2, wallet, from, Code.balance2, payload);
  }

  name(from: RelayPeer, payload: Uint8Array): void {
    this.proxy.answer(Code.getNameRecord, decodeNameRecord(payload).name, from, Code.nameRecord, payload);
  }

  rejected(from: RelayPeer, payload: Uint8Array): void {
    const r = decodeRejected(payload);
    if (r.transactionId !== null) this.transactions.rejected(from, r.reason, r.transactionId, payload);
  }

  headers4(from: RelayPeer, payload: Uint8Array): void {
    const key = headersQuestionKey(payload);
    this.proxy.answer(Code.getBlockHeaders4, key, from, Code.blockHeaders4, payload);
  }

  /** A transaction: the answer to somebody's question, or an event for subscribers of its parties. */
  transaction(from: RelayPeer, payload: Uint8Array): void {
    const tx = decodeTransaction(payload);
    const id = transactionId(tx, this.ctx.network.lock);
    if (this.proxy.answer(Code.getTransaction3, id, from, Code.transactionData2, payload)) return;
    this.ctx.cluster?.ledger.tellTransaction(payload);
    // [0.9.7] clients: types 1 and 2.
    tellTransaction(this.ctx, payload);
  }

  /** pitData2 in the relay's layout: for a proof somebody asked for, or beside headers (09 §7.4). */
  pit(from: RelayPeer, payload: Uint8Array): void {
    const d = decodePitData2(payload, 'relay');
    const index = d.relayIndex ?? new Uint8Array(0);
    const key = pitKey(d.block, index);
    const alone = this.proxy.expects(Code.getPIT2, key, from);
    if (!alone && !this.proxy.expects(Code.getBlockHeaders4, index, from)) {
      this.#count('unasked');
      return;
    }
    const verdict = this.#proofVerdict(d.block, d.pit);
    this.#count(verdict);
    // A proof that contradicts the own chain is not passed on: another ledger node may do better.
    if (verdict === 'wrong') return;
    const plain = encodePitData2({ block: d.block, pit: d.pit });
    if (alone) {
      this.proxy.answer(Code.getPIT2, key, from, Code.pitData2, plain);
      return;
    }
    this.proxy.side(Code.getBlockHeaders4, index, from, (peer, withMode) => {
      if (withMode) peer.send(Code.pitData2, plain, 'high');
    });
  }

  /** Against the own header where there is one; `unchecked` when that block is not in the chain. */
  #proofVerdict(block: number, proof: Uint8Array): 'right' | 'wrong' | 'unchecked' {
    const root = this.chain.pitRootOf(block);
    if (root === null) return 'unchecked';
    try {
      return verifyPitProof(proof, root, []) === null ? 'wrong' : 'right';
    } catch (e) {
      if (e instanceof DecodeError) return 'wrong';
      throw e;
    }
  }

  /** transactionsChunk3: beside headers with the relay's prefix, or the plain answer to getTransactions2. */
  transactionsChunk(from: RelayPeer, payload: Uint8Array): void {
    const prefixed = this.#tryPrefixed(from, payload);
    if (prefixed) return;
    const plain = decodeTransactionsChunk3(payload, 'client');
    const key = utf8(`${plain.id}`);
    this.proxy.answer(Code.getTransactions2, key, from, Code.transactionsChunk3, payload);
  }

  #tryPrefixed(from: RelayPeer, payload: Uint8Array): boolean {
    let d: ReturnType<typeof decodeTransactionsChunk3>;
    try {
      d = decodeTransactionsChunk3(payload, 'relay');
    } catch (e) {
      if (e instanceof DecodeError) return false;
      throw e;
    }
    const index = d.relayIndex;
    if (index === undefined || !this.proxy.expects(Code.getBlockHeaders4, index, from)) return false;
    const plain = encodeTransactionsChunk3({ id: d.id, transactions: d.transactions });
    this.proxy.side(Code.getBlockHeaders4, index, from, (peer, withMode) => {
      if (withMode) peer.send(Code.transactionsChunk3, plain, 'high');
      // [0.9.7] clients do not know code 60: one transactionData2 each (09 §7.4).
      else for (const t of d.transactions) peer.send(Code.transactionData2, t);
    });
    return true;
  }
}
