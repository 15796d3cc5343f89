import { addressText, addressWithChecksum } from '../../identity/index.js';
import { SUBSCRIPTION_TYPES, Subscriptions } from '../../link/index.js';
import {
  ByteWriter,
  bytesEqual,
  Code,
  CuckooFilter,
  cuckooBuckets,
  cuckooIndexes,
  cuckooTag,
  decodeInventoryItem,
  encodeAttachEvent,
  encodeDetachEvent,
  encodeFrame,
  encodeGetKeepAlives,
  encodeInventory2,
  encodeInventoryItem,
  fromHex,
  type InventoryItem,
  inventoryBatches,
  inventoryItemsMaxOf,
  itemKey,
  type KeepAlivePair,
  keepAlivesPerMessageMax,
  type ProtocolLine,
  toHex,
  type WideKeepAlive2Item,
} from '../../wire/index.js';
import type { Answer, Family, Json, JsonObject, Outcome, VectorCase, VectorContext } from './case.js';
import { compareOut } from './case.js';
import {
  answer,
  attempt,
  big,
  bytes,
  bytesList,
  int,
  list,
  num,
  object,
  refusalLike,
  text,
} from './wire-fields.js';

type Runner = (c: VectorCase, ctx: VectorContext) => Answer | Outcome;

/** The line a case was observed on; both lines agree where it says `both`. */
const lineOf = (c: VectorCase): ProtocolLine => (c.line === '0.9.7' ? '0.9.7' : '0.9.8');

const outcome = (m: { path: string; detail: string } | null): Outcome =>
  m === null ? { kind: 'passed' } : { kind: 'failed', detail: `${m.path}: ${m.detail}` };

/** Longer empty filters are not written down in the files; their length is. */
const emptyFilterBytesShown = 22;

function buckets(c: VectorCase): Answer {
  const expected = num(c.in, 'expected');
  const filter = CuckooFilter.empty(expected).encode();
  return {
    out: {
      numBuckets: cuckooBuckets(expected),
      emptyFilter: filter.length > emptyFilterBytesShown ? null : toHex(filter),
      emptyLength: filter.length,
    },
  };
}

function tag(c: VectorCase): Answer {
  const t = cuckooTag(bytes(c.in, 'item'));
  const [i1, i2] = cuckooIndexes(t, num(c.in, 'numBuckets'));
  return { out: { tag: toHex(new ByteWriter(4).u32(t.tag).bytes()), i1, i2 } };
}

function build(c: VectorCase): Answer {
  let kicked = false;
  const filter = CuckooFilter.empty(num(c.in, 'expected'), () => {
    kicked = true;
    return 0;
  });
  const items = bytesList(c.in, 'items');
  for (const i of items) filter.add(i);
  const encoded = filter.encode();
  const again = CuckooFilter.decode(encoded);
  return {
    out: {
      bytes: toHex(encoded),
      numItems: filter.count,
      deterministic: !kicked,
      containsAll: items.every((i) => filter.has(i)),
      containsOthers: bytesList(c.in, 'others').map((i) => filter.has(i)),
      roundTrip: bytesEqual(again.encode(), encoded),
      reparsedContainsAll: items.every((i) => again.has(i)),
    },
    // Which slot is evicted is a matter of chance, so after a kick two right filters differ (README §3).
    ...(kicked ? { ignore: ['bytes'] } : {}),
  };
}

/** The words of the reference for the result of an add. */
const statusOf = (added: boolean): string => (added ? 'OK' : 'NotEnoughSpace');

function duplicateAdd(c: VectorCase): Answer {
  const filter = CuckooFilter.empty(num(c.in, 'expected'));
  const item = bytes(c.in, 'item');
  const status = Array.from({ length: num(c.in, 'times') }, () => statusOf(filter.add(item)));
  return { out: { status, numItems: filter.count, bytes: toHex(filter.encode()) } };
}

function overflowVictim(c: VectorCase): Answer {
  const filter = CuckooFilter.empty(num(c.in, 'expected'));
  const items = bytesList(c.in, 'items');
  const status = items.map((i) => statusOf(filter.add(i)));
  const encoded = filter.encode();
  return {
    out: {
      status,
      numItems: filter.count,
      victimLength: new DataView(encoded.buffer).getInt32(6, true),
      length: encoded.length,
      contains: items.map((i) => filter.has(i)),
    },
    // One possible result of random kicks (README §3).
    ignore: ['exampleBytes'],
  };
}

function overflowDelete(c: VectorCase, ctx: VectorContext): Answer {
  const filter = CuckooFilter.decode(bytes(c.in, 'filter'));
  filter.delete(bytes(c.in, 'deleted'));
  // The items are those of the case that filled the filter.
  const items = bytesList(ctx.find('04-events-inventory.json', 'cuckoo/overflow-victim').in, 'items');
  return {
    out: {
      // Not marked strict, other than delete-hole: `out` holds as it stands, with the reference's hole.
      bytes: toHex(filter.encode(true)),
      numItems: filter.count,
      contains: items.map((i) => filter.has(i)),
    },
  };
}

function deleteHole(c: VectorCase): Answer | Outcome {
  const filter = CuckooFilter.decode(bytes(c.in, 'filter'));
  const items = bytesList(c.in, 'items');
  filter.delete(bytes(c.in, 'deleted'));
  const encoded = filter.encode();
  const again = CuckooFilter.decode(encoded);
  const out = {
    numItems: filter.count,
    containsInMemory: items.map((i) => filter.has(i)),
    bytes: toHex(encoded),
    containsAfterReparse: items.map((i) => again.has(i)),
  };
  if (c.strict === undefined) return { out };
  // README §6, 04 §2.4: no hole is written, so that nothing is lost on the way.
  const { numItems, containsInMemory } = c.out;
  const kept = { numItems: numItems!, containsInMemory: containsInMemory! };
  return outcome(compareOut({ ...kept, containsAfterReparse: kept.containsInMemory }, out));
}

function deleteOther(c: VectorCase): Answer {
  const filter = CuckooFilter.decode(bytes(c.in, 'filter'));
  filter.delete(bytes(c.in, 'deleted'));
  if (c.in.added !== undefined) filter.add(bytes(c.in, 'added'));
  return { out: { numItems: filter.count, bytes: toHex(filter.encode()) } };
}

function parse(c: VectorCase): Answer | Outcome {
  const read = attempt(() => CuckooFilter.decode(bytes(c.in, 'filter')));
  if ('refused' in read) return { refused: read.refused.message };
  const filter = read.value;
  const out = {
    numItems: filter.count,
    containsItem: filter.has(bytes(c.in, 'item')),
    containsOther: filter.has(bytes(c.in, 'other')),
    reserialised: toHex(filter.encode()),
  };
  if (c.strict?.numItems === undefined) return { out };
  // README §6: the declared count is replaced by what is counted, also when written again.
  const { containsItem, containsOther } = c.out;
  const wanted = { numItems: c.strict.numItems, containsItem: containsItem!, containsOther: containsOther! };
  return outcome(compareOut(wanted, { ...out, numItems: CuckooFilter.decode(filter.encode()).count }));
}

function attachFilter(c: VectorCase): Answer {
  const table = new Subscriptions();
  const result = table.attach(bytes(c.in, 'payload'));
  if (result.kind === 'refused' && c.strict !== undefined) return { refused: result.reason };
  return { out: { subscribed: table.has(0, bytes(c.in, 'item')) } };
}

const framed = (code: number, payload: Uint8Array): Answer => ({
  out: { code, payload: toHex(payload), frame: toHex(encodeFrame(code, payload)) },
});

/** Types looked up after every step: one that exists, one that does not (README §4.2). */
const LOOKED_UP = [0, 7] as const;

interface Step {
  readonly error: Json;
  /** By type of {@link LOOKED_UP}. */
  readonly found: readonly (readonly boolean[])[];
  readonly refused: boolean;
}

function replay(c: VectorCase, steps: readonly Json[], types: Iterable<number>): Step[] {
  const table = new Subscriptions(types);
  const items = bytesList(c.in, 'items');
  return steps.map((s) => {
    const step = object(s);
    const payload = bytes(step, 'payload');
    if (payload.length !== num(step, 'payloadLength')) throw new TypeError('payload is cut');
    let refused = false;
    const r = attempt(() => {
      if (text(step, 'op') === 'attach') refused = table.attach(payload).kind === 'refused';
      else table.detach(payload);
    });
    return {
      error: 'refused' in r ? r.refused.name : null,
      found: LOOKED_UP.map((type) => items.map((i) => table.has(type, i))),
      refused,
    };
  });
}

const shown = (s: Step, expected: Json | undefined): JsonObject => ({
  error: s.error === null ? null : refusalLike(object(expected).error),
  subscribedType0: s.found[0]!,
  subscribedType7: s.found[1]!,
});

function subscription(c: VectorCase): Answer | Outcome {
  const steps = list(c.in, 'steps');
  const wanted = c.out.afterEachStep as readonly Json[];
  if (c.strict === undefined) {
    // The unmarked cases use type 7 as "another type" to show that types are kept apart, which the reference
    // allows for any number and README §6 refuses only where it is marked; so it is let in here.
    const done = replay(c, steps, [...SUBSCRIPTION_TYPES, 7]);
    return { out: { afterEachStep: done.map((s, i) => shown(s, wanted[i])) } };
  }
  const done = replay(c, steps, SUBSCRIPTION_TYPES);
  const named = new Set(list(c.strict, 'steps').map(Number));
  const accept = c.strict.accept === true;
  const others = replay(
    c,
    steps.filter((_, i) => !named.has(i)),
    SUBSCRIPTION_TYPES,
  );
  let other = 0;
  for (const [i, s] of done.entries()) {
    const fail = (detail: string): Outcome => ({ kind: 'failed', detail: `afterEachStep[${i}]: ${detail}` });
    if (!named.has(i)) {
      // Without the refused steps the rest is judged alone; where nothing is refused, `out` holds.
      const alone = others[other++]!;
      const m = compareOut(accept ? wanted[i]! : shown(alone, wanted[i]), shown(s, wanted[i]));
      if (m !== null) return fail(`${m.path}: ${m.detail}`);
    } else if (accept) {
      // A named step is taken with the effect it has on its own.
      const [alone] = replay(c, [steps[i]!], SUBSCRIPTION_TYPES);
      const m = compareOut(shown(alone!, wanted[i]), shown(s, wanted[i]));
      if (m !== null || s.refused) return fail('the step was not taken');
    } else {
      const before = i === 0 ? s.found.map((f) => f.map(() => false)) : done[i - 1]!.found;
      if (!s.refused || compareOut(before as Json, s.found as Json) !== null) return fail('not refused');
    }
  }
  return { kind: 'passed' };
}

function checksummedLookup(c: VectorCase): Answer {
  const raw = bytes(c.in, 'filterItem');
  const table = new Subscriptions();
  table.attach(encodeAttachEvent({ type: 0, filter: CuckooFilter.build([raw]).encode() }));
  return {
    out: { rawFound: table.has(0, raw), checksummedFound: table.has(0, addressWithChecksum(raw)) },
  };
}

function itemOf(o: JsonObject): InventoryItem | WideKeepAlive2Item {
  switch (num(o, 'type')) {
    case 0:
      return { type: 0, transactionId: bytes(o, 'txid') };
    case 1:
      return { type: 1, hash: bytes(o, 'hash'), block: int(o, 'block') };
    case 3:
      return {
        type: 3,
        hash: bytes(o, 'hash'),
        lastSeen: int(o, 'lastSeen'),
        address: bytes(o, 'address'),
        device: bytes(o, 'device'),
      };
    case 4:
      return {
        type: 4,
        solution: bytes(o, 'solution'),
        block: int(o, 'block'),
        blockHash: bytes(o, 'blockHash'),
      };
    case 5:
      return {
        type: 5,
        lastSeen: big(o, 'lastSeen'),
        address: bytes(o, 'address'),
        device: bytes(o, 'device'),
      };
    default:
      throw new TypeError(`item type ${String(o.type)}`);
  }
}

function inventoryEncode(c: VectorCase): Answer {
  return answer(() => {
    const item = itemOf(c.in);
    const encoded = encodeInventoryItem(item, lineOf(c));
    return { bytes: toHex(encoded), length: encoded.length, key: toHex(itemKey(item)) };
  });
}

function inventoryDecode(c: VectorCase): Answer {
  return answer(() => {
    const item = decodeInventoryItem(bytes(c.in, 'bytes'), lineOf(c));
    if (item === null) return { item: null };
    const out: Record<string, Json> = {
      type: item.type,
      key: toHex(itemKey(item)),
      reencoded: toHex(encodeInventoryItem(item, lineOf(c))),
    };
    if ('block' in item) out.block = String(item.block);
    if ('blockHash' in item) out.blockHash = toHex(item.blockHash);
    if ('lastSeen' in item) out.lastSeen = String(item.lastSeen);
    if ('address' in item) out.address = addressText(item.address);
    if ('device' in item) out.device = toHex(item.device);
    return out;
  });
}

function inventoryMessage(c: VectorCase): Answer {
  const built = attempt(() => encodeInventory2(bytesList(c.in, 'items'), lineOf(c)));
  // Nothing to announce, no message.
  if ('refused' in built) return { out: { frame: null, payload: null } };
  const payload = built.value;
  return { out: { frame: toHex(encodeFrame(Code.inventory2, payload)), payload: toHex(payload) } };
}

function batchLimit(c: VectorCase): Answer {
  const queued = num(c.in, 'queued');
  const items = Array.from({ length: queued }, (_, i) =>
    encodeInventoryItem({ type: 0, transactionId: new ByteWriter(4).u32(i).bytes() }, lineOf(c)),
  );
  const [first] = inventoryBatches(items, lineOf(c));
  const payload = encodeInventory2(first!, lineOf(c));
  return {
    out: {
      maxPerMessage: inventoryItemsMaxOf(lineOf(c)),
      itemsInFirstMessage: String(first!.length),
      leftInQueue: queued - first!.length,
      firstFrameLength: encodeFrame(Code.inventory2, payload).length,
    },
  };
}

/** First bytes that stand for a payload too long to be written down. */
const HEAD_BYTES = 6;

function getKeepAlives(c: VectorCase): Answer {
  const pairs: KeepAlivePair[] =
    c.in.pairs === '501 times the same pair'
      ? Array.from({ length: 501 }, () => ({
          address: bytes(c.in, 'address'),
          device: bytes(c.in, 'device'),
        }))
      : list(c.in, 'pairs').map((p) => ({
          address: fromHex(text(object(p), 'address')),
          device: fromHex(text(object(p), 'device')),
        }));
  const messages: Json[] = [];
  for (let i = 0; i < pairs.length; i += keepAlivesPerMessageMax) {
    const payload = encodeGetKeepAlives(pairs.slice(i, i + keepAlivesPerMessageMax));
    messages.push({
      code: Code.getKeepAlives,
      payload: toHex(payload),
      length: payload.length,
      head: toHex(payload.subarray(0, HEAD_BYTES)),
    });
  }
  return { out: { messages } };
}

const runners: readonly (readonly [prefix: string, run: Runner])[] = [
  ['cuckoo/buckets/', buckets],
  ['cuckoo/tag/', tag],
  ['cuckoo/build/', build],
  ['cuckoo/duplicate-add', duplicateAdd],
  ['cuckoo/overflow-victim', overflowVictim],
  ['cuckoo/overflow-delete/', overflowDelete],
  ['cuckoo/delete-hole/', deleteHole],
  ['cuckoo/delete-', deleteOther],
  ['cuckoo/parse/', parse],
  ['attach/filter/', attachFilter],
  [
    'attachEvent/payload/',
    (c) =>
      framed(Code.attachEvent, encodeAttachEvent({ type: num(c.in, 'type'), filter: bytes(c.in, 'filter') })),
  ],
  [
    'detachEvent/payload/',
    (c) => {
      const item = c.in.item === null || c.in.item === '' ? null : bytes(c.in, 'item');
      return framed(Code.detachEvent, encodeDetachEvent({ type: num(c.in, 'type'), item }));
    },
  ],
  ['subscription/checksummed-address-lookup', checksummedLookup],
  ['subscription/', subscription],
  ['inventory/encode/', inventoryEncode],
  ['inventory/decode/', inventoryDecode],
  ['inventory2/message/', inventoryMessage],
  ['inventory2/batch-limit', batchLimit],
  ['getKeepAlives/', getKeepAlives],
];

/** Event subscriptions, Cuckoo filter and inventory (docs/protocol/04). */
export const family04: Family = {
  name: '04-events-inventory',
  files: ['04-events-inventory.json'],
  run(c, ctx) {
    const runner = runners.find(([prefix]) => c.name.startsWith(prefix));
    return runner === undefined ? { uncovered: 'unknown group' } : runner[1](c, ctx);
  },
};
