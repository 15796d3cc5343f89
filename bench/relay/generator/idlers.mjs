// Clients that do nothing but ping: one byte each every 3 s. A child process, one JSON command per line.
//
//   {"what":"tcp"|"ws"|"floor"|"ws-floor","port","endpoint","clients"}   connects up to so many; {"clients":n} again adds;
//                                                                       "turnMs" (100): a share of them pings so often
//   {"serverPid","seconds"}                                              waits so long; what the server took meanwhile

import { createInterface } from 'node:readline';
import { cpuNanoseconds } from '../machine.mjs';
import { createCrowd } from './crowd.mjs';
import { dialectOf } from './dialects.mjs';
import { openSocket } from './wire-socket.mjs';

/** Handshakes under way at once. */
const opensAtOnce = 64;
const attemptsMax = 8;
const ping = { tcp: Buffer.of(1), ws: Buffer.of(0x82, 0x81, 0, 0, 0, 0, 1) };

const clients = [];
let kind = null;
let crowd = null;
let lost = 0;
let retries = 0;
let turn = 0;

/** Every client once in 3 s, a share of them in every turn. */
function keepPinging(turnMs) {
  const shares = 3_000 / turnMs;
  setInterval(() => {
    turn++;
    const bytes = kind === 'ws' || kind === 'ws-floor' ? ping.ws : ping.tcp;
    for (let i = turn % shares; i < clients.length; i += shares)
      if (!clients[i].closed) clients[i].write(bytes);
  }, turnMs);
}

/** A relay that cannot sign in time says so; whoever is told comes back. */
async function opened(port, dialect, id, attempt = 1) {
  try {
    const socket = await openSocket({ port });
    if (dialect !== null) await dialect.open(socket, id, { receives: true });
    return socket;
  } catch (e) {
    if (attempt === attemptsMax) throw e;
    retries++;
    await new Promise((r) => setTimeout(r, 500 * attempt));
    return opened(port, dialect, id, attempt + 1);
  }
}

async function connect(command) {
  if (kind === null) keepPinging(command.turnMs ?? 100);
  kind ??= command.what;
  const s2 = kind === 'tcp' || kind === 'ws';
  if (s2) crowd ??= createCrowd(command.endpoint);
  const dialect = s2 ? dialectOf(kind, crowd) : kind === 'ws-floor' ? dialectOf('ws-floor', null) : null;
  const began = performance.now();
  let next = clients.length;
  const worker = async () => {
    while (next < command.clients) {
      const id = next++;
      const socket = await opened(command.port, dialect, id);
      socket.onData = () => undefined;
      socket.raw.on('close', () => lost++);
      clients.push(socket);
    }
  };
  await Promise.all(Array.from({ length: opensAtOnce }, worker));
  return { connected: clients.length - lost, retries, seconds: (performance.now() - began) / 1_000 };
}

async function watch({ serverPid, seconds }) {
  const before = {
    at: performance.now(),
    server: cpuNanoseconds(serverPid),
    own: cpuNanoseconds(process.pid),
  };
  await new Promise((r) => setTimeout(r, 1_000 * seconds));
  const wall = performance.now() - before.at;
  return {
    clients: clients.length,
    lost,
    serverLoad: (cpuNanoseconds(serverPid) - before.server) / 1e6 / wall,
    generatorLoad: (cpuNanoseconds(process.pid) - before.own) / 1e6 / wall,
  };
}

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  try {
    console.log(
      JSON.stringify(command.clients === undefined ? await watch(command) : await connect(command)),
    );
  } catch (e) {
    console.log(JSON.stringify({ error: e.stack }));
  }
}
process.exit(0);
