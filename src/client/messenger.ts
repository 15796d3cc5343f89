import { addressText } from '../identity/index.js';
import {
  acceptContact,
  agreementSource,
  Capability,
  decodeStreamMessage,
  dueMessages,
  emptyQueue,
  encodeStreamMessage,
  enqueue,
  expireMessages,
  type HandshakeContext,
  type HandshakeEffect,
  handshakeTick,
  isEstablished,
  learnPublicKey,
  markFailed,
  markSent,
  nextDueMs,
  type OutgoingMessage,
  type OutgoingQueue,
  outgoing,
  queuedMessagesMax,
  receiveMessage,
  relayErrorOf,
  removeMessage,
  requestContact,
  resetBackOff,
  Spixi,
  type StreamMessage,
  sealMessage,
  slowDown,
  spixi,
} from '../messages/index.js';
import { Code, fromHex, toHex } from '../wire/index.js';
import { advanced, viewOf, visiblePart } from './contact-view.js';
import { type ChatRecord, Conversation, loadConversations } from './conversation.js';
import type { ChatMessage, ContactView, DeliveryState } from './events.js';
import type { MessengerOptions } from './messenger-options.js';
import type { PresenceChange } from './presence-book.js';
import type { RelayConnection } from './relay-connection.js';
import type { StorageChange } from './storage.js';
import { ClientError } from './types.js';

/** Messages of one sender that wait for their turn; each may cost an RSA operation. */
const pendingPerSenderMax = 2_000;
/** Strangers whose first message is being looked at, all together. */
const strangersMax = 200;
/** A contact renews itself every 100 s; after this it is asked about (docs/protocol/07 §8.1 step 2). */
const quietSeconds = 150;
/** First transmissions remembered per contact, to tell how long a confirmation took. */
const sentTimesMax = 4_096;

/** A turn in the making: nothing of it counts before it is stored. */
interface Draft {
  queue: OutgoingQueue;
  readonly records: ChatRecord[];
  readonly direct: OutgoingMessage[];
  readonly after: (() => void)[];
}

const utf8 = new TextEncoder();
const text = new TextDecoder();

/**
 * Contacts, keys and messages (docs/protocol/07 §5–§10): drives the contact set-up, keeps every unconfirmed
 * message, stores what arrives before it confirms it, and hands each text to the application once.
 */
export class Messenger {
  readonly #o: MessengerOptions;
  readonly #conversations = new Map<string, Conversation>();
  readonly #strangers = new Map<string, Conversation>();

  constructor(options: MessengerOptions) {
    this.#o = options;
  }

  /** Takes over what an earlier run stored. */
  async load(): Promise<void> {
    const { storage, clock } = this.#o;
    for (const [k, c] of await loadConversations(storage, addressText, clock.nowMs()))
      this.#conversations.set(k, c);
  }

  // --- what the application sees -------------------------------------------------------------------------------

  /** Raw addresses of all contacts. */
  get addresses(): readonly Uint8Array[] {
    return [...this.#conversations.values()].map((c) => c.address);
  }

  has(wallet: string): boolean {
    return this.#conversations.has(wallet);
  }

  views(): ContactView[] {
    return [...this.#conversations.values()].map((c) => this.#view(c));
  }

  #view(c: Conversation): ContactView {
    return viewOf(c, this.#o.book);
  }

  history(address: Uint8Array): ChatMessage[] {
    const c = this.#conversations.get(toHex(address));
    return c === undefined ? [] : c.chat.map((r) => c.message(r));
  }

  /** Asks a wallet to become a contact, or agrees when it asked us (07 §6.3). */
  async addContact(address: Uint8Array): Promise<void> {
    const wallet = toHex(address);
    const known = this.#conversations.get(wallet) ?? this.#strangers.get(wallet);
    const c = known ?? new Conversation(address, wallet, addressText(address));
    await c.inTurn(async () => {
      const s = c.contact;
      if (s !== null && isEstablished(s) && s.approved) return;
      if (s !== null && s.handshakeStatus === 1 && !s.approved) {
        await this.#accept(c);
        return;
      }
      if (s?.approved === true && s.requestedAt !== null) return;
      this.#conversations.set(wallet, c);
      c.askedMs = this.#o.clock.nowMs();
      const outcome = requestContact(address, s, this.#o.book.publicKey(wallet), this.#context());
      await this.#apply(c, outcome.contact, outcome.effects, null);
    });
    this.#o.events.emit('contact', this.#view(c));
    this.#o.onContacts();
    this.wake(c);
  }

  /** @throws ClientError `nothing-to-accept` */
  async accept(address: Uint8Array): Promise<void> {
    const c = this.#conversations.get(toHex(address));
    if (c?.contact === undefined || c.contact === null || c.contact.approved)
      throw new ClientError('nothing-to-accept', `${addressText(address)} has not asked`);
    await c.inTurn(() => this.#accept(c));
    this.#o.events.emit('contact', this.#view(c));
    this.wake(c);
  }

  async #accept(c: Conversation): Promise<void> {
    if (c.contact === null) return;
    const outcome = acceptContact(c.contact, this.#context());
    if (outcome === null) return;
    c.askedMs ??= this.#o.clock.nowMs();
    await this.#apply(c, outcome.contact, outcome.effects, null);
  }

  /** Forgets a contact with its keys, queue and history. The other side is not told. */
  async remove(address: Uint8Array): Promise<void> {
    const c = this.#conversations.get(toHex(address));
    if (c === undefined) return;
    await c.inTurn(async () => {
      await this.#commit(c.forgetChanges());
      c.queue = emptyQueue;
      c.contact = null;
      this.#conversations.delete(c.wallet);
    });
    this.#o.onContacts();
  }

  /**
   * Queues a text; resolves with its id (hex) once it is stored. It goes out when keys and a way are there.
   *
   * @throws ClientError `unknown-contact`, `text-too-long`; QueueFull
   */
  async send(address: Uint8Array, message: string): Promise<string> {
    const c = this.#conversations.get(toHex(address));
    if (c?.contact?.approved !== true)
      throw new ClientError('unknown-contact', `${addressText(address)} is no contact: add it first`);
    const data = utf8.encode(message);
    const { textBytesMax } = this.#o.limits;
    if (data.length === 0 || data.length > textBytesMax)
      throw new ClientError('text-too-long', `a text has 1 to ${textBytesMax} bytes, not ${data.length}`);
    const id = await c.inTurn(async () => {
      const m = outgoing({ spixi: spixi(Spixi.chat, data), timestamp: this.#o.networkSeconds() });
      const record: ChatRecord = {
        id: toHex(m.id),
        in: false,
        text: message,
        timestamp: m.timestamp,
        state: 'queued',
      };
      const queue = enqueue(c.queue, m, this.#o.clock.nowMs());
      await this.#commit([...c.chatChanges([record]), ...c.queueChanges(queue)]);
      c.queue = queue;
      c.keepChat(record);
      return record.id;
    });
    c.missed = 0;
    this.wake(c);
    return id;
  }

  /** Tells the sender that a text was shown, unless that is switched off. */
  async markRead(address: Uint8Array, id: string): Promise<void> {
    const c = this.#conversations.get(toHex(address));
    const record = c?.chatOf('in', id) ?? null;
    if (c === undefined || record === null || record.state === 'read') return;
    await c.inTurn(async () => {
      const m = outgoing({ spixi: spixi(Spixi.msgRead, fromHex(id)), timestamp: this.#o.networkSeconds() });
      const queue = this.#o.readReceipts ? enqueue(c.queue, m, this.#o.clock.nowMs()) : c.queue;
      const read: ChatRecord = { ...record, state: 'read' };
      await this.#commit([...c.chatChanges([read]), ...c.queueChanges(queue)]);
      c.queue = queue;
      c.keepChat(read);
    });
    this.wake(c);
  }

  // --- incoming ----------------------------------------------------------------------------------------------

  /** One s2data payload from a relay. `payload` must not change afterwards. */
  receive(connection: RelayConnection, payload: Uint8Array): void {
    const m = decodeStreamMessage(payload);
    const { signer, events } = this.#o;
    const notice = relayErrorOf(m, signer.address);
    if (notice !== null) {
      this.#undeliverable(connection, notice.contact, notice.failedId);
      return;
    }
    if (m.sender === null) return;
    const wallet = toHex(m.sender);
    let c = this.#conversations.get(wallet) ?? this.#strangers.get(wallet);
    if (c === undefined) {
      if (this.#strangers.size >= strangersMax) return;
      c = new Conversation(m.sender, wallet, addressText(m.sender));
      this.#strangers.set(wallet, c);
    }
    if (c.pending >= pendingPerSenderMax) return; // unacknowledged, so it comes again
    connection.lastUsedMs = this.#o.clock.nowMs();
    const conversation = c;
    conversation
      .inTurn(() => this.#receive(conversation, connection, m))
      .catch((error: unknown) => events.emit('error', { error, during: 'receiving a message' }))
      .finally(() => {
        if (conversation.pending === 0) this.#strangers.delete(wallet);
      });
  }

  async #receive(c: Conversation, connection: RelayConnection, m: StreamMessage): Promise<void> {
    const { signer, engine } = this.#o;
    const self = { addresses: [signer.address], signer, engine, line: '0.9.8' as const };
    const outcome = await receiveMessage(m, c.contact, this.#context(), self);
    if (outcome.dropped !== null) return;
    // Temporary channels (07 §12) are not offered here.
    if (outcome.contact !== null && outcome.contact.kind !== 'normal') return;
    if (outcome.contact !== null && !this.#conversations.has(c.wallet)) {
      this.#conversations.set(c.wallet, c);
      this.#o.onContacts();
    }
    const before = c.contact;
    await this.#apply(c, outcome.contact, outcome.effects, connection);
    const now = c.contact;
    if (now !== null && visiblePart(before) !== visiblePart(now))
      this.#o.events.emit('contact', this.#view(c));
    this.wake(c);
  }

  #context(): HandshakeContext {
    const { signer, nick, allowRequests, limits } = this.#o;
    const waiting = [...this.#conversations.values()].filter((c) => c.contact?.approved === false).length;
    return {
      self: {
        address: signer.address,
        publicKey: signer.publicKey,
        capabilities: Capability.incoming | Capability.outgoing,
        nick,
        avatar: null,
        line: '0.9.8',
      },
      now: this.#o.networkSeconds(),
      source: agreementSource,
      allowRequests: allowRequests && waiting < limits.contactRequestsMax,
      hasMessage: (contact, id) => {
        const c = this.#conversations.get(toHex(contact.address));
        return c !== undefined && (c.hasChat('in', toHex(id)) || c.hasChat('out', toHex(id)));
      },
    };
  }

  /** Carries out what a step wants: stores it all at once, then tells, then sends. */
  async #apply(
    c: Conversation,
    contact: Conversation['contact'],
    effects: readonly HandshakeEffect[],
    connection: RelayConnection | null,
  ): Promise<void> {
    const draft: Draft = { queue: c.queue, records: [], direct: [], after: [] };
    for (const e of effects) this.#effect(c, e, draft, connection);
    const contactChanges = c.contactChange(contact, draft.records);
    const chat = c.chatChanges(draft.records);
    await this.#commit([...chat, ...contactChanges, ...c.queueChanges(draft.queue)]);
    for (const r of draft.records) c.keepChat(r);
    c.keepContact(contact, contactChanges);
    c.queue = draft.queue;
    for (const f of draft.after) f();
    for (const m of draft.direct) await this.#sendDirect(c, m, connection);
  }

  #effect(c: Conversation, e: HandshakeEffect, draft: Draft, connection: RelayConnection | null): void {
    const { clock, events, autoAccept } = this.#o;
    switch (e.kind) {
      case 'send':
        if (e.message.direct && connection !== null) draft.direct.push(e.message);
        else draft.queue = this.#enqueue(draft.queue, e.message);
        return;
      case 'cancel':
        draft.queue = removeMessage(draft.queue, e.id);
        return;
      case 'acked':
        if (e.proven) this.#confirmed(c, e.id, draft);
        else draft.queue = slowDown(draft.queue, e.id, clock.nowMs());
        return;
      case 'read':
        this.#confirmed(c, e.id, draft);
        this.#mark(c, e.id, 'read', draft, () => events.emit('read', { address: c.text, id: toHex(e.id) }));
        return;
      case 'deliver':
        this.#deliver(c, e, draft);
        return;
      case 'request':
        draft.after.push(() => {
          events.emit('contactRequest', { address: c.text });
          if (autoAccept) this.#later(c, 'accepting a contact', () => this.#accept(c));
        });
        return;
      case 'established':
        draft.after.push(() => this.#established(c));
        return;
      case 'closed':
        return;
    }
  }

  #deliver(c: Conversation, e: HandshakeEffect & { readonly kind: 'deliver' }, draft: Draft): void {
    const id = toHex(e.message.id);
    if (e.spixi.type === Spixi.chat && e.spixi.data !== null && !c.hasChat('in', id)) {
      const record: ChatRecord = {
        id,
        in: true,
        text: text.decode(e.spixi.data),
        timestamp: Number(e.message.timestamp),
        state: 'received',
      };
      draft.records.push(record);
      draft.after.push(() => this.#o.events.emit('message', c.message(record)));
    }
    // A text that came before its id fell out of the remembered ones is confirmed again, not shown again.
    if (e.receipt !== null) draft.queue = this.#enqueue(draft.queue, e.receipt);
  }

  /** A receipt that finds the queue full is left out: the peer repeats its message, and is answered then. */
  #enqueue(queue: OutgoingQueue, m: OutgoingMessage): OutgoingQueue {
    if (m.once && queue.entries.length >= queuedMessagesMax) return queue;
    return enqueue(queue, m, this.#o.clock.nowMs());
  }

  #confirmed(c: Conversation, idBytes: Uint8Array, draft: Draft): void {
    const { clock, events } = this.#o;
    draft.queue = removeMessage(draft.queue, idBytes);
    const id = toHex(idBytes);
    this.#mark(c, idBytes, 'delivered', draft, () => {
      const sent = c.sentMs.get(id);
      c.sentMs.delete(id);
      const ms = sent === undefined ? 0 : clock.nowMs() - sent;
      events.emit('delivered', { address: c.text, id, ms });
      if (c.narrated) return;
      c.narrated = true;
      const facts = { address: c.text, id, encryption: 'spixi2: AES-256-GCM inside ChaCha20-Poly1305' };
      events.emit('stage', { stage: 6, name: 'message', ms, facts });
    });
  }

  /** Moves a sent text forward, never back. */
  #mark(c: Conversation, idBytes: Uint8Array, state: DeliveryState, draft: Draft, tell: () => void): void {
    const id = toHex(idBytes);
    const pending = draft.records.findLastIndex((r) => !r.in && r.id === id);
    const record = pending >= 0 ? draft.records[pending]! : c.chatOf('out', id);
    if (record === null || !advanced(record.state, state)) return;
    draft.records.push({ ...record, state });
    draft.after.push(tell);
  }

  #established(c: Conversation): void {
    const { clock, events } = this.#o;
    const ms = c.askedMs === null ? 0 : clock.nowMs() - c.askedMs;
    c.askedMs = null;
    const facts = { address: c.text, agreement: 'ECDH secp521r1 + ML-KEM-1024', derivation: 'HKDF-SHA3-512' };
    events.emit('stage', { stage: 5, name: 'keys', ms, facts });
  }

  /** A relay could not deliver: believed only about what it was given, and only by the contact's relay (07 §10). */
  #undeliverable(connection: RelayConnection, contact: Uint8Array, failedId: Uint8Array): void {
    const { book, clock, router } = this.#o;
    const wallet = toHex(contact);
    const c = this.#conversations.get(wallet);
    if (c === undefined || !connection.sentLately(failedId, wallet, clock.nowMs())) return;
    if (!book.fail(wallet, connection.endpoint)) return;
    if (book.hostnames(wallet).length > 0) this.#retryAll(c);
    else void router.locate(c, true).then(() => this.wake(c));
  }

  // --- outgoing ----------------------------------------------------------------------------------------------

  /** Sends what is due to this contact, as soon as there is a way. */
  wake(c: Conversation): void {
    if (c.pumping) {
      c.pumpAgain = true;
      return;
    }
    c.pumping = true;
    this.#pump(c)
      .catch((error: unknown) => this.#o.events.emit('error', { error, during: 'sending messages' }))
      .finally(() => {
        c.pumping = false;
        if (c.pumpAgain) {
          c.pumpAgain = false;
          this.wake(c);
        }
      });
  }

  #due(c: Conversation): OutgoingMessage[] {
    return c.contact === null ? [] : dueMessages(c.queue, c.contact, this.#o.clock.nowMs());
  }

  async #pump(c: Conversation): Promise<void> {
    const { router, book } = this.#o;
    if (c.contact === null) return;
    this.#learnKey(c);
    if (this.#due(c).length === 0) {
      // Messages that wait for the peer's key wait for its presence.
      const keyless = c.contact?.publicKey === null && c.queue.entries.length > 0;
      if (keyless && book.publicKey(c.wallet) === null) await router.locate(c, c.missed < 3);
      return;
    }
    const connections = await router.connections(c);
    if (connections.length === 0) {
      void router.locate(c, c.missed < 3);
      return;
    }
    await c.inTurn(async () => {
      for (const m of this.#due(c)) {
        const repeated = c.queue.entries.some((e) => e.message === m && e.attempts > 0);
        // Silence may mean that the contact has moved without anybody telling us.
        if (repeated) void router.locate(c, false);
        await this.#transmit(c, m, connections);
      }
    });
  }

  async #transmit(
    c: Conversation,
    m: OutgoingMessage,
    connections: readonly RelayConnection[],
  ): Promise<boolean> {
    const { signer, clock } = this.#o;
    if (c.contact === null) return false;
    const sealed = await sealMessage(m, c.contact, { address: signer.address, signer });
    if (sealed === null) return false;
    const bytes = encodeStreamMessage(sealed);
    let sent = false;
    for (const connection of connections)
      if (connection.isOpen && connection.send(Code.s2data, bytes)) {
        connection.noteSent(m.id, c.wallet, clock.nowMs());
        sent = true;
      }
    const now = clock.nowMs();
    c.queue = sent ? markSent(c.queue, m.id, now) : markFailed(c.queue, m.id, now);
    if (sent && m.spixiType === Spixi.chat && !c.sentMs.has(toHex(m.id)) && c.sentMs.size < sentTimesMax)
      c.sentMs.set(toHex(m.id), now);
    return sent;
  }

  /** An answer that belongs on the connection the question came in on; queued when that is gone. */
  async #sendDirect(c: Conversation, m: OutgoingMessage, connection: RelayConnection | null): Promise<void> {
    const sent = connection?.isOpen === true && (await this.#transmit(c, m, [connection]));
    if (!sent) c.queue = enqueue(c.queue, { ...m, direct: false }, this.#o.clock.nowMs());
  }

  /** A presence tells the key: the rsa2 messages of the set-up wait for it (07 §6.3). */
  #learnKey(c: Conversation): void {
    const key = this.#o.book.publicKey(c.wallet);
    if (key === null || c.contact === null || c.contact.publicKey !== null) return;
    this.#later(c, 'keeping a key', async () => {
      if (c.contact !== null) await this.#apply(c, learnPublicKey(c.contact, key), [], null);
    });
  }

  // --- what happens around -----------------------------------------------------------------------------------

  /** A verified claim of a contact arrived. */
  onPresence(wallet: string, change: PresenceChange): void {
    const { book, events } = this.#o;
    const c = this.#conversations.get(wallet);
    if (c === undefined || !change.newer) return;
    c.missed = 0;
    const online = book.isOnline(wallet);
    if (change.moved || online !== c.online) {
      c.online = online;
      events.emit('presence', { address: c.text, online, endpoints: book.endpoints(wallet) });
    }
    this.#retryAll(c);
  }

  /** Connection to a relay lost: contacts reached through it are looked for elsewhere. */
  onRelayLost(endpoint: string): void {
    const { book, router } = this.#o;
    for (const wallet of book.walletsAt(endpoint)) {
      const c = this.#conversations.get(wallet);
      if (c === undefined) continue;
      const busy = c.queue.entries.length > 0;
      if (!busy) continue; // the next message finds out by itself
      book.fail(wallet, endpoint);
      if (book.hostnames(wallet).length > 0) this.#retryAll(c);
      else void router.locate(c, true).then(() => this.#retryAll(c));
    }
  }

  /** The way back to us changed: confirmations of what is under way may have been lost with the old one. */
  retryEverything(): void {
    for (const c of this.#conversations.values()) if (c.queue.entries.length > 0) this.#retryAll(c);
  }

  #retryAll(c: Conversation): void {
    this.#later(c, 'sending messages', () => {
      c.queue = resetBackOff(c.queue, this.#o.clock.nowMs());
      return Promise.resolve();
    });
  }

  /** Where are they all? Asked once after the start, one after the other; keep-alives tell from then on. */
  lookAround(): void {
    const run = async (): Promise<void> => {
      for (const c of [...this.#conversations.values()])
        if (c.contact?.approved === true) await this.#o.router.locate(c, false);
    };
    run().catch((error: unknown) => this.#o.events.emit('error', { error, during: 'looking for contacts' }));
  }

  /** Called every second: repetitions, expiry, presence that ran out, waits of the contact set-up. */
  tick(): void {
    const { clock, book, events, router, networkSeconds } = this.#o;
    for (const c of this.#conversations.values()) {
      const online = book.isOnline(c.wallet);
      if (c.online && !online) {
        c.online = false;
        events.emit('presence', { address: c.text, online, endpoints: [] });
      }
      if (c.contact === null) continue;
      // Its keep-alives no longer come by themselves: before it counts as offline it is looked for.
      if (online && networkSeconds() - book.lastSeen(c.wallet) > quietSeconds) void router.locate(c, false);
      if (c.contact.acceptAfter !== null && networkSeconds() >= c.contact.acceptAfter)
        this.#later(c, 'accepting a contact', async () => {
          const outcome = c.contact === null ? null : handshakeTick(c.contact, this.#context());
          if (outcome !== null) await this.#apply(c, outcome.contact, outcome.effects, null);
        });
      if (expireMessages(c.queue, networkSeconds()).expired.length > 0)
        this.#later(c, 'expiring messages', () => this.#expire(c));
      const next = nextDueMs(c.queue, c.contact);
      const keyless = c.contact.publicKey === null && c.queue.entries.length > 0;
      if ((next !== null && next <= clock.nowMs()) || keyless) this.wake(c);
    }
  }

  async #expire(c: Conversation): Promise<void> {
    const { queue, expired } = expireMessages(c.queue, this.#o.networkSeconds());
    const records = expired.flatMap((m) => {
      const r = c.chatOf('out', toHex(m.id));
      return r === null ? [] : [{ ...r, state: 'expired' as const }];
    });
    await this.#commit([...c.chatChanges(records), ...c.queueChanges(queue)]);
    c.queue = queue;
    for (const r of records) {
      c.keepChat(r);
      this.#o.events.emit('expired', { address: c.text, id: r.id });
    }
  }

  #later(c: Conversation, during: string, work: () => Promise<void>): void {
    c.inTurn(work)
      .then(() => this.wake(c))
      .catch((error: unknown) => this.#o.events.emit('error', { error, during }));
  }

  /** Resolves when everything begun is finished. */
  async settle(): Promise<void> {
    await Promise.all([...this.#conversations.values()].map((c) => c.inTurn(() => Promise.resolve())));
  }

  async #commit(changes: readonly StorageChange[]): Promise<void> {
    if (changes.length > 0) await this.#o.storage.commit(changes);
  }
}
