import {
  CuckooFilter,
  type CuckooTag,
  cuckooTag,
  DecodeError,
  decodeAttachEvent,
  decodeDetachEvent,
  EventType,
} from '../wire/index.js';

/**
 * Items of all *other* filters of a connection beyond which a further attach is ignored (docs/protocol/04 §1.2).
 * The filter being replaced does not count, and neither does the new one, so 500 or more stay possible.
 */
export const subscriptionItemsMax = 500;

/**
 * Buckets of one filter: 4,096 hold about 15,000 contacts in 64 KiB, the most memory a filter may cost a
 * connection.
 */
export const subscriptionBucketsMax = 4096;

/** Event types a filter may be attached for (04 §1.1); the reference stores any i32 and never uses it. */
export const SUBSCRIPTION_TYPES: readonly number[] = [
  EventType.keepAlive,
  EventType.transactionFrom,
  EventType.transactionTo,
  EventType.balance,
];

/** What became of an attachEvent. None of the refusals is answered, and the connection stays (04 §1.2). */
export type AttachOutcome =
  | { readonly kind: 'attached'; readonly type: number; readonly items: number }
  | {
      readonly kind: 'refused';
      readonly type: number;
      readonly reason: 'type' | 'quota' | 'filter' | 'memory';
    };

/**
 * The event filters of one connection (04 §1): one per type, gone with the connection. Decides and stores, knows
 * no socket.
 */
export class Subscriptions {
  readonly #filters = new Map<number, Attached>();
  readonly #types: ReadonlySet<number>;

  /**
   * `types`: what may be attached; replaced only to look at the reference's behaviour with other types. `itemBytes`:
   * memory that an item costs besides its filter, where somebody finds connections by item.
   */
  constructor(
    types: Iterable<number> = SUBSCRIPTION_TYPES,
    private readonly itemBytes = 0,
  ) {
    this.#types = new Set(types);
  }

  /** Types that have a filter, in order of first attach. */
  get types(): readonly number[] {
    return [...this.#filters.keys()];
  }

  /** Items of all filters together, counted from what they hold. */
  get items(): number {
    let n = 0;
    for (const { filter } of this.#filters.values()) n += filter.count;
    return n;
  }

  /** Bytes of all filters together, as they came. */
  get bytes(): number {
    let n = 0;
    for (const { bytes } of this.#filters.values()) n += bytes;
    return n;
  }

  /** Every tag in any of the filters, some of them several times. */
  *tags(): IterableIterator<number> {
    for (const { filter } of this.#filters.values()) yield* filter.tags();
  }

  /**
   * Takes an attachEvent payload (04 §1.2). `roomBytes`: by so much the filters may grow. The new filter replaces the one of its type; a filter that does not
   * parse leaves the old one in place.
   *
   * @throws DecodeError when type or length of the message are missing or negative.
   */
  attach(payload: Uint8Array, roomBytes = Number.POSITIVE_INFINITY): AttachOutcome {
    const { type, filter } = decodeAttachEvent(payload);
    if (!this.#types.has(type)) return { kind: 'refused', type, reason: 'type' };
    const others = this.items - (this.filter(type)?.count ?? 0);
    if (others > subscriptionItemsMax) return { kind: 'refused', type, reason: 'quota' };
    const parsed = parse(filter);
    if (parsed === null) return { kind: 'refused', type, reason: 'filter' };
    const bytes = bucketBytes * parsed.buckets + this.itemBytes * parsed.count;
    if (bytes - (this.#filters.get(type)?.bytes ?? 0) > roomBytes)
      return { kind: 'refused', type, reason: 'memory' };
    this.#filters.set(type, { filter: parsed, bytes });
    return { kind: 'attached', type, items: parsed.count };
  }

  /**
   * Takes a detachEvent payload (04 §1.3): type −1 removes every filter, a type without item its filter, a type
   * with an item that item. True when something was removed. Throws DecodeError.
   */
  detach(payload: Uint8Array): boolean {
    const { type, item } = decodeDetachEvent(payload);
    if (type === EventType.all) {
      const any = this.#filters.size > 0;
      this.#filters.clear();
      return any;
    }
    if (item === null) return this.#filters.delete(type);
    return this.filter(type)?.delete(item) ?? false;
  }

  /** True when the filter of that type holds the item, a raw address without checksum (04, head). */
  has(type: number, item: Uint8Array): boolean {
    return this.hasTag(type, cuckooTag(item));
  }

  /** {@link has} for an item hashed once and looked up on many connections. */
  hasTag(type: number, tag: CuckooTag): boolean {
    return this.filter(type)?.hasTag(tag) ?? false;
  }

  /** The filter of a type. */
  filter(type: number): CuckooFilter | undefined {
    return this.#filters.get(type)?.filter;
  }
}

/** Of a bucket: four slots of four bytes. */
const bucketBytes = 16;

interface Attached {
  readonly filter: CuckooFilter;
  /** What it was counted with when it came; items deleted since stay counted. */
  readonly bytes: number;
}

function parse(bytes: Uint8Array): CuckooFilter | null {
  try {
    const f = CuckooFilter.decode(bytes, 'attachEvent.filter');
    return f.buckets <= subscriptionBucketsMax ? f : null;
  } catch (e) {
    if (e instanceof DecodeError) return null;
    throw e;
  }
}
