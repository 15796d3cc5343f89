import { describe, expect, it } from 'vitest';
import { sectorPrefix, sha3_512 } from '../../src/identity/index.js';
import {
  followPresences,
  PrefixTree,
  type RelayMembership,
  RelayTree,
  relayKey,
  SelectionError,
} from '../../src/sectors/index.js';
import { fromHex, toHex } from '../../src/wire/index.js';

const wallet = (n: number): Uint8Array => new Uint8Array(33).fill(n, 1);

describe('prefix tree, 06 §4.5', () => {
  it('keeps keys sorted and leaves an equal key untouched', () => {
    const tree = new PrefixTree<string>(2);
    expect(tree.add(fromHex('0202'), 'b')).toBe(true);
    expect(tree.add(fromHex('0101'), 'a')).toBe(true);
    expect(tree.add(fromHex('0202'), 'other')).toBe(false);
    expect(tree.keys.map(toHex)).toEqual(['0101', '0202']);
    expect(tree.get(fromHex('0202'))).toBe('b');
    expect(tree.has(fromHex('02'))).toBe(false);
    expect(tree.size).toBe(2);
  });

  it('refuses a key shorter than its levels, and no levels at all', () => {
    expect(() => new PrefixTree(0)).toThrow(SelectionError);
    const tree = new PrefixTree<number>(4);
    expect(() => tree.add(fromHex('010203'), 1)).toThrow(SelectionError);
    expect(tree.add(fromHex('01020304'), 1)).toBe(true);
  });

  it('tells apart that a key went and that its bucket went', () => {
    const tree = new PrefixTree<number>(2);
    for (const k of ['010101', '010102', '010203', '020101']) tree.add(fromHex(k), 0);
    expect(tree.remove(fromHex('010103'))).toEqual({ existed: false, bucketEmptied: false });
    expect(tree.remove(fromHex('010101'))).toEqual({ existed: true, bucketEmptied: false });
    expect(tree.remove(fromHex('010102'))).toEqual({ existed: true, bucketEmptied: true });
    expect(tree.remove(fromHex('010102'))).toEqual({ existed: false, bucketEmptied: false });
    expect(tree.keys.map(toHex)).toEqual(['010203', '020101']);
  });

  it('sees a bucket partner on either side', () => {
    const tree = new PrefixTree<number>(2);
    for (const k of ['010101', '010102', '010103']) tree.add(fromHex(k), 0);
    expect(tree.remove(fromHex('010103')).bucketEmptied).toBe(false);
    expect(tree.remove(fromHex('010101')).bucketEmptied).toBe(false);
  });
});

describe('relay tree, 06 §2 and §3', () => {
  it('places a relay by the SHA3-512 of randomizer and wallet', () => {
    const w = wallet(1);
    expect(toHex(relayKey(w))).toBe(toHex(sha3_512(w)));
    expect(toHex(relayKey(w, fromHex('aabb')))).toBe(toHex(sha3_512(fromHex(`aabb${toHex(w)}`))));
    expect(toHex(relayKey(w)).startsWith(toHex(sectorPrefix(w)))).toBe(true);
  });

  it('a relay finds itself as the first one above its own prefix', () => {
    const tree = new RelayTree();
    for (let i = 0; i < 40; i++) tree.add(wallet(i));
    const self = tree.wallets[20]!;
    const seven = tree.select(sectorPrefix(self), 7).map(toHex);
    expect(seven.indexOf(toHex(self))).toBe(4);
    expect(seven).toHaveLength(7);
  });

  it('holds one entry per wallet', () => {
    const tree = new RelayTree();
    expect(tree.add(wallet(1))).toBe(true);
    expect(tree.add(wallet(1))).toBe(false);
    expect(tree.size).toBe(1);
    expect(tree.has(wallet(1))).toBe(true);
    expect(tree.remove(wallet(1))).toBe(true);
    expect(tree.remove(wallet(1))).toBe(false);
  });

  it('does not keep a reference to the caller’s bytes', () => {
    const tree = new RelayTree();
    const w = wallet(1);
    tree.add(w);
    w.fill(9);
    expect(toHex(tree.wallets[0]!)).toBe(toHex(wallet(1)));
  });

  it('follows a presence store until told to stop', () => {
    let listener: Parameters<RelayMembership['subscribe']>[0] = {};
    const store: RelayMembership = {
      relayWallets: () => [wallet(1)],
      subscribe: (l) => {
        listener = l;
        return () => {
          listener = {};
        };
      },
    };
    const tree = new RelayTree();
    const stop = followPresences(tree, store);
    expect(tree.has(wallet(1))).toBe(true);
    listener.relayAdded?.(wallet(2));
    expect(tree.size).toBe(2);
    listener.relayRemoved?.(wallet(1));
    expect(tree.wallets.map(toHex)).toEqual([toHex(wallet(2))]);
    stop();
    listener.relayAdded?.(wallet(3));
    expect(tree.size).toBe(1);
  });
});
