import { randomUUID } from 'node:crypto';
import { createServer, connect as netConnect, type Server } from 'node:net';
import { addressText } from '../../identity/index.js';
import { parseEndpoint } from '../../link/index.js';
import { isPublicIpv4, parseIpv4 } from '../../presence/index.js';
import { guessPublicIp } from '../../relay/index.js';
import { fails, type Outcome, ok, warning } from './finding.js';
import { greetTimeoutMs } from './greet.js';
import { listenersOf, processName } from './listeners.js';
import type { PortUse, Subject } from './subject.js';

/** Opens a port for a moment. Null when it could, else the system's error code. */
function tryListen(host: string, port: number): Promise<Server | string> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (e: NodeJS.ErrnoException) => resolve(e.code ?? e.message));
    server.listen({ host, port, exclusive: true }, () => resolve(server));
  });
}

const close = (server: Server): Promise<void> => new Promise((resolve) => server.close(() => resolve()));

async function checkPort(s: Subject, use: PortUse): Promise<Outcome> {
  const where = `${use.name} ${use.host}:${use.port}`;
  const holders = await listenersOf(use.port);
  const { running } = s;
  if (running !== null && (running.inside || holders.includes(running.pid)))
    return ok(`${where} is held by the running relay`);
  const server = await tryListen(use.host, use.port);
  if (typeof server !== 'string') {
    await close(server);
    return running === null
      ? ok(`${where} is free`)
      : warning(`${where} is free although the relay runs`, 'it was started with other settings: restart it');
  }
  if (server === 'EADDRNOTAVAIL')
    return fails(`${where}: this machine has no such address`, `name one of its own in ${use.name}`);
  if (server === 'EACCES')
    return fails(
      `${where} may not be used`,
      'take a port above 1023, or give AmbientCapabilities=CAP_NET_BIND_SERVICE',
    );
  if (server !== 'EADDRINUSE') return fails(`${where}: ${server}`, `choose another address: ${use.name}`);
  if (running !== null && holders.length === 0)
    return ok(`${where} is in use, by the running relay it seems`);
  const by = holders.map((pid) => `process ${pid}${processName(pid)}`).join(', ');
  const found = `${where} is taken${by === '' ? '' : ` by ${by}`}`;
  const todo = `end that program or set ${use.name} to another port`;
  return use.isDefault ? warning(`${found}; the relay starts without it`, todo) : fails(found, todo);
}

export async function checkPorts(s: Subject): Promise<Outcome[]> {
  const out: Outcome[] = [];
  // One after the other: two of them may name the same port.
  for (const use of s.ports)
    if (use.port === 0) out.push(ok(`${use.name} takes any free port`));
    else if (
      s.ports.some((x) => x !== use && x.port === use.port && x.host === use.host && x.name < use.name)
    )
      out.push(
        fails(
          `${use.name} names port ${use.port}, which is another’s already`,
          `set ${use.name} to a port of its own`,
        ),
      );
    else out.push(await checkPort(s, use));
  return out;
}

/** Where others are told to reach the relay; '' when nobody knows. */
function endpointOf(s: Subject): string {
  if (s.running !== null && s.running.endpoint !== '') return s.running.endpoint;
  const ip = s.config.text('externalIp') ?? guessPublicIp();
  const port = s.ports.find((p) => p.name === 's2Port')?.port ?? 0;
  return ip === '' || port === 0 ? '' : `${ip}:${port}`;
}

const openPort = 'forward the port in the router, open it in the firewall, or correct externalIp';
const hairpin = 'if the router does not let a machine reach its own public address, try from outside: nc -vz';

/** Whether the endpoint that others are told leads here. */
export async function checkReachable(s: Subject): Promise<Outcome> {
  const endpoint = endpointOf(s);
  const at = endpoint === '' ? null : parseEndpoint(endpoint);
  if (at === null)
    return warning(
      'the public address is not known yet',
      'set externalIp, or let two ledger nodes report it',
    );
  const ip = parseIpv4(at.ip);
  if (s.network.name === 'main' && (ip === null || !isPublicIpv4(ip)))
    return fails(
      `${endpoint} is no public IPv4 address: others discard it`,
      'set externalIp to the public address',
    );
  const seen = await seenIp(s);
  if (seen !== null && seen !== at.ip && s.network.name !== 'reg')
    return fails(`ledger nodes see this machine at ${seen}, not ${at.ip}`, 'correct externalIp');
  return s.running === null ? reachStopped(s, endpoint, at) : reachRunning(s, endpoint, at);
}

/** The address that most of the seeds saw us at, null when none told. */
async function seenIp(s: Subject): Promise<string | null> {
  if (s.config.on('standalone')) return null;
  const told = (await s.greetings()).flatMap((g) => {
    const ip =
      parseEndpoint(g.greeting.peer?.reportedEndpoint ?? '')?.ip ??
      g.greeting.peer?.reportedEndpoint?.split(':')[0];
    const parsed = ip === undefined ? null : parseIpv4(ip);
    return ip !== undefined && parsed !== null && isPublicIpv4(parsed) ? [ip] : [];
  });
  const count = (ip: string): number => told.filter((x) => x === ip).length;
  return told.length === 0 ? null : told.reduce((a, b) => (count(b) > count(a) ? b : a));
}

interface At {
  readonly ip: string;
  readonly port: number;
}

async function reachRunning(s: Subject, endpoint: string, at: At): Promise<Outcome> {
  const running = s.running!;
  const g = await s.greeter.greet(at.ip, at.port);
  if (g.peer !== null && running.address !== '' && addressText(g.peer.address) !== running.address)
    return fails(`${endpoint} leads to another node, ${addressText(g.peer.address)}`, openPort);
  if (g.answered) return ok(`${endpoint} answers a hello in ${g.tookMs} ms`);
  // Many routers lead nobody to their own outside: that others come in proves more than our own try.
  if (running.connectable === true)
    return ok(`${endpoint} is not reached from here, but others connect from outside`);
  return fails(`${endpoint} cannot be reached: ${g.problem}`, `${openPort}; ${hairpin} ${at.ip} ${at.port}`);
}

/** Nobody listens yet: a listener of ours stands there for the moment and says a word that must come back. */
async function reachStopped(s: Subject, endpoint: string, at: At): Promise<Outcome> {
  const use = s.ports.find((p) => p.name === 's2Port')!;
  const server = await tryListen(use.host, use.port);
  if (typeof server === 'string')
    return warning(`${endpoint} is not tried: port ${use.port} cannot be opened (${server})`, 'see ports');
  const word = randomUUID();
  server.on('connection', (socket) => {
    socket.on('error', () => undefined);
    socket.end(word);
  });
  try {
    const heard = await wordAt(at);
    if (heard === word) return ok(`${endpoint} leads to this machine`);
    if (heard.startsWith('!'))
      return fails(
        `${endpoint} cannot be reached: ${heard.slice(1)}`,
        `${openPort}; ${hairpin} ${at.ip} ${at.port}`,
      );
    return fails(`${endpoint} leads to another program`, openPort);
  } finally {
    await close(server);
  }
}

/** What is said there first; `!` and the reason when nothing is. */
function wordAt(at: At): Promise<string> {
  return new Promise((resolve) => {
    let heard = '';
    const socket = netConnect({ host: at.ip, port: at.port });
    const done = (text: string): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(text);
    };
    const timer = setTimeout(() => done('!timeout'), greetTimeoutMs);
    socket.on('data', (d) => {
      heard += d.toString('latin1');
      if (heard.length >= 36) done(heard);
    });
    socket.on('error', (e: NodeJS.ErrnoException) => done(`!${e.code ?? e.message}`));
    socket.on('close', () => done(heard === '' ? '!closed at once' : heard));
  });
}

/** Whether ledger nodes are there: those of the running relay, else the seeds. */
export async function checkLedger(s: Subject): Promise<Outcome> {
  if (s.config.on('standalone')) return ok('standalone: no ledger is followed');
  const wanted = Math.max(1, s.config.whole('readyMinMasters'));
  const peers = s.running?.ledgerPeers ?? null;
  if (peers !== null && peers >= wanted) return ok(`${peers} connections to ledger nodes`);
  const all = await s.greetings();
  const answered = all.filter((g) => g.greeting.answered);
  const silent = all.filter((g) => !g.greeting.answered).map((g) => `${g.host} ${g.greeting.problem}`);
  const todo = 'see whether this machine may connect out, and whether addPeer names live ledger nodes';
  if (answered.length === 0)
    return fails(
      all.length === 0 ? 'no ledger node is named' : `no ledger node answers: ${silent.join(', ')}`,
      todo,
    );
  const found = `${answered.length} of ${all.length} answer a hello, in ${Math.min(...answered.map((g) => g.greeting.tookMs))} ms at best`;
  if (peers !== null)
    return warning(
      `the relay has ${peers} connections to ledger nodes, ${wanted} wanted; ${found}`,
      'wait a minute, then look at the log: ledger_peer',
    );
  return silent.length === 0
    ? ok(found)
    : warning(`${found}; silent: ${silent.join(', ')}`, 'remove dead ones from addPeer');
}
