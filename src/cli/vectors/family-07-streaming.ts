import { addressFromKey, createSigner } from '../../identity/index.js';
import {
  type AcceptAdd2,
  checksumInput,
  decodeAppData,
  decodeKeys2,
  decodeSpixiMessage,
  decodeStreamMessage,
  encodeAcceptAdd2,
  encodeAppData,
  encodeAppProtocols,
  encodeKeys2,
  encodeReaction,
  encodeRelayError,
  encodeSpixiMessage,
  encodeStoredStreamMessage,
  encodeStreamMessage,
  encodeTransactionRequest,
  encodeTransactionSend,
  encodeTransactionSendRequest,
  encodeTransactionSendResponse,
  type Line,
  type PushRequest,
  pushFetch,
  pushMessage,
  pushRegister,
  relayError,
  type StreamMessage,
  signatureItem,
  signStreamMessage,
  streamMessageChecksum,
} from '../../messages/index.js';
import { Code, fromHex, toHex } from '../../wire/index.js';
import type { Answer, Family, Json, JsonObject, VectorCase, VectorContext } from './case.js';
import { vectorEngine } from './engine.js';
import { big, bytes, bytesOrNull, int, text, texts } from './ledger-fields.js';

const WALLETS = 'streaming-wallets.json';
const hexOrNull = (b: Uint8Array | null): string | null => (b === null ? null : toHex(b));
const out = (o: JsonObject): Answer => ({ out: o });

/** Private key blob of a wallet of `streaming-wallets.json`. */
export function walletKey(ctx: VectorContext, name: string): Uint8Array {
  return bytes(ctx.find(WALLETS, name).in, 'privateKey');
}

/** Bytes, or the `{length, rule}` form for long generated data (README §1). */
function dataOf(v: Json | undefined, q: JsonObject): Uint8Array | null {
  if (v === null || v === undefined) return null;
  if (typeof v !== 'object' || Array.isArray(v)) return bytes(q, 'data');
  const spec = v as JsonObject;
  const rule = /^byte k = \((\d+)k \+ (\d+)\) mod 256$/.exec(text(spec, 'rule'));
  if (rule === null) throw new TypeError(`data rule ${String(spec.rule)}`);
  return Uint8Array.from(
    { length: int(spec, 'length') },
    (_, k) => (Number(rule[1]) * k + Number(rule[2])) & 255,
  );
}

function messageOf(c: VectorCase): StreamMessage {
  const q = c.in;
  return {
    version: int(q, 'version'),
    id: bytes(q, 'id'),
    type: int(q, 'type'),
    encryptionType: int(q, 'encryptionType'),
    sender: bytesOrNull(q, 'sender'),
    recipient: bytesOrNull(q, 'recipient'),
    data: dataOf(q.data, q),
    timestamp: big(q, 'timestamp'),
    signature: bytesOrNull(q, 'signature'),
    requireRcvConfirmation: q.requireRcvConfirmation === true,
    transaction: null,
    sigdata: null,
    encryptedHint: c.name.includes('encrypted hint set'),
  };
}

/** Long results are given by their ends (README §1). */
const prefixBytes = 200;
const suffixBytes = 32;

function encodedForms(m: StreamMessage): JsonObject {
  const wire = encodeStreamMessage(m);
  return {
    bytes: toHex(wire),
    byteLength: wire.length,
    bytesPrefix: toHex(wire.subarray(0, prefixBytes)),
    bytesSuffix: toHex(wire.subarray(wire.length - suffixBytes)),
    checksumInput: toHex(checksumInput(m)),
    checksum: toHex(streamMessageChecksum(m)),
    storageBytes: toHex(encodeStoredStreamMessage(m)),
  };
}

async function signCase(c: VectorCase, ctx: VectorContext): Promise<Answer> {
  const names = ctx.cases(WALLETS).map((w) => w.name);
  const own = text(c.in, 'signWith');
  const other = names.find((n) => n !== own);
  if (other === undefined) return { uncovered: 'a second wallet' };
  const signer = await createSigner(walletKey(ctx, own));
  const otherKey = (await createSigner(walletKey(ctx, other))).publicKey;
  const m = await signStreamMessage(messageOf(c), signer);
  const engine = await vectorEngine(ctx);
  const verifies = async (changed: StreamMessage, key: Uint8Array): Promise<boolean> => {
    const item = signatureItem(changed, key);
    return item !== null && (await engine.verify([item]))[0] === true;
  };
  return out({
    ...encodedForms(m),
    signature: hexOrNull(m.signature),
    verifies: await verifies(m, signer.publicKey),
    verifiesWithOtherKey: await verifies(m, otherKey),
    verifiesAfterFlagFlip: await verifies(
      { ...m, requireRcvConfirmation: !m.requireRcvConfirmation },
      signer.publicKey,
    ),
    verifiesAfterTimestampChange: await verifies({ ...m, timestamp: m.timestamp + 1n }, signer.publicKey),
  });
}

function parseCase(c: VectorCase): Answer {
  const m = decodeStreamMessage(bytes(c.in, 'bytes'));
  const fields = {
    accept: true,
    version: m.version,
    id: m.id.length === 0 ? null : toHex(m.id),
    type: m.type,
    encryptionType: m.encryptionType,
    sender: hexOrNull(m.sender),
    recipient: hexOrNull(m.recipient),
    data: hexOrNull(m.data),
    timestamp: String(m.timestamp),
    signature: hexOrNull(m.signature),
    requireRcvConfirmation: m.requireRcvConfirmation,
  };
  // The reference has no id object to write then; the name of its exception is information only.
  if (m.id.length === 0) return { out: { ...fields, reencodeException: '' }, ignore: ['reencodeException'] };
  return out({ ...fields, reencoded: toHex(encodeStreamMessage(m)) });
}

function relayErrorCase(c: VectorCase): Answer {
  if ('failedMessageId' in c.in) {
    // The id is random (README §3): it is taken over, all else is computed.
    const { id } = decodeStreamMessage(bytes(c.out, 'bytes'));
    const payload = encodeRelayError(
      {
        failedId: bytes(c.in, 'failedMessageId'),
        failedRecipient: bytes(c.in, 'senderOfError'),
        failedSender: bytes(c.in, 'recipientOfError'),
        timestamp: int(c.in, 'networkTime'),
      },
      () => id,
    );
    const code = Object.entries(Code).find(([, v]) => v === Code.s2data)?.[0] ?? '';
    return out({ code, bytes: toHex(payload) });
  }
  const error = relayError(
    {
      failedId: bytes(c.in, 'data'),
      failedRecipient: bytes(c.in, 'sender'),
      failedSender: bytes(c.in, 'recipient'),
      timestamp: big(c.in, 'timestamp'),
    },
    () => bytes(c.in, 'id'),
  );
  return out(encodedForms(error));
}

const lineOf = (c: VectorCase): Line => (c.line === '0.9.7' ? '0.9.7' : '0.9.8');

function spixiCase(c: VectorCase): Answer {
  if (c.name.startsWith('spixi encode')) {
    const m = {
      type: int(c.in, 'type'),
      data: bytesOrNull(c.in, 'data'),
      channel: int(c.in, 'channel'),
      groupAddress: bytesOrNull(c.in, 'groupAddress'),
      groupSenderAddress: bytesOrNull(c.in, 'groupSenderAddress'),
    };
    return out({ bytes: toHex(encodeSpixiMessage(m, lineOf(c))) });
  }
  const m = decodeSpixiMessage(bytes(c.in, 'bytes'), lineOf(c));
  return out({
    accept: true,
    type: m.type,
    data: hexOrNull(m.data),
    channel: m.channel,
    groupAddress: hexOrNull(m.groupAddress),
    groupSenderAddress: hexOrNull(m.groupSenderAddress),
  });
}

function payloadDecodeCase(c: VectorCase): Answer {
  const body = bytes(c.in, 'bytes');
  if (c.name.startsWith('payload decode keys2')) {
    const k = decodeKeys2(body);
    return out({
      accept: true,
      ecdhPublicKey: toHex(k.ecdhPublicKey),
      mlkemCiphertext: toHex(k.mlKemCiphertext),
      chachaSalt: toHex(k.chachaSalt),
      capabilities: k.capabilities,
    });
  }
  if (c.name.startsWith('payload decode AppData')) {
    const a = decodeAppData(body);
    return out({ accept: true, sessionId: hexOrNull(a.sessionId), data: hexOrNull(a.data), appId: a.appId });
  }
  return { uncovered: c.name };
}

function payloadBytes(c: VectorCase): Uint8Array | null {
  const q = c.in;
  const kind = c.name.slice('payload '.length);
  const appId = typeof q.appId === 'string' ? q.appId : null;
  if (kind.startsWith('AppData'))
    return encodeAppData({ sessionId: bytesOrNull(q, 'sessionId'), data: bytesOrNull(q, 'data'), appId });
  if (kind.startsWith('reaction'))
    return encodeReaction({ messageId: bytes(q, 'messageId'), reaction: text(q, 'reaction') });
  if (kind.startsWith('AppProtocols')) return encodeAppProtocols(texts(q, 'protocolIds').map(fromHex));
  if (kind.startsWith('keys2'))
    return encodeKeys2({
      ecdhPublicKey: bytes(q, 'ecdhPublicKey'),
      mlKemCiphertext: bytes(q, 'mlkemCiphertext'),
      chachaSalt: bytes(q, 'chachaSalt'),
      capabilities: int(q, 'capabilities'),
    });
  if (kind.startsWith('acceptAdd2')) {
    const body: AcceptAdd2 = {
      version: int(q, 'version'),
      rsaPublicKey: bytes(q, 'rsaPublicKey'),
      ecdhPublicKey: bytes(q, 'ecdhPublicKey'),
      mlKemPublicKey: bytes(q, 'mlkemPublicKey'),
      aesSalt: bytes(q, 'aesSalt'),
      capabilities: int(q, 'capabilities'),
    };
    return encodeAcceptAdd2(body);
  }
  return transactionPayload(kind, q);
}

function transactionPayload(kind: string, q: JsonObject): Uint8Array | null {
  if (kind.startsWith('transactionSendRequest'))
    return encodeTransactionSendRequest({
      amount: big(q, 'amount'),
      tag: bytesOrNull(q, 'tag'),
      message: bytesOrNull(q, 'message'),
    });
  if (kind.startsWith('transactionSendResponse'))
    return encodeTransactionSendResponse({
      requestId: bytesOrNull(q, 'requestId'),
      instructions: bytesOrNull(q, 'instructions'),
    });
  if (kind.startsWith('transactionSend'))
    return encodeTransactionSend({
      transaction: bytesOrNull(q, 'transactionWire'),
      requestId: bytesOrNull(q, 'requestId'),
      publicKey: bytesOrNull(q, 'publicKey'),
    });
  if (kind.startsWith('transactionRequest'))
    return encodeTransactionRequest({
      requestId: bytesOrNull(q, 'requestId'),
      amount: big(q, 'amount'),
      message: bytesOrNull(q, 'message'),
      instructions: bytesOrNull(q, 'instructions'),
      publicKey: bytesOrNull(q, 'publicKey'),
    });
  return null;
}

const requestJson = (r: PushRequest): JsonObject => ({
  path: r.path,
  contentType: r.contentType,
  body: r.body,
});

async function pushCase(c: VectorCase, ctx: VectorContext): Promise<Answer> {
  if ('message' in c.in) {
    const signer = await createSigner(walletKey(ctx, text(c.in, 'sender')));
    const recipient = await createSigner(walletKey(ctx, text(c.in, 'recipient')));
    const message = bytes(c.in, 'message');
    const request = pushMessage({
      message,
      id: decodeStreamMessage(message).id,
      sender: addressFromKey(signer.publicKey),
      recipient: recipient.address,
      publicKey: signer.publicKey,
      alert: c.in.push === true,
    });
    // `result` is what the service answered to the reference: it took the message.
    return out({ ...requestJson(request), result: true });
  }
  const signer = await createSigner(walletKey(ctx, text(c.in, 'wallet')));
  const nonce = big(c.in, 'nonceBefore');
  const register = await pushRegister(signer, nonce + 1n);
  const fetch = pushFetch(signer.address, nonce + 2n, text(c.in, 'authKeyAnswered'));
  return out({ requests: [requestJson(register), requestJson(fetch)] });
}

async function run(c: VectorCase, ctx: VectorContext): Promise<Answer> {
  if (c.name.startsWith('encode ')) return out(encodedForms(messageOf(c)));
  if (c.name.startsWith('sign ')) return await signCase(c, ctx);
  if (c.name.startsWith('parse ')) return parseCase(c);
  if (c.name.startsWith('relay error message')) return relayErrorCase(c);
  if (c.name.startsWith('spixi ')) return spixiCase(c);
  if (c.name.startsWith('payload decode ')) return payloadDecodeCase(c);
  if (c.name.startsWith('payload ')) {
    const body = payloadBytes(c);
    return body === null ? { uncovered: c.name } : out({ accept: true, bytes: toHex(body) });
  }
  if (c.name.startsWith('offline push ')) return await pushCase(c, ctx);
  return { uncovered: c.name };
}

/** Stream messages, Spixi messages, payload bodies, offline push. */
export const family07: Family = { name: '07-streaming', files: ['07-streaming.json'], run };
