import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  concatBytes,
  DecodeError,
  decodeInventory2,
  decodeInventoryItem,
  encodeInventory2,
  encodeInventoryItem,
  fromHex,
  type InventoryItem,
  inventoryBatches,
  itemKey,
  toHex,
} from '../../src/wire/index.js';
import { fuzzSeed, generator, mutated } from './support.js';

const A0 = Uint8Array.from({ length: 33 }, (_, i) => i);
const keepAlive2: InventoryItem = { type: 5, lastSeen: 1767225600, address: A0, device: Uint8Array.of(1) };
const block: InventoryItem = { type: 1, hash: new Uint8Array(64).fill(7), block: 5_900_000 };

const hash = fc.uint8Array({ minLength: 1, maxLength: 64 });
const height = fc.nat(Number.MAX_SAFE_INTEGER);
const seen = fc.maxSafeInteger();
const address = fc
  .tuple(fc.constantFrom(0, 1, 2), fc.uint8Array({ minLength: 44, maxLength: 44 }))
  .map(([v, b]) => Uint8Array.of(v, ...b.subarray(0, v === 0 ? 32 : 44)));
const device = fc.uint8Array({ minLength: 1, maxLength: 32 });
const items: fc.Arbitrary<InventoryItem> = fc.oneof(
  fc.record({ type: fc.constant<0>(0), transactionId: hash }),
  fc.record({ type: fc.constant<1>(1), hash, block: height }),
  fc.record({ type: fc.constant<3>(3), hash, lastSeen: seen, address, device }),
  fc.record({ type: fc.constant<4>(4), solution: hash, block: height, blockHash: hash }),
  fc.record({ type: fc.constant<5>(5), lastSeen: seen, address, device }),
);

describe('inventory items', () => {
  it('are those of the specification', () => {
    // docs/protocol/04 §3.1, examples.
    const a = encodeInventoryItem(keepAlive2);
    const b = encodeInventoryItem(block);
    expect(toHex(a)).toBe(`05fd00b9556921${toHex(A0)}0101`);
    expect(toHex(itemKey(keepAlive2))).toBe(`000000006955b900${toHex(A0)}01`);
    expect(toHex(b)).toBe(`0140${'07'.repeat(64)}fde0065a00`);
    const message = encodeInventory2([a, b]);
    expect(message).toHaveLength(116);
    expect(toHex(message.subarray(0, 2))).toBe('022a');
    expect(decodeInventory2(message)).toEqual({ items: [keepAlive2, block], unknown: 0, malformed: 0 });
  });

  it('come back as they were', () => {
    fc.assert(
      fc.property(items, (i) => {
        expect(decodeInventoryItem(encodeInventoryItem(i))).toEqual(i);
      }),
      { numRuns: 300 },
    );
  });

  it('have a key that ignores nothing but the type', () => {
    const later = { ...keepAlive2, lastSeen: 1767225601 };
    expect(itemKey(later)).not.toEqual(itemKey(keepAlive2));
    expect(itemKey(block)).toBe(block.hash);
  });

  it('with a checksummed address count only when it matches, and lose it', () => {
    const checked = concatBytes(A0, fromHex('000000'));
    const encoded = encodeInventoryItem({ ...keepAlive2, address: checked });
    expect(() => decodeInventoryItem(encoded)).toThrow(expect.objectContaining({ code: 'CHECKSUM' }));
  });

  it('without device id are never written and never read', () => {
    expect(() => encodeInventoryItem({ ...keepAlive2, device: new Uint8Array(0) })).toThrow(RangeError);
    expect(() => decodeInventoryItem(fromHex(`05fd00b9556921${toHex(A0)}00`))).toThrow(
      expect.objectContaining({ code: 'EMPTY', field: 'inventory.device' }),
    );
  });

  it('of the old line know no type 5 and have no length limit', () => {
    expect(decodeInventoryItem(encodeInventoryItem(keepAlive2), '0.9.7')).toBeNull();
    const long = concatBytes(Uint8Array.of(0, 0xc8), new Uint8Array(200));
    expect(decodeInventoryItem(long, '0.9.7')).toEqual({ type: 0, transactionId: new Uint8Array(200) });
    expect(() => decodeInventoryItem(long)).toThrow(expect.objectContaining({ code: 'TOOLONG' }));
  });
});

describe('inventory2', () => {
  it('keeps the good items of a message with broken and unknown ones', () => {
    // A 0.9.8 master sends type 5 before type 1 (04 §3.3): nothing may be lost for it.
    const parts = [
      fromHex('0601aa'),
      encodeInventoryItem(keepAlive2),
      fromHex('05'),
      fromHex(''),
      encodeInventoryItem(block),
    ];
    expect(decodeInventory2(encodeInventory2(parts))).toEqual({
      items: [keepAlive2, block],
      unknown: 1,
      malformed: 2,
    });
  });

  it('reads 10,000 items and no more', () => {
    const one = fromHex('0001aa');
    const payload = concatBytes(
      fromHex('fc1127'),
      ...Array.from({ length: 10_001 }, () => fromHex('030001aa')),
    );
    expect(decodeInventory2(payload).items).toHaveLength(10_000);
    expect(() => encodeInventory2(Array.from({ length: 10_001 }, () => one))).toThrow(RangeError);
    expect(() =>
      encodeInventory2(
        Array.from({ length: 501 }, () => one),
        '0.9.7',
      ),
    ).toThrow(RangeError);
    expect(() => encodeInventory2([])).toThrow(RangeError);
  });

  it('is cut into batches, oldest first', () => {
    const queue = Array.from({ length: 1200 }, (_, i) => i);
    expect(inventoryBatches(queue, '0.9.7').map((b) => [b[0], b.length])).toEqual([
      [0, 500],
      [500, 500],
      [1000, 200],
    ]);
    expect(inventoryBatches([])).toEqual([]);
  });

  it('does not read past its end for a count that is a lie', () => {
    expect(() => decodeInventory2(fromHex('fdffffff7f'))).toThrow(DecodeError);
    expect(() => decodeInventory2(fromHex('0105aa'))).toThrow(
      expect.objectContaining({ code: 'EOF', field: 'inventory2.item', offset: 2 }),
    );
  });

  it('throws nothing but DecodeError on damaged payloads', () => {
    const seed = fuzzSeed();
    const random = generator(seed);
    const good = encodeInventory2([encodeInventoryItem(block), encodeInventoryItem(keepAlive2)]);
    for (let i = 0; i < 3000; i++) {
      const bytes = mutated(random, good);
      try {
        for (const item of decodeInventory2(bytes).items) itemKey(item);
      } catch (e) {
        expect(e, `seed ${seed}: ${toHex(bytes)}`).toBeInstanceOf(DecodeError);
      }
    }
  });
});
