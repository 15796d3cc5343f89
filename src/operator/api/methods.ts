import { readFile } from 'node:fs/promises';
import {
  addressFromKey,
  addressText,
  extendedAddressFromText,
  sectorPrefix,
  sha3sqTrunc,
} from '../../identity/index.js';
import type { PeerSnapshot } from '../../relay/index.js';
import { toHex } from '../../wire/index.js';
import { CORE_COMPAT } from '../node.js';
import type { Role } from './auth.js';
import type { ApiBackend } from './backend.js';
import { type ApiCompat, type Json, RpcCode, RpcError } from './envelope.js';
import { addressObject, addressParameter, headerObject, presenceObject } from './objects.js';
import type { Params } from './params.js';

/** One method of the reference's API. */
export interface Method {
  /** In the reference's spelling; called in any letter case. */
  readonly name: string;
  readonly role: Role;
  /** Changes something: refused for browsers on other pages, written to the audit log. */
  readonly changes: boolean;
  /** Not in releases before this one. */
  readonly since?: '0.9.8';
  run(b: ApiBackend, p: Params): Json | Promise<Json>;
}

/** Presences in one answer without a limit: what the relay can encode without anybody noticing. */
const presencesMax = 10_000;

function view(name: string, run: Method['run'], more: Partial<Method> = {}): Method {
  return { name, role: 'viewer', changes: false, run, ...more };
}
function act(name: string, run: Method['run'], more: Partial<Method> = {}): Method {
  return { name, role: 'operator', changes: true, run, ...more };
}
function walletMethod(name: string, run: Method['run'], more: Partial<Method> = {}): Method {
  return { name, role: 'wallet', changes: false, run, ...more };
}

/** Answers of methods that need the ledger: listed in docs/api.md, with the reference's own error. */
function noLedger(name: string, code: number = RpcCode.internal, more: Partial<Method> = {}): Method {
  return walletMethod(
    name,
    () => {
      throw new RpcError(code, `'${name}' needs the ledger, which this relay does not keep`);
    },
    more,
  );
}

type PeerRole = PeerSnapshot['role'];

/** Remote addresses of the connections of a role, in all processes of this relay. */
async function remotesOf(b: ApiBackend, ...roles: readonly PeerRole[]): Promise<string[][]> {
  const all =
    (await b.cluster?.remotes()) ??
    b.relay.control.peers().map((x): [PeerRole, string] => [x.role, x.remote]);
  return roles.map((role) => all.filter(([r]) => r === role).map(([, remote]) => remote));
}

async function statusOf(b: ApiBackend, p: Params): Promise<Json> {
  const { node, relay } = b;
  const s = relay.status();
  const [clients, servers, sector] = await remotesOf(b, 'inbound', 'ledger', 'sector');
  const endpoint = s.endpoint.split(':')[0] ?? '';
  const all = await b.cluster?.totals();
  const traffic = all ?? node.traffic;
  const t = all ?? relay.control.totals();
  const counts = relay.control.presenceCounts;
  const verbose: Record<string, Json> = p.on('verbose')
    ? {
        Queues: {
          RcvLow: 0,
          RcvMedium: 0,
          RcvHigh: 0,
          SendClients: t.clientQueueFrames,
          SendServers: t.serverQueueFrames,
          Logging: 0,
          'Pending Transactions': 0,
        },
        Presences: s.presences,
        Masters: (counts.M ?? 0) + (counts.H ?? 0),
        Relays: counts.R ?? 0,
        Clients: counts.C ?? 0,
      }
    : {};
  return {
    'Core Version': `xcore-${CORE_COMPAT}`,
    'Node Version': `xs2c-${node.facts.version}-starling`,
    'Network type': node.facts.network,
    'My time': Math.floor(Date.now() / 1000),
    'Network time difference': s.timeDifferenceSeconds,
    'Real network time difference': s.unclampedTimeDifferenceSeconds,
    'My External IP': endpoint,
    'My Listening Port': relay.port,
    'Core Status': node.coreStatus,
    'Block Height': s.height,
    'Block Version': s.blockVersion,
    'Network Block Height': s.networkHeight,
    'Node Type': 'R',
    Connectable: node.connectable,
    ...verbose,
    'Network Clients': clients!,
    'Network Servers': servers!,
    'Stream Servers': [],
    'Network Servers Static': sector!,
    Update: node.newerVersion ?? '',
    Uptime: node.uptimeSeconds,
    'S2 Bytes Received': traffic.bytesIn,
    'S2 Bytes Sent': traffic.bytesOut,
    Draining: node.draining,
  };
}

function presenceList(b: ApiBackend, p: Params): Json {
  const limit = p.whole('limit', presencesMax, presencesMax);
  const offset = p.whole('offset', 0, 100_000_000);
  const type = p.text('type');
  const { control } = b.relay;
  if (type !== null && !/^[MHRCW]$/.test(type))
    throw new RpcError(RpcCode.invalidParameter, "Parameter 'type' must be M, H, R, C or W", 'type');
  const types = type === null ? ['M', 'H', 'R', 'C'] : [type];
  const seen = new Map<string, Json>();
  for (const t of types) {
    if (seen.size >= offset + limit) break;
    for (const x of control.presences(t, offset + limit)) seen.set(addressText(x.wallet), presenceObject(x));
  }
  return [...seen.values()].slice(offset, offset + limit);
}

/** A node of the reference's dump of its relay tree. */
type Branch = { Key: string; Children: Record<string, Branch>; Values: Record<string, string> };

function sectorTree(b: ApiBackend): Json {
  const root: Branch = { Key: '', Children: {}, Values: {} };
  for (const wallet of b.relay.control.relays()) {
    const prefix = toHex(sectorPrefix(wallet));
    let at = root;
    // Four bytes deep, as the reference's tree is (docs/protocol/06 §2).
    for (let i = 0; i < 8; i += 2) {
      const key = prefix.slice(i, i + 2);
      at.Children[key] ??= { Key: key, Children: {}, Values: {} };
      at = at.Children[key];
    }
    at.Values[prefix] = addressText(wallet);
  }
  return root;
}

function sectorNodes(b: ApiBackend, p: Params): Json {
  p.need('maxRelayCount', RpcCode.parameter);
  const max = p.whole('maxRelayCount', 0, 1_000, RpcCode.parameter);
  const text = p.text('address');
  let prefix: Uint8Array;
  if (p.text('prefixHex') !== null) prefix = p.hex('prefixHex', RpcCode.parameter);
  else if (text !== null) prefix = sectorPrefix(addressParameter(text, 'address'));
  else throw new RpcError(RpcCode.parameter, "Parameter 'prefixHex' or 'address' is missing", 'prefixHex');
  if (prefix.length === 0 || prefix.length > 64)
    throw new RpcError(RpcCode.parameter, "Parameter 'prefixHex' must be 1 to 64 bytes", 'prefixHex');
  if (max < 2)
    return b.relay.control
      .sector(prefix, 2)
      .slice(0, max)
      .map((w) => addressObject(w));
  return b.relay.control.sector(prefix, max).map((w) => addressObject(w));
}

async function blockHeader(b: ApiBackend, p: Params): Promise<Json> {
  p.need('num', RpcCode.parameter);
  const number = p.whole('num', 0, Number.MAX_SAFE_INTEGER, RpcCode.parameter);
  const header = (await b.relay.chain?.header(number)) ?? null;
  if (header === null) throw new RpcError(RpcCode.parameter, 'Block header not found', 'num');
  return p.text('bytes') === '1' ? toHex(header.hashed) : headerObject(header);
}

function connect(b: ApiBackend, p: Params): Json {
  const to = p.need('to');
  if (!/^[^\s:/]+:\d{1,5}$/.test(to) || Number(to.slice(to.lastIndexOf(':') + 1)) > 65_535)
    throw new RpcError(RpcCode.invalidParameter, "Parameter 'to' must be host:port", 'to');
  b.relay.addLedgerPeer(to);
  return `Connecting to node ${to}`;
}

function isolate(b: ApiBackend): Json {
  const { control } = b.relay;
  control.setDraining(true);
  control.pauseOutbound();
  const disconnect = 'The relay is isolating itself';
  control.disconnectInbound(disconnect);
  b.cluster?.tell({ draining: true, disconnect });
  return 'Isolating from network now.';
}

function resume(b: ApiBackend): void {
  b.drain.cancel();
  b.relay.control.setDraining(false);
  b.relay.control.resumeOutbound();
  b.cluster?.tell({ cancelDrain: true, draining: false });
}

function blacklist(b: ApiBackend, p: Params): Json {
  const targets = [p.text('host'), p.text('wallet')].filter((t): t is string => t !== null && t !== '');
  // Twelve hours, as the reference means it (11 §4.1).
  const seconds = p.whole('seconds', 43_200, 1_000_000_000);
  for (const t of targets)
    try {
      b.bans.add(t, 'blacklistpeer', seconds);
    } catch (e) {
      throw new RpcError(
        RpcCode.invalidParameter,
        (e as Error).message,
        t === p.text('host') ? 'host' : 'wallet',
      );
    }
  return 'OK';
}

/** The loaded wallet, or −5 where another is named. */
function checkWallet(b: ApiBackend, p: Params): void {
  const text = p.text('wallet');
  if (text !== null && text !== '' && text !== addressText(b.signer.address))
    throw new RpcError(RpcCode.address, 'The wallet is not loaded', 'wallet');
}

/** What is signed: 64 bytes given, or the hash of a text. */
function signedHash(p: Params): Uint8Array {
  const message = p.text('message');
  if (message !== null) return sha3sqTrunc(new TextEncoder().encode(message));
  if (p.text('hash') === null)
    throw new RpcError(RpcCode.invalidParameter, "Parameter 'message' or 'hash' is missing", 'message');
  return p.hex('hash');
}

async function sign(b: ApiBackend, p: Params): Promise<Json> {
  checkWallet(b, p);
  const signature = await b.signer.sign(signedHash(p));
  return { signature: toHex(signature), publicKey: toHex(b.signer.publicKey) };
}

async function verify(b: ApiBackend, p: Params): Promise<Json> {
  const key = p.hex('publicKey');
  const signature = p.hex('signature');
  const [good] = await b.engine.verify([{ key, message: signedHash(p), signature }]);
  let address: string;
  try {
    address = addressText(addressFromKey(key));
  } catch {
    throw new RpcError(RpcCode.address, 'Invalid public key was specified', 'publicKey');
  }
  return { verified: good === true ? 'ok' : 'fail', address };
}

function validate(p: Params): Json {
  const text = p.need('address');
  try {
    extendedAddressFromText(text);
    return 'OK';
  } catch {
    addressParameter(text, 'address');
    return 'OK';
  }
}

async function backup(b: ApiBackend, p: Params): Promise<Json> {
  checkWallet(b, p);
  try {
    const file = await readFile(b.walletPath ?? '');
    const text = file.toString('latin1');
    // A file may itself be hexadecimal text (02 §10).
    return text.startsWith('IXIHEX') ? text.trim() : `IXIHEX${toHex(file)}`;
  } catch {
    throw new RpcError(RpcCode.wallet, 'The wallet file cannot be read');
  }
}

const refuseWallet = (why: string) => (): never => {
  throw new RpcError(RpcCode.wallet, why);
};

/** Every R and RC method of docs/protocol/11 §4. */
export const METHODS: readonly Method[] = [
  // §4.1
  view('status', statusOf),
  view('blockheight', (b) => b.relay.status().height),
  view('clients', async (b) => (await remotesOf(b, 'inbound'))[0]!),
  view('servers', async (b) => (await remotesOf(b, 'ledger'))[0]!),
  act('connect', connect),
  act('reconnect', (b) => {
    b.relay.control.pauseOutbound();
    const disconnect = 'The relay is reconnecting';
    b.relay.control.disconnectInbound(disconnect);
    b.cluster?.tell({ disconnect });
    resume(b);
    return 'Reconnecting node to network now.';
  }),
  act('isolate', isolate),
  act(
    'resumenetworkoperations',
    (b) => {
      resume(b);
      return 'Reconnecting to network now.';
    },
    { since: '0.9.8' },
  ),
  act('pauseClient', (b) => {
    b.relay.control.pauseOutbound();
    return 'Network Client paused.';
  }),
  act('resumeClient', (b) => {
    b.relay.control.resumeOutbound();
    return 'Network Client resumed.';
  }),
  act('blacklistpeer', blacklist),
  act('clearpeerblacklist', (b) => {
    b.bans.clear();
    return 'OK';
  }),
  act('shutdown', (b) => {
    // After the answer has left.
    setTimeout(() => b.shutdown('api'), 50);
    return 'Node shutdown';
  }),
  // §4.2
  view('pl', presenceList),
  view('getpresence', (b, p) => {
    const found = b.relay.control.presence(addressParameter(p.need('wallet'), 'wallet'));
    return found === null ? null : presenceObject(found);
  }),
  view('relaySectors', sectorTree),
  view('getSectorNodes', sectorNodes),
  view('getBlockHeader', blockHeader, { since: '0.9.8' }),
  // §4.3
  noLedger('gettotalbalance'),
  noLedger('mywallet'),
  walletMethod('mypubkey', (b, p) => {
    checkWallet(b, p);
    return toHex(b.signer.publicKey);
  }),
  walletMethod('listwallets', (b) => [addressText(b.signer.address)]),
  walletMethod('generatenewaddress', refuseWallet('Addresses of a running relay cannot be generated'), {
    changes: true,
  }),
  walletMethod('getwalletbackup', backup),
  walletMethod('getviewingwallet', refuseWallet('Viewing wallets are made with starling wallet')),
  walletMethod(
    'loadwallet',
    (_b, p) => {
      p.need('file');
      p.need('password');
      throw new RpcError(RpcCode.wallet, 'Loading wallets is switched off');
    },
    { changes: true },
  ),
  // The first wallet cannot be unloaded, and there is no other.
  walletMethod('unloadwallet', () => 'FAIL', { changes: true }),
  view('validateaddress', (_b, p) => validate(p)),
  walletMethod('sign', sign, { changes: true }),
  view('verify', verify),
  walletMethod('activity', () => {
    throw new RpcError(RpcCode.invalidRequest, "Use '/activity2' instead");
  }),
  noLedger('activity2'),
  noLedger('getactivity', RpcCode.internal, { since: '0.9.8' }),
  // §4.4: the reference answers −28 until the node has caught up with the ledger.
  noLedger('addtransaction', RpcCode.warmingUp, { changes: true }),
  noLedger('createrawtransaction', RpcCode.warmingUp),
  noLedger('calculatetransactionfee', RpcCode.warmingUp),
  noLedger('signrawtransaction', RpcCode.warmingUp, { changes: true }),
  noLedger('decoderawtransaction', RpcCode.warmingUp),
  noLedger('sendrawtransaction', RpcCode.warmingUp, { changes: true }),
  noLedger('decodeTransaction', RpcCode.warmingUp),
  // §4.5
  noLedger('decodeNameData'),
];

/** Methods that answer with an error until the relay keeps a ledger, for the docs. */
export const LEDGER_METHODS: readonly string[] = [
  'gettotalbalance',
  'mywallet',
  'activity2',
  'getactivity',
  'addtransaction',
  'createrawtransaction',
  'calculatetransactionfee',
  'signrawtransaction',
  'decoderawtransaction',
  'sendrawtransaction',
  'decodeTransaction',
  'decodeNameData',
];

const byName = new Map(METHODS.map((m) => [m.name.toLowerCase(), m]));

/** The method of that name in any letter case, null when that release has none. */
export function methodNamed(name: string, compat: ApiCompat): Method | null {
  const m = byName.get(name.toLowerCase()) ?? null;
  return m === null || (m.since === '0.9.8' && compat === '0.9.7') ? null : m;
}
