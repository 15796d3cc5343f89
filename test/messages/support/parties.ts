import { createSigner, createVerifyEngine, type Signer } from '../../../src/identity/index.js';
import {
  acceptContact,
  agreementSource,
  type ContactState,
  contactFromJson,
  contactToJson,
  decodeStreamMessage,
  dueMessages,
  emptyQueue,
  encodeStreamMessage,
  enqueue,
  expireMessages,
  type HandshakeContext,
  type HandshakeOutcome,
  handshakeTick,
  type Line,
  type LocalProfile,
  markSent,
  type OutgoingMessage,
  type OutgoingQueue,
  outgoing,
  queueFromJson,
  queueToJson,
  type ReceiveOutcome,
  receiveMessage,
  removeMessage,
  requestContact,
  Spixi,
  sealMessage,
  slowDown,
  spixi,
} from '../../../src/messages/index.js';
import { fromHex } from '../../../src/wire/index.js';
import { seededRandom } from '../../support/random.js';
import { vectorContext } from '../../support/vectors.js';

const signers = new Map<string, Promise<Signer>>();

/** Signer of one of the public test wallets: alice, bob, carol, dave. */
export function testSigner(name: string): Promise<Signer> {
  let s = signers.get(name);
  if (s === undefined) {
    const { privateKey } = vectorContext().find('streaming-wallets.json', name).in;
    s = createSigner(fromHex(String(privateKey)));
    signers.set(name, s);
  }
  return s;
}

export const testEngine = createVerifyEngine('auto');

export interface PeerOptions {
  readonly line?: Line;
  /** Answers requests at once and forgets its key pair, as the reference does when both sides ask. */
  readonly glareLikeReference?: boolean;
  /** Agrees to requests by itself after this many milliseconds; null: never. */
  readonly approveAfterMs?: number | null;
}

/** A client reduced to one contact: state machine, queue, and what its application saw. */
export class Peer {
  contact: ContactState | null = null;
  queue: OutgoingQueue = emptyQueue;
  readonly delivered: string[] = [];
  readonly outcomes: ReceiveOutcome[] = [];
  readonly expired: OutgoingMessage[] = [];
  approveAtMs: number | null = null;

  constructor(
    readonly name: string,
    readonly signer: Signer,
    readonly options: PeerOptions = {},
  ) {}

  static async create(name: string, options: PeerOptions = {}): Promise<Peer> {
    return new Peer(name, await testSigner(name), options);
  }

  get profile(): LocalProfile {
    return {
      address: this.signer.address,
      publicKey: this.signer.publicKey,
      capabilities: 17,
      nick: `nick of ${this.name}`,
      avatar: null,
      line: this.options.line ?? '0.9.8',
    };
  }

  context(nowMs: number): HandshakeContext {
    return {
      self: this.profile,
      now: Math.floor(nowMs / 1000),
      source: agreementSource,
      allowRequests: true,
      hasMessage: () => true,
    };
  }

  /** Carries out what a step wants; the returned messages go out at once. */
  apply(outcome: HandshakeOutcome, nowMs: number): OutgoingMessage[] {
    this.contact = outcome.contact;
    const direct: OutgoingMessage[] = [];
    const post = (m: OutgoingMessage): void => {
      if (m.direct || !m.queue) direct.push(m);
      else this.queue = enqueue(this.queue, m, nowMs);
    };
    for (const e of outcome.effects) {
      if (e.kind === 'send') post(e.message);
      else if (e.kind === 'cancel') this.queue = removeMessage(this.queue, e.id);
      else if (e.kind === 'acked')
        this.queue = e.proven ? removeMessage(this.queue, e.id) : slowDown(this.queue, e.id, nowMs);
      else if (e.kind === 'deliver') {
        if (e.spixi.type === Spixi.chat)
          this.delivered.push(new TextDecoder().decode(e.spixi.data ?? undefined));
        if (e.receipt !== null) post(e.receipt);
      } else if (e.kind === 'request' && typeof this.options.approveAfterMs === 'number')
        this.approveAtMs = nowMs + this.options.approveAfterMs;
    }
    return direct;
  }

  request(peer: Peer, nowMs: number, knownKey = true): void {
    const key = knownKey ? peer.signer.publicKey : null;
    this.apply(requestContact(peer.signer.address, this.contact, key, this.context(nowMs)), nowMs);
  }

  accept(nowMs: number): void {
    if (this.contact === null) return;
    const outcome = acceptContact(this.contact, this.context(nowMs));
    if (outcome !== null) this.apply(outcome, nowMs);
  }

  chat(text: string, nowMs: number): void {
    const body = spixi(Spixi.chat, new TextEncoder().encode(text));
    this.queue = enqueue(this.queue, outgoing({ spixi: body, timestamp: Math.floor(nowMs / 1000) }), nowMs);
  }

  /** A restart: everything goes through storage. */
  restart(nowMs: number): void {
    if (this.contact !== null)
      this.contact = contactFromJson(JSON.parse(JSON.stringify(contactToJson(this.contact))));
    this.queue = queueFromJson(JSON.parse(JSON.stringify(queueToJson(this.queue))), nowMs);
  }

  /** A new installation under the same wallet. */
  reinstall(): void {
    this.contact = null;
    this.queue = emptyQueue;
  }

  async seal(m: OutgoingMessage): Promise<Uint8Array | null> {
    if (this.contact === null) return null;
    const self = { address: this.signer.address, signer: this.signer };
    const sealed = await sealMessage(m, this.contact, self);
    return sealed === null ? null : encodeStreamMessage(sealed);
  }

  /** Everything that is to go out now. */
  async pass(nowMs: number): Promise<Uint8Array[]> {
    const out: Uint8Array[] = [];
    if (this.approveAtMs !== null && nowMs >= this.approveAtMs) {
      this.approveAtMs = null;
      this.accept(nowMs);
    }
    if (this.contact === null) return out;
    const tick = handshakeTick(this.contact, this.context(nowMs));
    if (tick !== null) this.apply(tick, nowMs);
    const { queue, expired } = expireMessages(this.queue, Math.floor(nowMs / 1000));
    this.queue = queue;
    this.expired.push(...expired);
    for (const m of dueMessages(this.queue, this.contact, nowMs)) {
      const bytes = await this.seal(m);
      if (bytes === null) continue;
      out.push(bytes);
      this.queue = markSent(this.queue, m.id, nowMs);
    }
    return out;
  }

  /** Takes one message; what it answers at once. */
  async receive(bytes: Uint8Array, nowMs: number): Promise<Uint8Array[]> {
    const m = decodeStreamMessage(bytes);
    const engine = await testEngine;
    const receiving = {
      addresses: [this.signer.address],
      signer: this.signer,
      engine,
      line: this.options.line ?? ('0.9.8' as const),
    };
    let contact = this.contact;
    if (this.options.glareLikeReference === true && contact !== null && m.id.length === 1) {
      if (m.id[0] === 0 && contact.handshakeStatus < 2) contact = { ...contact, requestedAt: null };
      if (m.id[0] === 1) contact = { ...contact, pending: null };
    }
    let outcome = await receiveMessage(m, contact, this.context(nowMs), receiving);
    // The reference forgets its key pair only when it takes the acceptance.
    if (contact !== this.contact && m.id[0] === 1 && outcome.handled !== 'acceptAdd2')
      outcome = await receiveMessage(m, this.contact, this.context(nowMs), receiving);
    this.outcomes.push(outcome);
    if (outcome.dropped !== null) return [];
    const answers: Uint8Array[] = [];
    for (const d of this.apply(outcome, nowMs)) {
      const sealed = await this.seal(d);
      if (sealed !== null) answers.push(sealed);
    }
    return answers;
  }
}

export interface NetworkOptions {
  readonly seed: number;
  /** Shares of messages lost and doubled. */
  readonly loss?: number;
  readonly duplicates?: number;
  readonly delayMsMax?: number;
}

interface Flight {
  readonly to: Peer;
  readonly bytes: Uint8Array;
  readonly atMs: number;
}

/** Two peers and what lies between them, in virtual time. */
export class Wire {
  nowMs = 1_760_000_000_000;
  readonly sent: { from: Peer; bytes: Uint8Array; atMs: number }[] = [];
  #flights: Flight[] = [];
  readonly #random: () => number;

  constructor(
    readonly a: Peer,
    readonly b: Peer,
    readonly options: NetworkOptions,
  ) {
    this.#random = seededRandom(options.seed);
  }

  #post(from: Peer, bytes: Uint8Array): void {
    this.sent.push({ from, bytes, atMs: this.nowMs });
    const to = from === this.a ? this.b : this.a;
    const copies = this.#random() < (this.options.duplicates ?? 0) ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      if (this.#random() < (this.options.loss ?? 0)) continue;
      const delay = 20 + this.#random() * (this.options.delayMsMax ?? 100);
      this.#flights.push({ to, bytes, atMs: this.nowMs + delay });
    }
  }

  /** Moves on by `stepMs` steps until `done`, at most `limitMs`; true when `done` came true. */
  async until(done: () => boolean, limitMs: number, stepMs = 500): Promise<boolean> {
    const end = this.nowMs + limitMs;
    while (!done()) {
      if (this.nowMs >= end) return false;
      for (const p of [this.a, this.b]) for (const bytes of await p.pass(this.nowMs)) this.#post(p, bytes);
      this.nowMs += stepMs;
      const due = this.#flights.filter((f) => f.atMs <= this.nowMs).sort((x, y) => x.atMs - y.atMs);
      this.#flights = this.#flights.filter((f) => f.atMs > this.nowMs);
      for (const f of due)
        for (const bytes of await f.to.receive(f.bytes, this.nowMs)) this.#post(f.to, bytes);
    }
    return true;
  }
}
