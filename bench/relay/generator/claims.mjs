// Presences of many wallets over a few connections, and their keep-alives. A child process, one JSON command per line.
//
//   {"what":"open","port","endpoint","connections","wallets"}   wallets are numbered from 0, each with a modulus of its own
//   {"what":"fill","from","to","age"}      presences, claimed `age` seconds ago, until the relay answers with them
//   {"what":"renew","from","to","serverPid"}   one newer keep-alive of each at once, made before the clock starts
//   {"what":"compare","from","to"}         what the relay answers about each, against the last claim sent

import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { cpuNanoseconds } from '../machine.mjs';
import { createCrowd } from './crowd.mjs';
import { openSocket } from './wire-socket.mjs';

const dist = join(dirname(fileURLToPath(import.meta.url)), '../../../dist');
const { Code, encodeFrame, encodeGetPresence2, FRAME_HEADER_BYTES, NETWORKS } = await import(
  join(dist, 'wire/index.js')
);
const { decodePresence } = await import(join(dist, 'presence/index.js'));
const { Identities } = await import(join(dist, 'load/index.js'));
const { WalletSet } = await import(join(dist, 'load/wallet-set.js'));

/** Identities apart from those that other generators use. */
const firstWallet = 3_000_000;
/** Below what a relay lets one connection have in work. */
const perConnection = 400;
/** Questions open on one connection while the store is compared. */
const openQuestions = 64;
/** A question without an answer for so long is asked again. */
const answerMs = 2_000;
const pollMs = 4;
const unknownMs = 250;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const seconds = () => Math.floor(Date.now() / 1_000);
const keyOf = (wallet) => Buffer.from(wallet).toString('latin1');
let wallets = null;
let links = [];
const asked = new Map();

/** Hands what came to whoever asked for that wallet. */
function answered(bytes) {
  const presence = decodePresence(new Uint8Array(bytes));
  const resolve = asked.get(keyOf(presence.wallet));
  resolve?.(presence.addresses[0].lastSeen);
}

async function open({ port, endpoint, connections, wallets: size }) {
  for (const s of links) s.close();
  links = [];
  if (wallets === null) {
    wallets = new WalletSet(new Identities('starling bench'), firstWallet, size, NETWORKS.reg, '127.0.0.1:1');
    wallets.make(0, size);
  }
  const crowd = createCrowd(endpoint);
  for (let c = 0; c < connections; c++) {
    const socket = await openSocket({ port });
    socket.write(crowd.hello(800_000 + c));
    await socket.until((bytes) => crowd.greeted(bytes));
    let rest = Buffer.alloc(0);
    socket.onData = (chunk) => {
      const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      let at = 0;
      while (at < bytes.length) {
        const size = crowd.lengthAt(bytes, at);
        if (size === 0 || at + size > bytes.length) break;
        if (size > FRAME_HEADER_BYTES && bytes.readUInt16LE(at + 1) === Code.updatePresence)
          answered(bytes.subarray(at + FRAME_HEADER_BYTES, at + size));
        at += size;
      }
      rest = Buffer.from(bytes.subarray(at));
    };
    links.push(socket);
  }
  return { connections: links.length };
}

/** Network second of the claim that the relay answers with; 0 when it does not. */
function ask(link, wallet, ms = answerMs) {
  const key = keyOf(wallet);
  return new Promise((resolve) => {
    const timer = setTimeout(() => done(0), ms);
    const done = (lastSeen) => {
      clearTimeout(timer);
      asked.delete(key);
      resolve(lastSeen);
    };
    asked.set(key, done);
    link.write(Buffer.from(encodeFrame(Code.getPresence2, encodeGetPresence2(wallet))));
  });
}

/** Sends each connection its frames in one go, and waits until the relay answers with the last claim of each. */
async function deliver(batches) {
  for (const { link, frames } of batches) link.write(frames);
  for (const { link, last } of batches) {
    const address = wallets.address(last).slice();
    const until = performance.now() + 20_000;
    // No answer at all is how a relay says that it does not know the wallet yet.
    while ((await ask(link, address, unknownMs)) < wallets.claimed[last]) {
      if (performance.now() > until) throw new Error('the relay did not take the claims');
      await sleep(pollMs);
    }
  }
}

/** The wallets of a range, dealt out to the connections. */
function dealt(from, to, make) {
  const out = links.map((link) => ({ link, frames: [], last: -1 }));
  for (let i = from; i < to; i++) {
    const b = out[i % out.length];
    b.frames.push(Buffer.from(make(i)));
    b.last = i;
  }
  return out.filter((b) => b.last >= 0).map((b) => ({ ...b, frames: Buffer.concat(b.frames) }));
}

async function fill({ from, to, age }) {
  const step = links.length * perConnection;
  const at = performance.now();
  for (let i = from; i < to; i += step)
    await deliver(
      dealt(i, Math.min(to, i + step), (w) =>
        encodeFrame(Code.updatePresence, wallets.presence(w, seconds() - age)),
      ),
    );
  return { perSecond: ((to - from) * 1_000) / (performance.now() - at) };
}

async function renew({ from, to, serverPid }) {
  if (to - from > links.length * perConnection) throw new RangeError('more than may be in work at once');
  const now = seconds();
  const batches = dealt(from, to, (w) => encodeFrame(Code.keepAlivePresence, wallets.keepAlive(w, now)));
  await sleep(100);
  const cpu = cpuNanoseconds(serverPid);
  const at = performance.now();
  await deliver(batches);
  return {
    perSecond: ((to - from) * 1_000) / (performance.now() - at),
    cpuMicroseconds: (cpuNanoseconds(serverPid) - cpu) / 1_000 / (to - from),
  };
}

async function compare({ from, to }) {
  const found = { current: 0, stale: 0, absent: 0 };
  let next = from;
  const worker = async (link) => {
    for (let i = next++; i < to; i = next++) {
      const lastSeen = await ask(link, wallets.address(i).slice());
      if (lastSeen === 0) found.absent++;
      else if (lastSeen === wallets.claimed[i]) found.current++;
      else found.stale++;
    }
  };
  await Promise.all(links.flatMap((link) => Array.from({ length: openQuestions }, () => worker(link))));
  return found;
}

const commands = { open, fill, renew, compare };
for await (const line of createInterface({ input: process.stdin })) {
  try {
    const command = JSON.parse(line);
    console.log(JSON.stringify(await commands[command.what](command)));
  } catch (e) {
    console.log(JSON.stringify({ error: e.stack }));
  }
}
process.exit(0);
