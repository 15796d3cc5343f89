import { hmacSha256, sha256 } from '../identity/index.js';
import { ByteWriter, concatBytes } from '../wire/index.js';

/**
 * Key schedule of the resumption extension (docs/resumption.md §4). Every use of a secret has a label of its own,
 * ended by a zero byte, so that no MAC can serve for another purpose or come back from the other side.
 */
const label = (name: string): Uint8Array => new TextEncoder().encode(`starling resume 1 ${name}\0`);

const LABELS = {
  transcript: label('transcript'),
  relay: label('relay'),
  client: label('client'),
  wrap: label('wrap'),
  renew: label('renew'),
  offer: label('offer'),
  seal: label('seal'),
} as const;

function sized(bytes: Uint8Array): Uint8Array {
  return new ByteWriter(bytes.length + 4).u32(bytes.length).raw(bytes).bytes();
}

/** What both sides prove that they saw: network, whole resume message, challenge without its MAC. */
export function transcriptOf(lock: Uint8Array, resume: Uint8Array, challengeBody: Uint8Array): Uint8Array {
  return sha256(concatBytes(LABELS.transcript, sized(lock), sized(resume), sized(challengeBody)));
}

export function relayMac(secret: Uint8Array, transcript: Uint8Array): Uint8Array {
  return hmacSha256(secret, LABELS.relay, transcript);
}

export function clientMac(secret: Uint8Array, transcript: Uint8Array, relay: Uint8Array): Uint8Array {
  return hmacSha256(secret, LABELS.client, transcript, relay);
}

export function renewMac(secret: Uint8Array, nonce: Uint8Array, body: Uint8Array): Uint8Array {
  return hmacSha256(secret, LABELS.renew, nonce, sized(body));
}

/**
 * Masks the secret of a new ticket with the old one's, or takes the mask off. Each mask is used once: the nonces
 * are fresh and the ticket is one of a kind.
 */
export function wrapSecret(
  secret: Uint8Array,
  nonces: Uint8Array,
  newTicket: Uint8Array,
  bytes: Uint8Array,
): Uint8Array {
  const mask = hmacSha256(secret, LABELS.wrap, sized(nonces), newTicket);
  return bytes.map((b, i) => b ^ mask[i]!);
}

/** Device id of a helloData with an offer: the relay's signature over it covers the offer and the hello it answers. */
export function offerCommitment(hello: Uint8Array, offer: Uint8Array): Uint8Array {
  return sha256(concatBytes(LABELS.offer, sized(hello), sized(offer)));
}

/** What is encrypted for the client: only this can be meant for a resumption, whatever else the key is used for. */
export function sealable(secret: Uint8Array): Uint8Array {
  return concatBytes(LABELS.seal, secret);
}

/** The secret of {@link sealable}; null when the plaintext is anything else. */
export function unsealed(plain: Uint8Array): Uint8Array | null {
  if (plain.length !== LABELS.seal.length + 32) return null;
  if (!LABELS.seal.every((b, i) => plain[i] === b)) return null;
  return plain.slice(LABELS.seal.length);
}
