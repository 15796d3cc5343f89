import { addressFromKey, isRsaPublicKey } from '../identity/index.js';
import { decodeTransaction } from '../ledger/index.js';
import { bytesKey, Code, EventType } from '../wire/index.js';
import type { ClusterSide } from './cluster-side.js';
import type { RelayContext } from './context.js';
import type { Route } from './dispatch.js';

/** Questions to the ledger, with their cost, that a process which does not lead passes to the one that does. */
const QUESTIONS: readonly (readonly [number, number])[] = [
  [Code.getBlockHeaders3, 5],
  [Code.getBlockHeaders4, 2],
  [Code.getBalance2, 2],
  [Code.getNameRecord, 2],
  [Code.getPIT2, 2],
  [Code.getTransaction3, 2],
  [Code.getTransactions2, 2],
  [Code.transactionData2, 5],
];

/** What takes the place of the ledger's side in a process that does not lead: it knows no ledger node. */
export function followerRoutes(cluster: ClusterSide, inventory: Route['handle']): [number, Route][] {
  return [
    [Code.inventory2, { from: 'anyone', cost: 2, handle: inventory }],
    ...QUESTIONS.map(([code, cost]): [number, Route] => [
      code,
      { from: 'anyone', cost, handle: (p, b) => cluster.ledger.ask(p, code, b) },
    ]),
  ];
}

/** A transaction that nobody asked for goes to the subscribers of its parties (04 §1.4), once each. */
export function tellTransaction(ctx: RelayContext, payload: Uint8Array): void {
  const tx = decodeTransaction(payload);
  const parties = tx.outputs.map((o) => o.address);
  const sender =
    tx.sender === null ? null : isRsaPublicKey(tx.sender) ? addressFromKey(tx.sender) : tx.sender;
  for (const p of ctx.peers.filter((x) => x.isInbound && x.isClient)) {
    const watches = (type: number, wallet: Uint8Array): boolean =>
      p.subscriptions?.has(type, wallet) === true && p.mayWatch(bytesKey(wallet));
    const wanted =
      (sender !== null && watches(EventType.transactionFrom, sender)) ||
      parties.some((a) => watches(EventType.transactionTo, a));
    if (wanted) p.send(Code.transactionData2, payload);
  }
}
