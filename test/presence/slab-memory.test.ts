import { describe, expect, it } from 'vitest';
import { Slab, slabPageBytes, slabRecordBytesMax, slabSegmentBytes } from '../../src/presence/slab-memory.js';
import { seededRandom } from '../support/random.js';

/** A slab whose records are filled with a byte of their own, so that none may overlap another. */
class Filled {
  readonly records = new Map<number, { ref: number; size: number }>();
  readonly slab = new Slab((owner, ref) => {
    this.records.get(owner)!.ref = ref;
  });
  #next = 0;

  add(size: number): number {
    const owner = this.#next++;
    const ref = this.slab.alloc(size, owner);
    const at = this.slab.offset(ref);
    this.slab.bytes(ref).fill(owner & 255, at + 4, at + size);
    this.records.set(owner, { ref, size });
    return owner;
  }

  remove(owner: number): void {
    const { ref } = this.records.get(owner)!;
    this.records.delete(owner);
    this.slab.free(ref);
  }

  get bytes(): number {
    let sum = 0;
    for (const r of this.records.values()) sum += r.size;
    return sum;
  }

  damaged(): number[] {
    return [...this.records]
      .filter(([owner, { ref, size }]) => {
        const at = this.slab.offset(ref);
        if (this.slab.view(ref).getUint32(at, true) !== owner) return true;
        return this.slab
          .bytes(ref)
          .subarray(at + 4, at + size)
          .some((b) => b !== (owner & 255));
      })
      .map(([owner]) => owner);
  }
}

describe('slab', () => {
  it('keeps every record whole while others come, go and move', () => {
    const seed = Number(process.env.SEED ?? Date.now() & 0x7fff_ffff);
    console.log(`slab: SEED=${seed}`);
    const random = seededRandom(seed);
    const filled = new Filled();
    const sizes = [16, 17, 500, 590, 2048, 2049, 5000, 21_845, 30_000, slabRecordBytesMax];
    for (let round = 0; round < 6; round++) {
      // Sizes change from round to round, and so do the classes that hold most.
      const usual = sizes[Math.floor(random() * sizes.length)]!;
      for (let i = 0; i < 600; i++)
        filled.add(random() < 0.7 ? usual : Math.max(8, Math.floor(random() * 4000)));
      for (const owner of [...filled.records.keys()]) if (random() < 0.6) filled.remove(owner);
      expect(filled.damaged()).toEqual([]);
    }
    for (const owner of [...filled.records.keys()]) filled.remove(owner);
    expect(filled.slab.pageBytes).toBe(0);
  });

  it('wastes at most a few per cent on records of one size, after growth as after loss', () => {
    const filled = new Filled();
    for (let i = 0; i < 30_000; i++) filled.add(592);
    expect(filled.slab.pageBytes / filled.bytes).toBeLessThan(1.01);
    // Every third stays: a third of the pages would do.
    for (const owner of [...filled.records.keys()]) if (owner % 3 !== 0) filled.remove(owner);
    expect(filled.damaged()).toEqual([]);
    expect(filled.slab.movedRecords).toBeGreaterThan(1000);
    expect(filled.slab.pageBytes / filled.bytes).toBeLessThan(1.08);
  });

  it('gives room that became free to records of any other size, and segments back', () => {
    const filled = new Filled();
    const mostly = slabSegmentBytes * 2.5;
    for (let used = 0; used < mostly; used += 4096) filled.add(4096);
    expect(filled.slab.segmentBytes).toBe(3 * slabSegmentBytes);
    for (const owner of [...filled.records.keys()]) filled.remove(owner);
    expect(filled.slab.segmentBytes).toBe(slabSegmentBytes);
    for (let used = 0; used < slabSegmentBytes - slabPageBytes; used += 8192) filled.add(8000);
    expect(filled.slab.segmentBytes).toBe(slabSegmentBytes);
  });

  it('takes records up to a page and none beyond', () => {
    const filled = new Filled();
    filled.add(slabRecordBytesMax);
    expect(() => filled.add(slabRecordBytesMax + 1)).toThrow(RangeError);
    expect(filled.slab.pageBytes).toBe(slabPageBytes);
  });

  it('knows which sizes share a kind of slot', () => {
    const filled = new Filled();
    const ref = filled.slab.alloc(590, 0);
    expect([576, 577, 592, 593].map((size) => filled.slab.fits(ref, size))).toEqual([
      false,
      true,
      true,
      false,
    ]);
  });
});
