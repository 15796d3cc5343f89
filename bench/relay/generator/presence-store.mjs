// What a stored presence costs in resident memory, growth peaks included, and how fast the store is; or a snapshot of so
// many presences that are fresh now, for a relay to start with. One JSON line on standard output.
//
//   node --expose-gc bench/relay/generator/presence-store.mjs --count N [--store slab|objects] [--snapshot FILE]
//
// Resident memory is that of this process (VmRSS, VmHWM) above what it had before the store held anything; the keys and
// signatures are random bytes, because the store never looks into them.

import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '1000000' },
    store: { type: 'string', default: 'slab' },
    snapshot: { type: 'string' },
  },
});
const count = Number(values.count);
const T0 = 1_767_225_600;

const { SlabPresenceStore, MemoryPresenceStore, encodePresence, presenceAnswer } = await import(
  '../../../dist/presence/index.js'
);
const { NETWORKS } = await import('../../../dist/wire/index.js');
const { SnapshotFile } = await import('../../../dist/presence/node/index.js');

const status = (name) => {
  const m = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(readFileSync('/proc/self/status', 'utf8'));
  return Number(m[1]) * 1024;
};
const settle = async () => {
  for (let i = 0; i < 4; i++) {
    globalThis.gc();
    await new Promise((r) => setTimeout(r, 20));
  }
};
/** CPU seconds of this process: on a shared machine the clock on the wall counts what others do. */
const cpuSeconds = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};
const seconds = (work) => {
  const from = cpuSeconds();
  work();
  return cpuSeconds() - from;
};

/** A 32-bit mixer: addresses are hashes, and the same number gives the same address without keeping it. */
const mix = (n) => {
  let x = Math.imul(n ^ (n >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
};
const wallet = new Uint8Array(45);
const walletView = new DataView(wallet.buffer);
function walletOf(n) {
  wallet[0] = 1;
  for (let i = 0; i < 11; i++) walletView.setUint32(1 + 4 * i, mix(n * 11 + i));
  return wallet;
}
// RSA-4096: the key blob has 523 bytes, the signature 512 (docs/protocol/02 §2.1).
const publicKey = new Uint8Array(523);
const signature = new Uint8Array(512);
crypto.getRandomValues(publicKey);
crypto.getRandomValues(signature);
const device = new Uint8Array(16);
const deviceView = new DataView(device.buffer);
function presenceOf(n, lastSeen) {
  for (let i = 0; i < 4; i++) deviceView.setUint32(4 * i, mix(n + i * 7919));
  // A few bytes of each differ, so that a mistaken record shows; the rest would only cost time here.
  new DataView(publicKey.buffer).setUint32(8, n);
  new DataView(signature.buffer).setUint32(8, n);
  return {
    version: 1,
    wallet: walletOf(n),
    publicKey,
    metadata: null,
    addresses: [
      {
        version: 2,
        device,
        hostname: `203.0.113.${n % 256}:10235`,
        type: 'C',
        nodeVersion: 'Spixi-0.9.8',
        lastSeen,
        signature,
        pow: null,
      },
    ],
  };
}
let wireBytes = 0;
const sample = Math.min(count, 10_000);
for (let n = 0; n < sample; n++) wireBytes += encodePresence(presenceOf(n, T0)).length;
wireBytes /= sample;

const make = () =>
  values.store === 'slab'
    ? new SlabPresenceStore({ addressesMax: count })
    : new MemoryPresenceStore({ addressesMax: count });
{
  // Warm the code, so that what the compiler takes is not counted as presences.
  const warm = make();
  for (let n = 0; n < 20_000; n++) {
    const p = presenceOf(n, T0 + (n % 300));
    warm.upsert(p, p.addresses[0]);
  }
  for (let n = 0; n < 20_000; n++) presenceAnswer(warm, walletOf(n));
  warm.expire(T0 + 1000);
}
if (values.snapshot !== undefined) {
  const now = Math.floor(Date.now() / 1000);
  const fresh = make();
  for (let n = 0; n < count; n++) {
    const p = presenceOf(n, now - (n % 30));
    fresh.upsert(p, p.addresses[0]);
  }
  const bytes = await new SnapshotFile(values.snapshot).save(fresh, { lock: NETWORKS.reg.lock, now });
  console.log(JSON.stringify({ bytes, presences: fresh.addresses }));
  process.exit(0);
}

await settle();

const before = status('VmRSS');
// Generating the data takes its part of the time; it is measured alone and taken off.
const generating = seconds(() => {
  for (let n = 0; n < count; n++) presenceOf(n, T0 + (n % 280));
});
const store = make();
let peak = 0;
const filling = seconds(() => {
  for (let n = 0; n < count; n++) {
    const p = presenceOf(n, T0 + (n % 280));
    if (store.upsert(p, p.addresses[0]) !== 'added') throw new Error('not added');
    if (n % 4096 === 0) peak = Math.max(peak, status('VmRSS'));
  }
});
peak = Math.max(peak, status('VmRSS'), status('VmHWM'));
await settle();
const filled = status('VmRSS');
const perPresence = (filled - before) / count;
const perPresencePeak = (peak - before) / count;

const asked = Math.min(count, 500_000);
const refreshing = seconds(() => {
  for (let i = 0; i < asked; i++) {
    const n = mix(i) % count;
    const p = presenceOf(n, T0 + 290);
    if (store.upsert(p, p.addresses[0]) !== 'replaced') throw new Error('not there');
  }
});
const askingAlone = seconds(() => {
  for (let i = 0; i < asked; i++) walletOf(mix(i) % count);
});
let answered = 0;
const asking = seconds(() => {
  for (let i = 0; i < asked; i++) answered += presenceAnswer(store, walletOf(mix(i) % count))[0].length;
});
if (Math.abs(answered / asked - wireBytes) > 5) throw new Error('answers of another size');
const generatingAsked = (generating * asked) / count;

/** Time until a second store holds what the file says, and whether it answers alike. */
async function warmStart(file, moment) {
  const target = make();
  const begin = performance.now();
  const cpu = cpuSeconds();
  const result = await file.load(target, moment);
  const took = { seconds: (performance.now() - begin) / 1000, cpuSeconds: cpuSeconds() - cpu };
  for (let i = 0; i < 1000; i++) {
    const w = walletOf(mix(i) % count).slice();
    const [a] = presenceAnswer(store, w);
    const [b] = presenceAnswer(target, w);
    if (a.length !== b.length || a.some((x, k) => x !== b[k]))
      throw new Error('another answer after a warm start');
  }
  target.expire(T0 + 10_000);
  return { ...took, addresses: result.addresses };
}

let saved = null;
let warm = null;
if (values.store === 'slab') {
  const dir = mkdtempSync(join(tmpdir(), 'presence-store-'));
  try {
    const file = new SnapshotFile(join(dir, 'presences.bin'));
    const moment = { lock: new TextEncoder().encode('Ixian'), now: T0 + 279 };
    // How long this thread was not free at a stretch while the file was written.
    let longest = 0;
    let last = performance.now();
    const beat = setInterval(() => {
      longest = Math.max(longest, performance.now() - last - 1);
      last = performance.now();
    }, 1);
    const from = performance.now();
    await file.save(store, moment);
    clearInterval(beat);
    saved = {
      seconds: (performance.now() - from) / 1000,
      bytes: statSync(join(dir, 'presences.bin')).size,
      longestHoldMs: longest,
    };
    warm = await warmStart(file, moment);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
const expiring = seconds(() => {
  if (store.expire(T0 + 10_000) !== count) throw new Error('not all expired');
});
await settle();
const emptied = status('VmRSS');

const perSecond = (n, s) => Math.round(n / s);
console.log(
  JSON.stringify({
    wireBytes,
    residentBytes: perPresence,
    peakBytes: perPresencePeak,
    afterExpiryBytes: emptied - before,
    perCpuSecond: {
      added: perSecond(count, filling - generating),
      renewed: perSecond(asked, refreshing - generatingAsked),
      answered: perSecond(asked, asking - askingAlone),
      expired: perSecond(count, expiring),
    },
    saved,
    warm,
  }),
);
