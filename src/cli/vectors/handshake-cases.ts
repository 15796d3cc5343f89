import { createServer } from 'node:net';
import {
  addressFromText,
  addressText,
  addressWithChecksum,
  createSigner,
  type Signer,
} from '../../identity/index.js';
import type { BlockTip, SelfInfo } from '../../link/index.js';
import {
  answerHello,
  buildHello,
  type Claimed,
  endpointText,
  type HelloAnswer,
  type HelloContext,
  judgeHello,
  judgeHelloData,
  priorityOf,
  type Refusal,
  type Verdict,
} from '../../link/index.js';
import { probe } from '../../link/node/index.js';
import {
  ByteReader,
  Code,
  decodeBye,
  decodeHello,
  encodeBye,
  encodeFrame,
  fromHex,
  helloPreimage,
  NETWORKS,
  type Network,
  PROTOCOL_VERSION,
  toHex,
} from '../../wire/index.js';
import type { Answer, Json, JsonObject, Outcome, VectorCase, VectorContext } from './case.js';
import { compareOut } from './case.js';
import { vectorEngine } from './engine.js';
import { attempt, bytes, int, num, object, text } from './wire-fields.js';

const signers = new Map<string, Promise<Signer>>();

/** The signer of a wallet of the file, made once. */
export function signerOf(ctx: VectorContext, wallet: string): Promise<Signer> {
  const key = text(ctx.find('wallets.json', wallet).in, 'privateKey');
  const known = signers.get(key);
  if (known !== undefined) return known;
  const made = createSigner(fromHex(key));
  signers.set(key, made);
  return made;
}

/** Nobody leaves while a case is computed. */
const TERMS = { deadlineMs: Number.MAX_SAFE_INTEGER, abandoned: () => false };

function networkOf(name: string): Network {
  const n = Object.values(NETWORKS).find((x) => x.name === name);
  if (n === undefined) throw new TypeError(`no network ${name}`);
  return n;
}

interface SelfFields {
  readonly network: Network;
  readonly type: string;
  readonly ip: string;
  readonly port: number;
  readonly deviceId: Uint8Array;
  readonly productVersion: string;
  readonly timestamp: number;
  readonly tip: BlockTip | null;
  /** Line of the node: before 0.9.8 the own address was sent with its checksum (docs/protocol/03 §3.1). */
  readonly line: string;
}

function selfOf(signer: Signer, f: SelfFields): SelfInfo {
  return {
    network: f.network,
    nodeType: f.type,
    address: f.line === '0.9.7' ? addressWithChecksum(signer.address) : signer.address,
    publicKey: signer.publicKey,
    productVersion: f.productVersion,
    deviceId: f.deviceId,
    publicEndpoint: () => ({ ip: f.ip, port: f.port }),
    networkTimeMs: () => f.timestamp * 1000,
    tip: () => f.tip,
    sign: (request) => signer.sign(request.message),
  };
}

function fieldsOf(c: VectorCase): SelfFields {
  const block = c.in.block === undefined || c.in.block === null ? null : object(c.in.block);
  const checksum = block?.checksum;
  return {
    network: { ...networkOf(text(c.in, 'network')), lock: bytes(c.in, 'lock') },
    type: text(c.in, 'type'),
    ip: text(c.in, 'publicIp'),
    port: num(c.in, 'publicPort'),
    deviceId: bytes(c.in, 'deviceId'),
    productVersion: text(c.in, 'productVersion'),
    timestamp: int(c.in, 'timestamp'),
    tip:
      block === null
        ? null
        : {
            number: int(block, 'number'),
            checksum: typeof checksum === 'string' ? fromHex(checksum) : new Uint8Array(0),
            version: num(block, 'version'),
          },
    line: c.line,
  };
}

/** hello/build: payload, preimage, signature and frame from the fields. */
export async function helloBuild(c: VectorCase, ctx: VectorContext): Promise<Answer> {
  const fields = fieldsOf(c);
  const self = selfOf(await signerOf(ctx, text(c.in, 'wallet')), fields);
  const challenge = num(c.in, 'challenge');
  const payload = await buildHello(self, challenge, TERMS);
  if (payload === null) return { refused: 'not signed' };
  const preimage = helloPreimage({
    lock: fields.network.lock,
    deviceId: fields.deviceId,
    timestamp: fields.timestamp,
    endpoint: endpointText(self.publicEndpoint()),
    challenge,
  });
  return {
    out: {
      code: Code.hello,
      payload: toHex(payload),
      frame: toHex(encodeFrame(Code.hello, payload)),
      signaturePreimage: toHex(preimage),
      signature: toHex(decodeHello(payload).signature),
      sendQueue: priorityOf(Code.hello),
    },
  };
}

/** helloData/build: what answers a hello with that challenge. */
export async function helloDataBuild(c: VectorCase, ctx: VectorContext): Promise<Answer> {
  const self = selfOf(await signerOf(ctx, text(c.in, 'wallet')), fieldsOf(c));
  const peer = { observedIp: text(c.in, 'peerObservedIp'), port: num(c.in, 'peerHelloPort') };
  const answer = await answerHello(self, peer, num(c.in, 'challenge'), TERMS);
  return { out: { messages: [{ code: answer.code, payload: toHex(answer.payload) }] } };
}

/** Version by which the reference would frame its answer: field 1 cut to 32 bits, 6 when there is none. */
function endpointVersion(payload: Uint8Array): number {
  const v = attempt(() => new ByteReader(payload).uvar('version'));
  return 'value' in v ? Number(BigInt.asIntN(32, v.value)) : PROTOCOL_VERSION;
}

function sentBye(payload: Uint8Array): JsonObject {
  const bye = decodeBye(payload);
  return { code: Code.bye, byeCode: bye.code, text: bye.text, data: bye.data, payload: toHex(payload) };
}

const byeOf = (r: Refusal): Uint8Array => encodeBye({ code: r.bye, text: r.text, data: r.data });

interface Judged {
  readonly verdict: Verdict;
  readonly sent: readonly JsonObject[];
  /** True when an earlier hello of the connection was accepted. */
  readonly before: Extract<Verdict, { kind: 'accept' }> | null;
  readonly server: boolean;
}

function outOf(payload: Uint8Array, j: Judged): JsonObject {
  const { verdict } = j;
  const accepted = verdict.kind === 'accept';
  const known = accepted ? verdict : j.before;
  const claimed: Claimed | undefined = verdict.kind === 'ignore' ? j.before?.claimed : verdict.claimed;
  return {
    accepted,
    helloReceived: j.server && known !== null,
    hasPresence: known !== null,
    presenceWallet: known === null ? null : addressText(known.peer.address),
    presenceAddress: claimed?.hostname ?? null,
    type: claimed?.nodeType ?? null,
    endpointVersion: endpointVersion(payload),
    incomingPort: claimed?.port ?? 0,
    sent: [...j.sent],
  };
}

/**
 * Observations of the hello groups (test/vectors/README.md §3): the free text of a bye, the bytes that contain
 * it, and how far the reference had read.
 */
const OBSERVED = ['bytesRead', 'sent[*].text', 'sent[*].payload'];

/** Judges the computed `out` against the case and its strict mark. */
function conclude(c: VectorCase, out: JsonObject, verdict: Verdict): Answer | Outcome {
  if (verdict.kind === 'refuse' && c.strict !== undefined)
    return { refused: `step ${verdict.step}, bye ${verdict.bye}` };
  if (c.strict?.verified === undefined) return { out, ignore: OBSERVED };
  // README §6: accepted as in `out`, and marked as not verified.
  const verified = verdict.kind === 'accept' && verdict.peer.verified !== 'none';
  if (verified !== c.strict.verified) return { kind: 'failed', detail: `verified: ${verified}` };
  const m = compareOut(c.out, out, OBSERVED);
  return m === null ? { kind: 'passed' } : { kind: 'failed', detail: `${m.path}: ${m.detail}` };
}

/** A listening socket for the cases whose payload depends on its port. */
async function withListener<T>(use: (port: number) => Promise<T>): Promise<T> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.resume();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const at = server.address();
  try {
    return await use(at !== null && typeof at === 'object' ? at.port : 0);
  } finally {
    server.close();
  }
}

/** A case that is not told where it runs is like the first of its group (README §3, 03-wire). */
const DEFAULT_IP = '203.0.113.7';

function policyOf(c: VectorCase): HelloContext['policy'] {
  const { note, blacklisted, blacklistedWallet } = c.in;
  // One more than allowed, or nobody yet: the only two states the cases know.
  const clients = note === 'client limit exceeded' ? 1 : 0;
  const masters = note === 'master limit exceeded' ? 1 : 0;
  return {
    limits: { clientsMax: 0, clients: () => clients, mastersMax: 1, masters: () => masters },
    blacklisted: (address, endpoint) =>
      endpoint === blacklisted || addressText(address) === blacklistedWallet,
    probe,
  };
}

/** hello/server: feed the payload to a node of `ownType`, accepting side. */
export async function helloServer(c: VectorCase, ctx: VectorContext): Promise<Answer | Outcome> {
  const observedIp = c.in.observedIp === undefined ? DEFAULT_IP : text(c.in, 'observedIp');
  const own = await signerOf(ctx, c.in.ownWallet === undefined ? 'w5' : text(c.in, 'ownWallet'));
  const self = selfOf(own, {
    network: NETWORKS.main,
    type: c.in.ownType === undefined ? 'R' : text(c.in, 'ownType'),
    ip: '203.0.113.9',
    port: 10235,
    deviceId: Uint8Array.of(1),
    productVersion: 'starling',
    timestamp: 1767225600,
    tip: c.in.blockKnown === false ? null : { number: 1, checksum: new Uint8Array(0), version: 12 },
    line: c.line,
  });
  const context: HelloContext = {
    network: NETWORKS.main,
    observedIp,
    engine: await vectorEngine(ctx),
    policy: policyOf(c) ?? {},
    ownEndpoint: endpointText(self.publicEndpoint()),
  };
  if (c.in.builtFrom === undefined) return judged(c, self, context, bytes(c.in, 'payload'));
  const from = object(c.in.builtFrom);
  return withListener(async (port) => {
    const peer = await signerOf(ctx, text(from, 'wallet'));
    const payload = await peerHello(peer, text(from, 'type'), observedIp, port, from.signatureValid === true);
    return judged(c, self, context, payload, port);
  });
}

async function peerHello(
  signer: Signer,
  type: string,
  ip: string,
  port: number,
  valid: boolean,
): Promise<Uint8Array> {
  const fields = {
    network: NETWORKS.main,
    type,
    ip,
    port,
    deviceId: Uint8Array.of(1),
    productVersion: 'xs2c-0.9.3b',
    timestamp: 1767225600,
    tip: null,
    line: '0.9.8',
  };
  const self = selfOf(signer, fields);
  // An invalid one is signed over another place than the one it comes from.
  const lying = { ...self, sign: (r: { message: Uint8Array }) => signer.sign(r.message.subarray(1)) };
  const payload = await buildHello(valid ? self : lying, 5, TERMS);
  if (payload === null) throw new TypeError('the hello of the peer was not signed');
  return payload;
}

async function judged(
  c: VectorCase,
  self: SelfInfo,
  context: HelloContext,
  payload: Uint8Array,
  listeningPort?: number,
): Promise<Answer | Outcome> {
  let before: Judged['before'] = null;
  if (c.in.note === 'same endpoint, second hello') {
    const first = await judgeHello(payload, context);
    if (first.kind !== 'accept') return { refused: 'the first hello' };
    before = first;
  }
  const verdict = await judgeHello(payload, { ...context, established: before !== null });
  const sent: JsonObject[] = [];
  if (verdict.kind === 'refuse') sent.push(sentBye(byeOf(verdict)));
  if (verdict.kind === 'accept') {
    const answer: HelloAnswer = await answerHello(self, verdict.peer, verdict.challenge, TERMS);
    sent.push(answer.code === Code.bye ? sentBye(answer.payload) : { code: answer.code });
  }
  const out = outOf(payload, { verdict, sent, before, server: true });
  return conclude(c, listeningPort === undefined ? out : withoutPort(out, listeningPort), verdict);
}

/** The port is known at run time only; the files name it in words. */
function withoutPort(out: JsonObject, port: number): JsonObject {
  const at: Json = out.presenceAddress ?? null;
  return {
    ...out,
    presenceAddress: typeof at === 'string' ? at.replace(`:${port}`, ':<listening port>') : at,
    incomingPort: out.incomingPort === port ? 'listening port' : (out.incomingPort ?? null),
  };
}

/** helloData/client: feed the payload to a node that dialled. */
export async function helloDataClient(c: VectorCase, ctx: VectorContext): Promise<Answer | Outcome> {
  const payload = bytes(c.in, 'payload');
  const expected = c.in.expectedWallet;
  const verdict = await judgeHelloData(payload, {
    network: NETWORKS.main,
    observedIp: text(c.in, 'observedIp'),
    engine: await vectorEngine(ctx),
    challenge: num(c.in, 'ownChallenge'),
    policy: { expectedWallet: typeof expected === 'string' ? addressFromText(expected) : null },
  });
  const sent = verdict.kind === 'refuse' ? [sentBye(byeOf(verdict))] : [];
  return conclude(c, outOf(payload, { verdict, sent, before: null, server: false }), verdict);
}
