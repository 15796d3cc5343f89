import { describe, expect, it } from 'vitest';
import {
  type ContactState,
  contactFromJson,
  contactToJson,
  decodeStreamMessage,
  Encryption,
  encodeAcceptAdd2,
  encodeKeys2,
  encodeRequestAdd2,
  encodeStreamMessage,
  glareWaitHigherSeconds,
  glareWaitLowerSeconds,
  handshakeTick,
  hasSeen,
  learnPublicKey,
  newContact,
  type OutgoingFields,
  openSecureConnection,
  outgoing,
  type ReceiveOutcome,
  ReservedId,
  receiveMessage,
  requestContact,
  requestContactLegacy,
  Spixi,
  type SpixiMessage,
  type StreamMessage,
  StreamMessageType,
  sealMessage,
  seenIdsMax,
  spixi,
  streamMessage,
  withSeen,
} from '../../src/messages/index.js';
import { Peer, testEngine, Wire } from './support/parties.js';

const minute = 60_000;
const startMs = 1_760_000_000_000;
const now = startMs / 1000;

/** Two peers that completed the set-up, quiet queues. */
async function established(): Promise<{ a: Peer; b: Peer; wire: Wire }> {
  const a = await Peer.create('alice');
  const b = await Peer.create('bob', { approveAfterMs: 0 });
  const wire = new Wire(a, b, { seed: 3 });
  a.request(b, wire.nowMs);
  const quiet = (): boolean =>
    a.contact?.handshakeStatus === 3 &&
    b.contact?.handshakeStatus === 3 &&
    a.queue.entries.length + b.queue.entries.length === 0;
  expect(await wire.until(quiet, minute)).toBe(true);
  return { a, b, wire };
}

/** What `to` makes of `m` at `nowMs`, without carrying it out. */
async function judged(
  to: Peer,
  m: StreamMessage,
  nowMs: number,
  contact = to.contact,
): Promise<ReceiveOutcome> {
  const engine = await testEngine;
  return await receiveMessage(m, contact, to.context(nowMs), {
    addresses: [to.signer.address],
    signer: to.signer,
    engine,
    line: '0.9.8',
  });
}

/** A message of `from` as its own client would seal it, for `contact`. */
async function sealed(from: Peer, contact: ContactState, fields: OutgoingFields): Promise<StreamMessage> {
  const m = await sealMessage(outgoing(fields), contact, {
    address: from.signer.address,
    signer: from.signer,
  });
  if (m === null) throw new Error('cannot be sealed');
  return m;
}

/** The contact `of` would be to anybody who knows its key. */
const keyed = (of: Peer, fields: Partial<ContactState> = {}): ContactState =>
  newContact(of.signer.address, { publicKey: of.signer.publicKey, protocolVersion: 1, ...fields });

const receiptOf = (id: Uint8Array): SpixiMessage => spixi(Spixi.msgReceived, id);

function expectSilence(
  o: ReceiveOutcome,
  contact: ContactState | null,
  dropped: ReceiveOutcome['dropped'],
): void {
  expect(o.dropped).toBe(dropped);
  expect(o.effects).toEqual([]);
  expect(o.handled).toBeNull();
  expect(o.contact).toBe(contact);
}

const sends = (o: { readonly effects: ReceiveOutcome['effects'] }): number[] =>
  o.effects.flatMap((e) => (e.kind === 'send' ? [e.message.spixiType] : []));

describe('what cannot be read or proven', () => {
  it('is dropped silently, without a receipt (07 §5.2)', async () => {
    const { a, b, wire } = await established();
    const m = await sealed(a, a.contact!, { spixi: spixi(Spixi.chat, Uint8Array.of(1)), timestamp: now });
    const data = new Uint8Array(m.data!);
    data[data.length - 1]! ^= 1;
    expectSilence(await judged(b, { ...m, data }, wire.nowMs), b.contact, 'undecryptable');
    expectSilence(
      await judged(b, { ...m, timestamp: m.timestamp + 1n }, wire.nowMs),
      b.contact,
      'undecryptable',
    );
    expectSilence(await judged(b, { ...m, encryptionType: 9 }, wire.nowMs), b.contact, 'encryption-type');
    expectSilence(await judged(b, { ...m, data: null }, wire.nowMs), b.contact, 'no-data');
    expectSilence(await judged(b, { ...m, id: new Uint8Array(65) }, wire.nowMs), b.contact, 'id');
    expectSilence(
      await judged(b, { ...m, type: StreamMessageType.error }, wire.nowMs),
      b.contact,
      'error-type',
    );
    expectSilence(await judged(b, { ...m, recipient: a.signer.address }, wire.nowMs), b.contact, 'recipient');
    expectSilence(await judged(b, m, wire.nowMs, null), null, 'undecryptable');
    expect((await judged(b, m, wire.nowMs)).handled).toBe('chat');
  });

  it('is refused under rsa2 from a forger, signed by somebody else or not at all (07 §3.7)', async () => {
    const bob = await Peer.create('bob');
    const mallory = await Peer.create('carol');
    const alice = await Peer.create('alice');
    const known = keyed(alice, { handshakeStatus: 1 });
    const fields: OutgoingFields = { spixi: receiptOf(ReservedId.requestAdd), timestamp: now, mode: 'rsa2' };
    const forged = await sealed(mallory, keyed(bob), fields);
    const asAlice = { ...forged, sender: alice.signer.address };
    expectSilence(await judged(bob, asAlice, startMs, known), known, 'signature');
    expectSilence(await judged(bob, { ...asAlice, signature: null }, startMs, known), known, 'signature');
    const genuine = await sealed(alice, keyed(bob), fields);
    expect((await judged(bob, genuine, startMs, known)).dropped).toBeNull();
  });

  it('is refused when the key in the payload is not the sender’s', async () => {
    const bob = await Peer.create('bob');
    const alice = await Peer.create('alice');
    const mallory = await Peer.create('carol');
    const body = encodeRequestAdd2({ maxVersion: 1, publicKey: mallory.signer.publicKey });
    const request = await sealed(mallory, keyed(bob), {
      id: ReservedId.requestAdd,
      spixi: spixi(Spixi.requestAdd2, body),
      timestamp: now,
      mode: 'plain',
    });
    expectSilence(
      await judged(bob, { ...request, sender: alice.signer.address }, startMs, null),
      null,
      'key-mismatch',
    );
    expect((await judged(bob, request, startMs, null)).handled).toBe('requestAdd2');
  });

  it('does not step the machine when the peer’s point is not on the curve', async () => {
    const a = await Peer.create('alice');
    const b = await Peer.create('bob', { approveAfterMs: 0 });
    const wire = new Wire(a, b, { seed: 4 });
    a.request(b, wire.nowMs);
    await wire.until(() => b.contact?.pending != null, minute);
    const point = new Uint8Array(67).fill(0xff);
    point[0] = 2;
    const body = encodeKeys2({
      ecdhPublicKey: point,
      mlKemCiphertext: new Uint8Array(1568),
      chachaSalt: new Uint8Array(32),
      capabilities: 1,
    });
    const keys2 = await sealed(a, keyed(b), {
      id: ReservedId.keys,
      spixi: spixi(Spixi.keys2, body),
      timestamp: now + 60,
      mode: 'rsa2',
    });
    expectSilence(await judged(b, keys2, wire.nowMs), b.contact, 'malformed');
  });
});

describe('a completed contact', () => {
  it('is heard under the session keys only, but for the set-up itself (07 §3.7)', async () => {
    const { a, b, wire } = await established();
    const late = wire.nowMs / 1000;
    const plainNick = await sealed(a, a.contact!, {
      spixi: spixi(Spixi.nick, Uint8Array.of(0x4d)),
      timestamp: late,
      mode: 'rsa2',
    });
    expectSilence(await judged(b, plainNick, wire.nowMs), b.contact, 'needs-session');
    const open = await sealed(a, a.contact!, {
      spixi: spixi(Spixi.chat, Uint8Array.of(0x4d)),
      timestamp: late,
      mode: 'plain',
    });
    expectSilence(await judged(b, open, wire.nowMs), b.contact, 'needs-encryption');
    const weaker = { ...open, encryptionType: Encryption.spixi1 };
    expectSilence(await judged(b, weaker, wire.nowMs), b.contact, 'needs-session');
  });

  it('gets a repeated message acknowledged again but delivered once', async () => {
    const { a, b, wire } = await established();
    const m = await sealed(a, a.contact!, { spixi: spixi(Spixi.chat, Uint8Array.of(7)), timestamp: now });
    const first = await judged(b, m, wire.nowMs);
    expect(first.effects.map((e) => e.kind)).toEqual(['deliver']);
    const again = await judged(b, m, wire.nowMs, first.contact);
    expect(again.handled).toBeNull();
    expect(sends(again)).toEqual([Spixi.msgReceived]);
    const quiet = await judged(b, { ...m, requireRcvConfirmation: false }, wire.nowMs, first.contact);
    expect(quiet.effects).toEqual([]);
  });

  it('gets a repeated keys2 acknowledged under the session keys, and nothing else happens', async () => {
    const { a, b, wire } = await established();
    const sent = wire.sent
      .map((s) => decodeStreamMessage(s.bytes))
      .filter((m) => m.id.length === 1 && m.id[0] === 2);
    expect(sent.length).toBeGreaterThan(0);
    const again = await judged(b, sent[0]!, wire.nowMs);
    expect(again.handled).toBeNull();
    expect(again.contact).toEqual(b.contact);
    const [e] = again.effects;
    expect(e?.kind === 'send' && e.message.mode === 'session' && e.message.direct).toBe(true);
    expect(a.contact?.pending).toBeNull();
  });

  it('does not fall back to version 0 (downgrade)', async () => {
    const { a, b, wire } = await established();
    const old = requestContactLegacy(b.signer.address, b.signer.publicKey, a.context(wire.nowMs + minute));
    const [e] = old.effects;
    if (e?.kind !== 'send') throw new Error('no request');
    const request = await sealMessage(e.message, keyed(b), { address: a.signer.address, signer: a.signer });
    expectSilence(await judged(b, request!, wire.nowMs + minute), b.contact, 'needs-session');
    const open = { ...b.contact!, handshakeStatus: 0 as const };
    expectSilence(await judged(b, request!, wire.nowMs + minute, open), open, 'refused');
  });

  it('keeps its first public key', async () => {
    const { b } = await established();
    const carol = await Peer.create('carol');
    expect(learnPublicKey(b.contact!, carol.signer.publicKey)).toBe(b.contact);
    const fresh = newContact(carol.signer.address);
    expect(learnPublicKey(fresh, carol.signer.publicKey).publicKey).toEqual(carol.signer.publicKey);
  });
});

describe('receipts without proof (07 §6.3)', () => {
  const bare = (from: Peer, to: Peer, id: Uint8Array): StreamMessage =>
    streamMessage({
      sender: from.signer.address,
      recipient: to.signer.address,
      type: StreamMessageType.info,
      data: Uint8Array.of(9, 0, 0, 0, id.length, 0, 0, 0, ...id, 255, 255, 255, 255),
      timestamp: BigInt(now),
      requireRcvConfirmation: false,
    });

  it('count for the reserved ids 00, 01, 03–06 below status 3, and are told apart', async () => {
    const a = await Peer.create('alice');
    const b = await Peer.create('bob');
    const asked = keyed(b, { approved: true, requestedAt: now });
    const o = await judged(a, bare(b, a, ReservedId.requestAdd), startMs, asked);
    expect(o.contact?.handshakeStatus).toBe(1);
    expect(o.effects).toEqual([{ kind: 'acked', id: ReservedId.requestAdd, proven: false }]);
    for (const id of [1, 3, 4, 5, 6]) {
      const quiet = await judged(a, bare(b, a, Uint8Array.of(id)), startMs, asked);
      expect(quiet.effects.map((e) => e.kind)).toEqual(['acked']);
    }
  });

  it('do not count for keys2, for messages, or after completion', async () => {
    const { a, b, wire } = await established();
    const waiting = { ...a.contact!, handshakeStatus: 2 as const };
    expectSilence(await judged(a, bare(b, a, ReservedId.keys), wire.nowMs, waiting), waiting, 'signature');
    expectSilence(await judged(a, bare(b, a, new Uint8Array(16)), wire.nowMs, waiting), waiting, 'signature');
    expectSilence(await judged(a, bare(b, a, ReservedId.requestAdd), wire.nowMs), a.contact, 'needs-session');
    const underRsa = await sealed(b, keyed(a), {
      spixi: receiptOf(ReservedId.keys),
      timestamp: now,
      mode: 'rsa2',
    });
    expectSilence(await judged(a, underRsa, wire.nowMs, waiting), waiting, 'refused');
  });
});

describe('requests and acceptances', () => {
  it('carry timestamps that strictly increase, even within one second', async () => {
    const a = await Peer.create('alice');
    const b = await Peer.create('bob');
    const ctx = a.context(startMs);
    const first = requestContact(b.signer.address, null, null, ctx);
    const second = requestContact(b.signer.address, first.contact, null, ctx);
    const times = [first, second].flatMap((o) =>
      o.effects.flatMap((e) => (e.kind === 'send' ? [e.message.timestamp] : [])),
    );
    expect(times).toEqual([now, now + 1]);
  });

  it('are taken once: a replayed request is acknowledged and ignored', async () => {
    const a = await Peer.create('alice');
    const b = await Peer.create('bob');
    a.request(b, startMs);
    const [bytes] = await a.pass(startMs);
    const request = decodeStreamMessage(bytes!);
    const first = await judged(b, request, startMs, null);
    expect(first.handled).toBe('requestAdd2');
    expect(first.effects[0]).toEqual({ kind: 'request' });
    expect(sends(first)).toEqual([Spixi.msgReceived, Spixi.getNick]);
    const again = await judged(b, request, startMs, first.contact);
    expect(again.handled).toBeNull();
    expect(again.contact).toEqual(first.contact);
    expect(sends(again)).toEqual([Spixi.msgReceived]);
  });

  it('of strangers are dropped when requests are switched off', async () => {
    const a = await Peer.create('alice');
    const b = await Peer.create('bob');
    a.request(b, startMs);
    const [bytes] = await a.pass(startMs);
    const engine = await testEngine;
    const ctx = { ...b.context(startMs), allowRequests: false };
    const o = await receiveMessage(decodeStreamMessage(bytes!), null, ctx, {
      addresses: [b.signer.address],
      signer: b.signer,
      engine,
      line: '0.9.8',
    });
    expectSilence(o, null, 'refused');
  });

  async function acceptance(
    from: Peer,
    to: Peer,
    version: number,
    timestamp: number,
  ): Promise<StreamMessage> {
    const body = encodeAcceptAdd2({
      version,
      rsaPublicKey: from.signer.publicKey,
      ecdhPublicKey: new Uint8Array(67),
      mlKemPublicKey: new Uint8Array(1568),
      aesSalt: new Uint8Array(32),
      capabilities: 1,
    });
    const spixiMessage = spixi(Spixi.acceptAdd2, body);
    return await sealed(from, keyed(to), {
      id: ReservedId.acceptAdd,
      spixi: spixiMessage,
      timestamp,
      mode: 'rsa2',
    });
  }

  it('cannot be used by a stranger to approve itself', async () => {
    const a = await Peer.create('alice');
    const b = await Peer.create('bob');
    const unapproved = keyed(a, { handshakeStatus: 1, lastReceivedHandshake: now });
    expectSilence(
      await judged(b, await acceptance(a, b, 1, now + 1), startMs, unapproved),
      unapproved,
      'refused',
    );
  });

  it('of a lower version than known, or in the same second as the last, change nothing', async () => {
    const a = await Peer.create('alice');
    const b = await Peer.create('bob');
    const asked = keyed(a, { approved: true, requestedAt: now, lastReceivedHandshake: now });
    expectSilence(await judged(b, await acceptance(a, b, 0, now + 1), startMs, asked), asked, 'refused');
    const same = await judged(b, await acceptance(a, b, 1, now), startMs, asked);
    expect(same.handled).toBeNull();
    expect(same.contact).toEqual(asked);
    expect(sends(same)).toEqual([Spixi.msgReceived]);
  });

  it('wait for the peer’s own when both asked: 15 s on the lower address, 30 s on the higher', async () => {
    for (const [name, other, wait] of [
      ['alice', 'bob', glareWaitLowerSeconds],
      ['bob', 'alice', glareWaitHigherSeconds],
    ] as const) {
      const own = await Peer.create(name);
      const peer = await Peer.create(other);
      own.request(peer, startMs);
      peer.request(own, startMs);
      const [bytes] = await peer.pass(startMs);
      await own.receive(bytes!, startMs);
      expect(own.contact?.pending).toBeNull();
      expect(own.queue.entries.some((e) => e.message.spixiType === Spixi.acceptAdd2)).toBe(false);
      expect(handshakeTick(own.contact!, own.context(startMs + wait * 1000 - 1))).toBeNull();
      const due = handshakeTick(own.contact!, own.context(startMs + wait * 1000));
      expect(sends(due!)).toEqual([Spixi.acceptAdd2]);
      expect(due!.effects).toContainEqual({ kind: 'cancel', id: ReservedId.requestAdd });
    }
  });

  it('are followed by keys2 before anything under the session keys', async () => {
    const a = await Peer.create('alice');
    const b = await Peer.create('bob', { approveAfterMs: 0 });
    const wire = new Wire(a, b, { seed: 5 });
    a.request(b, wire.nowMs);
    a.chat('typed too early', wire.nowMs);
    await wire.until(() => (a.contact?.handshakeStatus ?? 0) === 2, minute);
    expect(a.queue.entries[0]?.message.spixiType).toBe(Spixi.keys2);
    await wire.until(() => b.delivered.length > 0, minute);
    const fromA = wire.sent.filter((s) => s.from === a).map((s) => decodeStreamMessage(s.bytes));
    const keysAt = fromA.findIndex((m) => m.id.length === 1 && m.id[0] === 2);
    const sessionAt = fromA.findIndex((m) => m.encryptionType === Encryption.spixi2);
    expect(keysAt).toBeGreaterThanOrEqual(0);
    expect(sessionAt).toBeGreaterThan(keysAt);
    expect(b.outcomes.filter((o) => o.dropped === 'undecryptable')).toEqual([]);
  });

  it('erase the ephemeral keys once keys2 was processed, and storage keeps them until then', async () => {
    const a = await Peer.create('alice');
    const b = await Peer.create('bob', { approveAfterMs: 0 });
    const wire = new Wire(a, b, { seed: 6 });
    a.request(b, wire.nowMs);
    await wire.until(() => b.contact?.pending != null, minute);
    const stored = contactFromJson(JSON.parse(JSON.stringify(contactToJson(b.contact!))));
    expect(stored).toEqual(b.contact);
    await wire.until(() => b.contact?.handshakeStatus === 3, minute);
    expect(b.contact?.pending).toBeNull();
    expect(JSON.stringify(contactToJson(b.contact!))).not.toContain('PrivateKey');
  });
});

describe('temporary channels (07 §12)', () => {
  async function opening(a: Peer, b: Peer, atMs: number): Promise<StreamMessage> {
    const o = openSecureConnection(b.signer.address, b.signer.publicKey, a.context(atMs));
    const [e] = o.effects;
    if (e?.kind !== 'send') throw new Error('nothing to send');
    const m = await sealMessage(e.message, o.contact!, { address: a.signer.address, signer: a.signer });
    return decodeStreamMessage(encodeStreamMessage(m!));
  }

  it('answer an opening once, without receipt, and only while it is fresh', async () => {
    const a = await Peer.create('dave');
    const b = await Peer.create('bob');
    const m = await opening(a, b, startMs);
    const o = await judged(b, m, startMs + 2_000, null);
    expect(o.handled).toBe('openSecureConnection');
    expect(o.contact?.kind).toBe('socketIn');
    expect(sends(o)).toEqual([Spixi.acceptAdd2]);
    const [e] = o.effects;
    expect(e?.kind === 'send' && e.message.direct && !e.message.queue).toBe(true);
    expectSilence(await judged(b, m, startMs + 3_000, o.contact), o.contact, 'refused');
    expectSilence(await judged(b, m, startMs + 61_000, null), null, 'refused');
  });

  it('take nothing but payment messages, and leave contacts of the list alone', async () => {
    const { a, b, wire } = await established();
    const m = await opening(a, b, wire.nowMs);
    expectSilence(await judged(b, m, wire.nowMs), b.contact, 'needs-session');
    const channel = { ...b.contact!, kind: 'socketIn' as const };
    const chat = await sealed(a, a.contact!, { spixi: spixi(Spixi.chat, Uint8Array.of(1)), timestamp: now });
    expectSilence(await judged(b, chat, wire.nowMs, channel), channel, 'needs-contact');
    const ask = await sealed(a, a.contact!, {
      spixi: spixi(Spixi.transactionSendRequest, Uint8Array.of(1, 5, 0, 0)),
      timestamp: now,
    });
    const taken = await judged(b, ask, wire.nowMs, channel);
    expect(taken.effects).toMatchObject([{ kind: 'deliver', receipt: null }]);
    const close = await sealed(a, a.contact!, { spixi: spixi(Spixi.closeSecureConnection), timestamp: now });
    const closed = await judged(b, close, wire.nowMs, channel);
    expect(closed.contact).toBeNull();
    expect(closed.effects).toEqual([{ kind: 'closed' }]);
  });
});

describe('remembered ids', () => {
  it('are bounded, the oldest leaves first', () => {
    let c = newContact(new Uint8Array(45));
    const id = (n: number): Uint8Array => Uint8Array.of(n >> 8, n & 255);
    for (let i = 0; i <= seenIdsMax; i++) c = { ...c, seen: withSeen(c, id(i)) };
    expect(c.seen.length).toBe(seenIdsMax);
    expect(hasSeen(c, id(0))).toBe(false);
    expect(hasSeen(c, id(1))).toBe(true);
    expect(hasSeen(c, id(seenIdsMax))).toBe(true);
  });
});
