import { addressFromKey, addressText } from '../../identity/index.js';
import {
  decodeTransaction,
  encodeTransaction,
  estimateFee,
  minimumFee,
  type Transaction,
  transactionAmount,
  transactionChecksum,
  transactionChecksumInput,
  transactionFee,
  transactionId,
  transactionIdText,
  transactionSenderKey,
} from '../../ledger/index.js';
import {
  ByteReader,
  ByteWriter,
  bytesEqual,
  decodeIxiNumber,
  encodeIxiNumber,
  formatAmount,
  NETWORKS,
  parseAmount,
  toHex,
} from '../../wire/index.js';
import type { Answer, Family, JsonObject, VectorCase, VectorContext } from './case.js';
import { vectorEngine } from './engine.js';
import { big, bytes, bytesOrNull, int, objects, text } from './ledger-fields.js';

const hexOrNull = (b: Uint8Array | null): string | null => (b === null ? null : toHex(b));

function transactionOf(q: JsonObject): Transaction {
  return {
    version: int(q, 'version'),
    type: int(q, 'type'),
    blockHeight: int(q, 'blockHeight'),
    inputs: objects(q, 'inputs').map((i) => ({ key: bytes(i, 'key'), amount: big(i, 'amount') })),
    outputs: objects(q, 'outputs').map((o) => ({
      address: bytes(o, 'address'),
      amount: big(o, 'amount'),
      data: bytesOrNull(o, 'data'),
      dataChecksum: bytesOrNull(o, 'dataChecksum'),
    })),
    nonce: int(q, 'nonce'),
    sender: bytesOrNull(q, 'senderField'),
    signature: bytesOrNull(q, 'signature'),
    applied: int(q, 'applied'),
    timestamp: int(q, 'timestamp'),
  };
}

/** The key that belongs to a sender given as address only: known from the wallet that signs. */
function keyOfSigner(q: JsonObject, t: Transaction, ctx: VectorContext): Uint8Array | null {
  if (typeof q.signWith !== 'string' || t.sender === null) return null;
  const key = bytes(ctx.find('streaming-wallets.json', q.signWith).out, 'publicKey');
  return bytesEqual(addressFromKey(key), t.sender) ? key : null;
}

async function transactionCase(c: VectorCase, ctx: VectorContext): Promise<Answer> {
  const t = transactionOf(c.in);
  const lock = bytesOrNull(c.in, 'lock') ?? NETWORKS.main.lock;
  const wire = encodeTransaction(t);
  const checksum = transactionChecksum(t, lock);
  const id = transactionId(t, lock);
  const key = transactionSenderKey(t) ?? keyOfSigner(c.in, t, ctx);
  const verified =
    key === null || t.signature === null
      ? null
      : (await (await vectorEngine(ctx)).verify([{ key, message: checksum, signature: t.signature }]))[0]!;
  return {
    out: {
      wire: toHex(wire),
      wireLength: wire.length,
      checksum: toHex(checksum),
      checksumInput: toHex(transactionChecksumInput(t, lock)),
      id: toHex(id),
      idText: transactionIdText(id),
      amount: transactionAmount(t).toString(),
      fee: transactionFee(t).toString(),
      // The reference adds the room for a signature that is not there yet.
      minimumFee: estimateFee(encodeTransaction(t, 0).length, {
        signature: t.signature !== null,
        checksum: true,
      }).toString(),
      ...(verified === null ? {} : { signatureVerifies: verified }),
    },
  };
}

/** Ids of decode cases are those of the main network, as everywhere the file names no lock. */
function decodeCase(c: VectorCase): Answer {
  const t = decodeTransaction(bytes(c.in, 'bytes'));
  const lock = NETWORKS.main.lock;
  return {
    out: {
      accept: true,
      version: t.version,
      type: t.type,
      blockHeight: String(t.blockHeight),
      inputs: t.inputs.map((i) => ({ key: toHex(i.key), amount: i.amount.toString() })),
      outputs: t.outputs.map((o) => ({
        address: toHex(o.address),
        amount: o.amount.toString(),
        data: hexOrNull(o.data),
        dataChecksum: hexOrNull(o.dataChecksum),
      })),
      nonce: t.nonce,
      senderField: hexOrNull(t.sender),
      signature: hexOrNull(t.signature),
      applied: String(t.applied),
      timestamp: String(t.timestamp),
      checksum: toHex(transactionChecksum(t, lock)),
      id: toHex(transactionId(t, lock)),
      amount: transactionAmount(t).toString(),
      fee: transactionFee(t).toString(),
      reserialised: toHex(encodeTransaction(t)),
    },
  };
}

function numberCase(c: VectorCase): Answer {
  if ('bytes' in c.in) {
    const r = new ByteReader(bytes(c.in, 'bytes'));
    const units = decodeIxiNumber(r.ixiBytes('amount') ?? r.fail('EMPTY', 'amount'));
    return { out: { accept: true, units: units.toString() } };
  }
  const units = parseAmount(text(c.in, 'text'));
  return {
    out: {
      units: units.toString(),
      wire: toHex(new ByteWriter().vb(encodeIxiNumber(units)).bytes()),
      text: formatAmount(units),
    },
  };
}

function derivedCase(c: VectorCase, ctx: VectorContext): Answer {
  const wallet = ctx.find('streaming-wallets.json', text(c.in, 'publicKey'));
  const address = addressFromKey(bytes(wallet.out, 'publicKey'), bytes(c.in, 'nonce'));
  return { out: { address: toHex(address), text: addressText(address) } };
}

/** Transactions, ids and fees of document 10. */
export const family10: Family = {
  name: '10-transactions-fees',
  files: ['10-transactions-fees.json'],
  run(c, ctx) {
    if (c.name.startsWith('IxiNumber')) return numberCase(c);
    if (c.name.startsWith('decode ')) return decodeCase(c);
    if (c.name.startsWith('derived sender')) return derivedCase(c, ctx);
    if (c.name.startsWith('builder fee estimate')) {
      const length = int(c.in, 'unsignedLengthWithoutApplied');
      return { out: { estimatedFee: estimateFee(length, { signature: false, checksum: false }).toString() } };
    }
    if (c.name.startsWith('minimum fee')) {
      return { out: { minimumFee: minimumFee(int(c.in, 'wireLengthAppliedZero')).toString() } };
    }
    if ('outputs' in c.in && 'inputs' in c.in) return transactionCase(c, ctx);
    return { uncovered: `no rule for ${c.name}` };
  },
};
