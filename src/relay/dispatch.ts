import { chunkTime } from '../link/index.js';
import { DecodeError, decodeInventory2, InventoryType } from '../wire/index.js';
import type { RelayContext } from './context.js';
import type { RelayPeer } from './peer.js';

/** Handles one message. The payload is a view that ends with the call. */
export type Handler = (peer: RelayPeer, payload: Uint8Array) => void | Promise<void>;

/** Who may send a message of this kind. Anything else is dropped and counted. */
export type Audience = 'anyone' | 'ledger' | 'client-or-relay' | 'ledger-or-relay';

export interface Route {
  readonly from: Audience;
  /** Tokens of the connection's request bucket; 0 for what is limited elsewhere. */
  readonly cost: number;
  /** Tokens for each whole KiB of the payload, of what makes as much work as it is long. */
  readonly costPerKiB?: number;
  readonly handle: Handler;
}

function allowed(from: Audience, peer: RelayPeer): boolean {
  switch (from) {
    case 'anyone':
      return true;
    case 'ledger':
      return peer.isLedger;
    case 'ledger-or-relay':
      return peer.isLedger || peer.isRelay;
    case 'client-or-relay':
      return !peer.isLedger;
  }
}

/**
 * One message to its handler: checks who may send it and what it costs, and turns every refusal into a
 * counter. A malformed payload is dropped, the connection stays (docs/protocol/03 §6).
 */
export class Dispatcher {
  constructor(
    private readonly ctx: RelayContext,
    private readonly routes: ReadonlyMap<number, Route>,
  ) {}

  #drop(reason: string): void {
    this.ctx.counters
      .counter('ixian_frames_dropped_total', 'Messages not handled, by reason', { reason })
      .add();
  }

  dispatch(peer: RelayPeer, code: number, payload: Uint8Array): void {
    const route = this.routes.get(code);
    if (route === undefined) {
      this.#drop('unknown_code');
      return;
    }
    if (!allowed(route.from, peer)) {
      this.#drop('wrong_sender');
      return;
    }
    const cost = route.cost + (route.costPerKiB ?? 0) * Math.floor(payload.length / 1024);
    if (cost > 0 && !peer.may('requests', cost, chunkTime(this.ctx.clock))) {
      this.#drop('rate_limit');
      return;
    }
    try {
      const work = route.handle(peer, payload);
      if (work !== undefined) work.catch((e: unknown) => this.#failed(peer, code, e));
    } catch (e) {
      this.#failed(peer, code, e);
    }
  }

  #failed(peer: RelayPeer, code: number, e: unknown): void {
    if (e instanceof DecodeError) {
      this.#drop('malformed');
      return;
    }
    // A bug of ours must not end the process because of a peer's bytes, and must not pass unseen either.
    this.#drop('handler_error');
    this.ctx.log('error', 'handler_error', {
      code,
      peer: peer.sourceAddress,
      error: e instanceof Error ? (e.stack ?? e.message) : String(e),
    });
  }
}

/** What a relay does with the items of an inventory2 message (04 §4). */
export interface InventorySink {
  block(peer: RelayPeer, number: number): void;
  keepAlives(
    peer: RelayPeer,
    items: readonly { wallet: Uint8Array; device: Uint8Array; lastSeen: number }[],
  ): void;
}

/** Items are judged one by one: an unknown or broken one costs the others nothing (04 §4.1 Quirk). */
export function handleInventory(sink: InventorySink, peer: RelayPeer, payload: Uint8Array): void {
  const { items } = decodeInventory2(payload);
  const keepAlives: { wallet: Uint8Array; device: Uint8Array; lastSeen: number }[] = [];
  for (const item of items) {
    if (item.type === InventoryType.block) sink.block(peer, item.block);
    else if (item.type === InventoryType.keepAlive || item.type === InventoryType.keepAlive2)
      keepAlives.push({ wallet: item.address, device: item.device, lastSeen: item.lastSeen });
  }
  if (keepAlives.length > 0) sink.keepAlives(peer, keepAlives);
}
