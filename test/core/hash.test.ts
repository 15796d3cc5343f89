import { createHash } from 'node:crypto';
import { sha512 as nobleSha512 } from '@noble/hashes/sha2.js';
import { sha3_512 as nobleSha3 } from '@noble/hashes/sha3.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha3_512, sha512 } from '../../src/core/index.js';
import { cores } from './support/cores.js';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);
const native = (name: string, data: Uint8Array): string => createHash(name).update(data).digest('hex');

const SHORT = 'abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq';
const LONG =
  'abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu';

/** NIST example values and CAVP answers. */
const SHA3_512: readonly (readonly [string, Uint8Array, string])[] = [
  [
    'no bytes',
    ascii(''),
    'a69f73cca23a9ac5c8b567dc185a756e97c982164fe25859e0d1dcc1475c80a615b2123af1f5f94c11e3e9402c3ac558f500199d95b6d3e301758586281dcd26',
  ],
  [
    'abc',
    ascii('abc'),
    'b751850b1a57168a5693cd924b6b096e08f621827444f70d884f5d0240d2712e10e116e9192af3c91a7ec57647e3934057340b4cf408d5a56592f8274eec53f0',
  ],
  [
    '448 bits',
    ascii(SHORT),
    '04a371e84ecfb5b8b77cb48610fca8182dd457ce6f326a0fd3d7ec2f1e91636dee691fbe0c985302ba1b0d8dc78c086346b533b49c030d99a27daf1139d6e75e',
  ],
  [
    '896 bits',
    ascii(LONG),
    'afebb2ef542e6579c50cad06d2e578f9f8dd6881d7dc824d26360feebf18a4fa73e3261122948efcfd492e74e82e2189ed0fb440d187f382270cb455f21dd185',
  ],
  [
    '1600 bits of a3',
    new Uint8Array(200).fill(0xa3),
    'e76dfad22084a8b1467fcf2ffa58361bec7628edf5f3fdc0e4805dc48caeeca81b7c13c30adf52a3659584739a2df46be589c51ca1a4a8416df6545a1ce8ba00',
  ],
  [
    'a million a',
    ascii('a'.repeat(1_000_000)),
    '3c3a876da14034ab60627c077bb98f7e120a2a5370212dffb3385a18d4f38859ed311d0a9d5141ce9cc5c66ee689b266a8aa18ace8282a0e0db596c90b0a7b87',
  ],
];

const SHA512: readonly (readonly [string, Uint8Array, string])[] = [
  [
    'no bytes',
    ascii(''),
    'cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e',
  ],
  [
    'abc',
    ascii('abc'),
    'ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f',
  ],
  [
    '896 bits',
    ascii(LONG),
    '8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018501d289e4900f7e4331b99dec4b5433ac7d329eeb6dd26545e96e55b874be909',
  ],
  [
    'a million a',
    ascii('a'.repeat(1_000_000)),
    'e718483d0ce769644e2e42c7bc15b4638e1f98b13b2044285632a803afa973ebde0ff244877ea60a4cb0432ce577c31beb009c5c2c49aa2e4eadb217ad8cc09b',
  ],
];

/** Around every place where the number of blocks or the padding changes, and around the staging size. */
const BOUNDARIES = [
  0, 1, 54, 55, 63, 64, 65, 71, 72, 73, 110, 111, 112, 113, 127, 128, 129, 143, 144, 145,
].concat([239, 240, 255, 256, 257, 1000, 64511, 64512, 64513, 129024, 129025, 200_000]);

describe.each(cores)('hashes, %s', (_engine, core) => {
  it.each(SHA3_512)('SHA3-512 known answer: %s', (_name, data, want) => {
    expect(hex(core.sha3_512(data))).toBe(want);
  });

  it.each(SHA512)('SHA-512 known answer: %s', (_name, data, want) => {
    expect(hex(core.sha512(data))).toBe(want);
  });

  it('agrees with OpenSSL at every block, padding and staging boundary', () => {
    for (const size of BOUNDARIES) {
      const data = new Uint8Array(size).map((_, i) => i * 31 + size);
      expect(hex(core.sha3_512(data)), `sha3 of ${size}`).toBe(native('sha3-512', data));
      expect(hex(core.sha512(data)), `sha512 of ${size}`).toBe(native('sha512', data));
    }
  });

  it('agrees with OpenSSL and noble on random input', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 700 }), (data) => {
        expect(hex(core.sha3_512(data))).toBe(native('sha3-512', data));
        expect(hex(core.sha3_512(data))).toBe(hex(nobleSha3(data)));
        expect(hex(core.sha512(data))).toBe(native('sha512', data));
        expect(hex(core.sha512(data))).toBe(hex(nobleSha512(data)));
      }),
    );
  });

  it('hashes a batch in its rounds and truncated forms', () => {
    const form = fc.record({
      rounds: fc.integer({ min: 1, max: 4 }),
      keepBytes: fc.integer({ min: 1, max: 64 }),
    });
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 6 }), form, (messages, f) => {
        for (const [name, batch] of [
          ['sha3-512', core.sha3_512Batch(messages, f)],
          ['sha512', core.sha512Batch(messages, f)],
        ] as const) {
          const want = messages.map((m) => {
            let digest = Buffer.from(m);
            for (let i = 0; i < f.rounds; i++) digest = createHash(name).update(digest).digest();
            return digest.subarray(0, f.keepBytes);
          });
          expect(hex(batch)).toBe(Buffer.concat(want).toString('hex'));
        }
      }),
      { numRuns: 50 },
    );
  });

  it('returns arrays of its own: a later call does not change an earlier result', () => {
    const first = core.sha3_512(ascii('abc'));
    const before = hex(first);
    core.sha3_512(ascii('something else'));
    core.sha512Batch([ascii('x'), ascii('y')]);
    expect(hex(first)).toBe(before);
  });

  it('refuses what is not bytes and forms that do not exist', () => {
    expect(() => core.sha3_512('abc' as unknown as Uint8Array)).toThrow(TypeError);
    expect(() => core.sha512([1, 2] as unknown as Uint8Array)).toThrow(TypeError);
    expect(() => core.sha3_512Batch([null as unknown as Uint8Array])).toThrow(TypeError);
    expect(() => core.sha3_512Batch([], { rounds: 0 })).toThrow(RangeError);
    expect(() => core.sha3_512Batch([], { keepBytes: 65 })).toThrow(RangeError);
    expect(() => core.sha512Batch([], { rounds: 1.5 })).toThrow(RangeError);
  });
});

describe('the functions on top', () => {
  it('answer at once, without anything awaited', () => {
    expect(hex(sha3_512(ascii('abc')))).toBe(SHA3_512[1]![2]);
    expect(hex(sha512(ascii('abc')))).toBe(SHA512[1]![2]);
  });
});
