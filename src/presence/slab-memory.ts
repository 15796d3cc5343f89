/** Bytes of a segment: far below the largest buffer of any supported runtime (4 GiB in Node 20). */
export const slabSegmentBytes = 64 * 1024 * 1024;
/** Bytes of a page: all slots of a page have one size, and an emptied page may take any other size. */
export const slabPageBytes = 64 * 1024;
/** Slots are multiples of this: a reference counts in these units, so 32 bits reach 64 GiB. */
export const slabUnitBytes = 16;
/** Largest record: one page. */
export const slabRecordBytesMax = slabPageBytes;
/** Sizes up to this have a class per unit, above it a class per number of slots that fit a page. */
const finelyClassedBytes = 2048;
/** Free slots of a class beyond two pages' worth, as a part of all its slots, at which a page is cleared. */
const looseSlotsPart = 1 / 32;

const pagesPerSegment = slabSegmentBytes / slabPageBytes;
const unitsPerPage = slabPageBytes / slabUnitBytes;
const unitsPerSegment = slabSegmentBytes / slabUnitBytes;
/** In the place of the owner: the slot is free. */
const freeMark = 0xffff_ffff;
const noPage = 0xffff_ffff;
const noSlot = 0xffff;

interface SizeClass {
  readonly slotBytes: number;
  readonly slotsPerPage: number;
  /** Slots of all pages of the class, and how many of them are free. */
  slots: number;
  free: number;
  /** First page with a free slot. */
  firstPage: number;
}

interface Segment {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  freePages: number;
}

const fineClasses = finelyClassedBytes / slabUnitBytes;
const coarseClasses = Math.floor((slabPageBytes - 1) / finelyClassedBytes);

function makeClasses(): SizeClass[] {
  const make = (slotBytes: number): SizeClass => ({
    slotBytes,
    slotsPerPage: Math.floor(slabPageBytes / slotBytes),
    slots: 0,
    free: 0,
    firstPage: noPage,
  });
  const fine = Array.from({ length: fineClasses }, (_, i) => make((i + 1) * slabUnitBytes));
  const coarse = Array.from({ length: coarseClasses }, (_, i) => {
    const slots = coarseClasses - i;
    return make(Math.floor(slabPageBytes / slots / slabUnitBytes) * slabUnitBytes);
  });
  return [...fine, ...coarse];
}

function classFor(size: number): number {
  if (size <= finelyClassedBytes) return Math.max(0, Math.ceil(size / slabUnitBytes) - 1);
  let slots = Math.floor(slabPageBytes / size);
  // A slot is rounded down to whole units, so the size may just not fit the even share.
  while (Math.floor(slabPageBytes / slots / slabUnitBytes) * slabUnitBytes < size) slots--;
  return fineClasses + coarseClasses - slots;
}

/** Bytes of the slot that a record of `size` bytes takes. */
export function slotBytesFor(size: number): number {
  if (size <= finelyClassedBytes) return Math.max(1, Math.ceil(size / slabUnitBytes)) * slabUnitBytes;
  let slots = Math.floor(slabPageBytes / size);
  while (Math.floor(slabPageBytes / slots / slabUnitBytes) * slabUnitBytes < size) slots--;
  return Math.floor(slabPageBytes / slots / slabUnitBytes) * slabUnitBytes;
}

/** What the pages know of themselves; grows with the segments, a few bytes for every 64 KiB. */
class PageTable {
  classOf = new Uint8Array(0);
  live = new Uint16Array(0);
  /** First free slot; the next one stands in the slot. */
  firstFree = new Uint16Array(0);
  /** Slots from here on were never used: a new page is not touched before it is needed. */
  fresh = new Uint16Array(0);
  prev = new Uint32Array(0);
  next = new Uint32Array(0);

  grow(pages: number): void {
    const wider = <T extends Uint8Array | Uint16Array | Uint32Array>(from: T, to: T): T => {
      to.set(from);
      return to;
    };
    this.classOf = wider(this.classOf, new Uint8Array(pages).fill(unused));
    this.live = wider(this.live, new Uint16Array(pages));
    this.firstFree = wider(this.firstFree, new Uint16Array(pages));
    this.fresh = wider(this.fresh, new Uint16Array(pages));
    this.prev = wider(this.prev, new Uint32Array(pages));
    this.next = wider(this.next, new Uint32Array(pages));
  }
}

/** Class of a page that belongs to none. */
const unused = 255;

/**
 * Records as bytes in segments of 64 MiB. A page of 64 KiB holds slots of one size; pages that run empty
 * return to a common pool, and a class that became loose is tightened one page at a time, so that memory
 * follows what is stored even when its sizes change, without ever stopping for long. The first four bytes of
 * every record name its owner (below 2^32−1), who is told when the record moves.
 *
 * References are valid until the record is freed or `moved` names another one: {@link free} may move others.
 */
export class Slab {
  readonly #segments: (Segment | null)[] = [];
  readonly #classes = makeClasses();
  readonly #pages = new PageTable();
  /** Pages that hold nothing; the last one is taken first, so what was touched already is used again. */
  readonly #pool: number[] = [];
  #moved = 0;
  #usedBytes = 0;

  constructor(private readonly moved: (owner: number, ref: number) => void) {}

  /** Bytes of all segments held. Untouched pages of the last one cost no memory. */
  get segmentBytes(): number {
    let held = 0;
    for (const s of this.#segments) if (s !== null) held += slabSegmentBytes;
    return held;
  }

  /** Bytes of the slots that hold a record. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Bytes of pages that hold records. */
  get pageBytes(): number {
    let free = 0;
    for (const s of this.#segments) free += s?.freePages ?? pagesPerSegment;
    return (this.#segments.length * pagesPerSegment - free) * slabPageBytes;
  }

  /** Records moved so far to keep the slab tight. */
  get movedRecords(): number {
    return this.#moved;
  }

  /** The segment a record lies in; its place there is {@link offset}. */
  bytes(ref: number): Uint8Array {
    return this.#segments[Math.floor(ref / unitsPerSegment)]!.bytes;
  }

  /** As {@link bytes}, for numbers. */
  view(ref: number): DataView {
    return this.#segments[Math.floor(ref / unitsPerSegment)]!.view;
  }

  /** Where a record begins in its segment. */
  offset(ref: number): number {
    return (ref % unitsPerSegment) * slabUnitBytes;
  }

  /** True when a record of `size` bytes would lie in slots of the size that `ref` has. */
  fits(ref: number, size: number): boolean {
    return this.#pages.classOf[Math.floor(ref / unitsPerPage)] === classFor(size);
  }

  /**
   * Room for `size` bytes, of which the first four are set to `owner`; the rest is whatever lay there.
   *
   * @throws RangeError when a record would not fit a page
   */
  alloc(size: number, owner: number): number {
    if (size > slabRecordBytesMax) throw new RangeError(`a record of ${size} bytes`);
    const index = classFor(size);
    this.#usedBytes += this.#classes[index]!.slotBytes;
    return this.#take(index, owner);
  }

  #take(index: number, owner: number): number {
    const c = this.#classes[index]!;
    if (c.firstPage === noPage) this.#addPage(index);
    const page = c.firstPage;
    const { live, firstFree, fresh } = this.#pages;
    const first = page * unitsPerPage;
    const unitsPerSlot = c.slotBytes / slabUnitBytes;
    let slot = firstFree[page]!;
    let ref: number;
    if (slot === noSlot) {
      slot = fresh[page]!;
      fresh[page] = slot + 1;
      ref = first + slot * unitsPerSlot;
    } else {
      ref = first + slot * unitsPerSlot;
      firstFree[page] = this.view(ref).getUint16(this.offset(ref) + 4, true);
    }
    this.view(ref).setUint32(this.offset(ref), owner, true);
    live[page] = live[page]! + 1;
    c.free--;
    if (live[page] === c.slotsPerPage) this.#unlink(c, page);
    return ref;
  }

  /** Gives the record's room back. Other records may move, each one being told. */
  free(ref: number): void {
    const page = Math.floor(ref / unitsPerPage);
    const index = this.#pages.classOf[page]!;
    const c = this.#classes[index]!;
    const { live, firstFree } = this.#pages;
    this.#usedBytes -= c.slotBytes;
    const at = this.offset(ref);
    const view = this.view(ref);
    view.setUint32(at, freeMark, true);
    view.setUint16(at + 4, firstFree[page]!, true);
    firstFree[page] = ((ref - page * unitsPerPage) * slabUnitBytes) / c.slotBytes;
    if (live[page] === c.slotsPerPage) this.#link(c, page);
    live[page] = live[page]! - 1;
    c.free++;
    if (live[page] === 0) this.#releasePage(c, page);
    else if (c.free > 2 * c.slotsPerPage + c.slots * looseSlotsPart) this.#tighten(index, c);
  }

  /** Empties the page of the class that holds least into the others. */
  #tighten(index: number, c: SizeClass): void {
    const { classOf, live, next, fresh } = this.#pages;
    let victim = noPage;
    // Only pages with a free slot are in the list, and only those can be emptier than the rest.
    for (let p = c.firstPage; p !== noPage; p = next[p]!)
      if (victim === noPage || live[p]! < live[victim]!) victim = p;
    if (victim === noPage || classOf[victim] !== index) return;
    this.#unlink(c, victim);
    const unitsPerSlot = c.slotBytes / slabUnitBytes;
    const used = fresh[victim]!;
    for (let slot = 0; slot < used; slot++) {
      const from = victim * unitsPerPage + slot * unitsPerSlot;
      const owner = this.view(from).getUint32(this.offset(from), true);
      if (owner === freeMark) continue;
      const to = this.#take(index, owner);
      const at = this.offset(from);
      this.bytes(to).set(this.bytes(from).subarray(at, at + c.slotBytes), this.offset(to));
      this.moved(owner, to);
      this.#moved++;
      live[victim] = live[victim]! - 1;
      c.free++;
    }
    this.#link(c, victim);
    this.#releasePage(c, victim);
  }

  #link(c: SizeClass, page: number): void {
    const { prev, next } = this.#pages;
    prev[page] = noPage;
    next[page] = c.firstPage;
    if (c.firstPage !== noPage) prev[c.firstPage] = page;
    c.firstPage = page;
  }

  #unlink(c: SizeClass, page: number): void {
    const { prev, next } = this.#pages;
    const before = prev[page]!;
    const after = next[page]!;
    if (before === noPage) c.firstPage = after;
    else next[before] = after;
    if (after !== noPage) prev[after] = before;
  }

  #addPage(index: number): void {
    const c = this.#classes[index]!;
    if (this.#pool.length === 0) this.#addSegment();
    const page = this.#pool.pop()!;
    const p = this.#pages;
    p.classOf[page] = index;
    p.live[page] = 0;
    p.firstFree[page] = noSlot;
    p.fresh[page] = 0;
    c.slots += c.slotsPerPage;
    c.free += c.slotsPerPage;
    this.#segments[Math.floor(page / pagesPerSegment)]!.freePages--;
    this.#link(c, page);
  }

  #releasePage(c: SizeClass, page: number): void {
    this.#unlink(c, page);
    c.slots -= c.slotsPerPage;
    c.free -= c.slotsPerPage;
    this.#pages.classOf[page] = unused;
    const at = Math.floor(page / pagesPerSegment);
    const segment = this.#segments[at]!;
    segment.freePages++;
    this.#pool.push(page);
    // One empty segment stays, so that a store that breathes around a boundary does not thrash.
    if (segment.freePages === pagesPerSegment && this.#pool.length >= 2 * pagesPerSegment)
      this.#dropSegment(at);
  }

  #addSegment(): void {
    let at = this.#segments.indexOf(null);
    if (at < 0) {
      at = this.#segments.length;
      this.#pages.grow((at + 1) * pagesPerSegment);
    }
    const bytes = new Uint8Array(slabSegmentBytes);
    this.#segments[at] = { bytes, view: new DataView(bytes.buffer), freePages: pagesPerSegment };
    for (let p = pagesPerSegment - 1; p >= 0; p--) this.#pool.push(at * pagesPerSegment + p);
  }

  #dropSegment(at: number): void {
    this.#segments[at] = null;
    const kept = this.#pool.filter((p) => Math.floor(p / pagesPerSegment) !== at);
    this.#pool.length = 0;
    for (const p of kept) this.#pool.push(p);
  }
}
