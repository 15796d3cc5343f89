import { beforeEach, describe, expect, it } from 'vitest';
import { sectorPrefix } from '../../src/identity/index.js';
import { type Claim, Gossip } from '../../src/relay/gossip.js';
import type { RelayPeer } from '../../src/relay/peer.js';
import { clientSectorWalletsMax, SectorPeers } from '../../src/relay/sector-peers.js';
import {
  ByteWriter,
  bytesKey,
  Code,
  CuckooFilter,
  cuckooIndexes,
  cuckooTag,
  EventType,
  encodeAttachEvent,
  encodeDetachEvent,
} from '../../src/wire/index.js';
import { type FakeLink, relayStage, START, type Stage, walletOf } from './fakes.js';

interface Node {
  readonly peer: RelayPeer;
  readonly link: FakeLink;
}

const OWN = walletOf(200);
let stage: Stage;
let wanted: Uint8Array[];
let gossip: Gossip;

/** Puts a relay's presence into the store. */
function known(
  n: number,
  over: { lastSeen?: number; hostname?: string; type?: string; device?: number } = {},
): Uint8Array {
  const wallet = n === 200 ? OWN : walletOf(n);
  stage.ctx.store.upsert(
    { wallet, publicKey: new Uint8Array(0), version: 1 },
    {
      version: 2,
      device: Uint8Array.of(over.device ?? 1),
      hostname: over.hostname ?? `10.0.0.${n}:10235`,
      type: over.type ?? 'R',
      nodeVersion: 'x',
      lastSeen: over.lastSeen ?? START,
      signature: null,
      pow: null,
    },
  );
  return wallet;
}

const claim = (over: Partial<Claim> = {}): Claim => ({
  wallet: walletOf(9),
  device: Uint8Array.of(7),
  type: 'C',
  timestamp: START,
  hostname: '127.0.0.1:1',
  bytes: Uint8Array.of(1, 2, 3),
  ...over,
});

const told = (n: Node): number => n.link.sent.filter((s) => s.code === Code.keepAlivePresence).length;

beforeEach(async () => {
  stage = await relayStage(OWN);
  wanted = [];
  gossip = new Gossip(stage.ctx, (wallets) => {
    wanted = [...wallets];
  });
});

describe('06 §8 a client’s keep-alive goes to the relays of its sector', () => {
  /** Twelve relays and ourselves known, all of them connected. */
  function network(): Map<string, Node> {
    const nodes = new Map<string, Node>();
    known(200);
    for (let n = 100; n < 112; n++) {
      const wallet = known(n);
      nodes.set(bytesKey(wallet), stage.join('R', n % 2 === 0 ? 'sector' : 'inbound', wallet));
    }
    return nodes;
  }
  const reached = (nodes: Map<string, Node>): string[] =>
    [...nodes]
      .filter(([, n]) => told(n) > 0)
      .map(([k]) => k)
      .sort();

  it('rules 1 and 2: to those of the eight around the client with which a connection is up, itself left out', () => {
    const nodes = network();
    const c = stage.join('C', 'inbound', walletOf(9));
    const eight = stage.ctx.tree.select(sectorPrefix(walletOf(9)), 8).map(bytesKey);
    const away = eight.find((k) => k !== bytesKey(OWN))!;
    nodes.get(away)!.link.isOpen = false;
    gossip.changed(claim(), c.peer, true);
    expect(reached(nodes)).toEqual(eight.filter((k) => k !== away && k !== bytesKey(OWN)).sort());
    expect([...nodes.values()].every((n) => told(n) <= 1)).toBe(true);
    // Rule 4: connections with all of them are wanted.
    expect(wanted.map(bytesKey).sort()).toEqual(eight.filter((k) => k !== bytesKey(OWN)).sort());
  });

  it('two connections with one relay get it once', () => {
    const wallet = known(100);
    const two = [stage.join('R', 'sector', wallet), stage.join('R', 'inbound', wallet)];
    gossip.changed(claim(), stage.join('C', 'inbound', walletOf(9)).peer, true);
    expect(two.map(told)).toEqual([1, 0]);
  });

  it('rule 3: one hop only, what a relay or ledger node brought goes no further', () => {
    const nodes = network();
    for (const type of ['R', 'M', 'H'])
      gossip.changed(claim(), stage.join(type, 'inbound', walletOf(50)).peer, true);
    expect([reached(nodes), wanted]).toEqual([[], []]);
  });

  it('who claims to be a relay’s wallet but connects as a client is no relay', () => {
    const wallet = known(100);
    const fake = stage.join('C', 'inbound', wallet);
    gossip.changed(claim(), stage.join('C', 'inbound', walletOf(9)).peer, true);
    expect(told(fake)).toBe(0);
  });

  it('rule 5: the same device not again within 50 s, unless host name or type changed', () => {
    const r = stage.join('R', 'sector', known(100));
    const c = stage.join('C', 'inbound', walletOf(9)).peer;
    gossip.changed(claim(), c, true);
    stage.clock.advance(49_999);
    gossip.changed(claim({ timestamp: START + 49 }), c, true);
    expect(told(r)).toBe(1);
    gossip.changed(claim({ device: Uint8Array.of(8) }), c, true);
    expect(told(r)).toBe(2);
    gossip.changed(claim({ hostname: '127.0.0.1:2' }), c, true);
    expect(told(r)).toBe(3);
    stage.clock.advance(50_000);
    gossip.changed(claim({ hostname: '127.0.0.1:2' }), c, true);
    expect(told(r)).toBe(4);
  });

  it('what reached nobody may be offered again at once', () => {
    const r = stage.join('R', 'sector', known(100));
    const c = stage.join('C', 'inbound', walletOf(9)).peer;
    r.link.isOpen = false;
    gossip.changed(claim(), c, true);
    r.link.isOpen = true;
    gossip.changed(claim({ timestamp: START + 3 }), c, true);
    expect(told(r)).toBe(1);
  });
});

describe('05 §8.3 damping', () => {
  it('what came too soon is passed on to nobody', () => {
    const r = stage.join('R', 'sector', known(100));
    const s = stage.join('C', 'inbound', walletOf(60));
    watch(s, walletOf(9));
    gossip.changed(claim(), stage.join('C', 'inbound', walletOf(9)).peer, false);
    gossip.changed(claim({ type: 'R' }), stage.join('R', 'inbound', walletOf(9)).peer, false);
    expect([told(r), told(s), r.link.items]).toEqual([0, 0, []]);
  });
});

describe('06 §8 and 04 §4.2 a relay’s keep-alive', () => {
  it('is announced to every relay but its source and the relay itself; a ledger node’s to none', () => {
    const [a, b, itself] = [
      stage.join('R', 'sector', walletOf(101)),
      stage.join('R', 'inbound', walletOf(102)),
      stage.join('R', 'inbound', walletOf(9)),
    ];
    const others = [stage.join('C', 'inbound', walletOf(61)), stage.join('M', 'ledger', walletOf(1))];
    gossip.changed(claim({ type: 'R' }), a.peer, true);
    expect([a, b, itself, ...others].map((n) => n.link.items.length)).toEqual([0, 1, 0, 0, 0]);
    gossip.changed(claim({ type: 'M' }), others[1]!.peer, true);
    expect([a, b, itself].map((n) => n.link.items.length + told(n))).toEqual([0, 1, 0]);
  });

  it('05 §9: the own one goes in full to every ledger node and relay, and to subscribers', () => {
    const nodes = [
      stage.join('M', 'ledger', walletOf(1)),
      stage.join('R', 'sector', walletOf(2)),
      stage.join('R', 'inbound', walletOf(3)),
      stage.join('C', 'inbound', walletOf(4)),
      stage.join('C', 'inbound', walletOf(5)),
    ];
    watch(nodes[4]!, OWN);
    gossip.own(claim({ wallet: OWN, type: 'R' }));
    expect(nodes.map(told)).toEqual([1, 1, 1, 0, 1]);
  });
});

function watch(n: Node, ...wallets: Uint8Array[]): void {
  const f = CuckooFilter.empty(Math.max(1, wallets.length));
  for (const w of wallets) f.add(w);
  n.peer.subscribing().attach(encodeAttachEvent({ type: EventType.keepAlive, filter: f.encode() }));
  stage.ctx.peers.subscribed(n.peer);
}

describe('04 §1.4 who hears of a wallet', () => {
  it('inbound C and R with a filter that holds it, except the source', () => {
    const nodes = [
      stage.join('C', 'inbound', walletOf(61)),
      stage.join('R', 'inbound', walletOf(62)),
      stage.join('M', 'inbound', walletOf(63)),
      stage.join('R', 'sector', walletOf(64)),
      stage.join('C', 'inbound', walletOf(65)),
      stage.join('C', 'inbound', walletOf(9)),
    ];
    for (const n of nodes.slice(0, 4)) watch(n, walletOf(9));
    watch(nodes[4]!, walletOf(8));
    watch(nodes[5]!, walletOf(9));
    gossip.changed(claim(), nodes[5]!.peer, true);
    expect(nodes.map(told)).toEqual([1, 1, 0, 0, 0, 0]);
    expect(nodes[0]!.link.sent[0]!.payload).toEqual(Uint8Array.of(1, 2, 3));
  });

  it('not who let go of its filter, of the wallet in it, or of the connection', () => {
    const nodes = [61, 62, 63, 64].map((n) => stage.join('C', 'inbound', walletOf(n)));
    for (const n of nodes) watch(n, walletOf(9), walletOf(8));
    const detach = (n: Node, item: Uint8Array | null): void => {
      n.peer.subscribing().detach(encodeDetachEvent({ type: EventType.keepAlive, item }));
      stage.ctx.peers.subscribed(n.peer);
    };
    detach(nodes[0]!, null);
    detach(nodes[1]!, walletOf(9));
    stage.ctx.peers.remove(nodes[2]!.peer);
    const source = stage.join('C', 'inbound', walletOf(9)).peer;
    gossip.changed(claim(), source, true);
    expect(nodes.map(told)).toEqual([0, 0, 0, 1]);
    gossip.changed(claim({ wallet: walletOf(8) }), source, true);
    expect(nodes.map(told)).toEqual([0, 1, 0, 2]);
    expect([...stage.ctx.peers.subscribers]).toEqual([nodes[1]!.peer, nodes[3]!.peer]);
  });

  it('a tag that lies where no filter looks for it is no subscription', () => {
    const n = stage.join('C', 'inbound', walletOf(61));
    const filter = CuckooFilter.empty(64);
    filter.add(walletOf(9));
    const bytes = filter.encode();
    // The same tag in every other bucket: its own two are emptied.
    const { tag } = cuckooTag(walletOf(9));
    const own = cuckooIndexes(cuckooTag(walletOf(9)), filter.buckets);
    const w = new ByteWriter().raw(bytes.subarray(0, 14));
    for (let b = 0; b < filter.buckets; b++) {
      if (own.includes(b)) w.u8(0);
      else w.u8(1).u32(tag);
    }
    n.peer.subscribing().attach(encodeAttachEvent({ type: EventType.keepAlive, filter: w.bytes() }));
    stage.ctx.peers.subscribed(n.peer);
    expect([...n.peer.subscribing().tags()]).toContain(tag);
    gossip.changed(claim(), stage.join('C', 'inbound', walletOf(9)).peer, true);
    expect(told(n)).toBe(0);
  });

  it('07 §9.1: not of the wallet that a connection claims without proof', () => {
    const thief = stage.join('C', 'inbound', walletOf(9), { verified: 'none' });
    watch(thief, walletOf(9), walletOf(8));
    const source = stage.join('C', 'inbound', walletOf(9)).peer;
    gossip.changed(claim(), source, true);
    expect(told(thief)).toBe(0);
    gossip.changed(claim({ wallet: walletOf(8) }), source, true);
    expect(told(thief)).toBe(1);
  });
});

describe('06 §7 which relays are dialled', () => {
  let peers: SectorPeers;
  const none = (): boolean => false;
  beforeEach(() => {
    peers = new SectorPeers(stage.ctx);
  });

  it('the seven of the own sector without oneself, at the newest relay endpoint, with the wallet expected', () => {
    known(200);
    for (let n = 100; n < 120; n++) known(n);
    const own = stage.ctx.tree
      .select(sectorPrefix(OWN), 7)
      .map(bytesKey)
      .filter((k) => k !== bytesKey(OWN));
    expect(own.length).toBe(6);
    expect(peers.ownSector().map(bytesKey)).toEqual(own);
    const dialled: string[] = [];
    for (let c = peers.next(none); c !== null; c = peers.next(none)) {
      dialled.push(bytesKey(c.wallet!));
      expect(c.host).toBe(stage.ctx.store.get(c.wallet!)!.addresses[0]!.hostname);
    }
    expect(dialled).toEqual(own);
  });

  it('the newest R endpoint, not the first one', () => {
    const wallet = known(100, { device: 1, lastSeen: START - 50, hostname: '10.9.0.1:1' });
    known(100, { device: 2, lastSeen: START - 10, hostname: '10.9.0.2:1' });
    known(100, { device: 3, lastSeen: START, hostname: '10.9.0.3:1', type: 'C' });
    expect(peers.next(none)).toEqual({ host: '10.9.0.2:1', wallet });
  });

  it('not those that are connected either way, nor excluded ones, nor again within 30 s', () => {
    const [a, b, c] = [known(100), known(101), known(102)];
    const link = stage.join('R', 'inbound', a).link;
    expect(peers.next((h) => h === '10.0.0.101:10235')?.wallet).toEqual(c);
    expect(peers.next(none)?.wallet).toEqual(b);
    expect(peers.next(none)).toBeNull();
    link.isOpen = false;
    expect(peers.next(none)?.wallet).toEqual(a);
    stage.clock.advance(29_999);
    expect(peers.next(none)).toBeNull();
    stage.clock.advance(1);
    expect(peers.next(none)).not.toBeNull();
  });

  it('§8 rule 4: after them those around own clients, newest first, a bounded number, known ones only', () => {
    known(200);
    for (let n = 1; n < 120; n++) known(n);
    const own = new Set(peers.ownSector().map(bytesKey));
    const far = Array.from({ length: 119 }, (_, i) => walletOf(i + 1)).filter((w) => !own.has(bytesKey(w)));
    for (const w of far) peers.want([w]);
    const keys = [...peers.wanted().keys()];
    expect(keys.length).toBe(6 + clientSectorWalletsMax);
    expect(keys.slice(6)).toEqual(far.slice(-clientSectorWalletsMax).reverse().map(bytesKey));
    const newest = far[far.length - 1]!;
    expect(peers.wants(newest)).toBe(true);
    stage.ctx.store.removeWallet(newest);
    expect([peers.wants(newest), peers.wants(far[0]!)]).toEqual([false, false]);
  });

  it('with nobody known everybody is worth keeping', () => {
    expect([peers.wants(walletOf(1)), peers.next(none)]).toEqual([true, null]);
  });
});

describe('the store tells what came in', () => {
  it('when an endpoint is added or renewed, with what is held afterwards', () => {
    const seen: [string, string, number][] = [];
    const stop = stage.ctx.store.subscribe({
      stored: (w, a) => void seen.push([bytesKey(w), a.hostname, a.lastSeen]),
    });
    const key = bytesKey(known(100));
    known(100, { lastSeen: START + 9, hostname: '10.0.0.7:1' });
    expect(seen).toEqual([
      [key, '10.0.0.100:10235', START],
      [key, '10.0.0.7:1', START + 9],
    ]);
    stop();
    known(101);
    expect(seen.length).toBe(2);
  });
});
