import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  AddressTextError,
  type AddressTextFault,
  addressFromBytes,
  addressFromKey,
  addressFromNonce,
  addressFromText,
  addressFromUncheckedText,
  addressText,
  addressWithChecksum,
  base58CharsMax,
  base58Decode,
  base58Encode,
  decodeExtendedAddress,
  type ExtendedAddress,
  encodeExtendedAddress,
  extendedAddressFromText,
  extendedAddressText,
  groupAddress,
  isRawAddress,
  makeExtendedAddress,
  merkleRoot,
  parseAddress,
  sectorPrefix,
  sha512quTrunc,
  truncate,
} from '../../src/identity/index.js';
import { concatBytes, DecodeError, fromHex, toHex } from '../../src/wire/index.js';

const rawAddress = fc
  .integer({ min: 0, max: 2 })
  .chain((version) =>
    fc
      .uint8Array({ minLength: version === 0 ? 32 : 44, maxLength: version === 0 ? 32 : 44 })
      .map((hash) => concatBytes(Uint8Array.of(version), hash)),
  );

function thrown(f: () => unknown): unknown {
  try {
    f();
  } catch (error) {
    return error;
  }
  return null;
}

describe('addresses', () => {
  it('survive every form they are written in', () => {
    fc.assert(
      fc.property(rawAddress, (raw) => {
        expect(parseAddress(raw)).toEqual(raw);
        expect(parseAddress(addressWithChecksum(raw))).toEqual(raw);
        expect(addressFromBytes(raw)).toEqual(raw);
        expect(addressFromText(addressText(raw))).toEqual(raw);
        expect(addressFromUncheckedText(addressText(raw))).toEqual(raw);
        expect(addressFromUncheckedText(base58Encode(raw))).toEqual(raw);
        expect(isRawAddress(raw)).toBe(true);
        expect(isRawAddress(addressWithChecksum(raw))).toBe(false);
      }),
    );
  });

  it('are copies: later changes of the input do not reach them', () => {
    const raw = new Uint8Array(33).fill(7);
    raw[0] = 0;
    const parsed = parseAddress(raw);
    raw[1] = 99;
    expect(parsed[1]).toBe(7);
    const checked = addressWithChecksum(parsed);
    const again = parseAddress(Buffer.from(checked));
    expect(again.constructor).toBe(Uint8Array);
  });

  it('lose their meaning with any single typing error', () => {
    fc.assert(
      fc.property(rawAddress, fc.nat(), fc.nat(), (raw, where, what) => {
        const text = addressText(raw);
        const at = where % text.length;
        const alphabet = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';
        const other = alphabet[(alphabet.indexOf(text[at]!) + 1 + (what % 57)) % 58]!;
        const typed = text.slice(0, at) + other + text.slice(at + 1);
        expect(thrown(() => addressFromText(typed))).toBeInstanceOf(AddressTextError);
      }),
    );
  });

  it.each<[string, AddressTextFault]>([
    ['', 'empty'],
    [' 1AAF8ZagTw6UqiQPUoiKjmoAN45jvR8tdmSmeev4uNzq45QWB', 'character'],
    ['1AAF8ZagTw6UqiQPUoiKjmoAN45jvR8tdmSmeev4uNzq45QW0', 'character'],
    ['1AAF8ZagTw6UqiQPUoiKjmoAN45jvR8tdmSmeev4uNzq45QWé', 'character'],
    ['1AAF8ZagTw6UqiQPUoiKjmoAN45jvR8tdmSmeev4uNzq', 'length'],
    ['11AAF8ZagTw6UqiQPUoiKjmoAN45jvR8tdmSmeev4uNzq45QWB', 'length'],
    ['1AAF8ZagTw6UqiQPUoiKjmoAN45jvR8tdmSmeev4uNzq45QWC', 'checksum'],
    ['1ixiannames234234234234234234234234234234234', 'length'],
  ])('typed as %j are refused for their %s', (text, fault) => {
    const error = thrown(() => addressFromText(text));
    expect(error).toBeInstanceOf(AddressTextError);
    expect((error as AddressTextError).fault).toBe(fault);
    expect((error as AddressTextError).field).toBe('address');
  });

  it('typed with an unknown version, or a length that is not the version’s, are refused though the checksum is right', () => {
    const faultOf = (raw: Uint8Array): unknown =>
      (thrown(() => addressFromText(base58Encode(addressWithChecksum(raw)))) as AddressTextError).fault;
    const raw = (version: number, length: number): Uint8Array => {
      const out = new Uint8Array(length).fill(5);
      out[0] = version;
      return out;
    };
    expect(faultOf(raw(3, 45))).toBe('version');
    expect(faultOf(raw(9, 33))).toBe('version');
    expect(faultOf(raw(1, 33))).toBe('length');
    expect(faultOf(raw(0, 45))).toBe('length');
    const endless = thrown(() => addressFromText('z'.repeat(base58CharsMax + 1)));
    expect((endless as AddressTextError).fault).toBe('length');
  });

  it('name the field and the reason when bytes are refused', () => {
    const code = (b: Uint8Array, field?: string): unknown => {
      const error = thrown(() => parseAddress(b, field)) as DecodeError;
      return [error.code, error.field];
    };
    expect(code(new Uint8Array(0), 'hello.address')).toEqual(['EMPTY', 'hello.address']);
    expect(code(new Uint8Array(45))).toEqual(['BADARG', 'address']);
    expect(code(new Uint8Array(33).fill(1))).toEqual(['BADARG', 'address']);
    expect(code(new Uint8Array(33).fill(3))).toEqual(['RANGE', 'address']);
    expect(code(new Uint8Array(36))).toEqual(['CHECKSUM', 'address']);
    expect(parseAddress(new Uint8Array(36), 'signer', false)).toEqual(new Uint8Array(33));
  });

  it('of the seed list and of a v1 node match the specification', () => {
    const v0 = addressFromText('1AAF8ZagTw6UqiQPUoiKjmoAN45jvR8tdmSmeev4uNzq45QWB');
    expect(toHex(v0)).toBe('005bcbb6dab12fed855a3bc40e5b0c48eff9212a251a276e673ce7dcd2bcb4c97e');
    expect(toHex(sectorPrefix(v0))).toBe('34d6e57b492ceffe63e4');
    const v1 = addressFromText('3TA9meGrkwoX8fJzQReuF1sxLZkNyRgbUKqJysfy6vqshAoMVAzvQKXgAkbJDaCNA');
    expect(toHex(sectorPrefix(v1))).toBe('a98bc00de7c2f9318158');
    const pool = addressFromUncheckedText('1ixiannames234234234234234234234234234234234');
    expect(addressText(pool)).toBe('125D6XDzTZzQUWsyQZmQZmQZmQZmQZmQZmQZmQZmQZmQb8t25');
  });

  it('follow from keys and nonces as in 02 §3.6', () => {
    const n = Uint8Array.from({ length: 512 }, (_, i) => (0xc1 + 7 * i) % 256);
    const tail = concatBytes(fromHex('00020000'), n, fromHex('03000000010001'));
    const nonce = Uint8Array.from({ length: 16 }, (_, i) => i);
    const key = (version: number): Uint8Array => concatBytes(Uint8Array.of(version, 0, 0, 0, 0), tail);
    const texts = [
      '19fR1Dj9oLxUubUxXXSGc2w85dUY7zmcoN1KYHAJk8WtjjqXG',
      '3eZ1hFp8WiF37PqvNNG9QfgJ62FHa9QFNiWrVhm1NLPvuPa3RDMUNzW2zkbYhCdej',
      '6rrMx2LVyeoL7XUkVb8fhcMCQ8s1trGTM3Usu76jgY77Y8k7E661aYvjiYiyzwFAM',
    ];
    const derived = [
      '1CJLm4VtsKz5RyksK5Na4mDPuDpiqSXgcUHBuJa1GT2ofoHKM',
      '3n92BYPJXVuCcawm1HccAJYrmq3zHBPU7F2AMcoKZ6XbKv3iRPVToxj8LcXzNBZbv',
      '6KUQwsj3deeoCWYJkj6iCwAdGTxz6dPMpoezgouKGzQAvKiUxfkyfRbFu5DBsK41k',
    ];
    for (const version of [0, 1, 2]) {
      expect(addressText(addressFromKey(key(version)))).toBe(texts[version]);
      expect(addressText(addressFromKey(key(version), nonce))).toBe(derived[version]);
    }
    expect(addressText(addressFromKey(tail))).toBe(texts[0]);
    const v1 = addressFromKey(key(1));
    expect(addressFromNonce(v1, null)).toBe(v1);
    expect(addressFromNonce(v1, Uint8Array.of(0))).toBe(v1);
    expect(addressFromNonce(v1, new Uint8Array(0))).not.toEqual(v1);
    expect(addressText(groupAddress(v1, nonce))).toBe(
      '4GnWQkfsDu7GBdVVPUCRGndh6stL3pgTWkLJHRww6q4zJD7n88SDTfUU3TpjJVXdq',
    );
    expect(() => groupAddress(v1, new Uint8Array(15))).toThrow(RangeError);
  });
});

describe('base58', () => {
  it('is its own inverse', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (b) => {
        expect(base58Decode(base58Encode(b))).toEqual(b);
      }),
    );
  });

  it('names the character it cannot read, and has a limit', () => {
    const error = thrown(() => base58Decode('2g l', 'peer.address')) as DecodeError;
    expect([error.code, error.field, error.offset]).toEqual(['FORMAT', 'peer.address', 2]);
    expect((thrown(() => base58Decode('1'.repeat(base58CharsMax + 1))) as DecodeError).code).toBe('TOOLONG');
    expect(() => base58Encode(new Uint8Array(base58CharsMax + 1))).toThrow(RangeError);
  });
});

describe('extended addresses', () => {
  const base = fromHex(`00${'0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20'}`);
  const payment = fromHex(`00${'02030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2001'}`);
  const tag = fromHex('0102030405');

  it('have the binary and text forms of 02 §6', () => {
    const text = (a: ExtendedAddress): string => extendedAddressText(a);
    expect(text(makeExtendedAddress({ payment: base, tag }))).toBe(
      '16qJFWMMHFy3xDdLmvUeyc2S6FrWRhJP51HsvDYdz9cdvwpA_1An6UecKnRM',
    );
    expect(text(makeExtendedAddress({ payment, routing: base, flag: 3, tag }))).toBe(
      '1CeGraDJNaVxjhqXQjrYAuExkLubwxXAPVg8PQ1Ai7z98Svx_3uS1PTaUZw9j6mB9LHtVgaPtnaKzfioEfdqvqFAwdE1WUkHSJKmX6WK9m',
    );
    expect(encodeExtendedAddress(makeExtendedAddress({ payment: base, flag: 1 })).length).toBe(36);
    expect(encodeExtendedAddress(makeExtendedAddress({ payment, routing: base, flag: 3, tag })).length).toBe(
      75,
    );
  });

  it('survive both forms', () => {
    const parts = fc.record({
      payment: rawAddress,
      routing: rawAddress,
      flag: fc.integer({ min: 0, max: 255 }),
      tag: fc.uint8Array({ minLength: 1, maxLength: 16 }),
    });
    fc.assert(
      fc.property(parts, ({ payment: pay, routing, flag, tag: t }) => {
        const a = makeExtendedAddress({ payment: pay, flag, tag: t, routing: flag === 3 ? routing : null });
        expect(decodeExtendedAddress(encodeExtendedAddress(a))).toEqual(a);
        expect(extendedAddressFromText(extendedAddressText(a))).toEqual(a);
      }),
    );
  });

  it('are refused when their parts do not fit', () => {
    const codeOf = (parts: Parameters<typeof makeExtendedAddress>[0]): unknown =>
      (thrown(() => makeExtendedAddress(parts)) as DecodeError).code;
    expect(codeOf({ payment: base, flag: 3 })).toBe('BADARG');
    expect(codeOf({ payment: base, flag: 1, routing: payment })).toBe('BADARG');
    expect(codeOf({ payment: base, tag: new Uint8Array(17) })).toBe('TOOLONG');
    expect(codeOf({ payment: base, nonce: new Uint8Array(16) })).toBe('BADARG');
    expect(codeOf({ payment: base, flag: -1 })).toBe('RANGE');
    expect(() => extendedAddressText(makeExtendedAddress({ payment: base, flag: 256 }))).toThrow(RangeError);
  });

  it('never read past a cut or damaged input', () => {
    const whole = encodeExtendedAddress(makeExtendedAddress({ payment, routing: base, flag: 3, tag }));
    for (let n = 0; n < whole.length; n++)
      expect(
        thrown(() => decodeExtendedAddress(whole.subarray(0, n))),
        String(n),
      ).toBeInstanceOf(DecodeError);
  });
});

describe('hashes', () => {
  it('are cut to at most their length', () => {
    expect(sha512quTrunc(new Uint8Array(0)).length).toBe(32);
    expect(() => truncate(new Uint8Array(64), 65)).toThrow(RangeError);
    expect(() => truncate(new Uint8Array(64), -1)).toThrow(RangeError);
  });

  it('combine into a Merkle root that pairs an odd leaf with itself', () => {
    const leaf = (v: number): Uint8Array => new Uint8Array(4).fill(v);
    expect(merkleRoot([])).toBe(null);
    expect(merkleRoot([leaf(9)])).toEqual(leaf(9));
    const three = merkleRoot([leaf(1), leaf(2), leaf(3)]);
    expect(toHex(three!.subarray(0, 16))).toBe('b0cd78f0654ac7b47a4b7847fca57920');
    expect(merkleRoot([leaf(1), leaf(2), leaf(3), leaf(3)])).toEqual(three);
  });
});
