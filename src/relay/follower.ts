import { addressFromKey, isRsaPublicKey } from '../identity/index.js';
import { decodeTransaction } from '../ledger/index.js';
import { Code, EventType } from '../wire/index.js';
import type { ClusterSide } from './cluster-side.js';
import type { RelayContext } from './context.js';
import type { Route } from './dispatch.js';
import type { RelayPeer } from './peer.js';

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
  const sender =
    tx.sender === null ? null : isRsaPublicKey(tx.sender) ? addressFromKey(tx.sender) : tx.sender;
  const told = new Set<RelayPeer>();
  const tell = (type: number, wallet: Uint8Array): void => {
    for (const p of ctx.peers.watching(type, wallet)) if (p.isInbound && p.isClient) told.add(p);
  };
  if (sender !== null) tell(EventType.transactionFrom, sender);
  for (const o of tx.outputs) tell(EventType.transactionTo, o.address);
  for (const p of told) p.send(Code.transactionData2, payload);
}
