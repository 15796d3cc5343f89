import { addressText, base58Encode, type Signer, sha512 } from '../identity/index.js';
import { bytesEqual, bytesKey, toHex } from '../wire/index.js';

/**
 * Requests of the optional central push service (docs/protocol/07 §11). It runs against the decentralised
 * model: off by default, and whoever leaves it off does not announce the capability.
 */
export interface PushRequest {
  /** Path and query. */
  readonly path: string;
  /** Null for GET. */
  readonly contentType: string | null;
  readonly body: string;
}

const FORM = 'application/x-www-form-urlencoded; charset=utf-8';
const utf8 = new TextEncoder();

/** The service takes an acceptAdd2 only together with the sender's key. */
const keyedId = Uint8Array.of(1);

/** As .NET's UrlEncode: lower-case hex; base64 needs it for `+`, `/` and `=` only. */
function urlEncodeBase64(text: string): string {
  return text.replace(/[+/=]/g, (c) => `%${c.charCodeAt(0).toString(16)}`);
}

const base64 = (bytes: Uint8Array): string => btoa(bytesKey(bytes));

/** What {@link pushMessage} hands over. */
export interface PushFields {
  /** Encoded StreamMessage and its id. */
  readonly message: Uint8Array;
  readonly id: Uint8Array;
  /** Raw addresses. */
  readonly sender: Uint8Array;
  readonly recipient: Uint8Array;
  /** Sender's key; travels only with the id 01. */
  readonly publicKey: Uint8Array;
  /** Alert the recipient's device. */
  readonly alert: boolean;
}

/** Hands a message over; the body `OK` means accepted. */
export function pushMessage(f: PushFields): PushRequest {
  const key = bytesEqual(f.id, keyedId) ? urlEncodeBase64(base64(f.publicKey)) : '';
  const data = urlEncodeBase64(base64(f.message));
  const alert = f.alert ? 'True' : 'False';
  return {
    path: '/push.php',
    contentType: FORM,
    body: `tag=${addressText(f.recipient)}&data=${data}&pk=${key}&push=${alert}&fa=${addressText(f.sender)}`,
  };
}

/** Registers this wallet; the answer's first element is the auth key. `nonce` above every earlier one. */
export async function pushRegister(
  signer: Pick<Signer, 'publicKey' | 'sign'>,
  nonce: bigint,
): Promise<PushRequest> {
  const signature = toHex(await signer.sign(utf8.encode(String(nonce))));
  return {
    path: '/register.php',
    contentType: FORM,
    body: `pk=${base58Encode(signer.publicKey)}&nonce=${nonce}&sig=${signature}`,
  };
}

function pushSignature(nonce: bigint, authKey: string): string {
  return toHex(sha512(utf8.encode(`${nonce}${authKey}`)));
}

/** Asks for the messages that wait for `address` (raw). */
export function pushFetch(address: Uint8Array, nonce: bigint, authKey: string): PushRequest {
  const sig = pushSignature(nonce, authKey);
  const path = `/fetch.php?tag=${addressText(address)}&nonce=${nonce}&sig=${sig}`;
  return { path, contentType: null, body: '' };
}

/** Takes a fetched message off the service. */
export function pushRemove(id: string, nonce: bigint, authKey: string): PushRequest {
  const sig = pushSignature(nonce, authKey);
  return {
    path: `/remove.php?id=${encodeURIComponent(id)}&nonce=${nonce}&sig=${sig}`,
    contentType: null,
    body: '',
  };
}
