import { addressText } from '../../identity/index.js';
import {
  decodeKeepAlive,
  encodeKeepAlive,
  KeepAliveGenerator,
  keepAliveChunks,
  keepAliveOf,
  MemoryPresenceStore,
  NO_POW_KNOWLEDGE,
  type Presence,
  type PresenceAddress,
  PresenceRequestLimiter,
  PresenceService,
  type PresenceType,
  presenceLifetimeSeconds,
  readKeepAlivePairs,
  verifyKeepAlive,
} from '../../presence/index.js';
import { followPresences, RelayTree } from '../../sectors/index.js';
import {
  ByteWriter,
  bytesEqual,
  bytesKey,
  Code,
  DecodeError,
  decodeKeepAlivesChunk,
  encodeGetPresence2,
  fromHex,
  NETWORKS,
  toHex,
} from '../../wire/index.js';
import {
  type Answer,
  compareOut,
  hasParts,
  type Json,
  type JsonObject,
  type Outcome,
  type VectorCase,
  type VectorContext,
} from './case.js';
import { vectorEngine } from './engine.js';
import { bytes, bytesOrNull, int, objects, text } from './ledger-fields.js';
import { presenceJson, signerOf, walletAddresses } from './presence-json.js';

interface Sent {
  readonly code: number;
  readonly payload: string;
}

/**
 * The sector tree as the reference keeps it (docs/protocol/06 §3): a relay enters with a new device and
 * leaves with its last one; a change of type does nothing. Ours follows the type (05 §8.2 Strict), which the
 * files mark on some of the cases where it shows, not on all.
 */
class ReferenceTree {
  readonly #tree = new RelayTree();
  #before = new Map<string, Presence>();

  get wallets(): readonly Uint8Array[] {
    return this.#tree.wallets;
  }

  follow(presences: readonly Presence[]): void {
    const now = new Map(presences.map((p) => [bytesKey(p.wallet), p]));
    for (const p of presences) {
      const known = this.#before.get(bytesKey(p.wallet))?.addresses ?? [];
      const isNew = (a: PresenceAddress): boolean => !known.some((b) => bytesEqual(b.device, a.device));
      if (p.addresses.some((a) => a.type === 'R' && isNew(a))) this.#tree.add(p.wallet);
    }
    for (const [id, p] of this.#before) {
      const left = now.get(id)?.addresses ?? [];
      const gone = p.addresses.some(
        (a) => a.type === 'R' && !left.some((b) => bytesEqual(b.device, a.device)),
      );
      if (gone && !left.some((a) => a.type === 'R')) this.#tree.remove(p.wallet);
    }
    this.#before = now;
  }
}

interface StepOut {
  readonly [key: string]: Json;
  readonly result: Json;
  readonly sent: readonly JsonObject[];
  readonly state: JsonObject;
}

/** A fresh node of type R on the main network with its store and relay tree (README §4.1). */
class StoreNode {
  readonly store = new MemoryPresenceStore();
  readonly tree = new RelayTree();
  readonly #reference = new ReferenceTree();
  readonly #asked = new PresenceRequestLimiter();
  readonly #service: PresenceService;
  readonly #wallets: ReadonlyMap<string, Uint8Array>;
  #now = 0;

  private constructor(
    service: (now: () => number, store: MemoryPresenceStore) => PresenceService,
    wallets: ReadonlyMap<string, Uint8Array>,
  ) {
    this.#service = service(() => this.#now, this.store);
    this.#wallets = wallets;
    followPresences(this.tree, this.store);
  }

  static async create(ctx: VectorContext): Promise<StoreNode> {
    const engine = await vectorEngine(ctx);
    const make = (now: () => number, store: MemoryPresenceStore): PresenceService =>
      new PresenceService({ store, network: NETWORKS.main, ownType: 'R', engine, now });
    return new StoreNode(make, walletAddresses(ctx));
  }

  /** The sector tree is shown as the reference keeps it; ours is checked against the store. */
  async step(s: JsonObject): Promise<StepOut> {
    this.#now = int(s, 'networkTime');
    const sent: Sent[] = [];
    const result = await this.#result(s, sent);
    const presences = [...this.#wallets.values()].flatMap((w) => this.store.get(w) ?? []);
    this.#reference.follow(presences);
    const relays = presences.filter((p) => p.addresses.some((a) => a.type === 'R'));
    if (relays.length !== this.tree.size || !relays.every((p) => this.tree.has(p.wallet)))
      throw new Error('the sector tree does not follow the relays of the store');
    return { result, sent: sent.map((m) => ({ ...m })), state: this.#state() };
  }

  async #result(s: JsonObject, sent: Sent[]): Promise<Json> {
    const op = text(s, 'op');
    const data = bytesOrNull(s, 'data') ?? new Uint8Array(0);
    switch (op) {
      case 'updatePresence': {
        const o = await this.#service.receivePresence(data);
        return { changed: o.kind === 'changed' ? presenceJson(o.presence) : null };
      }
      case 'keepAlive':
        return this.#keepAlive(data, sent);
      case 'getKeepAlives':
        return this.#getKeepAlives(data, sent);
      case 'cleanup':
        this.#service.expire();
        return null;
      case 'byType':
        return this.#byType(data);
      default:
        throw new TypeError(`no operation ${op}`);
    }
  }

  async #keepAlive(data: Uint8Array, sent: Sent[]): Promise<Json> {
    const o = await this.#service.receiveKeepAlive(data);
    if (o.kind === 'unknown' && this.#asked.allow('peer', o.wallet, this.#now))
      sent.push({ code: Code.getPresence2, payload: toHex(encodeGetPresence2(o.wallet)) });
    let wallet: Json = null;
    let device: Json = null;
    let lastSeen = '0';
    try {
      const ka = decodeKeepAlive(data);
      wallet = addressText(ka.wallet);
      device = toHex(ka.device);
      lastSeen = String(ka.timestamp);
    } catch (e) {
      if (!(e instanceof DecodeError)) throw e;
    }
    return { updated: o.kind === 'updated', wallet, lastSeen, device };
  }

  #getKeepAlives(data: Uint8Array, sent: Sent[]): Json {
    try {
      for (const payload of keepAliveChunks(this.store, readKeepAlivePairs(data)))
        sent.push({ code: Code.keepAlivesChunk, payload: toHex(payload) });
      return null;
    } catch (e) {
      if (e instanceof DecodeError) return { error: e.name };
      throw e;
    }
  }

  #byType(data: Uint8Array): Json {
    try {
      return this.store.byType(String.fromCharCode(data[0]!), data[1]!, this.#now).map(addressText);
    } catch (e) {
      if (e instanceof Error && e.name === 'UnknownPresenceType') return { error: e.name };
      throw e;
    }
  }

  #state(): JsonObject {
    const state: Record<string, Json> = {};
    for (const [name, wallet] of this.#wallets) {
      const p = this.store.get(wallet);
      state[name] = p === null ? null : presenceJson(p);
    }
    state.counts = { ...this.store.counts };
    state.sectorTree = this.#reference.wallets.map(addressText);
    return state;
  }
}

async function play(steps: readonly JsonObject[], ctx: VectorContext): Promise<StepOut[]> {
  const node = await StoreNode.create(ctx);
  const out: StepOut[] = [];
  for (const s of steps) out.push(await node.step(s));
  return out;
}

const failed = (detail: string): Outcome => ({ kind: 'failed', detail });

/** Exception names are information (README §1). */
const IGNORED = ['result.error'];

export async function storeCase(c: VectorCase, ctx: VectorContext): Promise<Answer | Outcome> {
  if ('payload' in c.in) return countWithoutData(c);
  if ('pairs' in c.in) return manyPairs(c, ctx);
  const steps = objects(c.in, 'steps');
  const got = await play(steps, ctx);
  if (c.strict === undefined || !hasParts(c.strict))
    return { out: { steps: got }, ignore: ['steps[*].result.error'] };
  const markedSteps = new Set((c.strict.steps as readonly number[]).map(Number));
  const expected = objects(c.out, 'steps');
  return c.strict.accept === false
    ? refusedSteps(steps, expected, got, markedSteps, ctx)
    : strictSteps(steps, expected, got, markedSteps);
}

/**
 * Steps that must be refused: up to the first one `out` holds as it stands, the refused ones change nothing,
 * and what follows is what a node shows that never saw them (README §6).
 */
async function refusedSteps(
  steps: readonly JsonObject[],
  expected: readonly JsonObject[],
  got: readonly StepOut[],
  marked: ReadonlySet<number>,
  ctx: VectorContext,
): Promise<Outcome> {
  const without = await play(
    steps.filter((_, i) => !marked.has(i)),
    ctx,
  );
  const first = Math.min(...marked);
  const fresh = await StoreNode.create(ctx);
  let state: Json = (await fresh.step({ op: 'cleanup', networkTime: 0 })).state;
  let seen = 0;
  for (let i = 0; i < got.length; i++) {
    const g = got[i]!;
    if (marked.has(i)) {
      const r = g.result as JsonObject;
      const taken = r.updated === true || (r.changed !== undefined && r.changed !== null);
      if (taken || g.sent.length > 0) return failed(`step ${i}: taken, but refusal is expected`);
      if (JSON.stringify(g.state) !== JSON.stringify(state)) return failed(`step ${i}: the store changed`);
    } else {
      const want = i < first ? expected[i]! : without[seen]!;
      const m = compareOut(want, g, IGNORED);
      if (m !== null) return failed(`steps[${i}].${m.path}: ${m.detail}`);
      seen++;
    }
    state = g.state;
  }
  return { kind: 'passed' };
}

/**
 * Steps whose result the strict rules change: the expected value is rewritten by those rules from the first
 * marked step on, then compared in full.
 */
function strictSteps(
  steps: readonly JsonObject[],
  expected: readonly JsonObject[],
  got: readonly StepOut[],
  marked: ReadonlySet<number>,
): Outcome {
  const first = Math.min(...marked);
  const rewrite = new StrictRewrite();
  for (let i = 0; i < got.length; i++) {
    const plain = expected[i]!;
    rewrite.learn(plain);
    const want = i < first ? plain : rewrite.step(steps[i]!, plain);
    const m = compareOut(want, got[i]!, IGNORED);
    if (m !== null) return failed(`steps[${i}].${m.path}: ${m.detail}`);
  }
  return { kind: 'passed' };
}

type Addresses = readonly JsonObject[];

/** The strict rules of docs/protocol/05 §8 and §10.3 applied to a step as the reference answered it. */
class StrictRewrite {
  /** Proof of work that came with a signature: the two belong together (05 §8.2 Quirk). */
  readonly #pow = new Map<string, Json>();

  learn(step: JsonObject): void {
    const changed = (step.result as JsonObject | null)?.changed as JsonObject | null | undefined;
    if (changed === null || changed === undefined) return;
    for (const a of changed.addresses as Addresses) this.#pow.set(text(a, 'signatureHead'), a.pow ?? null);
  }

  step(s: JsonObject, expected: JsonObject): JsonObject {
    const now = int(s, 'networkTime');
    const cleaned = s.op === 'cleanup';
    const state = this.#state(expected.state as JsonObject, cleaned ? now : null);
    const result = this.#result(expected.result!);
    const sent = s.op === 'getKeepAlives' ? this.#sent(s, objects(expected, 'sent')) : expected.sent!;
    return { ...expected, result, sent, state };
  }

  #result(result: Json): Json {
    const changed = (result as JsonObject | null)?.changed as JsonObject | null | undefined;
    if (changed === null || changed === undefined) return result;
    return { ...(result as JsonObject), changed: this.#presence(changed, null) };
  }

  /** One address per device, the newest; nothing 300 s old after a clean-up; the signature's own proof. */
  #presence(p: JsonObject, cleanedAt: number | null): JsonObject | null {
    const all = p.addresses as Addresses;
    const addresses = all
      .filter((a) => !all.some((b) => b.device === a.device && int(b, 'lastSeen') > int(a, 'lastSeen')))
      .filter((a) => cleanedAt === null || int(a, 'lastSeen') > cleanedAt - presenceLifetimeSeconds)
      .map((a) => {
        const own = this.#pow.get(text(a, 'signatureHead'));
        const kept = [...this.#pow.values()].includes(a.pow ?? null);
        return own === undefined || !kept ? a : { ...a, pow: own };
      });
    return addresses.length === 0 ? null : { ...p, addresses };
  }

  #state(state: JsonObject, cleanedAt: number | null): JsonObject {
    const out: Record<string, Json> = {};
    const counts = { ...(state.counts as Readonly<Record<string, number>>) };
    for (const [name, value] of Object.entries(state)) {
      if (value === null || name === 'counts' || name === 'sectorTree') {
        out[name] = value;
        continue;
      }
      const p = this.#presence(value as JsonObject, cleanedAt);
      out[name] = p;
      for (const a of (value as JsonObject).addresses as Addresses) counts[text(a, 'type')]!--;
      for (const a of (p?.addresses ?? []) as Addresses) counts[text(a, 'type')]!++;
    }
    return { ...out, counts };
  }

  /** No message without keep-alives, a count of the pairs that were there, the signature's own proof. */
  #sent(s: JsonObject, sent: readonly JsonObject[]): JsonObject[] {
    if (sent.length === 0) return [];
    const pairs = readKeepAlivePairs(bytes(s, 'data')).length;
    return sent.flatMap((m) => {
      const keepAlives = decodeKeepAlivesChunk(bytes(m, 'payload'));
      if (keepAlives.length === 0) return [];
      const w = new ByteWriter().var(pairs);
      for (const k of keepAlives) w.vb(this.#keepAlive(k));
      return [{ ...m, payload: toHex(w.bytes()) }];
    });
  }

  #keepAlive(wire: Uint8Array): Uint8Array {
    const ka = decodeKeepAlive(wire);
    const pow = this.#pow.get(toHex(ka.signature!.subarray(0, 8)));
    if (pow === undefined) return wire;
    return encodeKeepAlive({ ...ka, pow: pow === null ? null : fromHex(pow as string) });
  }
}

/** An announced count without data: at most one message, where the reference sends one per announced entry. */
function countWithoutData(c: VectorCase): Outcome {
  const sent = keepAliveChunks(new MemoryPresenceStore(), readKeepAlivePairs(bytes(c.in, 'payload')));
  if (c.strict?.accept !== true) return failed('no strict rule given');
  return sent.length <= 1 ? { kind: 'passed' } : failed(`${sent.length} messages`);
}

/** "501 times the same known pair": the pair is a relay's, as in the case before it. */
async function manyPairs(c: VectorCase, ctx: VectorContext): Promise<Answer> {
  const times = /^(\d+) times the same known pair$/.exec(text(c.in, 'pairs'));
  if (times === null) return { uncovered: text(c.in, 'pairs') };
  const signer = await signerOf(ctx, 'w0');
  const wallet = bytes(c.in, 'address');
  const device = bytes(c.in, 'device');
  if (!bytesEqual(wallet, signer.address)) return { uncovered: 'another wallet than w0' };
  const now = 1_767_225_600;
  const generator = new KeepAliveGenerator({
    signer,
    network: NETWORKS.main,
    type: 'R',
    device,
    now: () => now,
    hostname: '8.8.8.8:10235',
  });
  const ka = (await generator.next())!;
  const store = new MemoryPresenceStore();
  store.upsert(
    { wallet, publicKey: signer.publicKey, version: 1 },
    { ...ka, nodeVersion: 'v', lastSeen: ka.timestamp },
  );
  const request = new ByteWriter().var(Number(times[1]));
  for (let i = 0; i < Number(times[1]); i++) request.vb(wallet).vb(device);
  const chunks = keepAliveChunks(store, readKeepAlivePairs(request.bytes()));
  const messages = chunks.map((p) => ({
    code: Code.keepAlivesChunk,
    length: p.length,
    head: toHex(p.subarray(0, 3)),
  }));
  return { out: { messages } };
}

/** Port of the node whose keep-alives are generated: the relay port of the main network. */
const port = NETWORKS.main.relayPort;

/** README §4.3: one node, its own keep-alives step by step. */
export async function generateCase(c: VectorCase, ctx: VectorContext): Promise<Answer> {
  const signer = await signerOf(ctx, 'w0');
  const engine = await vectorEngine(ctx);
  const endpoint = (ip: string): string => (ip === '' ? '' : `${ip}:${port}`);
  let now = 0;
  const type = text(c.in, 'type') as PresenceType;
  const generator = new KeepAliveGenerator({
    signer,
    network: NETWORKS.main,
    type,
    device: Uint8Array.of(1),
    now: () => now,
    hostname: endpoint(text(c.in, 'ip')),
    intervalSeconds: int(c.in, 'interval'),
  });
  const steps: JsonObject[] = [];
  let before: string | null = null;
  for (const s of objects(c.in, 'steps')) {
    now = int(s, 'networkTime');
    // A node that has no address yet has none that could change.
    if (typeof s.hostnameChangedTo === 'string' && generator.hostname !== '')
      generator.setHostname(endpoint(s.hostnameChangedTo));
    const ka = await generator.next(s.force === true);
    if (ka === null) {
      steps.push({ keepAlive: null });
      continue;
    }
    const wire = toHex(encodeKeepAlive(ka));
    const claim = { network: NETWORKS.main, ownType: type, pow: NO_POW_KNOWLEDGE };
    const problem = await verifyKeepAlive(
      keepAliveOf(signer.address, { ...ka, nodeVersion: '', lastSeen: ka.timestamp }),
      signer.publicKey,
      claim,
      engine,
    );
    steps.push({
      timestamp: String(ka.timestamp),
      host: ka.hostname,
      bytesSameAsBefore: wire === before,
      verifies: problem === null,
    });
    before = wire;
  }
  return { out: { steps } };
}
