import {
  addressFromText,
  addressText,
  addressWithChecksum,
  parseAddress,
  sectorPrefix,
} from '../../identity/index.js';
import { priorityOf } from '../../link/index.js';
import { PrefixTree, RelayTree, relayKey, selectKeys } from '../../sectors/index.js';
import { Code, encodeGetSectorNodes, encodeSectorNodes, fromHex, toHex } from '../../wire/index.js';
import type { Answer, Family, Json, JsonObject, VectorCase, VectorContext } from './case.js';
import { bytes, bytesOrNull, int, list, objects, text, texts } from './ledger-fields.js';

const FILE = '06-sectors.json';

/** A raw tree whose values are its keys, with what each insertion returned. */
function treeOf(o: JsonObject): { tree: PrefixTree<Uint8Array>; added: boolean[] } {
  const tree = new PrefixTree<Uint8Array>(int(o, 'levels'));
  const added = texts(o, 'keys').map((k) => tree.add(fromHex(k), fromHex(k)));
  return { tree, added };
}

function hexes(keys: readonly Uint8Array[]): string[] {
  return keys.map(toHex);
}

function prefixCase(o: JsonObject): Answer {
  const address = bytes(o, 'address');
  const checked = parseAddress(addressWithChecksum(address));
  return {
    out: {
      prefix: toHex(sectorPrefix(address)),
      prefixFromChecksummed: toHex(sectorPrefix(checked)),
      prefixFromText: toHex(sectorPrefix(addressFromText(addressText(address)))),
      relayKey: toHex(relayKey(address)),
    },
  };
}

function relayKeyCase(o: JsonObject): Answer {
  const key = relayKey(bytes(o, 'address'), bytesOrNull(o, 'randomizer') ?? undefined);
  return { out: { key: toHex(key) } };
}

function selectRelays(o: JsonObject): Answer {
  const relays = texts(o, 'relays');
  const tree = new RelayTree({ levels: int(o, 'levels') });
  for (const r of relays) tree.add(fromHex(r));
  const selectedRelayIndexes = objects(o, 'queries').map((q) =>
    tree.select(bytes(q, 'prefix'), int(q, 'max')).map((w) => relays.indexOf(toHex(w))),
  );
  return { out: { selectedRelayIndexes } };
}

/** Relays whose addresses do not matter, as many as the case says. */
function someRelays(count: number): RelayTree {
  const tree = new RelayTree();
  for (let i = 0; i < count; i++) tree.add(new Uint8Array(33).fill(i, 1));
  return tree;
}

function selectError(o: JsonObject): Answer {
  const prefix = 'prefix' in o ? bytesOrNull(o, 'prefix') : new Uint8Array(10);
  return { out: { count: someRelays(int(o, 'relays')).select(prefix, int(o, 'max')).length } };
}

function addTwice(o: JsonObject, ctx: VectorContext): Answer {
  const relay = bytes(ctx.find('wallets.json', text(o, 'relay')).out, 'addressRaw');
  const tree = new RelayTree();
  tree.add(relay);
  const second = tree.add(relay);
  return { out: { second, removed: tree.remove(relay), removedAgain: tree.remove(relay) } };
}

function treeSelect(o: JsonObject): Answer {
  const { tree, added } = treeOf(o);
  const selected = objects(o, 'queries').map((q) => hexes(tree.selectKeys(bytes(q, 'query'), int(q, 'max'))));
  return { out: { added, selected } };
}

function treeRemove(o: JsonObject): Answer {
  const { tree } = treeOf(o);
  const steps = texts(o, 'remove').map((k) => {
    // The reference's return value says only whether the bucket went (docs/protocol/06 §4.5).
    const removed = tree.remove(fromHex(k)).bucketEmptied;
    return { removed, all: hexes(tree.keys) };
  });
  return { out: { steps } };
}

function treeGet(o: JsonObject): Answer {
  const value = treeOf(o).tree.get(bytes(o, 'key'));
  return { out: { value: value === undefined ? null : toHex(value) } };
}

function treeError(c: VectorCase): Answer {
  const o = c.in;
  if ('max' in o)
    return { out: { selected: hexes(treeOf(o).tree.selectKeys(bytes(o, 'query'), int(o, 'max'))) } };
  const tree = new PrefixTree<null>(int(o, 'levels'));
  if ('key' in o) return { out: { added: tree.add(bytes(o, 'key'), null) } };
  if (c.name.endsWith('null-key')) return { refused: 'a key cannot be absent' };
  return { out: {} };
}

/** Payload of sectorNodes as an answerer builds it: selection from the own tree, presences from the store. */
function sectorNodes(c: VectorCase, ctx: VectorContext): Answer {
  const o = c.in;
  const prefix = bytes(o, 'prefix');
  const presences = new Map<string, Uint8Array>();
  const take = (from: JsonObject): void => {
    if (!('presences' in from)) return;
    const wallets = texts(from, 'selected');
    list(from, 'presences').forEach((p, i) => {
      presences.set(wallets[i]!, fromHex(p as string));
    });
  };
  // A case that brings no presences speaks of those of its siblings.
  if ('selected' in o && !('presences' in o))
    for (const other of ctx.cases(FILE)) if (other.name.startsWith('sectorNodes/')) take(other.in);
  take(o);
  const relays = 'relaysKnown' in o ? texts(o, 'relaysKnown') : 'selected' in o ? texts(o, 'selected') : [];
  const tree = new RelayTree();
  for (const r of relays) tree.add(addressFromText(r));
  const selected = tree.select(prefix, 'max' in o ? int(o, 'max') : 20).map(addressText);
  const payload = encodeSectorNodes({
    prefix,
    presences: selected.flatMap((w) => presences.get(w) ?? []),
  });
  const out: Record<string, Json> = {
    code: Code.sectorNodes,
    payload: toHex(payload),
    sendQueue: priorityOf(Code.sectorNodes),
  };
  return { out };
}

function getSectorNodes(o: JsonObject): Answer {
  const payload = encodeGetSectorNodes({ prefix: sectorPrefix(bytes(o, 'address')), max: int(o, 'max') });
  return { out: { payload: toHex(payload) } };
}

/** sector-tree.json: one query over one key set. */
function derived(o: JsonObject): Answer {
  const { tree } = treeOf(o);
  return { out: { selected: hexes(selectKeys(tree.keys, bytes(o, 'query'), int(o, 'max'), tree.levels)) } };
}

function run(c: VectorCase, ctx: VectorContext): Answer {
  const [group, sub] = c.name.split('/');
  switch (group) {
    case 'prefix':
      return prefixCase(c.in);
    case 'relay-key':
      return relayKeyCase(c.in);
    case 'select':
      if (sub === 'error') return selectError(c.in);
      return sub === 'add-twice' ? addTwice(c.in, ctx) : selectRelays(c.in);
    case 'tree':
      if (sub === 'select') return treeSelect(c.in);
      if (sub === 'remove') return treeRemove(c.in);
      return sub === 'get-value' ? treeGet(c.in) : treeError(c);
    case 'sectorNodes':
      return sectorNodes(c, ctx);
    case 'getSectorNodes':
      return getSectorNodes(c.in);
    case 'unit':
    case 'derived':
      return derived(c.in);
    default:
      return { uncovered: `no group ${group}` };
  }
}

/** Sector prefixes, relay keys, selection and sector messages (docs/protocol/06). */
export const family06: Family = {
  name: '06-sectors',
  files: [FILE, 'sector-tree.json'],
  run,
};
