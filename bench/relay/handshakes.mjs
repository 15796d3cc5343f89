// Handshakes of a relay on one core against the signatures that core can make, and a storm: all clients cut at once.
//
//   node bench/relay/handshakes.mjs [--only rates|storm] [--clients 10000] [--seconds 8] [--json FILE]
//
// Rates take two minutes, storms with 10,000 clients not quite three. Rates count once so many handshakes were answered that the
// relay's code is compiled; the storm is met as it comes. A storm whose links were not all up before the cut is undecided.
//
// Needs a build (npm run build). Relay on core 0 with all its threads, generator on core 1, the raw signing rate on
// core 0 with the same key before and after, nothing else running. Clients are type C, each a wallet of its own with a key
// of the load generator: cheap to make and to sign with, worthless as a key, and no cheaper to verify than any RSA-4096 key.

import { spawn } from 'node:child_process';
import { createPrivateKey, sign } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { cpuNanoseconds } from './machine.mjs';
import { freePort } from './servers.mjs';

const self = fileURLToPath(import.meta.url);
const dist = (path) => import(new URL(`../../dist/${path}`, import.meta.url).href);
const sleep = (ms) => new Promise((r) => setTimeout(r, ms));
const [SERVER_CORE, GENERATOR_CORE] = ['0', '1'];
/** A relay that has just started measures engines and starts threads; storms hit one that runs. */
const SETTLE_SECONDS = 3;
/** Handshakes before those that count, and how long they may take. */
const WARM = { plain: 3_000, asking: 1_000 };
const WARM_SECONDS_MAX = 30;
/** The generator opens secrets for so long at a stretch: pings must go out between, or the relay cuts who is silent. */
const OPENING_STRETCH_MS = 50;
const BAR = { two: 0.8, four: 0.7, storm: 1.3, resumedSeconds: 6 };

// --- generator -------------------------------------------------------------------------------------------------

async function generator() {
  const wire = await dist('wire/index.js');
  const { ResumeAttempt, keepOffer, takeOffer } = await dist('link/resumption.js');
  const { retryWaitMs } = await dist('client/retry.js');
  const { Identities } = await dist('load/index.js');
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
    async rate({ atOnce, seconds, ask, warm, serverPid }) {
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
      const [t, cpu, relayCpu] = [performance.now(), process.cpuUsage(), cpuNanoseconds(serverPid)];
      await sleep(seconds * 1_000);
      const elapsed = (performance.now() - t) / 1_000;
      const used = process.cpuUsage(cpu);
      const relayUsed = cpuNanoseconds(serverPid) - relayCpu;
      counting = false;
      running = false;
      const n = answered;
      await Promise.all(all);
      return {
        rate: n / elapsed,
        perCpuSecond: (1e9 * n) / relayUsed,
        generatorBusy: (used.user + used.system) / 1e6 / elapsed,
        warmed: answeredInAll - n,
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
    cut: async () => {
      cut();
      await sleep(300);
      return {};
    },
  };
  for await (const line of createInterface({ input: process.stdin })) {
    const { name, ...args } = JSON.parse(line);
    console.log(JSON.stringify(await commands[name](args)));
  }
  process.exit(0);
}

// --- parent ----------------------------------------------------------------------------------------------------

function pinned(core, args) {
  const child = spawn('taskset', ['-c', core, process.execPath, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ended = new Promise((r) => child.on('close', r));
  return {
    pid: child.pid,
    async line() {
      const { value, done } = await lines.next();
      if (done) throw new Error(`${args.join(' ')} ended early`);
      return JSON.parse(value);
    },
    async ask(name, args_ = {}) {
      child.stdin.write(`${JSON.stringify({ name, ...args_ })}\n`);
      return this.line();
    },
    async stop() {
      child.stdin.end();
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
      await ended;
      clearTimeout(timer);
    },
  };
}

/** Signatures a second of one thread with that PEM key; run on the relay's core. */
function rawRate(path) {
  const key = createPrivateKey(readFileSync(path));
  const message = new Uint8Array(60);
  let n = 0;
  const cpu = process.cpuUsage();
  const t = performance.now();
  while (performance.now() - t < 3_000) {
    sign('sha512', message, key);
    n++;
  }
  const rate = (1000 * n) / (performance.now() - t);
  const used = process.cpuUsage(cpu);
  console.log(JSON.stringify({ rate, perCpuSecond: (1e6 * n) / (used.user + used.system) }));
}

async function raw(pem) {
  const p = pinned(SERVER_CORE, [self, '--raw', pem]);
  const measured = await p.line();
  await p.stop();
  return measured;
}

async function run(args) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['dist/bin/main.js', ...args], { stdio: 'ignore' });
    child.on('close', (code) => (code === 0 ? resolve() : reject(new Error(`${args.join(' ')}: ${code}`))));
  });
}

/** What the relay counted of hellos and of connections that it ended, by result. */
async function counted(ops) {
  const page = await (await fetch(`http://127.0.0.1:${ops}/metrics`)).text();
  const out = {};
  for (const [, name, labels, value] of page.matchAll(
    /^ixian_(hello_\w+|connections_closed|connections_refused|resumptions)_total\{(.*?)\} (\d+)/gm,
  ))
    if (value !== '0') out[`${name} ${labels.replaceAll(/\w+="([^"]*)"/g, '$1')}`] = Number(value);
  return out;
}

async function startRelay(folder, wallet) {
  const ops = await freePort();
  const p = pinned(SERVER_CORE, [
    // For profiles.
    ...(process.env.STARLING_BENCH_NODE_ARGS ?? '').split(' ').filter((a) => a !== ''),
    'dist/bin/main.js',
    'relay',
    '--json',
    '--networkType=regtest',
    '--standalone',
    '--port=0',
    '--wsPort=0',
    '--ip=127.0.0.1',
    '--logVerbosity=0',
    `--opsBind=127.0.0.1:${ops}`,
    `--dataFolderPath=${join(folder, 'data')}`,
    `--wallet=${wallet}`,
    `--walletPasswordFile=${join(folder, 'password')}`,
  ]);
  return { ...p, ops, started: await p.line() };
}

async function main() {
  const { values } = parseArgs({
    options: {
      clients: { type: 'string', default: '10000' },
      seconds: { type: 'string', default: '8' },
      only: { type: 'string' },
      json: { type: 'string' },
    },
  });
  const count = Number(values.clients);
  const folder = mkdtempSync(join(tmpdir(), 'starling-handshakes-'));
  const generate = pinned(GENERATOR_CORE, [self, '--generator']);
  const results = [];
  const line = (name, value, bar, holds, note) => {
    results.push({ name, value, bar, holds, note });
    console.log(
      `${holds === null ? '    ' : holds ? 'ok  ' : 'MISS'} ${name.padEnd(46)} ${value}  (bar ${bar})  ${note}`,
    );
  };
  try {
    writeFileSync(join(folder, 'password'), 'benchmark only');
    console.log(
      `${process.version}, ${count} clients, load before: ${readFileSync('/proc/loadavg', 'utf8').trim()}`,
    );
    const prepared = generate.ask('prepare', { count });
    for (const [kind, flags] of Object.entries({ two: [], four: ['--relay'] })) {
      const common = [
        '--wallet',
        join(folder, `${kind}.wal`),
        '--walletPasswordFile',
        join(folder, 'password'),
      ];
      await run(['wallet', 'create', ...flags, ...common]);
      await run(['wallet', 'export', join(folder, `${kind}.pem`), ...common]);
    }
    await prepared;
    for (const kind of values.only === 'storm' ? ['two'] : ['two', 'four']) {
      const before = await raw(join(folder, `${kind}.pem`));
      const relay = await startRelay(folder, join(folder, `${kind}.wal`));
      await generate.ask('target', relay.started);
      const rateOf = (ask) =>
        generate.ask('rate', {
          atOnce: 100,
          seconds: Number(values.seconds),
          ask,
          warm: ask ? WARM.asking : WARM.plain,
          serverPid: relay.pid,
        });
      const rates = [];
      if (values.only !== 'storm') {
        rates.push(['full handshakes', await rateOf(false)]);
        rates.push(['full handshakes with a ticket', await rateOf(true)]);
      }
      const show = (r) =>
        `${r.rate.toFixed(0)}/s, generator ${(100 * r.generatorBusy).toFixed(0)} %, ${JSON.stringify(r.bad)}`;
      let storms = null;
      if (kind === 'two' && values.only !== 'rates') {
        const step = async (name, ...command) => {
          const answer = await generate.ask(...command);
          process.stderr.write(`${name}: ${JSON.stringify(answer)}\n`);
          return answer;
        };
        await sleep(SETTLE_SECONDS * 1_000);
        const filled = await step('first time', 'fill', { serverPid: relay.pid });
        const tickets = await step('tickets opened', 'open');
        const resumed = await step('storm with resumption', 'storm', { resume: true, serverPid: relay.pid });
        const full = await step('storm', 'storm', { resume: false, serverPid: relay.pid });
        storms = { filled, full, tickets, resumed };
        process.stderr.write(`counted by the relay: ${JSON.stringify(await counted(relay.ops))}\n`);
        await generate.ask('cut');
      }
      await relay.stop();
      const after = await raw(join(folder, `${kind}.pem`));
      const rate = (before.rate + after.rate) / 2;
      const perCpuSecond = (before.perCpuSecond + after.perCpuSecond) / 2;
      const noise = Math.abs(before.rate - after.rate) / rate;
      const judge = (ratio, bar) => (Math.abs(ratio - bar) <= noise * ratio ? null : ratio >= bar);
      const rawText = `raw ${before.rate.toFixed(0)} and ${after.rate.toFixed(0)}/s`;
      for (const [name, r] of rates) {
        const ratio = r.rate / rate;
        line(
          `${name}, ${kind} primes`,
          ratio.toFixed(3),
          BAR[kind],
          judge(ratio, BAR[kind]),
          `${show(r)}, ${rawText}`,
        );
        // Of the processor time the two got, which says the same on a machine that is not quiet; pool threads included.
        const ofCpu = r.perCpuSecond / perCpuSecond;
        line(
          `the same per second of processor time, ${kind}`,
          ofCpu.toFixed(3),
          BAR[kind],
          ofCpu >= BAR[kind],
          `${r.perCpuSecond.toFixed(0)} of ${perCpuSecond.toFixed(0)}/s`,
        );
      }
      if (storms === null) continue;
      const least = count / rate;
      const ratio = storms.full.all / least;
      line(
        'storm against clients / signing rate',
        ratio.toFixed(2),
        BAR.storm,
        storms.full.up === count ? ratio <= BAR.storm : null,
        `${JSON.stringify(storms.full)}, least ${least.toFixed(1)} s`,
      );
      line(
        'storm with resumption, seconds',
        storms.resumed.all.toFixed(2),
        BAR.resumedSeconds,
        storms.resumed.up === count ? storms.resumed.all <= BAR.resumedSeconds : null,
        `${JSON.stringify(storms.resumed)}, ${JSON.stringify(storms.tickets)}`,
      );
    }
    console.log(`load after: ${readFileSync('/proc/loadavg', 'utf8').trim()}`);
    if (values.json !== undefined)
      writeFileSync(
        values.json,
        `${JSON.stringify({ node: process.version, date: new Date().toISOString(), clients: count, results }, null, 2)}\n`,
      );
    if (results.some((r) => r.holds === false)) process.exitCode = 1;
  } finally {
    await generate.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

if (process.argv[2] === '--generator') await generator();
else if (process.argv[2] === '--raw') rawRate(process.argv[3]);
else await main();
