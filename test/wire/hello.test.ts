import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  DecodeError,
  decodeHello,
  decodeHelloData,
  encodeHello,
  encodeHelloData,
  fromHex,
  type Hello,
  type HelloData,
  helloPreimage,
  NETWORKS,
  toHex,
} from '../../src/wire/index.js';
import { fuzzSeed, generator, mutated } from './support.js';

const hello: Hello = {
  version: 6,
  address: new Uint8Array(45).fill(1),
  testFlag: false,
  nodeType: 'R',
  productVersion: 'starling-0.1.0',
  deviceId: Uint8Array.of(1),
  publicKey: new Uint8Array(528).fill(3),
  port: 10235,
  timestamp: 1767225600,
  signature: new Uint8Array(512).fill(4),
  challenge: 305419896,
};
const { challenge: _challenge, ...common } = hello;
const helloData: HelloData = {
  ...common,
  lastBlock: 5_900_000,
  lastBlockChecksum: new Uint8Array(64).fill(9),
  lastBlockVersion: 12,
  yourAddress: '192.0.2.99:10235',
};

function refusal(f: () => unknown): Pick<DecodeError, 'code' | 'field' | 'offset'> {
  try {
    f();
  } catch (e) {
    if (e instanceof DecodeError) return { code: e.code, field: e.field, offset: e.offset };
    throw e;
  }
  throw new Error('taken');
}

describe('hello', () => {
  it('signs over the pre-image of the specification', () => {
    // docs/protocol/03 §3.4, example.
    const preimage = helloPreimage({
      lock: NETWORKS.main.lock,
      deviceId: Uint8Array.of(1),
      timestamp: 1767225600,
      endpoint: '203.0.113.7:10235',
      challenge: 305419896,
    });
    expect(toHex(preimage)).toBe('497869616e0100b9556900000000113230332e302e3131332e373a313032333578563412');
  });

  it('comes back as it was', () => {
    const bytes = (max: number, min = 0) => fc.uint8Array({ minLength: min, maxLength: max });
    fc.assert(
      fc.property(
        fc.record({
          version: fc.integer({ min: 6, max: 2 ** 31 - 1 }),
          address: bytes(70, 1),
          testFlag: fc.boolean(),
          nodeType: fc.constantFrom('M', 'H', 'R', 'C', 'W', 'X'),
          productVersion: fc.string({ maxLength: 20 }),
          deviceId: bytes(32),
          publicKey: bytes(1023, 1),
          port: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
          timestamp: fc.maxSafeInteger(),
          signature: bytes(512),
          challenge: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
        }),
        (h) => {
          expect(decodeHello(encodeHello(h))).toEqual(h);
        },
      ),
      { numRuns: 100 },
    );
    expect(decodeHelloData(encodeHelloData(helloData))).toEqual(helloData);
    const unknown = { ...helloData, lastBlockChecksum: null };
    expect(decodeHelloData(encodeHelloData(unknown))).toEqual(unknown);
  });

  it('owns its bytes: the payload may be reused', () => {
    const payload = encodeHello(hello);
    const decoded = decodeHello(payload);
    payload.fill(0);
    expect(decoded).toEqual(hello);
  });

  it('says which field broke which rule, and where', () => {
    const of = (h: Partial<Hello>) => refusal(() => decodeHello(encodeHello({ ...hello, ...h })));
    expect(of({ version: 5 })).toEqual({ code: 'RANGE', field: 'hello.version', offset: 0 });
    expect(of({ version: 2 ** 31 })).toEqual({ code: 'RANGE', field: 'hello.version', offset: 0 });
    expect(of({ address: new Uint8Array(71) })).toEqual({
      code: 'TOOLONG',
      field: 'hello.address',
      offset: 1,
    });
    expect(of({ address: new Uint8Array(0) })).toEqual({ code: 'EMPTY', field: 'hello.address', offset: 1 });
    expect(of({ productVersion: 'x'.repeat(21) })).toEqual({
      code: 'TOOLONG',
      field: 'hello.productVersion',
      offset: 49,
    });
    expect(of({ deviceId: new Uint8Array(33) })).toMatchObject({ code: 'TOOLONG', field: 'hello.deviceId' });
    expect(of({ publicKey: new Uint8Array(1024) })).toMatchObject({
      code: 'TOOLONG',
      field: 'hello.publicKey',
    });
    expect(of({ publicKey: new Uint8Array(0) })).toMatchObject({ code: 'EMPTY', field: 'hello.publicKey' });
    expect(of({ port: 2 ** 31 })).toMatchObject({ code: 'RANGE', field: 'hello.port' });
    expect(of({ challenge: -1 })).toMatchObject({ code: 'BADLEAD', field: 'hello.challenge' });
    expect(of({ challenge: 2 ** 31 })).toMatchObject({ code: 'RANGE', field: 'hello.challenge' });
  });

  it('counts the product version in UTF-16 code units', () => {
    const twenty = '\u{1f426}'.repeat(10);
    expect(decodeHello(encodeHello({ ...hello, productVersion: twenty })).productVersion).toBe(twenty);
    expect(refusal(() => decodeHello(encodeHello({ ...hello, productVersion: `${twenty}x` })))).toMatchObject(
      {
        code: 'TOOLONG',
        field: 'hello.productVersion',
      },
    );
  });

  it('keeps what follows the last field for extensions and lives without field 14', () => {
    expect(decodeHello(Uint8Array.from([...encodeHello(hello), 1, 2, 3]))).toEqual({
      ...hello,
      trailing: Uint8Array.of(1, 2, 3),
    });
    const whole = encodeHelloData({ ...helloData, yourAddress: '' });
    expect(decodeHelloData(whole.slice(0, -1)).yourAddress).toBeNull();
    const broken = whole.slice();
    broken[broken.length - 1] = 40;
    expect(decodeHelloData(broken).yourAddress).toBeNull();
  });

  it('throws nothing but DecodeError on damaged payloads', () => {
    const seed = fuzzSeed();
    const random = generator(seed);
    const good = [encodeHello(hello), encodeHelloData(helloData)];
    for (let i = 0; i < 2000; i++) {
      const bytes = mutated(random, good[i % 2]!);
      for (const decode of [decodeHello, decodeHelloData]) {
        try {
          decode(bytes);
        } catch (e) {
          expect(e, `seed ${seed}, round ${i}: ${toHex(bytes)}`).toBeInstanceOf(DecodeError);
        }
      }
    }
    expect(() => decodeHello(fromHex(''))).toThrow(DecodeError);
  });
});
