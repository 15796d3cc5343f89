import { randomBytes } from '../identity/index.js';
import {
  Bye,
  Code,
  EMPTY_BYTES,
  encodeBye,
  encodeHello,
  encodeHelloData,
  type HelloCommon,
  helloPreimage,
  PROTOCOL_VERSION,
} from '../wire/index.js';
import { notReadyText, retryData } from './not-ready.js';
import type { OfferParts } from './resumption.js';
import type { Endpoint, SelfInfo, SignHook } from './types.js';

/** When a signature is of no use any more, and how to learn that nobody waits for it. */
export interface SignTerms {
  readonly deadlineMs: number;
  abandoned(): boolean;
}

/** `ip:port`, or `''` when the IP is empty or the port 0 (docs/protocol/03 §3.4). */
export function endpointText(endpoint: Endpoint): string {
  return endpoint.ip === '' || endpoint.port === 0 ? '' : `${endpoint.ip}:${endpoint.port}`;
}

/** A fresh challenge, 0…2^31−2 (03 §3.2), from the system's generator. */
export function randomChallenge(): number {
  const b = randomBytes(4);
  const v = new DataView(b.buffer, b.byteOffset, 4).getUint32(0, true) >>> 1;
  return v === 0x7fff_ffff ? 0 : v;
}

/** The sign hook of a key at hand: signs at once, unless the peer has left or the time is over. */
export function signDirectly(
  signer: { sign(message: Uint8Array): Promise<Uint8Array> },
  nowMs: () => number,
): SignHook {
  return async (request) => {
    if (request.abandoned() || nowMs() >= request.deadlineMs) return null;
    return signer.sign(request.message);
  };
}

/** Fields 1–10, signed. Null when the hook declined. */
async function common(
  self: SelfInfo,
  challenge: number,
  terms: SignTerms,
  deviceId: Uint8Array = self.deviceId,
): Promise<HelloCommon | null> {
  const endpoint = self.publicEndpoint();
  const timestamp = Math.floor(self.networkTimeMs() / 1000);
  const message = helloPreimage({
    lock: self.network.lock,
    deviceId,
    timestamp,
    endpoint: endpointText(endpoint),
    challenge,
  });
  const signature = await self.sign({
    message,
    deadlineMs: terms.deadlineMs,
    abandoned: () => terms.abandoned(),
  });
  if (signature === null) return null;
  return {
    version: PROTOCOL_VERSION,
    address: self.address,
    testFlag: self.network.testFlag,
    nodeType: self.nodeType,
    productVersion: self.productVersion,
    deviceId,
    publicKey: self.publicKey,
    port: endpoint.port,
    timestamp,
    signature,
  };
}

/**
 * Payload of our hello (03 §3.1, §3.2), with what an extension puts behind it. Null when it could not be signed in
 * time.
 */
export async function buildHello(
  self: SelfInfo,
  challenge: number,
  terms: SignTerms,
  trailing?: Uint8Array,
): Promise<Uint8Array | null> {
  const c = await common(self, challenge, terms);
  if (c === null) return null;
  return encodeHello(trailing === undefined ? { ...c, challenge } : { ...c, challenge, trailing });
}

/** The message that answers an accepted hello. */
export interface HelloAnswer {
  readonly code: typeof Code.helloData | typeof Code.bye;
  readonly payload: Uint8Array;
}

/** Answer of a node that has no block yet or cannot sign in time (03 §3.3, §5.2). */
export function notReadyAnswer(retryAfterMs: number | null = null): HelloAnswer {
  return {
    code: Code.bye,
    payload: encodeBye({ code: Bye.notReady, text: notReadyText, data: retryData(retryAfterMs) }),
  };
}

/**
 * What an accepted hello is answered with: helloData over the peer's challenge, or bye 700 when we have no
 * block yet or the signature cannot be had in time.
 */
export async function answerHello(
  self: SelfInfo,
  peer: { readonly observedIp: string; readonly port: number },
  challenge: number,
  terms: SignTerms,
  offer: () => Promise<OfferParts | null> = () => Promise.resolve(null),
): Promise<HelloAnswer> {
  const tip = self.tip();
  if (tip === null) return notReadyAnswer();
  const extension = await offer();
  // The signature over the device id is what vouches for the offer (docs/resumption.md §3).
  const c = await common(self, challenge, terms, extension?.commitment);
  if (c === null) return notReadyAnswer(self.busy?.(terms.deadlineMs) ?? null);
  return {
    code: Code.helloData,
    // Field by field instead of spread: fields behind a spread are looked up anew each time, which profiles show.
    payload: encodeHelloData({
      version: c.version,
      address: c.address,
      testFlag: c.testFlag,
      nodeType: c.nodeType,
      productVersion: c.productVersion,
      deviceId: c.deviceId,
      publicKey: c.publicKey,
      port: c.port,
      timestamp: c.timestamp,
      signature: c.signature,
      lastBlock: tip.number,
      lastBlockChecksum: tip.checksum.length === 0 ? null : tip.checksum,
      lastBlockVersion: tip.version,
      yourAddress: `${peer.observedIp}:${peer.port}`,
      trailing: extension?.trailing ?? EMPTY_BYTES,
    }),
  };
}
