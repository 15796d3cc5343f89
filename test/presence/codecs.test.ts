import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addressOf,
  decodeKeepAlive,
  decodePow,
  decodePresence,
  decodePresenceAddress,
  encodeKeepAlive,
  encodePresence,
  encodePresenceAddress,
  type KeepAlive,
  keepAliveChecksum,
  keepAliveOf,
  keepAlivePreimage,
  type PresenceAddress,
  presenceChunks,
  signKeepAlive,
  verifyKeepAlive,
} from '../../src/presence/index.js';
import { concatBytes, DecodeError, fromHex, NETWORKS, toHex } from '../../src/wire/index.js';
import {
  address,
  DEVICE,
  engine,
  HOST,
  keepAlive,
  ledgerless,
  packet,
  presence,
  signer,
  somePow,
  T0,
} from './support.js';

const wallet = Uint8Array.of(2, ...Array.from({ length: 44 }, (_, i) => i));
/** The worked example of 05 §11. */
const example: KeepAlive = {
  version: 2,
  wallet,
  device: Uint8Array.of(1),
  timestamp: 1_700_000_000,
  hostname: '8.8.8.8:10235',
  type: 'R',
  pow: null,
  signature: fromHex('aaaaaaaa'),
};

describe('05 §11 worked example', () => {
  it('05 §11: preimage and checksums under each lock', () => {
    expect(toHex(keepAlivePreimage(example))).toBe(
      '022d02000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b0101fd00f153650d382e382e382e383a31303233355200',
    );
    expect(toHex(keepAliveChecksum(example, NETWORKS.main.lock))).toBe(
      'bea8ae09504d8a9dea11f274af822ee9459dc63015514198116090f38f7c0f0c26cc87acaec27164a95a1df6',
    );
    expect(toHex(keepAliveChecksum(example, NETWORKS.test.lock))).toBe(
      'c25c5b8215874a0f8ca4d8e940c36685f56d4539b6c38069fcb8cf686eefb733ef6b37c372c95b43b1bdda90',
    );
    expect(toHex(keepAliveChecksum(example, NETWORKS.reg.lock))).toBe(
      '41adf56b17624bc2d6753d6d47dbadfca8de3919fbd697ac89fa06d1c1598d27ea30895047ce3170aa158251',
    );
    expect(toHex(encodeKeepAlive(example)).endsWith('5200' + '04aaaaaaaa')).toBe(true);
  });

  it('05 §11: address and presence bytes', () => {
    const a = addressOf(example, 'xs2c-0.9.3b');
    const wire = toHex(encodePresenceAddress(a));
    expect(wire).toBe(
      '0201010d382e382e382e383a3130323335520b787332632d302e392e3362fd00f1536504aaaaaaaa00000000',
    );
    const p = { version: 1, wallet, publicKey: fromHex('bbbbbb'), metadata: null, addresses: [a] };
    expect(toHex(encodePresence(p))).toBe(`012d${toHex(wallet)}03bbbbbb00012c${wire}00`);
  });

  it('05 §5.3: an endpoint and its keep-alive map one to one', () => {
    expect(keepAliveOf(wallet, addressOf(example, 'x'))).toEqual(example);
  });
});

describe('05 §5 keep-alive', () => {
  it('05 §5.1 strict: at most 1200 bytes, nothing cut, nothing added, only shortest forms', async () => {
    const good = await keepAlive();
    expect(encodeKeepAlive(decodeKeepAlive(good))).toEqual(good);
    for (let n = 0; n < good.length; n++)
      expect(() => decodeKeepAlive(good.subarray(0, n)), `${n} bytes`).toThrow(DecodeError);
    expect(() => decodeKeepAlive(concatBytes(good, Uint8Array.of(0)))).toThrow(DecodeError);
    const long = (n: number): Uint8Array => encodeKeepAlive({ ...example, hostname: 'x'.repeat(n) });
    const room = 1200 - long(300).length + 300;
    expect(decodeKeepAlive(long(room)).hostname).toHaveLength(room);
    expect(long(room)).toHaveLength(1200);
    expect(() => decodeKeepAlive(long(room + 1))).toThrow(DecodeError);
    // A hostname whose length has a needless group.
    const wire = toHex(encodeKeepAlive(example));
    expect(() => decodeKeepAlive(fromHex(wire.replace('0d382e38', '8d00382e38')))).toThrow(DecodeError);
    // Malformed UTF-8 re-encodes differently.
    expect(() => decodeKeepAlive(fromHex(wire.replace('0d382e38', '0dff2e38')))).toThrow(DecodeError);
  });

  it('05 §5.2 strict: version exactly 02 or 01000000', async () => {
    const good = toHex(await keepAlive()).slice(2);
    const device = new Uint8Array(16).fill(3);
    const v1 = toHex(await keepAlive({ version: 1, device }));
    expect(decodeKeepAlive(fromHex(v1)).version).toBe(1);
    for (const lead of ['00', '01', '03', 'fc0200', 'f80100', 'ff'])
      expect(() => decodeKeepAlive(fromHex(lead + good)), lead).toThrow(DecodeError);
    for (const version of ['00000000', '01010000', '01000001'])
      expect(() => decodeKeepAlive(fromHex(version + v1.slice(8))), version).toThrow(DecodeError);
  });

  it('05 §5.2: version 1 may be followed by anything, but not differ from what is rebuilt', async () => {
    const device = fromHex('33221100554477668899aabbccddeeff');
    const v1 = await keepAlive({ version: 1, device });
    expect(decodeKeepAlive(concatBytes(v1, Uint8Array.of(1, 2)))).toEqual(decodeKeepAlive(v1));
    expect(decodeKeepAlive(v1).device).toEqual(device);
    const text = new TextDecoder('latin1').decode(v1);
    expect(text).toContain('00112233-4455-6677-8899-aabbccddeeff');
    const upper = Uint8Array.from(text.replace('aabbccddeeff', 'AABBCCDDEEFF'), (c) => c.charCodeAt(0));
    expect(() => decodeKeepAlive(upper)).toThrow(DecodeError);
    const negative = v1.slice();
    negative[4 + 4 + 48 + 1 + 36 + 7] = 0x80;
    expect(() => decodeKeepAlive(negative)).toThrow(DecodeError);
  });

  it('05 §5.1: a proof of work inside must decode', () => {
    const wire = (pow: Uint8Array): Uint8Array => encodeKeepAlive({ ...example, pow });
    expect(decodeKeepAlive(wire(somePow())).pow).toEqual(somePow());
    expect(() => decodeKeepAlive(wire(Uint8Array.of(5)))).toThrow(DecodeError);
    expect(() => decodeKeepAlive(wire(concatBytes(somePow(), Uint8Array.of(0))))).toThrow(DecodeError);
  });

  it('signs what verifies', async () => {
    const s = await signer();
    const fields = { device: DEVICE, timestamp: T0, hostname: HOST, type: 'R', pow: null };
    const ka = await signKeepAlive(fields, s, NETWORKS.main);
    expect(ka.wallet).toEqual(s.address);
    expect(await verifyKeepAlive(ka, s.publicKey, ledgerless, await engine())).toBe(null);
  });
});

describe('05 §3 presence address', () => {
  const a = addressOf(example, 'v');
  const wire = encodePresenceAddress(a);
  const cut = wire.length - 4;

  it('05 §3.1: nothing, one zero, four zeros or anything may follow the signature', () => {
    for (const tail of ['', '00', '00000000', '00ffffffff'])
      expect(decodePresenceAddress(concatBytes(wire.subarray(0, cut), fromHex(tail)))).toEqual(a);
    expect(() => decodePresenceAddress(concatBytes(wire.subarray(0, cut), fromHex('01')))).toThrow(
      DecodeError,
    );
  });

  it('05 §3.1: 1024 bytes are taken, 1025 are not, and nothing at all is not', () => {
    const filled = new Uint8Array(1025);
    filled.set(wire);
    expect(decodePresenceAddress(filled.subarray(0, 1024))).toEqual(a);
    expect(() => decodePresenceAddress(filled)).toThrow(DecodeError);
    expect(() => decodePresenceAddress(new Uint8Array(0))).toThrow(DecodeError);
  });

  it('05 §3.1 quirk: a proof of work behind no signature does not survive', () => {
    const unsigned: PresenceAddress = { ...a, signature: null, pow: somePow() };
    const back = decodePresenceAddress(encodePresenceAddress(unsigned));
    expect(back).toEqual({ ...unsigned, pow: null });
  });

  it('05 §3.2 strict: version exactly 02 or 01000000', async () => {
    const rest = wire.subarray(1);
    for (const lead of ['00', '01', '03', 'fc0200', '01010000'])
      expect(() => decodePresenceAddress(concatBytes(fromHex(lead), rest)), lead).toThrow(DecodeError);
    const v1 = await address({ version: 1, device: new Uint8Array(16).fill(3) });
    expect(decodePresenceAddress(encodePresenceAddress(v1))).toEqual(v1);
    const bad = encodePresenceAddress(v1);
    bad[1] = 1;
    expect(() => decodePresenceAddress(bad)).toThrow(DecodeError);
  });

  it('names the field and the offset', () => {
    try {
      decodePresenceAddress(wire.subarray(0, 8));
      expect.unreachable();
    } catch (e) {
      expect(e).toMatchObject({ code: 'EOF', field: 'presenceAddress.hostname', offset: 4 });
    }
  });
});

describe('05 §4 presence', () => {
  it('05 §4.1: field 7 is the proof of the first master, attached to a master without one', async () => {
    const m = await address({ type: 'M', pow: somePow(5n) });
    const h = await address({ type: 'H', pow: somePow(4n), device: Uint8Array.of(2) });
    const bytes = await packet([h, m]);
    expect(
      toHex(bytes).endsWith(`fc2001${toHex(somePow(5n))}`) || toHex(bytes).endsWith(toHex(somePow(5n))),
    ).toBe(true);
    const bare = { ...m, pow: null };
    const p = await presence([bare]);
    const without = encodePresence(p);
    const pow = somePow(9n);
    const withPow = concatBytes(without.subarray(0, without.length - 1), lengthOf(pow), pow);
    expect(decodePresence(withPow).addresses[0]!.pow).toEqual(pow);
    // Only a master takes it.
    const r = encodePresence(await presence([await address({ type: 'R' })]));
    const relay = concatBytes(r.subarray(0, r.length - 1), lengthOf(pow), pow);
    expect(decodePresence(relay).addresses[0]!.pow).toBe(null);
  });

  const lengthOf = (b: Uint8Array): Uint8Array => Uint8Array.of(0xfc, b.length & 255, b.length >> 8);

  it('05 §4.1: a broken trailing proof costs the endpoint it was for, no other', async () => {
    const m = { ...(await address({ type: 'M', pow: somePow() })), pow: null };
    const other = await address({ device: Uint8Array.of(2) });
    const bytes = encodePresence(await presence([m, other]));
    const bad = concatBytes(bytes.subarray(0, bytes.length - 1), fromHex('0105'));
    const p = decodePresence(bad);
    expect(p.addresses.map((a) => a.device)).toEqual([Uint8Array.of(2)]);
    expect(p.malformed).toHaveLength(1);
  });

  it('05 §4.2: the legacy layout keeps its version', async () => {
    const p = { ...(await presence([await address()])), version: 0 };
    const bytes = encodePresence(p);
    expect(toHex(bytes).startsWith('0000000030000000')).toBe(true);
    expect(decodePresence(bytes)).toEqual({ ...p, malformed: [] });
  });

  it('05 §4.2: in the legacy layout any type gives the trailing proof', async () => {
    const h = await address({ type: 'H', pow: somePow() });
    const p = { ...(await presence([h])), version: 0 };
    expect(toHex(encodePresence(p)).endsWith(toHex(somePow()))).toBe(true);
    expect(toHex(encodePresence({ ...p, version: 1 })).endsWith(toHex(somePow()))).toBe(false);
  });

  it('05 §4.3: chunks of ten, each complete, none without endpoints', async () => {
    const all = await Promise.all(
      Array.from({ length: 21 }, (_, i) =>
        address({ device: Uint8Array.of(i), signature: Uint8Array.of(1) }),
      ),
    );
    for (const [n, chunks] of [
      [0, 0],
      [1, 1],
      [10, 1],
      [11, 2],
      [20, 2],
      [21, 3],
    ] as const) {
      const parts = presenceChunks(await presence(all.slice(0, n)));
      expect(parts).toHaveLength(chunks);
      const back = parts.flatMap((b) => decodePresence(b).addresses);
      expect(back).toEqual(all.slice(0, n));
      for (const b of parts) expect(decodePresence(b).addresses.length).toBeLessThanOrEqual(10);
    }
  });

  it('05 §4.1: a count above what is there is refused before anything is allocated', async () => {
    const bytes = encodePresence(await presence([]));
    const wire = toHex(bytes.subarray(0, bytes.length - 2));
    expect(() => decodePresence(fromHex(`${wire}fdffffff7f`))).toThrow(DecodeError);
    expect(() => decodePresence(fromHex(`${wire}0200`))).toThrow(DecodeError);
    expect(decodePresence(fromHex(`${wire}0100`)).addresses).toEqual([]);
  });
});

describe('any bytes', () => {
  it('decode or fail with a DecodeError, nothing else', async () => {
    const seeds = [
      await keepAlive(),
      await packet([await address({ type: 'M', pow: somePow() })]),
      somePow(),
    ];
    const mutated = fc
      .tuple(
        fc.constantFrom(...seeds),
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 6 }),
        fc.nat(),
      )
      .map(([seed, edits, cut]) => {
        const b = seed.slice(0, seed.length - (cut % 3 === 0 ? cut % seed.length : 0));
        for (const [at, v] of edits) if (b.length > 0) b[at % Math.min(b.length, 90)] = v;
        return b;
      });
    const bytes = fc.oneof(mutated, fc.uint8Array({ maxLength: 1300 }));
    fc.assert(
      fc.property(bytes, (b) => {
        for (const decode of [decodeKeepAlive, decodePresence, decodePresenceAddress, decodePow]) {
          try {
            decode(b);
          } catch (e) {
            expect(e).toBeInstanceOf(DecodeError);
          }
        }
      }),
      { numRuns: 4000, seed: 505, verbose: 1 },
    );
  });

  it('keep-alives and endpoints survive a round trip', () => {
    const field = {
      device: fc.uint8Array({ maxLength: 64 }),
      hostname: fc.string({ maxLength: 40 }),
      type: fc.constantFrom('C', 'R', 'W', 'x'),
      timestamp: fc.nat({ max: 2 ** 40 }),
      signature: fc.option(fc.uint8Array({ minLength: 1, maxLength: 300 })),
    };
    fc.assert(
      fc.property(fc.record(field), (f) => {
        const ka: KeepAlive = { version: 2, wallet, pow: null, ...f };
        expect(decodeKeepAlive(encodeKeepAlive(ka))).toEqual(ka);
        const a = addressOf(ka, 'n');
        expect(decodePresenceAddress(encodePresenceAddress(a))).toEqual(a);
      }),
      { numRuns: 500, seed: 506 },
    );
  });
});
