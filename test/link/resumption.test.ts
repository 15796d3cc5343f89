import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/clock/index.js';
import { type HeldTicket, memoryPair, TicketRefusal } from '../../src/link/index.js';
import { ResumeAttempt } from '../../src/link/resumption.js';
import { TicketKeys, ticketKeySeconds } from '../../src/relay/ticket-keys.js';
import { ticketLifetimeSeconds, ticketOriginSecondsMax } from '../../src/relay/tickets.js';
import {
  Bye,
  Code,
  decodeTicketClaims,
  encodeFrame,
  encodeTicketClaims,
  NETWORKS,
  ResumeCode,
  StreamParser,
  toHex,
} from '../../src/wire/index.js';
import { type Frame, Pocket, pocketOf, world } from './resumption-support.js';
import { settle, signerOf, until } from './support.js';

/** A tap that keeps what passes. */
const record =
  (frames: Frame[]) =>
  (f: Frame): Frame => {
    frames.push(f);
    return f;
  };

const flip = (b: Uint8Array, at: number): Uint8Array => b.map((x, i) => (i === at ? x ^ 1 : x));

describe('sessions that resume', () => {
  it.each([
    ['0.9.7', 'xs2c-0.9.3b'],
    ['0.9.8', 'starling-test'],
  ] as const)(
    'come back without a signature on either side, as what they were (line %s)',
    async (line, productVersion) => {
      const w = await world();
      const pocket = await pocketOf('w1');
      const first = await w.visit(pocket, { productVersion });
      const before = w.rsa();
      const { client, relay } = await w.connect(pocket, { productVersion });
      await until(() => client.opened > 0 && relay.opened > 0, 'resumed');
      expect(w.rsa()).toBe(before);
      expect(relay.link.peer).toMatchObject({
        address: (await signerOf('w1')).address,
        publicKey: (await signerOf('w1')).publicKey,
        deviceId: Uint8Array.of(4, 5, 6),
        nodeType: 'C',
        productVersion,
        line,
        verified: 'signature',
        signedEndpoint: '',
        observedIp: '10.0.0.9',
      });
      expect(client.link.peer).toMatchObject({
        address: (await signerOf('w0')).address,
        deviceId: Uint8Array.of(1),
        nodeType: 'R',
        verified: 'signature',
        signedEndpoint: '127.0.0.1:11235',
        lastBlock: { number: 42, version: 12 },
        reportedEndpoint: '10.0.0.9:0',
      });
      expect(toHex(pocket.held!.ticket)).not.toBe(toHex(first.ticket));
      expect(toHex(pocket.held!.secret)).not.toBe(toHex(first.secret));
      // And the session is one: messages pass both ways.
      expect(client.link.send(Code.getRandomPresences, Uint8Array.of(77))).toBe(true);
      expect(relay.link.send(Code.inventory2, Uint8Array.of(0))).toBe(true);
      await until(() => relay.messages.length > 0 && client.messages.length > 0, 'messages');
      expect([w.counted('offered'), w.counted('resumed')]).toEqual([1, 1]);
    },
  );

  it('over and over, with a fresh ticket each time', async () => {
    const w = await world();
    const pocket = await pocketOf('w1');
    const seen = new Set([toHex((await w.visit(pocket)).ticket)]);
    const before = w.rsa();
    for (let i = 0; i < 5; i++) seen.add(toHex((await w.visit(pocket)).ticket));
    expect(seen.size).toBe(6);
    expect(w.rsa()).toBe(before);
    expect(w.counted('resumed')).toBe(5);
  });

  it('nobody who does not ask sees anything of it', async () => {
    const w = await world();
    const frames: Frame[] = [];
    const tap = record(frames);
    const { client } = await w.connect(null, { tap });
    await until(() => client.opened > 0, 'open');
    const data = frames.find((f) => f.code === Code.helloData)!;
    const without = await w.connect(null, { tap, issuer: null });
    await until(() => without.client.opened > 0, 'open');
    const other = frames.filter((f) => f.code === Code.helloData)[1]!;
    // Same length, same device id; only signature and time differ.
    expect(data.payload.length).toBe(other.payload.length);
    expect(client.link.peer!.deviceId).toEqual(Uint8Array.of(1));
    expect(frames.every((f) => f.code <= Code.bye)).toBe(true);
    expect(w.counted('offered')).toBe(0);
  });

  it('a relay without it is a relay', async () => {
    const w = await world();
    const pocket = await pocketOf('w1');
    const { client } = await w.connect(pocket, { issuer: null });
    await until(() => client.opened > 0, 'open');
    await settle(20);
    expect(pocket.held).toBeNull();
  });

  it('a relay that has forgotten says so, and gets a full hello on the same connection', async () => {
    const pocket = await pocketOf('w1');
    await (await world()).visit(pocket);
    const w = await world();
    const { client, relay } = await w.connect(pocket);
    await until(() => client.opened > 0, 'open');
    expect(relay.link.peer!.verified).toBe('signature');
    expect([w.counted('unknown'), w.counted('resumed'), w.counted('offered')]).toEqual([1, 0, 1]);
  });

  it('a relay that does not know the messages gets a full hello after a while', async () => {
    const clock = new ManualClock(1_800_000_000_000);
    const w = await world({ clock });
    const pocket = await pocketOf('w1');
    await w.visit(pocket);
    const { client } = await w.connect(pocket, { issuer: null });
    await settle();
    expect(client.opened).toBe(0);
    clock.advance(3_500);
    await until(() => client.opened > 0, 'open');
  });

  it('in a long session the ticket is renewed at half of its life', async () => {
    const clock = new ManualClock(1_800_000_000_000);
    const w = await world({ clock });
    const pocket = await pocketOf('w1');
    const { client, relay } = await w.connect(pocket);
    await until(() => pocket.held !== null, 'ticket');
    const first = pocket.held!;
    for (let s = 0; s < ticketLifetimeSeconds / 2 + 1; s++) {
      clock.advance(1_000);
      if (s % 3 === 0) await settle(1);
    }
    await until(() => pocket.held !== null && pocket.held !== first, 'renewed');
    expect(client.link.isOpen && relay.link.isOpen).toBe(true);
    expect(w.counted('renewed')).toBe(1);
    client.link.destroy();
    // The old one is used up, the new one is good.
    expect(w.tickets.redeem(first.ticket, '10.0.0.9')).toBe(TicketRefusal.used);
    const before = w.rsa();
    const again = await w.connect(pocket);
    await until(() => again.client.opened > 0, 'resumed');
    expect(w.rsa()).toBe(before);
  });
});

/** A peer of a relay that says what it likes. */
async function raw(w: Awaited<ReturnType<typeof world>>) {
  const [mine, theirs] = memoryPair({ addresses: ['10.0.0.9', '127.0.0.1'] });
  const frames: { code: number; payload: Uint8Array }[] = [];
  const parser = new StreamParser({ payloadMax: () => 1 << 20 });
  let ended = false;
  mine.start({
    data: (chunk) =>
      parser.push(chunk, {
        frame: (code, payload) => void frames.push({ code, payload: payload.slice() }),
        time: () => undefined,
        byte: () => undefined,
      }),
    drain: () => undefined,
    close: () => {
      ended = true;
    },
  });
  const { Watched, selfInfo, systemClock, engine } = await import('./support.js');
  const relay = new Watched(theirs, {
    direction: 'in',
    self: await selfInfo(systemClock),
    clock: systemClock,
    engine: await engine(),
    issuer: w.tickets,
  });
  return {
    relay,
    frames,
    ended: () => ended,
    send: (code: number, payload: Uint8Array) => mine.write(encodeFrame(code, payload)),
    byeCode: () => {
      const bye = frames.find((f) => f.code === Code.bye);
      return bye === undefined ? null : new DataView(bye.payload.buffer).getInt32(0, true);
    },
  };
}

describe('attacks on sessions that resume', () => {
  /** Everything a client and a relay said while one resumed. */
  async function recorded() {
    const w = await world();
    const pocket = await pocketOf('w1');
    const held = await w.visit(pocket);
    const frames: Frame[] = [];
    const { client, relay } = await w.connect(pocket, { tap: record(frames) });
    await until(() => relay.opened > 0, 'resumed');
    const of = (code: number): Uint8Array => frames.find((f) => f.code === code)!.payload;
    return { w, pocket, held, client, relay, of };
  }

  it('a session played back is refused: the ticket is used', async () => {
    const { w, of } = await recorded();
    const a = await raw(w);
    a.send(ResumeCode.resume, of(ResumeCode.resume));
    a.send(ResumeCode.proof, of(ResumeCode.proof));
    await until(() => a.frames.some((f) => f.code === ResumeCode.refused), 'refusal');
    await settle();
    expect(a.relay.opened).toBe(0);
    expect(w.counted('used')).toBe(1);
  });

  it('even where the relay has forgotten the use, the proof is for another nonce', async () => {
    const { w, of } = await recorded();
    const after = await world({ keys: w.keys });
    const a = await raw(after);
    a.send(ResumeCode.resume, of(ResumeCode.resume));
    a.send(ResumeCode.proof, of(ResumeCode.proof));
    await until(() => a.byeCode() !== null, 'bye');
    expect(a.byeCode()).toBe(Bye.authFailed);
    expect(a.relay.opened).toBe(0);
  });

  it('a stolen ticket is worth nothing without its secret, and trying does not use it up', async () => {
    const w = await world();
    const pocket = await pocketOf('w1');
    const held = await w.visit(pocket);
    const thief = await pocketOf('w2');
    thief.put({ ...held, secret: new Uint8Array(32).fill(1) });
    const { client, relay } = await w.connect(thief, { wallet: 'w2' });
    await until(() => client.closed !== null, 'the thief cannot even check the relay');
    expect([client.opened, relay.opened]).toEqual([0, 0]);
    // One that does not check but guesses:
    const a = await raw(w);
    a.send(ResumeCode.resume, thief.taken.length > 0 ? encodeResumeOf(held) : new Uint8Array(1));
    await until(() => a.frames.some((f) => f.code === ResumeCode.challenge), 'challenge');
    a.send(ResumeCode.proof, Uint8Array.of(1, ...new Uint8Array(32).fill(7)));
    await until(() => a.byeCode() !== null, 'bye');
    expect([a.byeCode(), w.counted('bad_proof')]).toEqual([Bye.authFailed, 1]);
    // The owner still comes back.
    const before = w.rsa();
    const own = await w.connect(pocket);
    await until(() => own.client.opened > 0, 'resumed');
    expect(w.rsa()).toBe(before);
  });

  function encodeResumeOf(held: HeldTicket): Uint8Array {
    const n = held.ticket.length;
    return Uint8Array.of(1, ...new Uint8Array(32).fill(3), 0, 0xfc, n & 255, n >> 8, ...held.ticket);
  }

  it('the relay’s own MAC sent back proves nothing', async () => {
    const w = await world();
    const pocket = await pocketOf('w1');
    const held = await w.visit(pocket);
    const a = await raw(w);
    a.send(ResumeCode.resume, encodeResumeOf(held));
    await until(() => a.frames.some((f) => f.code === ResumeCode.challenge), 'challenge');
    const challenge = a.frames.find((f) => f.code === ResumeCode.challenge)!.payload;
    a.send(ResumeCode.proof, Uint8Array.of(1, ...challenge.slice(-32)));
    await until(() => a.byeCode() !== null, 'bye');
    expect(a.byeCode()).toBe(Bye.authFailed);
  });

  it('a proof is good for its own connection alone', async () => {
    const w = await world();
    const pocket = await pocketOf('w1');
    await w.visit(pocket);
    const other = await raw(w);
    let proof: Uint8Array | null = null;
    const { client, relay } = await w.connect(pocket, {
      tap: (f) => {
        if (f.code === ResumeCode.resume) other.send(f.code, f.payload);
        if (f.code !== ResumeCode.proof) return f;
        proof = f.payload;
        return null;
      },
    });
    await until(() => proof !== null && other.frames.length > 0, 'proof');
    other.send(ResumeCode.proof, proof!);
    await until(() => other.byeCode() !== null, 'bye');
    expect([other.byeCode(), other.relay.opened, relay.opened]).toEqual([Bye.authFailed, 0, 0]);
    client.link.destroy();
  });

  it('used twice at once, one of the two is served', async () => {
    const w = await world();
    const pocket = await pocketOf('w1');
    const held = await w.visit(pocket);
    const attempts: { peer: Awaited<ReturnType<typeof raw>>; attempt: ResumeAttempt }[] = [];
    for (let i = 0; i < 2; i++) {
      const peer = await raw(w);
      const attempt = new ResumeAttempt(held, NETWORKS.reg.lock, 1);
      peer.send(ResumeCode.resume, attempt.payload);
      await until(() => peer.frames.some((f) => f.code === ResumeCode.challenge), 'challenge');
      attempts.push({ peer, attempt });
    }
    for (const { peer, attempt } of attempts) {
      const challenge = peer.frames.find((f) => f.code === ResumeCode.challenge)!.payload;
      peer.send(
        ResumeCode.proof,
        attempt.answer(challenge, (p) => [`127.0.0.1:${p}`], 0, 0, '127.0.0.1')!.proof,
      );
    }
    await until(() => attempts[1]!.peer.byeCode() !== null, 'the second refused');
    expect(attempts.map((x) => x.peer.relay.opened)).toEqual([1, 0]);
    expect([attempts[1]!.peer.byeCode(), w.counted('used'), w.counted('resumed')]).toEqual([
      Bye.notReady,
      1,
      1,
    ]);
  });

  it('every bit of a ticket counts: another wallet, line, device or age in it is unknown here', async () => {
    const w = await world();
    const { ticket } = await w.visit(await pocketOf('w1'));
    for (let at = 0; at < ticket.length; at++)
      expect(w.tickets.redeem(flip(ticket, at), '10.0.0.9'), `byte ${at}`).toBe(TicketRefusal.unknown);
    for (const n of [0, 1, 31, 32, 33, ticket.length - 1])
      expect(w.tickets.redeem(ticket.slice(0, n), '10.0.0.9')).toBe(TicketRefusal.unknown);
    const claims = decodeTicketClaims(ticket.subarray(0, -32));
    const swapped = encodeTicketClaims({ ...claims, publicKey: (await signerOf('w2')).publicKey });
    expect(w.tickets.redeem(Uint8Array.from([...swapped, ...ticket.slice(-32)]), '10.0.0.9')).toBe(
      TicketRefusal.unknown,
    );
    expect(typeof w.tickets.redeem(ticket, '10.0.0.9')).toBe('object');
  });

  it('every bit of a challenge counts: the client leaves', async () => {
    const w = await world();
    const pocket = await pocketOf('w1');
    const frames: Frame[] = [];
    await w.visit(pocket);
    await w.visit(pocket, { tap: record(frames) });
    const { length } = frames.find((f) => f.code === ResumeCode.challenge)!.payload;
    for (let at = 0; at < length; at += 97) {
      if (pocket.held === null) await w.visit(pocket);
      await until(() => pocket.held !== null, 'ticket');
      const { client, relay } = await w.connect(pocket, {
        tap: (f) => (f.code === ResumeCode.challenge ? { ...f, payload: flip(f.payload, at) } : f),
      });
      await until(() => client.closed !== null, `byte ${at}`);
      expect([client.opened, relay.opened]).toEqual([0, 0]);
    }
  });

  it('a relay in between that passes everything on is found out by the endpoint', async () => {
    const w = await world();
    const pocket = await pocketOf('w1');
    await w.visit(pocket);
    const clientPolicy = { expectedEndpoints: ['198.51.100.66:11235'] };
    const [client] = [await w.connect(pocket, { source: '10.0.0.9', clientPolicy })];
    // The memory transport shows 127.0.0.1 to the client, which is where the real one is.
    await until(() => client.client.opened > 0, 'open at the right address');
    client.client.link.destroy();
    const { challengeResume } = await import('../../src/link/resumption.js');
    const { selfInfo, systemClock } = await import('./support.js');
    const self = await selfInfo(systemClock);
    await until(() => pocket.held !== null, 'ticket');
    const attempt = new ResumeAttempt(pocket.held!, self.network.lock, 1);
    const c = challengeResume(w.tickets, self, '127.0.0.1:11235', '10.0.0.9', 0, attempt.payload);
    if (typeof c === 'number') throw new Error('refused');
    expect(attempt.answer(c.challenge, (p) => [`198.51.100.66:${p}`], 0, 0, '198.51.100.66')).toBeNull();
    expect(attempt.answer(c.challenge, (p) => [`127.0.0.1:${p}`], 0, 0, '127.0.0.1')).not.toBeNull();
  });

  it('another network’s session does not resume here', async () => {
    const w = await world();
    const pocket = await pocketOf('w1');
    await w.visit(pocket);
    const { challengeResume } = await import('../../src/link/resumption.js');
    const { selfInfo, systemClock } = await import('./support.js');
    const self = await selfInfo(systemClock);
    const attempt = new ResumeAttempt(pocket.held!, new TextEncoder().encode('Ixian'), 1);
    const c = challengeResume(w.tickets, self, '127.0.0.1:11235', '10.0.0.9', 0, attempt.payload);
    if (typeof c === 'number') throw new Error('refused');
    expect(attempt.answer(c.challenge, (p) => [`127.0.0.1:${p}`], 0, 0, '127.0.0.1')).toBeNull();
  });

  it('a recorded hello played again brings a ticket that only its wallet can open', async () => {
    const w = await world();
    let hello: Uint8Array | null = null;
    const pocket = await pocketOf('w1');
    await w.visit(pocket, {
      tap: (f) => {
        if (f.code === Code.hello) hello = f.payload;
        return f;
      },
    });
    const a = await raw(w);
    a.send(Code.hello, hello!);
    await until(() => a.frames.some((f) => f.code === Code.helloData), 'helloData');
    // The replay is worth what it always was; what came with it does not open with another key.
    const thief = new Pocket(await signerOf('w2'));
    const { decodeHelloData, decodeOffer } = await import('../../src/wire/index.js');
    const data = decodeHelloData(a.frames.find((f) => f.code === Code.helloData)!.payload);
    const offer = decodeOffer(data.trailing!)!;
    expect(await thief.open(offer.sealed)).toBeNull();
    expect(await new Pocket(await signerOf('w1')).open(offer.sealed)).not.toBeNull();
  });

  it('an offer that somebody put in on the way is not taken, the session is', async () => {
    const w = await world();
    for (const where of ['ticket', 'sealed', 'none'] as const) {
      const pocket = await pocketOf('w1');
      const { client } = await w.connect(pocket, {
        tap: (f) => {
          if (f.code !== Code.helloData) return f;
          if (where === 'none') return f;
          return { ...f, payload: flip(f.payload, f.payload.length - (where === 'sealed' ? 5 : 700)) };
        },
      });
      await until(() => client.opened > 0, where);
      if (where === 'none') await until(() => pocket.held !== null, 'ticket');
      else await settle(20);
      expect(pocket.held === null, where).toBe(where !== 'none');
    }
  });

  it('a hello that proved nothing brings no ticket', async () => {
    const w = await world();
    const pocket = await pocketOf('w1');
    const { client, relay } = await w.connect(pocket, { forged: true });
    await until(() => client.opened > 0, 'open');
    await settle(20);
    expect(relay.link.peer!.verified).toBe('none');
    expect([pocket.held, w.counted('offered')]).toEqual([null, 0]);
  });

  it('a hello signed over its own source resumes from there alone', async () => {
    const w = await world();
    const pocket = await pocketOf('w1');
    const held = await w.visit(pocket, { endpoint: { ip: '10.0.0.9', port: 5_000 } });
    expect(w.tickets.redeem(held.ticket, '10.0.0.8')).toBe(TicketRefusal.source);
    expect(typeof w.tickets.redeem(held.ticket, '10.0.0.9')).toBe('object');
  });

  it('bans and limits hold as for a hello', async () => {
    const w = await world();
    const address = (await signerOf('w1')).address;
    const policies = [
      { blacklisted: (a: Uint8Array) => toHex(a) === toHex(address) },
      { limits: { mastersMax: 1, clientsMax: 0, masters: () => 0, clients: () => 1 } },
    ];
    for (const policy of policies) {
      const pocket = await pocketOf('w1');
      await w.visit(pocket);
      const { client, relay } = await w.connect(pocket, { policy });
      await until(() => client.closed !== null, 'refusal');
      expect([client.closed!.byeCode, relay.opened]).toEqual([Bye.rejected, 0]);
    }
    expect([w.counted('blacklisted'), w.counted('full')]).toEqual([1, 1]);
  });

  it('one attempt per connection, broken ones cost nothing, a hello is still welcome', async () => {
    const w = await world();
    const pocket = await pocketOf('w1');
    const held = await w.visit(pocket);
    const good = encodeResumeOf(held);
    for (const broken of [
      good.slice(0, 1),
      good.slice(0, 33),
      good.slice(0, 60),
      Uint8Array.of(9),
      new Uint8Array(4_000),
    ]) {
      const a = await raw(w);
      a.send(ResumeCode.resume, broken);
      a.send(ResumeCode.resume, good);
      a.send(ResumeCode.proof, new Uint8Array(1));
      a.send(ResumeCode.renew, good);
      a.send(ResumeCode.challenge, good);
      await until(
        () => a.relay.count('ixian_protocol_errors_total', { reason: 'before_hello' }) >= 4,
        'counted',
      );
      expect(a.relay.count('ixian_protocol_errors_total', { reason: 'malformed' })).toBe(1);
      expect([a.ended(), a.relay.opened, a.frames.length]).toEqual([false, 0, 0]);
    }
  });

  it('a ticket of another wallet or device cannot be renewed into this session', async () => {
    const w = await world();
    const other = await w.visit(await pocketOf('w2'), { wallet: 'w2' });
    const pocket = await pocketOf('w1');
    const { relay } = await w.connect(pocket);
    await until(() => relay.opened > 0 && pocket.held !== null, 'open');
    const { answerRenew } = await import('../../src/link/resumption.js');
    const ask = (t: Uint8Array) =>
      answerRenew(
        w.tickets,
        relay.link.peer!,
        Uint8Array.of(1, ...new Uint8Array(32), 0xfc, t.length & 255, t.length >> 8, ...t),
      );
    expect(ask(other.ticket)).toBeNull();
    expect(ask(flip(pocket.held!.ticket, 50))).toBeNull();
    expect(ask(pocket.held!.ticket)).not.toBeNull();
    expect(ask(pocket.held!.ticket)).toBeNull();
  });
});

describe('tickets in time', () => {
  const at = async () => {
    let now = 1_800_000_000;
    const w = await world({ nowSeconds: () => now });
    return { w, to: (s: number) => (now = 1_800_000_000 + s) };
  };

  it('expire, and are not taken from the future', async () => {
    const { w, to } = await at();
    const { ticket } = await w.visit(await pocketOf('w1'));
    to(ticketLifetimeSeconds - 1);
    expect(typeof w.tickets.redeem(ticket, '10.0.0.9')).toBe('object');
    to(ticketLifetimeSeconds);
    expect(w.tickets.redeem(ticket, '10.0.0.9')).toBe(TicketRefusal.expired);
    to(-61);
    expect(w.tickets.redeem(ticket, '10.0.0.9')).toBe(TicketRefusal.expired);
    expect(w.counted('expired')).toBe(2);
  });

  it('a day after the last full hello another one is due, however often the ticket was renewed', async () => {
    const { w, to } = await at();
    let { ticket } = await w.visit(await pocketOf('w1'));
    for (let s = 0; s + 1_000 < ticketOriginSecondsMax; s += 1_000) {
      to(s);
      const r = w.tickets.redeem(ticket, '10.0.0.9');
      if (typeof r === 'number') throw new Error(`refused after ${s} s`);
      expect(r.spend()).toBe(true);
      expect(r.spend()).toBe(false);
      ticket = r.next().ticket;
    }
    to(ticketOriginSecondsMax);
    expect(w.tickets.redeem(ticket, '10.0.0.9')).toBe(TicketRefusal.expired);
  });

  it('keys change, and the tickets of the one before still live', async () => {
    let now = 1_800_000_000;
    const keys = await TicketKeys.open(
      null,
      () => now,
      () => undefined,
    );
    const first = keys.current();
    now += ticketKeySeconds;
    const second = keys.current();
    expect(second.id).not.toBe(first.id);
    expect(keys.byId(first.id)).toBe(first);
    now += ticketKeySeconds;
    keys.current();
    expect(keys.byId(first.id)).toBeNull();
  });
});
