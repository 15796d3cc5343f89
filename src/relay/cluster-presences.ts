import type { Bus } from '../cluster/index.js';
import {
  addressOf,
  decodeKeepAlive,
  decodePresence,
  type ExportedWallets,
  encodeKeepAlive,
  encodePresence,
  isPresenceType,
  keepAliveOf,
  type Presence,
} from '../presence/index.js';

import type { RelayContext } from './context.js';
import type { Claim } from './gossip.js';

const changedTopic = 'presence';
const askTopic = 'presence?';
const pageTopic = 'presences?';
/** Presences a newcomer takes over at a time: a block of the snapshot's size. */
const pageBytes = 1024 * 1024;
/** Wallets whose full presence is being asked for. */
const asksMax = 1_024;

/** What kind of change is told, and how far it goes. */
const Flag = { announce: 1, fromClient: 2, powVerified: 4, full: 8, own: 16 } as const;

export interface PresenceShareOptions {
  /** A change that another process verified: subscribers and relays connected here hear of it. */
  changed(claim: Claim, fromClient: boolean): void;
  /** The relay's own keep-alive, made by the leader. */
  own(presence: Presence, claim: Claim): void;
}

/**
 * The same presences in every process: whoever receives a keep-alive verifies it, once, and the others take its
 * word. A keep-alive of a known device goes as it came; a first one with everything that is needed to store it.
 */
export class ClusterPresences {
  readonly #asking = new Set<string>();
  /** What is told while everything is being taken over: done afterwards. */
  #later: { from: string; payload: Uint8Array }[] | null = null;

  constructor(
    private readonly ctx: RelayContext,
    private readonly bus: Bus,
    private readonly options: PresenceShareOptions,
    private readonly store: {
      exportWallets(row: number, into: Uint8Array): ExportedWallets;
      importWallets(payload: Uint8Array, now: number): { addresses: number; skipped: number };
      importFinished(): void;
    },
  ) {
    bus.on(changedTopic, (from, payload) => this.#changed(from, payload));
    bus.answer(askTopic, (_from, wallet) => {
      const p = ctx.store.get(wallet.slice());
      return p === null ? new Uint8Array(0) : encodePresence(p);
    });
    bus.answer(pageTopic, (_from, payload) => this.#page(payload));
  }

  #count(result: string): void {
    this.ctx.counters
      .counter('ixian_cluster_presences_total', 'Presences between the processes of this relay, by result', {
        result,
      })
      .add();
  }

  /** Tells the others of what was verified here and is stored already. */
  tell(
    claim: Claim,
    o: { readonly announce: boolean; readonly fromClient: boolean; readonly first: boolean },
  ): void {
    if (this.bus.members.length === 0) return;
    let flags = (o.announce ? Flag.announce : 0) | (o.fromClient ? Flag.fromClient : 0);
    if (this.ctx.store.entry(claim.wallet, claim.device)?.powVerified === true) flags |= Flag.powVerified;
    const body = o.first ? this.#full(claim) : claim.bytes;
    if (body === null) return;
    this.#publish(o.first ? flags | Flag.full : flags, body);
  }

  /** The own keep-alive was made: every process serves and announces it. */
  tellOwn(presence: Presence): void {
    this.#publish(Flag.own | Flag.full, encodePresence(presence));
  }

  /** The same to one process. */
  tellOwnTo(node: string, presence: Presence): void {
    this.bus.send(node, changedTopic, flagged(Flag.own | Flag.full, encodePresence(presence)), 'control');
  }

  #publish(flags: number, body: Uint8Array): void {
    this.bus.publish(changedTopic, flagged(flags, body), 'control');
    this.#count('told');
  }

  #full(claim: Claim): Uint8Array | null {
    const p = this.ctx.store.get(claim.wallet);
    const a = this.ctx.store.entry(claim.wallet, claim.device)?.address;
    return p === null || a === undefined ? null : encodePresence({ ...p, addresses: [a] });
  }

  #changed(from: string, payload: Uint8Array): void {
    if (this.#later !== null) {
      this.#later.push({ from, payload: payload.slice() });
      return;
    }
    const flags = payload[0]!;
    const body = payload.slice(1);
    if ((flags & Flag.full) === 0) {
      const ka = decodeKeepAlive(body);
      const known = this.ctx.store.get(ka.wallet);
      const entry = this.ctx.store.entry(ka.wallet, ka.device);
      if (known === null || entry === null) {
        this.#count('unknown');
        void this.#ask(from, ka.wallet);
        return;
      }
      if (ka.timestamp <= entry.address.lastSeen) return;
      this.#store({ ...known, addresses: [addressOf(ka, entry.address.nodeVersion)] }, flags);
      this.#pass({ ...ka, bytes: body }, flags);
      return;
    }
    const presence = decodePresence(body);
    if ((flags & Flag.own) !== 0) {
      const claim = claimsOf(presence)[0];
      if (claim !== undefined) this.options.own(presence, claim);
      return;
    }
    this.#store(presence, flags);
    for (const claim of claimsOf(presence)) this.#pass(claim, flags);
  }

  #store(p: Presence, flags: number): void {
    const { store } = this.ctx;
    for (const a of p.addresses) {
      const old = store.entry(p.wallet, a.device);
      if (!isPresenceType(a.type) || (old !== null && old.address.lastSeen >= a.lastSeen)) continue;
      const result = store.upsert(p, a, { powVerified: (flags & Flag.powVerified) !== 0 });
      this.#count(result);
      if ((flags & Flag.announce) !== 0) store.markAnnounced(p.wallet, a.device, a.lastSeen);
    }
  }

  #pass(claim: Claim, flags: number): void {
    if ((flags & Flag.announce) !== 0) this.options.changed(claim, (flags & Flag.fromClient) !== 0);
  }

  async #ask(node: string, wallet: Uint8Array): Promise<void> {
    const key = Buffer.from(wallet).toString('base64');
    if (this.#asking.has(key) || this.#asking.size >= asksMax) return;
    this.#asking.add(key);
    try {
      const answer = await this.bus.request(node, askTopic, wallet);
      if (answer.length > 0) this.#store(decodePresence(answer), 0);
    } catch {
      this.#count('unanswered'); // the next keep-alive asks again
    } finally {
      this.#asking.delete(key);
    }
  }

  /** Takes over everything that another process holds, into a store that is still empty. */
  async takeOver(node: string): Promise<{ addresses: number }> {
    let row: number | null = 0;
    let addresses = 0;
    this.#later = [];
    try {
      while (row !== null) {
        const question = new Uint8Array(8);
        new DataView(question.buffer).setFloat64(0, row, true);
        const answer: Uint8Array = await this.bus.request(node, pageTopic, question, 30_000);
        const next = new DataView(answer.buffer, answer.byteOffset).getFloat64(0, true);
        addresses += this.store.importWallets(answer.subarray(8), this.ctx.networkSeconds()).addresses;
        row = next < 0 ? null : next;
      }
    } finally {
      this.store.importFinished();
      const later = this.#later;
      this.#later = null;
      for (const { from, payload } of later) this.#changed(from, payload);
    }
    return { addresses };
  }

  #page(payload: Uint8Array): Uint8Array {
    const row = new DataView(payload.buffer, payload.byteOffset).getFloat64(0, true);
    const out = new Uint8Array(8 + pageBytes);
    const part = this.store.exportWallets(row, out.subarray(8));
    new DataView(out.buffer).setFloat64(0, part.next ?? -1, true);
    return out.subarray(0, 8 + part.bytes);
  }
}

function flagged(flags: number, body: Uint8Array): Uint8Array {
  const out = new Uint8Array(1 + body.length);
  out[0] = flags;
  out.set(body, 1);
  return out;
}

/** What the endpoints of a presence say as keep-alives. */
function claimsOf(p: Presence): Claim[] {
  return p.addresses.map((a) => {
    const ka = keepAliveOf(p.wallet, a);
    return { ...ka, bytes: encodeKeepAlive(ka) };
  });
}
