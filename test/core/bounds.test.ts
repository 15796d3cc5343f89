import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  FrameTable,
  KeepAliveTable,
  PresenceAddressTable,
  PresenceTable,
  VarIntTable,
} from '../../src/core/index.js';
import { JsCore } from '../../src/core/js-core.js';
import { fromHex } from '../../src/wire/index.js';
import { bareModule } from './support/cores.js';

// Every kernel over input, and then over output, that ends with the memory: one byte read or written too far is a
// trap. The bytes in front are poison, so that a read before the input shows as a different answer.

const { x, bytes, words } = bareModule(4);
const END = bytes.length;
const base = x.arenaBase();
const js = new JsCore();

const vectors = JSON.parse(readFileSync(new URL('../vectors/05-presence.json', import.meta.url), 'utf8')) as {
  cases: { name: string; in: { bytes: string }; out: { bytes: string } }[];
};
const keepAlive = fromHex(vectors.cases.find((c) => c.name === 'keepalive/v2/main/w0-R')!.out.bytes);
const presence = fromHex(vectors.cases.find((c) => c.name === 'presence/decode/good')!.in.bytes);
const frame = fromHex('ea1a0009000000b5dc21db151d36102ddc2a7440c0');

/** Puts `data` at the very end and poison in front of it; returns its address. */
function atEnd(data: Uint8Array): number {
  const at = END - data.length;
  bytes.fill(0xea, at - 64, at);
  bytes.set(data, at);
  return at;
}

/** One item table at the arena's base. */
function item(data: Uint8Array): number {
  words[base / 4] = atEnd(data);
  words[base / 4 + 1] = data.length;
  return base;
}

const wordsAt = (address: number, count: number): number[] => [
  ...words.slice(address / 4, address / 4 + count),
];
/** Result tables, past the item table and in front of any input. */
const table = base + 64;

const prefixes = (data: Uint8Array): Uint8Array[] =>
  Array.from({ length: data.length + 1 }, (_, n) => data.slice(0, n));

describe('no kernel reads behind its input', () => {
  it('scanKeepAlives, over every prefix', () => {
    for (const data of prefixes(keepAlive)) {
      x.scanKeepAlives(item(data), 1, table);
      expect(wordsAt(table, KeepAliveTable.rowWords)).toEqual([...js.scanKeepAlives([data]).words]);
    }
  });

  it('scanKeepAlives, where a hostname that is cut inside a character ends the message', () => {
    for (const cut of [[0xc3], [0xe2], [0xe2, 0x82], [0xf0], [0xf0, 0x9f], [0xf0, 0x9f, 0x98]]) {
      const data = Uint8Array.of(2, 33, ...new Uint8Array(33), 1, 9, 5, cut.length, ...cut);
      x.scanKeepAlives(item(data), 1, table);
      expect(wordsAt(table, KeepAliveTable.rowWords)).toEqual([...js.scanKeepAlives([data]).words]);
    }
  });

  it('scanKeepAlives, over damaged and random input', () => {
    const noise = fc.uint8Array({ maxLength: 300 });
    const damaged = fc.tuple(fc.nat(600), fc.nat(120), fc.nat(255)).map(([cut, at, value]) => {
      const out = keepAlive.slice(0, Math.max(1, cut));
      out[at % out.length] = value;
      return out;
    });
    fc.assert(
      fc.property(
        fc.oneof(
          damaged,
          noise.map((n) => Uint8Array.of(2, ...n)),
        ),
        (data) => {
          x.scanKeepAlives(item(data), 1, table);
          expect(wordsAt(table, KeepAliveTable.rowWords)).toEqual([...js.scanKeepAlives([data]).words]);
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('scanPresences, over every prefix and damaged input', () => {
    const check = (data: Uint8Array): void => {
      const addresses = table + 64;
      const used = x.scanPresences(item(data), 1, table, addresses, 8);
      const want = js.scanPresences([data], 8);
      expect(wordsAt(table, PresenceTable.rowWords)).toEqual([...want.words]);
      expect(wordsAt(addresses, used * PresenceAddressTable.rowWords)).toEqual([...want.addresses.words]);
    };
    for (const data of prefixes(presence)) check(data);
    fc.assert(
      fc.property(fc.nat(1200), fc.nat(700), fc.nat(255), (cut, at, value) => {
        const data = presence.slice(0, Math.max(1, cut));
        data[at % data.length] = value;
        check(data);
      }),
      { numRuns: 500 },
    );
  });

  it('scanFrames, over every prefix and random input, both ways of going on', () => {
    const check = (data: Uint8Array, rescan: boolean): void => {
      const rows = x.scanFrames(atEnd(data), data.length, 2, rescan ? 1 : 0, table + 16, 1024, table);
      const want = js.scanFrames(data, { timeRecords: 2, rescan });
      expect(wordsAt(table + 16, rows * FrameTable.rowWords)).toEqual([...want.words]);
      expect(wordsAt(table, 3)).toEqual([want.consumed, want.timeRecords, want.missingBytes]);
    };
    const stream = Uint8Array.of(2, 1, 2, 3, 4, 5, 6, 7, 8, 1, ...frame, 1, ...frame);
    for (const data of prefixes(stream)) for (const rescan of [false, true]) check(data, rescan);
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.constantFrom(0xea, 2, 1, 0), fc.nat(255)), { maxLength: 60 }),
        fc.boolean(),
        (data, rescan) => check(Uint8Array.from(data), rescan),
      ),
      { numRuns: 1000 },
    );
  });

  it('decodeVarInts, over every short input of lead bytes', () => {
    for (const lead of [0, 0xf7, 0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff]) {
      for (let size = 0; size < 10; size++) {
        const data = new Uint8Array(size).fill(lead);
        for (const signed of [true, false]) {
          const rows = x.decodeVarInts(atEnd(data), size, signed ? 1 : 0, table, 16);
          const want = js.decodeVarInts(data, { signed });
          expect(wordsAt(table, rows * VarIntTable.rowWords)).toEqual([...want.words]);
        }
      }
    }
  });

  it('hashes and CRC, at every length around their blocks', () => {
    for (let size = 0; size < 300; size++) {
      const data = new Uint8Array(size).map((_, i) => i * 7 + size);
      const at = atEnd(data);
      expect(x.crc32c(at, size, 0) >>> 0).toBe(js.crc32c(data));
      x.sha3Begin();
      x.sha3Finish(at, size, table);
      expect(bytes.slice(table, table + 64)).toEqual(js.sha3_512(data));
      x.sha512Begin();
      x.sha512Finish(at, size, table);
      expect(bytes.slice(table, table + 64)).toEqual(js.sha512(data));
    }
  });

  it('crcBatch, up to eight items of unequal lengths, each of them last', () => {
    const lengths = [0, 1, 7, 8, 9, 40, 300, 17];
    for (let count = 1; count <= lengths.length; count++)
      for (let last = 0; last < count; last++) {
        const messages = lengths.slice(0, count).map((length, i) => new Uint8Array(length).fill(i + 1));
        let at = table + 256;
        messages.forEach((message, i) => {
          const place = i === last ? atEnd(message) : at;
          bytes.set(message, place);
          words.set([place, message.length], base / 4 + 2 * i);
          if (i !== last) at += message.length + 3;
        });
        x.crcBatch(base, count, table);
        expect(wordsAt(table, count)).toEqual(messages.map((m) => js.crc32c(m)));
      }
  });

  it('rsaVerifyBatch, with modulus, signature or message last', () => {
    for (const size of [256, 257, 300, 384, 511, 512]) {
      const number = new Uint8Array(size).fill(0xfd);
      const at = atEnd(number);
      // modulus, signature, message, exponent: every address is the end of the memory.
      words.set([at, size, at, size, at, size, 3, 0], base / 4);
      bytes[table] = 9;
      x.rsaVerifyBatch(base, 1, table);
      expect(bytes[table]).toBe(0);
    }
  });
});

describe('no kernel writes behind its output', () => {
  const input = base + 2048;
  const put = (data: Uint8Array): number => {
    bytes.set(data, input);
    words[base / 4] = input;
    words[base / 4 + 1] = data.length;
    return base;
  };
  /** Runs with an output of `size` bytes at the end; the byte in front of it must stay. */
  function outputAtEnd(size: number, run: (out: number) => void): void {
    const out = END - size;
    bytes.fill(0x5a, out - 8);
    run(out);
    expect([...bytes.subarray(out - 8, out)]).toEqual(Array(8).fill(0x5a));
  }

  it('one row fits exactly its documented size', () => {
    outputAtEnd(KeepAliveTable.rowWords * 4, (out) => x.scanKeepAlives(put(keepAlive), 1, out));
    outputAtEnd(PresenceTable.rowWords * 4, (out) => x.scanPresences(put(presence), 1, out, base + 64, 4));
    outputAtEnd(PresenceAddressTable.rowWords * 4, (out) =>
      x.scanPresences(put(presence), 1, base + 64, out, 1),
    );
    outputAtEnd(FrameTable.rowWords * 4, (out) =>
      expect(x.scanFrames(input, put(frame) && frame.length, 0, 0, out, 1, base + 64)).toBe(1),
    );
    outputAtEnd(12, (out) => x.scanFrames(input, frame.length, 0, 0, base + 64, 1, out));
    outputAtEnd(VarIntTable.rowWords * 4, (out) => x.decodeVarInts(input, 9, 0, out, 1));
  });

  it('digests, truncated digests, checksums and verdicts take their bytes and no more', () => {
    outputAtEnd(64, (out) => {
      x.sha3Begin();
      x.sha3Finish(input, 100, out);
    });
    outputAtEnd(64, (out) => {
      x.sha512Begin();
      x.sha512Finish(input, 100, out);
    });
    outputAtEnd(10, (out) => x.sha3Batch(put(keepAlive), 1, 1, 10, out));
    outputAtEnd(44, (out) => x.sha512Batch(put(keepAlive), 1, 2, 44, out));
    outputAtEnd(4, (out) => x.crcBatch(put(keepAlive), 1, out));
    words.set([input, 9, input, 8, input, 0, input, 30, input, 1], base / 4);
    outputAtEnd(20, (out) => x.crcBatch(base, 5, out));
    x.scanKeepAlives(put(keepAlive), 1, base + 64);
    outputAtEnd(44, (out) => x.keepAliveChecksums(base, base + 64, 1, input, 5, out));
    words.set([input, 256, input, 256, input, 10, 3, 0], base / 4);
    bytes.fill(0xff, input, input + 256);
    outputAtEnd(1, (out) => x.rsaVerifyBatch(base, 1, out));
    bytes.fill(0x11, input + 512, input + 768);
    outputAtEnd(256, (out) => expect(x.rsaPower(input, 256, input + 512, 3, out)).toBe(1));
  });

  it('a full table stops a scan', () => {
    const many = new Uint8Array(40).map((_, i) => (i % 2 === 0 ? 0xea : 0x01));
    outputAtEnd(FrameTable.rowWords * 4 * 2, (out) => {
      expect(x.scanFrames(input, put(many) && many.length, 0, 1, out, 2, base + 64)).toBe(2);
    });
    outputAtEnd(VarIntTable.rowWords * 4 * 3, (out) => expect(x.decodeVarInts(input, 20, 0, out, 3)).toBe(3));
  });
});

describe('scratch', () => {
  it('traps rather than copying a preimage beyond its room', () => {
    x.scanKeepAlives(item(keepAlive), 1, table);
    expect(() => x.keepAliveChecksums(base, table, 1, base, 65, table + 64)).toThrow(
      WebAssembly.RuntimeError,
    );
    words[table / 4 + 15] = 1201;
    expect(() => x.keepAliveChecksums(base, table, 1, base, 5, table + 64)).toThrow(WebAssembly.RuntimeError);
  });
});
