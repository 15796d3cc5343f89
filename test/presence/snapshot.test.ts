import { mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  decodeSnapshot,
  encodeSnapshot,
  type PresenceAddress,
  type PresenceType,
  SlabPresenceStore,
  SnapshotError,
  snapshotBlockBytes,
  snapshotHeaderBytes,
  snapshotStride,
} from '../../src/presence/index.js';
import { SnapshotFile, SnapshotInterrupted } from '../../src/presence/node/index.js';
import { ImageReader } from '../../src/presence/slab-image.js';
import { NETWORKS, toHex } from '../../src/wire/index.js';
import { HOST, T0 } from './support.js';

const main = { lock: NETWORKS.main.lock, now: T0 };
const wallet = (n: number): Uint8Array => {
  const w = new Uint8Array(33);
  new DataView(w.buffer).setUint32(1, Math.imul(n + 1, 0x9e3779b1));
  return w;
};

function put(store: SlabPresenceStore, n: number, fields: Partial<PresenceAddress> = {}): void {
  const a: PresenceAddress = {
    version: 2,
    device: Uint8Array.of(1),
    hostname: HOST,
    type: 'C',
    nodeVersion: 'v1',
    lastSeen: T0 - (n % 250),
    signature: new Uint8Array(512).fill(n),
    pow: null,
    ...fields,
  };
  store.upsert({ wallet: wallet(n), publicKey: new Uint8Array(523).fill(n), version: 1 }, a);
}

/** More than three blocks' worth, with wallets of many kinds. */
function filled(count = 3000): SlabPresenceStore {
  const store = new SlabPresenceStore();
  for (let n = 0; n < count; n++) put(store, n);
  put(store, 0, { type: 'R', device: Uint8Array.of(2), pow: Uint8Array.of(4) });
  put(store, 1, { type: 'M', signature: null });
  put(store, 2, { version: 1, device: new Uint8Array(16).fill(3) });
  store.markAnnounced(wallet(3), Uint8Array.of(1), T0 - 77);
  return store;
}

/** Everything as it goes out, and what does not go out of the first wallets. */
const shown = (store: SlabPresenceStore, count: number): unknown[] => [
  Array.from({ length: count }, (_, n) => store.packets(wallet(n), 10).map(toHex).join()).join('\n'),
  Array.from({ length: 5 }, (_, n) =>
    store.get(wallet(n))!.addresses.map((a) => store.entry(wallet(n), a.device)),
  ),
];

let dir: string;
let path: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'starling-snapshot-'));
  path = join(dir, 'deep', 'presences.bin');
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const problemOf = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
    return 'none';
  } catch (e) {
    return e instanceof SnapshotError ? e.problem : String(e);
  }
};

describe('presence snapshot', () => {
  it('gives everything back that is still valid, in several blocks', async () => {
    const store = filled();
    const bytes = await new SnapshotFile(path).save(store, main);
    expect(bytes).toBeGreaterThan(3 * snapshotBlockBytes);
    const back = new SlabPresenceStore();
    const result = await new SnapshotFile(path).load(back, main);
    expect(result).toEqual({ savedAt: T0, addresses: store.addresses, skipped: 0, bytes });
    expect((await stat(path)).size).toBe(bytes);
    expect([back.wallets, back.addresses, back.counts]).toEqual([
      store.wallets,
      store.addresses,
      store.counts,
    ]);
    const [bytesBack, entriesBack] = shown(back, 3000);
    const [bytesThere, entriesThere] = shown(store, 3000);
    expect(bytesBack === bytesThere).toBe(true);
    expect(entriesBack).toEqual(entriesThere);
    const all = [new Uint8Array(10), new Uint8Array(10).fill(255)] as const;
    expect(back.inSectorRange(...all, 5000).map(toHex)).toEqual(store.inSectorRange(...all, 5000).map(toHex));
  });

  it('judges ages anew: what expired meanwhile or lies ahead stays out', async () => {
    const store = new SlabPresenceStore();
    put(store, 1, { lastSeen: T0 });
    put(store, 2, { lastSeen: T0 - 100 });
    put(store, 3, { lastSeen: T0 + 100 });
    put(store, 3, { lastSeen: T0 - 99, device: Uint8Array.of(9) });
    await new SnapshotFile(path).save(store, main);
    const at = async (now: number): Promise<unknown> => {
      const back = new SlabPresenceStore();
      const r = await new SnapshotFile(path).load(back, { ...main, now });
      return [r?.addresses, r?.skipped, [1, 2, 3].map((n) => back.get(wallet(n))?.addresses.length ?? 0)];
    };
    expect(await at(T0 + 200)).toEqual([3, 1, [1, 0, 2]]);
    expect(await at(T0)).toEqual([3, 1, [1, 1, 1]]);
    expect(await at(T0 + 1000)).toEqual([0, 4, [0, 0, 0]]);
    const back = new SlabPresenceStore();
    await new SnapshotFile(path).load(back, main);
    // The wheel runs on: what came in goes in its time.
    expect(back.expire(T0 + 200)).toBe(1);
    expect(back.has(wallet(2))).toBe(false);
  });

  it('holds the limits of the store that reads', async () => {
    await new SnapshotFile(path).save(filled(50), main);
    const back = new SlabPresenceStore({ addressesMax: 20 });
    expect(await new SnapshotFile(path).load(back, main)).toMatchObject({ addresses: 20, skipped: 32 });
    expect(back.addresses).toBe(20);
  });

  it('is the same file wherever its MACs are made', async () => {
    await new SnapshotFile(path).save(filled(1000), main);
    const file = await readFile(path);
    const read = async (into: Uint8Array, at: number): Promise<number> => file.copy(into, 0, at);
    const back = new SlabPresenceStore();
    const key = await readFile(`${path}.key`);
    // Without others, WebCrypto's.
    expect(await decodeSnapshot(back, read, { ...main, key })).toMatchObject({
      skipped: 0,
      bytes: file.length,
    });
    expect(back.wallets).toBe(1000);
  });

  it('tells of relays and ledger nodes when all was good', async () => {
    await new SnapshotFile(path).save(filled(10), main);
    const back = new SlabPresenceStore();
    const told: string[] = [];
    back.subscribe({
      relayAdded: (w) => told.push(`+R ${toHex(w.subarray(1, 5))}`),
      stored: (w, a) => told.push(`${a.type} ${toHex(w.subarray(1, 5))}`),
    });
    await new SnapshotFile(path).load(back, main);
    const id = (n: number): string => toHex(wallet(n).subarray(1, 5));
    expect(told).toEqual([`+R ${id(0)}`, `R ${id(0)}`, `M ${id(1)}`]);
  });

  it('is null without a file, and an empty store makes a good one', async () => {
    const file = new SnapshotFile(path);
    expect(await file.load(new SlabPresenceStore(), main)).toBe(null);
    await file.save(new SlabPresenceStore(), main);
    expect(await file.load(new SlabPresenceStore(), main)).toMatchObject({ addresses: 0, skipped: 0 });
  });

  it('keeps file and key readable by their owner alone, and uses the key again', async () => {
    const file = new SnapshotFile(path);
    await file.save(filled(5), main);
    const key = await readFile(`${path}.key`);
    await file.save(filled(6), main);
    expect(await readFile(`${path}.key`)).toEqual(key);
    for (const name of [path, `${path}.key`]) expect((await stat(name)).mode & 0o777).toBe(0o600);
    expect((await readdir(join(dir, 'deep'))).sort()).toEqual(['presences.bin', 'presences.bin.key']);
  });

  it('two saves at once are one, and an interrupted one leaves the file before', async () => {
    const file = new SnapshotFile(path);
    await file.save(filled(5), main);
    const before = await readFile(path);
    const first = file.save(filled(3000), main);
    expect(file.save(filled(7), main)).toBe(first);
    const failed = expect(first).rejects.toBeInstanceOf(SnapshotInterrupted);
    await file.interrupt();
    await failed;
    expect(await readFile(path)).toEqual(before);
    expect((await readdir(join(dir, 'deep'))).includes('presences.bin.tmp')).toBe(false);
  });

  it('one at ease holds the same, and an interrupted one leaves the file before', async () => {
    const store = filled(3000);
    const file = new SnapshotFile(path);
    const atOnce = await file.save(store, main);
    expect(await file.save(store, main, 9)).toBe(atOnce);
    const back = new SlabPresenceStore();
    expect(await file.load(back, main)).toMatchObject({ addresses: store.addresses, skipped: 0 });
    const before = await readFile(path);
    const resting = file.save(filled(3000), main, 1_000_000);
    const failed = expect(resting).rejects.toBeInstanceOf(SnapshotInterrupted);
    await new Promise((r) => setTimeout(r, 20));
    await file.interrupt();
    await failed;
    // Value by value would take seconds.
    expect(before.equals(await readFile(path))).toBe(true);
  });

  it('fills its blocks in parts, with turns for others in between, and leaves no large wallet out', async () => {
    const store = filled(3000);
    // Larger than a part, and nearly as large as a wallet may be.
    for (const n of [7, 900, 2999])
      for (let d = 2; d < 90; d++) put(store, n, { device: Uint8Array.of(d), nodeVersion: 'v'.repeat(250) });
    let pauses = 0;
    const pause = async (): Promise<void> => void pauses++;
    const sizes: number[] = [];
    const file = Buffer.alloc(6 * snapshotBlockBytes);
    const key = new Uint8Array(32);
    for await (const { at, bytes } of encodeSnapshot(store, { ...main, key, pause })) {
      file.set(bytes, at);
      sizes.push(bytes.length);
    }
    expect(sizes.length).toBeGreaterThan(3);
    expect(pauses).toBeGreaterThan(sizes.reduce((n, size) => n + size, 0) / (128 * 1024));
    // All blocks but the last are full: only what does not fit begins the next one.
    for (const size of sizes.slice(1, -1)) expect(size).toBeGreaterThan(snapshotBlockBytes - 160 * 1024);
    const again = new SlabPresenceStore();
    await decodeSnapshot(again, async (into, at) => file.copy(into, 0, at), { ...main, key });
    expect([again.wallets, again.addresses]).toEqual([store.wallets, store.addresses]);
    for (const n of [0, 7, 8, 900, 2998, 2999])
      expect(again.packets(wallet(n), 100).map(toHex)).toEqual(store.packets(wallet(n), 100).map(toHex));
  });

  it('takes what is in the store when its turn comes, while the store changes', async () => {
    const store = filled();
    const saving = new SnapshotFile(path).save(store, main);
    let n = 0;
    while (n < 3000) {
      store.removeWallet(wallet(n++));
      if (n % 3 === 0) put(store, 10_000 + n);
      if (n % 100 === 0) await new Promise((r) => setImmediate(r));
    }
    await saving;
    const back = new SlabPresenceStore();
    await new SnapshotFile(path).load(back, main);
    expect(back.addresses).toBeGreaterThan(0);
    // Nothing half: every wallet answers, and the last endpoint leaves with its wallet.
    const all = back.inSectorRange(new Uint8Array(10), new Uint8Array(10).fill(255), 10_000);
    expect(all.length).toBe(back.wallets);
    for (const w of all) expect(back.packets(w, 10).length).toBe(1);
    back.expire(T0 + 1000);
    expect([back.wallets, back.addresses]).toEqual([0, 0]);
  });
});

describe('a payload', () => {
  const payloadOf = (store: SlabPresenceStore): Uint8Array => {
    const out = new Uint8Array(snapshotBlockBytes);
    return out.slice(0, store.exportWallets(0, out).bytes);
  };
  const endOfFirst = (payload: Uint8Array): number => {
    const head = payload[6]! | (payload[7]! << 8);
    const body = 8 + head;
    return body + 20 + (payload[body]! | (payload[body + 1]! << 8));
  };

  it('that ends anywhere within a wallet does not hold together', () => {
    const store = new SlabPresenceStore();
    put(store, 4);
    put(store, 5);
    const payload = payloadOf(store);
    const first = endOfFirst(payload);
    for (let size = 1; size < payload.length; size++) {
      const image = new ImageReader(payload.subarray(0, size));
      const endpoints = (): number => {
        let count = 0;
        while (image.nextWallet()) while (image.nextEntry()) count++;
        return count;
      };
      if (size === first) expect(endpoints()).toBe(1);
      else expect(endpoints).toThrow();
    }
  });

  it('whose head is none does not hold together', () => {
    const store = new SlabPresenceStore();
    put(store, 4);
    const payload = payloadOf(store);
    // Version, length of the wallet, the first and the second byte of the key's length behind it.
    for (const at of [8, 9, 8 + 2 + 33, 8 + 2 + 33 + 1])
      for (const value of [0xf8, 0xfd, 0xff, payload[at]! ^ 1]) {
        const changed = payload.slice();
        changed[at] = value;
        const take = (): unknown => new SlabPresenceStore().importWallets(changed, T0);
        // A version of another number in one byte is a version still.
        if (at === 8 && value < 0xf8) expect(take()).toEqual({ addresses: 1, skipped: 0 });
        else expect(take).toThrow();
      }
  });
});

describe('a snapshot that must not be used', () => {
  const damage = async (change: () => Promise<void>, moment = main): Promise<string> => {
    await new SnapshotFile(path).save(filled(2000), main);
    await change();
    const back = new SlabPresenceStore();
    let told = 0;
    back.subscribe({ relayAdded: () => told++, stored: () => told++ });
    const problem = await problemOf(new SnapshotFile(path).load(back, moment));
    const names = (await readdir(join(dir, 'deep'))).filter((name) => !name.endsWith('.key'));
    expect(names).toEqual([problem === 'none' ? 'presences.bin' : 'presences.bin.refused']);
    if (problem !== 'none') expect([back.wallets, back.addresses, told]).toEqual([0, 0, 0]);
    // Whatever came before, the store is good to use.
    put(back, 1);
    expect(back.has(wallet(1))).toBe(true);
    return problem;
  };
  const flip = async (at: number): Promise<void> => {
    const bytes = await readFile(path);
    bytes[at < 0 ? bytes.length + at : at]! ^= 1;
    await writeFile(path, bytes);
  };

  it('is good when nothing happened to it', async () => {
    expect(await damage(async () => undefined)).toBe('none');
  });

  it.each([
    ['another kind of file', 0, 'format'],
    ['another format', 8, 'format'],
    ['another time', 17, 'mac'],
    ['another number of wallets', 56, 'mac'],
    ['another salt', 61, 'mac'],
    ['a changed header', 30, 'mac'],
    ['a changed presence in the first block', 5000, 'mac'],
    ['a changed presence in the last block', -500, 'mac'],
    ['a changed MAC', -1, 'mac'],
  ])('refuses %s', async (_, at, problem) => {
    expect(await damage(() => flip(at))).toBe(problem);
  });

  it.each([0, 5, 50, snapshotHeaderBytes - 1, snapshotHeaderBytes, 110, 5000, snapshotBlockBytes, -1, -40])(
    'refuses a file that ends after %i bytes',
    async (size) => {
      const problem = await damage(async () => {
        const whole = (await stat(path)).size;
        await truncate(path, size < 0 ? whole + size : size);
      });
      expect(problem).toBe('torn');
    },
  );

  it('refuses a file that ends with a whole block that is not the last', async () => {
    expect(await damage(() => truncate(path, snapshotHeaderBytes + snapshotStride))).toBe('torn');
  });

  it('refuses blocks in another order', async () => {
    const swapped = async (): Promise<void> => {
      const [one, two] = [snapshotHeaderBytes, snapshotHeaderBytes + snapshotStride];
      const bytes = await readFile(path);
      const first = Uint8Array.from(bytes.subarray(one, two));
      bytes.copyWithin(one, two, two + snapshotStride);
      bytes.set(first, two);
      await writeFile(path, bytes);
    };
    expect(await damage(swapped)).toBe('mac');
  });

  it('refuses blocks of another snapshot made with the same key', async () => {
    const mixed = async (): Promise<void> => {
      const before = await readFile(path);
      await new SnapshotFile(path).save(filled(2000), main);
      const bytes = await readFile(path);
      bytes.set(before.subarray(snapshotHeaderBytes), snapshotHeaderBytes);
      await writeFile(path, bytes);
    };
    expect(await damage(mixed)).toBe('mac');
  });

  it('refuses what another key made, and what has lost its key', async () => {
    expect(await damage(() => writeFile(`${path}.key`, new Uint8Array(32)))).toBe('mac');
    await rm(`${path}.refused`);
    expect(await damage(() => rm(`${path}.key`))).toBe('mac');
    await rm(`${path}.refused`);
    expect(await damage(() => writeFile(`${path}.key`, 'short'))).toBe('mac');
  });

  it('refuses what another network made', async () => {
    const moment = { lock: NETWORKS.test.lock, now: T0 };
    expect(await damage(async () => undefined, moment)).toBe('network');
  });

  it('passes on what the disk says', async () => {
    const file = new SnapshotFile(path);
    await file.save(filled(5), main);
    await rm(path);
    await writeFile(`${join(dir, 'deep')}.key`, new Uint8Array(32));
    const isFolder = new SnapshotFile(join(dir, 'deep'));
    await expect(isFolder.load(new SlabPresenceStore(), main)).rejects.toMatchObject({ code: 'EISDIR' });
  });
});

it('knows every type of a stored endpoint by its letter', async () => {
  const types: readonly PresenceType[] = ['C', 'R', 'H', 'M'];
  const store = new SlabPresenceStore();
  for (const [n, type] of types.entries()) put(store, n, { type });
  await new SnapshotFile(path).save(store, main);
  const back = new SlabPresenceStore();
  await new SnapshotFile(path).load(back, main);
  expect(types.map((_, n) => back.get(wallet(n))!.addresses[0]!.type)).toEqual(types);
  expect(back.counts).toEqual(store.counts);
});
