import type { Bus } from '../cluster/index.js';
import { bytesKey } from '../wire/index.js';
import type { RelayContext } from './context.js';
import { Departed } from './departed.js';
import { Moves } from './moves.js';
import { RelayPeer } from './peer.js';
import { generationOf, type RemoteClaim, RemoteSession } from './remote-session.js';
import type { Proof } from './sessions.js';

/** One change of a connection: it came, its proof got stronger, it went. */
type Change =
  | ['add', number, string, string, string, RemoteClaim['verified'], string, number, Proof, 'in' | 'out']
  | ['prove', number, 'signature' | 'key']
  | ['remove', number];

interface Told {
  /** Everything of this process: what was known of it before is forgotten. */
  readonly all?: true;
  readonly changes: readonly Change[];
}

const topic = 'claims';
/** Changes of one message: far below the size of a bus message. */
const changesMax = 5_000;
const base64 = (b: Uint8Array): string => Buffer.from(b).toString('base64');
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64'));

interface Known {
  /** Null for one that was dialled there: it receives nothing. */
  readonly session: RemoteSession | null;
  readonly walletKey: string;
  readonly nodeType: string;
}

export interface ClusterSessionHooks {
  /** A client of another process went. */
  gone(id: number): void;
  /** A session came, or proved its key: whatever waits for its wallet may be delivered now. */
  came(session: RelayPeer | RemoteSession): void;
}

/**
 * Every process knows who is connected to the others: a wallet's sessions are found without a question, and the
 * rules about who receives (07 §9.1) see all of its connections, wherever they are. Each process tells the others
 * of its own ones, everything at once to a newcomer and then every change.
 */
export class ClusterSessions {
  /** Connections of other processes by process and id. */
  readonly #remote = new Map<string, Map<number, Known>>();
  /** Processes with a connection to a ledger node or relay, by its wallet. */
  readonly #links = new Map<string, Map<string, number>>();
  #changes: Change[] = [];
  #scheduled = false;
  /** Whose connections have ended, here and there. */
  readonly departed = new Departed();
  /** Who was sent from here to the other processes. */
  readonly moves = new Moves();

  constructor(
    private readonly ctx: RelayContext,
    private readonly bus: Bus,
    private readonly hooks: ClusterSessionHooks,
  ) {
    bus.on(topic, (from, payload) => {
      this.#take(from, JSON.parse(Buffer.from(payload).toString()) as Told);
    });
    bus.onMember({ joined: (node) => this.tellAll(node), left: (node) => this.#forget(node) });
    const observer = {
      added: (p: RelayPeer | RemoteSession, proof: Proof): void => {
        if (p instanceof RelayPeer) this.#changed(added(p, proof, 'in'));
        else this.moves.came(p);
        hooks.came(p);
      },
      proved: (p: RelayPeer | RemoteSession, proof: 'signature' | 'key'): void => {
        if (p instanceof RelayPeer) this.#changed(['prove', p.id, proof]);
        hooks.came(p);
      },
      removed: (p: RelayPeer | RemoteSession): void => {
        this.departed.add(p.id, p.info, ctx.clock.nowMs());
        if (p instanceof RelayPeer) this.#changed(['remove', p.id]);
      },
    };
    ctx.sessions.observe(observer, generationOf(bus.self));
  }

  /** Connections of the other processes. */
  get remote(): number {
    let n = 0;
    for (const m of this.#remote.values()) n += m.size;
    return n;
  }

  /** A connection this process dialled opened or ended. */
  dialled(peer: RelayPeer, open: boolean): void {
    this.#changed(open ? added(peer, 'none', 'out') : ['remove', peer.id]);
  }

  /** Whether it is this process that tells that ledger node or relay what all could: one of them does. */
  speaksTo(walletKey: string): boolean {
    const others = this.#links.get(walletKey);
    if (others === undefined) return true;
    const own = generationOf(this.bus.self);
    for (const node of others.keys()) if (generationOf(node) < own) return false;
    return true;
  }

  #changed(change: Change): void {
    this.#changes.push(change);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => this.flush());
  }

  /** Tells the others now what changed. */
  flush(): void {
    this.#scheduled = false;
    for (let i = 0; i < this.#changes.length; i += changesMax)
      this.bus.publish(topic, encode({ changes: this.#changes.slice(i, i + changesMax) }), 'control');
    this.#changes = [];
  }

  /** Tells one process of all connections here. */
  tellAll(node: string): void {
    // What was changed before the newcomer came is part of everything, and is not told it twice.
    this.flush();
    const { peers, sessions } = this.ctx;
    const all: Change[] = [];
    for (const p of peers.all())
      all.push(p.isInbound ? added(p, sessions.proofOf(p) ?? 'none', 'in') : added(p, 'none', 'out'));
    for (let i = 0; i === 0 || i < all.length; i += changesMax) {
      const changes = all.slice(i, i + changesMax);
      this.bus.send(node, topic, encode(i === 0 ? { all: true, changes } : { changes }), 'control');
    }
  }

  #take(node: string, told: Told): void {
    if (told.all === true) this.#forget(node);
    let known = this.#remote.get(node);
    if (known === undefined) {
      known = new Map();
      this.#remote.set(node, known);
    }
    for (const c of told.changes) this.#apply(node, known, c);
  }

  #apply(node: string, known: Map<number, Known>, c: Change): void {
    const { sessions } = this.ctx;
    const old = known.get(c[1]);
    if (c[0] === 'add') {
      if (old !== undefined) return;
      const [, id, address, device, nodeType, verified, sourceAddress, openedMs, proof, way] = c;
      const claim: RemoteClaim = {
        id,
        address: bytes(address),
        deviceId: bytes(device),
        nodeType,
        verified,
        sourceAddress,
        openedMs,
      };
      const session = way === 'in' ? new RemoteSession(node, generationOf(node), claim) : null;
      const walletKey = bytesKey(claim.address);
      known.set(id, { session, walletKey, nodeType });
      if (session !== null) sessions.add(session, proof);
      if (nodeType !== 'C') this.#link(walletKey, node, 1);
    } else if (old === undefined) return;
    else if (c[0] === 'prove') {
      if (old.session !== null) sessions.prove(old.session, c[2]);
    } else this.#remove(node, known, c[1], old);
  }

  #remove(node: string, known: Map<number, Known>, id: number, old: Known): void {
    known.delete(id);
    if (old.session !== null) this.ctx.sessions.remove(old.session);
    if (old.nodeType !== 'C') this.#link(old.walletKey, node, -1);
    this.hooks.gone(id);
  }

  #forget(node: string): void {
    const known = this.#remote.get(node);
    if (known === undefined) return;
    for (const [id, old] of [...known]) this.#remove(node, known, id, old);
    this.#remote.delete(node);
  }

  #link(walletKey: string, node: string, by: number): void {
    const nodes = this.#links.get(walletKey) ?? new Map<string, number>();
    const n = (nodes.get(node) ?? 0) + by;
    if (n > 0) nodes.set(node, n);
    else nodes.delete(node);
    if (nodes.size > 0) this.#links.set(walletKey, nodes);
    else this.#links.delete(walletKey);
  }
}

function added(p: RelayPeer, proof: Proof, way: 'in' | 'out'): Change {
  const { address, deviceId, verified } = p.info;
  return [
    'add',
    p.id,
    base64(address),
    base64(deviceId),
    p.nodeType,
    verified,
    p.sourceAddress,
    p.openedMs,
    proof,
    way,
  ];
}

const encode = (told: Told): Uint8Array => Buffer.from(JSON.stringify(told));
