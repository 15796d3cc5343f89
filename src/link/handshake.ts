import { addressFromKey, isRsaPublicKey, parseAddress, type VerifyEngine } from '../identity/index.js';
import {
  Bye,
  bytesEqual,
  DecodeError,
  decodeHello,
  decodeHelloData,
  type HelloCommon,
  helloPreimage,
  type Network,
  type ProtocolLine,
} from '../wire/index.js';
import { defaultLinkLimits } from './limits.js';
import { notReadyText, retryData } from './not-ready.js';
import type { BlockTip, HandshakePolicy, PeerInfo, Verified, VerifyHook } from './types.js';

/** What both judgements need to know. */
export interface JudgeContext {
  readonly network: Network;
  /** Source address of the connection, `''` when it cannot be known (browsers). */
  readonly observedIp: string;
  readonly engine: VerifyEngine;
  readonly policy?: HandshakePolicy | undefined;
  /** True when this connection already has a peer: docs/protocol/03 §3.5 step 0. */
  readonly established?: boolean;
  /** Candidates tried for a C signature, each one RSA operation. */
  readonly candidatesMax?: number;
  /** Of this connection (03 §2.4). */
  readonly timeDifferenceSeconds?: number;
  /** Verifies in place of `engine`. */
  readonly verify?: VerifyHook | undefined;
  /** When a verdict is of no use any more, and how to learn that nobody waits for it. */
  readonly terms?: { readonly deadlineMs: number; abandoned(): boolean };
}

/** Accepting side. */
export interface HelloContext extends JudgeContext {
  /** See `SelfInfo.busy`. */
  busy?(deadlineMs: number): number | null;
  /** Own public `ip:port`, `''` when there is none: a C signs over it once we are its primary relay. */
  readonly ownEndpoint: string;
}

/** Dialling side. */
export interface HelloDataContext extends JudgeContext {
  /** The challenge of our own hello. */
  readonly challenge: number;
}

/**
 * The rule of 03 §3.5 that decided; `type` and `height` are the follow-up checks of the dialling side, `busy` is
 * what we cannot answer in time.
 */
export type HandshakeStep =
  | 0
  | 1
  | 2
  | 3
  | 4
  | 5
  | 6
  | 7
  | 8
  | "8'"
  | 9
  | 10
  | 11
  | 12
  | 13
  | 14
  | 'type'
  | 'height'
  | 'busy';

/** What the peer said, as far as it was believed when the judgement ended: for logs and counters. */
export interface Claimed {
  /** 0 until the key was found bound to the address. */
  readonly port: number;
  /** Null until the signature was looked at. */
  readonly nodeType: string | null;
  readonly hostname: string | null;
}

export interface Refusal {
  readonly kind: 'refuse';
  readonly step: HandshakeStep;
  readonly bye: Bye;
  readonly text: string;
  /** `data` member of the bye, the only part that peers interpret. */
  readonly data: string;
  readonly claimed: Claimed;
}

export type Verdict =
  /** Step 0: say nothing, change nothing. */
  | { readonly kind: 'ignore' }
  | Refusal
  | {
      readonly kind: 'accept';
      readonly peer: PeerInfo;
      readonly challenge: number;
      readonly claimed: Claimed;
      /** What extensions put behind the last field. */
      readonly trailing?: Uint8Array | undefined;
    };

const NOTHING_CLAIMED: Claimed = { port: 0, nodeType: null, hostname: null };

function refuse(
  step: HandshakeStep,
  bye: Bye,
  text: string,
  data = '',
  claimed: Claimed = NOTHING_CLAIMED,
): Refusal {
  return { kind: 'refuse', step, bye, text, data, claimed };
}

const MALFORMED = 'Malformed hello';

/** Steps 1–4 and 14 as the decoder met them: it fails at the first field that breaks a rule. */
function refusalOf(error: DecodeError): Refusal {
  const field = error.field.slice(error.field.indexOf('.') + 1);
  if (error.code === 'RANGE' && field === 'version')
    return refuse(1, Bye.deprecated, 'Protocol version too old', '6');
  if (error.code === 'TOOLONG') {
    if (field === 'address') return refuse(2, Bye.rejected, 'Invalid address');
    if (field === 'productVersion') return refuse(3, Bye.rejected, 'Invalid product version');
    if (field === 'deviceId') return refuse(4, Bye.rejected, 'Invalid device id');
  }
  return refuse(14, Bye.deprecated, MALFORMED);
}

/** Address lengths that the reference takes for a public key, which then is nobody's address (03 §3.5). */
const KEY_IN_ADDRESS_FIELD_MIN = 49;

const ADDRESS_LENGTHS: readonly number[] = [33, 36, 45, 48];

/** Raw address of the field, or what is wrong with it. */
function readAddress(bytes: Uint8Array): Uint8Array | Refusal {
  if (bytes.length >= KEY_IN_ADDRESS_FIELD_MIN)
    return refuse(6, Bye.authFailed, 'Public key and address do not match');
  try {
    return parseAddress(bytes, 'hello.address');
  } catch (error) {
    if (error instanceof DecodeError) return refuse(14, Bye.deprecated, MALFORMED);
    throw error;
  }
}

/** Step 6: the key is a real one and the address is derived from it. */
function bindKey(address: Uint8Array, key: Uint8Array): Refusal | null {
  // The reference takes an address in this field for the key, and anybody knows the victim's address.
  if (ADDRESS_LENGTHS.includes(key.length)) return refuse(6, Bye.authFailed, 'Field 7 is not a public key');
  if (!isRsaPublicKey(key)) return refuse(14, Bye.deprecated, MALFORMED);
  if (!bytesEqual(addressFromKey(key), address))
    return refuse(6, Bye.authFailed, 'Public key and address do not match');
  return null;
}

const NO_TERMS = { deadlineMs: Number.POSITIVE_INFINITY, abandoned: () => false };

/** What a hello gets that cannot be worked on in time: come back after so many milliseconds. */
function busy(retryAfterMs: number | null, claimed: Claimed = NOTHING_CLAIMED): Refusal {
  return refuse('busy', Bye.notReady, notReadyText, retryData(retryAfterMs), claimed);
}

/** The first candidate that the signature verifies with, null for none, or that there was no time to find out. */
async function signedEndpoint(
  hello: HelloCommon,
  challenge: number,
  context: JudgeContext,
  candidates: Iterable<string>,
): Promise<string | null | Refusal> {
  const seen = new Set<string>();
  const { deadlineMs, abandoned } = context.terms ?? NO_TERMS;
  for (const endpoint of candidates) {
    if (seen.has(endpoint)) continue;
    if (seen.size >= (context.candidatesMax ?? defaultLinkLimits.helloCandidatesMax)) return null;
    seen.add(endpoint);
    const message = helloPreimage({
      lock: context.network.lock,
      deviceId: hello.deviceId,
      timestamp: hello.timestamp,
      endpoint,
      challenge,
    });
    const item = { key: hello.publicKey, message, signature: hello.signature };
    if (context.verify === undefined) {
      const [good] = await context.engine.verify([item]);
      if (good === true) return endpoint;
      continue;
    }
    const good = await context.verify({ item, deadlineMs, abandoned });
    if (good === null) return busy(null);
    if (good) return endpoint;
  }
  return null;
}

/**
 * Endpoints a client may legitimately have signed over (03 §3.5, last Weakness but one), likeliest first:
 * nothing yet (always so with port 0), our own endpoint as its primary relay, another relay's, its own.
 */
function* clientCandidates(port: number, context: HelloContext): Generator<string> {
  if (port === 0) {
    yield '';
    return;
  }
  const suffix = `:${port}`;
  if (context.ownEndpoint.endsWith(suffix)) yield context.ownEndpoint;
  yield `${context.observedIp}${suffix}`;
  yield '';
  for (const endpoint of context.policy?.relayEndpoints?.(port) ?? [])
    if (endpoint.endsWith(suffix)) yield endpoint;
}

/** Where the signer may say it is: what we see, or, where that is impossible, what its presence says. */
function* serverCandidates(port: number, context: JudgeContext): Generator<string> {
  if (context.observedIp !== '') yield `${context.observedIp}:${port}`;
  yield* context.policy?.expectedEndpoints ?? [];
}

/**
 * The line a peer speaks (04 §3.3). An address with checksum is Core before 0.9.7i for certain; otherwise only
 * the product strings of software that never left the old line tell.
 */
export function protocolLine(addressLength: number, productVersion: string): ProtocolLine {
  if (addressLength === 36 || addressLength === 48) return '0.9.7';
  return /^(xs2c-0\.9\.[0-3]|xdc-0\.9\.[0-7])(\D|$)/.test(productVersion) ? '0.9.7' : '0.9.8';
}

interface Common {
  readonly hello: HelloCommon;
  readonly address: Uint8Array;
  readonly observedEndpoint: string;
}

/** Steps 0–7, the same on both sides. */
function judgeCommon(hello: HelloCommon, context: JudgeContext): Common | Refusal {
  const address = readAddress(hello.address);
  if (!(address instanceof Uint8Array) && address.step === 14) return address;
  if (hello.testFlag !== context.network.testFlag)
    return refuse(5, Bye.incorrectNetworkType, 'Other network', hello.testFlag ? 'True' : 'False');
  if (!(address instanceof Uint8Array)) return address;
  const unbound = bindKey(address, hello.publicKey);
  if (unbound !== null) return unbound;
  const observedEndpoint = `${context.observedIp}:${hello.port}`;
  if (context.policy?.blacklisted?.(address, observedEndpoint) === true)
    return refuse(7, Bye.rejected, 'Blacklisted', '', { ...NOTHING_CLAIMED, port: hello.port });
  return { hello, address, observedEndpoint };
}

function decoded<T>(decode: () => T): T | Refusal {
  try {
    return decode();
  } catch (error) {
    if (error instanceof DecodeError) return refusalOf(error);
    throw error;
  }
}

function isRefusal(x: object): x is Refusal {
  return 'kind' in x && x.kind === 'refuse';
}

function incorrectIp(step: HandshakeStep, context: JudgeContext, port: number): Refusal {
  return refuse(step, Bye.incorrectIp, 'Signature does not verify for this address', context.observedIp, {
    ...NOTHING_CLAIMED,
    port,
  });
}

function peerOf(
  common: Common,
  context: JudgeContext,
  endpoint: string | null,
  rest: Pick<PeerInfo, 'lastBlock' | 'reportedEndpoint'>,
): PeerInfo {
  const { hello } = common;
  const verified: Verified = endpoint === null ? 'none' : 'signature';
  return {
    address: common.address,
    publicKey: hello.publicKey,
    nodeType: hello.nodeType,
    productVersion: hello.productVersion,
    deviceId: hello.deviceId,
    port: hello.port,
    timestamp: hello.timestamp,
    observedIp: context.observedIp,
    hostname: hello.nodeType === 'C' ? '' : common.observedEndpoint,
    verified,
    signedEndpoint: endpoint,
    line: protocolLine(hello.address.length, hello.productVersion),
    timeDifferenceSeconds: context.timeDifferenceSeconds ?? 0,
    lastBlock: rest.lastBlock,
    reportedEndpoint: rest.reportedEndpoint,
  };
}

/** Steps 10–13: limits, balance, probe. Null: nothing against it. */
async function admit(common: Common, claimed: Claimed, policy: HandshakePolicy): Promise<Refusal | null> {
  const type = common.hello.nodeType;
  const master = type === 'M' || type === 'H';
  if (master && policy.limits !== undefined && policy.limits.masters() + 1 > policy.limits.mastersMax)
    return refuse(10, Bye.rejected, 'Too many master nodes connected', '', claimed);
  if (type === 'C' && policy.limits !== undefined && policy.limits.clients() > policy.limits.clientsMax)
    return refuse(11, Bye.rejected, 'Too many clients connected', '', claimed);
  if (master && policy.insufficientBalance !== undefined) {
    const balance = await policy.insufficientBalance(common.address);
    if (balance !== null) return refuse(12, Bye.insufficientFunds, 'Insufficient funds', balance, claimed);
  }
  if (
    (master || type === 'R') &&
    policy.probe !== undefined &&
    !(await policy.probe(common.observedEndpoint))
  )
    return refuse(13, Bye.notConnectable, `${common.observedEndpoint} is not reachable`, '', claimed);
  return null;
}

/**
 * Judges a hello (code 0) as the accepting side, in the order of docs/protocol/03 §3.5 and with its strict
 * rules: the key in field 7 must be a real one, addresses have exact lengths, numbers their range. A C whose
 * signature no candidate verifies is accepted with `verified: 'none'`, or refused by policy.
 *
 * Pure apart from what the policy's functions do. Rejects only when the engine or a policy function does.
 */
export async function judgeHello(payload: Uint8Array, context: HelloContext): Promise<Verdict> {
  if (context.established === true) return { kind: 'ignore' };
  const policy = context.policy ?? {};
  const hello = decoded(() => decodeHello(payload));
  if (isRefusal(hello)) return hello;
  const common = judgeCommon(hello, context);
  if (isRefusal(common)) return common;
  const client = hello.nodeType === 'C';
  const claimed: Claimed = {
    port: hello.port,
    nodeType: hello.nodeType,
    hostname: client ? '' : common.observedEndpoint,
  };
  if (client) {
    // A full house is told before RSA is spent; nobody can see the difference, a C signature refuses nothing.
    const full = await admit(common, claimed, policy);
    if (full !== null) return full;
  }
  const retryAfterMs = context.busy?.((context.terms ?? NO_TERMS).deadlineMs) ?? null;
  if (retryAfterMs !== null) return busy(retryAfterMs, claimed);
  const candidates = client ? clientCandidates(hello.port, context) : serverCandidates(hello.port, context);
  const endpoint = await signedEndpoint(hello, hello.challenge, context, candidates);
  if (endpoint !== null && typeof endpoint !== 'string')
    return busy(context.busy?.((context.terms ?? NO_TERMS).deadlineMs) ?? null, claimed);
  if (endpoint === null && (!client || policy.unverifiedClients === 'refuse'))
    return incorrectIp(client ? "8'" : 8, context, hello.port);
  if (!client) {
    const unfit = await admit(common, claimed, policy);
    if (unfit !== null) return unfit;
  }
  const peer = peerOf(common, context, endpoint, { lastBlock: null, reportedEndpoint: null });
  return { kind: 'accept', peer, challenge: hello.challenge, claimed, trailing: hello.trailing };
}

/**
 * Judges a helloData (code 1) as the dialling side, in the order of 03 §3.5, then the follow-ups: type of the
 * server (bye 400) and its height (bye 602). Where the server's address cannot be observed, the signature must
 * verify with one of `policy.expectedEndpoints`.
 */
export async function judgeHelloData(payload: Uint8Array, context: HelloDataContext): Promise<Verdict> {
  if (context.established === true) return { kind: 'ignore' };
  const policy = context.policy ?? {};
  const hello = decoded(() => decodeHelloData(payload));
  if (isRefusal(hello)) return hello;
  const common = judgeCommon(hello, context);
  if (isRefusal(common)) return common;
  const client = hello.nodeType === 'C';
  const candidates = serverCandidates(hello.port, context);
  const endpoint = await signedEndpoint(hello, context.challenge, context, candidates);
  if (endpoint !== null && typeof endpoint !== 'string') return endpoint;
  if (endpoint === null && !client) return incorrectIp(8, context, hello.port);
  const claimed: Claimed = {
    port: hello.port,
    nodeType: hello.nodeType,
    hostname: client ? '' : common.observedEndpoint,
  };
  const expected = policy.expectedWallet ?? null;
  if (expected !== null && !bytesEqual(expected, common.address))
    return refuse(9, Bye.addressMismatch, 'Another wallet was expected', '', claimed);
  if (policy.acceptsServerType?.(hello.nodeType) === false)
    return refuse('type', Bye.expectingMaster, 'Expecting a master', '', claimed);
  const lastBlock: BlockTip = {
    number: hello.lastBlock,
    checksum: hello.lastBlockChecksum ?? new Uint8Array(0),
    version: hello.lastBlockVersion,
  };
  const highest = policy.tooFarBehind?.(lastBlock, hello.nodeType) ?? null;
  if (highest !== null)
    return refuse('height', Bye.tooFarBehind, 'Your node is too far behind', String(highest), claimed);
  const peer = peerOf(common, context, endpoint, { lastBlock, reportedEndpoint: hello.yourAddress });
  return { kind: 'accept', peer, challenge: context.challenge, claimed, trailing: hello.trailing };
}
