// Clients of type C that connect to a relay: at a steady rate, or all at once again and again until they are in.
// Commands as JSON lines on standard input, answers on standard output.
//
// Each client is a wallet of its own with a key of the load generator: cheap to make and to sign with, worthless as a
// key, and no cheaper to verify than any RSA-4096 key. It comes from a source address of its own.

import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { retryWaitMs } from '../../../dist/client/retry.js';
import { keepOffer, ResumeAttempt, takeOffer } from '../../../dist/link/resumption.js';
import { Identities } from '../../../dist/load/index.js';
import * as wire from '../../../dist/wire/index.js';
import { cpuNanoseconds } from '../machine.mjs';

const sleep = (ms) => new Promise((r) => setTimeout(r, ms));
const WARM_SECONDS_MAX = 30;
/** Secrets are opened for so long at a stretch: pings must go out between, or the relay cuts who is silent. */
const OPENING_STRETCH_MS = 50;
const { Code, ResumeCode, encodeFrame, StreamParser } = wire;
const lock = wire.NETWORKS.reg.lock;
const ping = Uint8Array.of(1);
let target = null;
let clients = [];

function hello(signer, index, ask) {
  const timestamp = Math.floor(Date.now() / 1000);
  const deviceId = Uint8Array.from({ length: 16 }, (_, i) => (i < 4 ? (index >> (8 * i)) & 255 : 77));
  const message = wire.helloPreimage({ lock, deviceId, timestamp, endpoint: '', challenge: 7 });
  return wire.encodeHello({
    version: 6,
    address: signer.address,
    testFlag: true,
    nodeType: 'C',
    productVersion: 'bench',
    deviceId,
    publicKey: signer.publicKey,
    port: 0,
    timestamp,
    signature: signer.sign(message),
    challenge: 7,
    ...(ask ? { trailing: wire.encodeAsk(new Uint8Array(16).fill(9)) } : {}),
  });
}

/** One connection attempt: resolves with how it ended; keeps the socket when the session came about. */
function dial(client, { ask = false, resume = false, keep = true, patienceMs = 10_000 }) {
  return new Promise((resolve) => {
    const started = performance.now();
    const n = client.index;
    const socket = connect({
      host: '127.0.0.1',
      port: target.port,
      localAddress: `127.${1 + (n >> 16)}.${(n >> 8) & 255}.${1 + (n % 250)}`,
      noDelay: true,
    });
    let done = false;
    let attempt = null;
    let bye = null;
    const end = (how) => {
      if (done) return;
      done = true;
      clearTimeout(timer);
      if (how !== 'open' || !keep) socket.destroy();
      else client.socket = socket;
      resolve({ how, bye, ms: performance.now() - started });
    };
    const timer = setTimeout(() => end('patience'), patienceMs);
    const full = ask ? client.asking : client.hello;
    const parser = new StreamParser({ payloadMax: () => 1 << 20 });
    const sink = {
      byte: () => undefined,
      time: () => undefined,
      frame: (code, payload) => {
        if (code === Code.helloData) {
          if (ask) {
            const data = wire.decodeHelloData(payload);
            const offer = takeOffer(full, data.trailing, data.deviceId);
            if (offer !== null) client.offer = { ...offer, relay: { address: data.address } };
          }
          end('open');
        } else if (code === ResumeCode.challenge && attempt !== null) {
          const answer = attempt.answer(payload, () => [target.endpoint], Date.now(), 0, '127.0.0.1');
          if (answer === null) return end('wrong relay');
          socket.write(encodeFrame(ResumeCode.proof, answer.proof));
          client.ticket = answer.next;
          end('open');
        } else if (code === ResumeCode.refused) socket.write(encodeFrame(Code.hello, full));
        else if (code === Code.bye) {
          const b = wire.decodeBye(payload);
          bye = { why: 'bye-received', byeCode: b.code, data: b.data };
          end('bye');
        }
      },
    };
    socket.on('data', (chunk) => {
      if (!done) parser.push(chunk, sink);
    });
    socket.on('error', () => end('error'));
    socket.on('close', () => {
      client.lost = done;
      end('closed');
    });
    socket.on('connect', () => {
      if (resume && client.ticket !== null) {
        attempt = new ResumeAttempt(client.ticket, lock, Math.floor(Date.now() / 1000));
        client.ticket = null;
        socket.write(encodeFrame(ResumeCode.resume, attempt.payload));
      } else socket.write(encodeFrame(Code.hello, full));
    });
  });
}

/** Everybody dials at once and again as the SDK would, until all are there. */
async function storm({ serverPid, ...options }) {
  const started = performance.now();
  const [cpu, relayCpu] = [process.cpuUsage(), cpuNanoseconds(serverPid)];
  const back = [];
  const ends = {};
  await Promise.all(
    clients.map(async (client) => {
      for (let failures = 0; ; failures++) {
        const r = await dial(client, options);
        ends[r.how] = (ends[r.how] ?? 0) + 1;
        if (r.how === 'open') {
          back.push(performance.now() - started);
          return;
        }
        await sleep(retryWaitMs(failures, r.bye));
      }
    }),
  );
  const elapsed = (performance.now() - started) / 1_000;
  const used = process.cpuUsage(cpu);
  const busy = {
    relay: (cpuNanoseconds(serverPid) - relayCpu) / 1e9 / elapsed,
    generator: (used.user + used.system) / 1e6 / elapsed,
  };
  back.sort((a, b) => a - b);
  const at = (q) => back[Math.min(back.length - 1, Math.floor(back.length * q))] / 1000;
  return { clients: back.length, p50: at(0.5), p99: at(0.99), all: at(1), ends, busy };
}

const cut = () => {
  for (const c of clients) c.socket?.destroy();
};
const commands = {
  async prepare({ count }) {
    const identities = new Identities('starling handshakes');
    clients = [];
    for (let index = 0; index < count; index++) {
      const signer = identities.at(index);
      clients.push({
        index,
        signer,
        hello: hello(signer, index, false),
        asking: hello(signer, index, true),
        offer: null,
        ticket: null,
        socket: null,
        lost: false,
      });
    }
    setInterval(() => {
      for (const c of clients) if (c.socket?.writable) c.socket.write(ping);
    }, 3_000);
    return { clients: clients.length };
  },
  target: async (t) => {
    target = t;
    return {};
  },
  /** So many at a time, each again as soon as it was answered. */
  async rate({ atOnce, seconds, ask, warm }) {
    let answered = 0;
    let answeredInAll = 0;
    let counting = false;
    let running = true;
    let next = 0;
    const bad = {};
    const worker = async () => {
      while (running) {
        const r = await dial(clients[next++ % clients.length], { ask, keep: false });
        if (r.how === 'open') {
          answeredInAll++;
          answered += counting ? 1 : 0;
        } else {
          bad[r.how] = (bad[r.how] ?? 0) + 1;
          await sleep(20);
        }
      }
    };
    const all = Array.from({ length: atOnce }, worker);
    const until = performance.now() + WARM_SECONDS_MAX * 1_000;
    while (answeredInAll < warm && performance.now() < until) await sleep(50);
    counting = true;
    const [t, cpu] = [performance.now(), process.cpuUsage()];
    await sleep(seconds * 1_000);
    const elapsed = (performance.now() - t) / 1_000;
    const used = process.cpuUsage(cpu);
    counting = false;
    running = false;
    const n = answered;
    await Promise.all(all);
    return {
      rate: n / elapsed,
      generatorBusy: (used.user + used.system) / 1e6 / elapsed,
      bad,
    };
  },
  fill: ({ serverPid }) => storm({ ask: true, serverPid }),
  /** Opens the secrets that came with the offers. */
  async open() {
    const started = performance.now();
    let stretch = started;
    for (const c of clients) {
      if (performance.now() - stretch > OPENING_STRETCH_MS) {
        // Opening waits for promises alone, and those let neither timers nor sockets have a turn.
        await sleep(0);
        stretch = performance.now();
      }
      const store = {
        put: (t) => {
          c.ticket = t;
        },
        open: async (sealed) => {
          const secret = c.signer.open(sealed);
          if (secret === null) throw new Error('a secret did not open');
          return secret;
        },
      };
      if (c.offer !== null) await keepOffer(store, c.offer, c.offer.relay, Date.now());
    }
    return {
      tickets: clients.filter((c) => c.ticket !== null).length,
      seconds: (performance.now() - started) / 1_000,
    };
  },
  async storm({ resume, serverPid }) {
    // What the relay closed meanwhile is heard first: only links that are up can be cut.
    await sleep(500);
    const up = clients.filter((c) => c.socket !== null && !c.socket.destroyed).length;
    cut();
    return { up, ...(await storm({ resume, serverPid })) };
  },
};
for await (const line of createInterface({ input: process.stdin })) {
  const { what, ...args } = JSON.parse(line);
  console.log(JSON.stringify(await commands[what](args)));
}
process.exit(0);
