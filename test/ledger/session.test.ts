import { expect, it } from 'vitest';
import {
  type BlockHeader,
  decodeHeader,
  decodePitProof,
  decodeTransaction,
  encodeHeader,
  encodeTransaction,
  HeaderChain,
  MemoryHeaderStorage,
  signatureFreezeChecksum,
  transactionFee,
  transactionId,
} from '../../src/ledger/index.js';
import {
  bytesEqual,
  Code,
  decodeBlockHeaders3,
  decodeBlockHeaders4,
  decodePitData2,
  decodeTransactionsChunk3,
  FRAME_HEADER_BYTES,
  fromHex,
  NETWORKS,
  toHex,
} from '../../src/wire/index.js';
import { vectorContext } from '../support/vectors.js';

interface Recorded {
  readonly from: string;
  readonly code?: number;
  readonly hex: string;
}

/** Payloads of one code in the recording of a relay beside a reference master. */
function payloads(code: number): Uint8Array[] {
  const session = vectorContext().file('session-m-s2.json');
  const [connection] = session.connections as unknown as { records: Recorded[] }[];
  return connection!.records
    .filter((r) => r.code === code)
    .map((r) => fromHex(r.hex).subarray(FRAME_HEADER_BYTES));
}

const recorded = (): { bytes: Uint8Array; header: BlockHeader }[] =>
  [
    ...payloads(Code.blockHeaders3).flatMap((p) => decodeBlockHeaders3(p)),
    ...payloads(Code.blockHeaders4).flatMap((p) => decodeBlockHeaders4(p).headers),
  ].map((bytes) => ({ bytes, header: decodeHeader(bytes) }));

it('chains the headers a reference master sent, up to the recorded height', async () => {
  const byNumber = new Map<number, BlockHeader>();
  for (const { header } of recorded()) {
    const other = byNumber.get(header.number);
    // The same block comes in several forms; only the checksum tells them equal (09 §14).
    if (other !== undefined) expect(toHex(header.checksum)).toBe(toHex(other.checksum));
    byNumber.set(header.number, header);
  }
  // Some blocks came from another master, outside the recording: neighbours that are there must chain.
  const numbers = [...byNumber.keys()].sort((a, b) => a - b);
  const run: BlockHeader[] = [];
  for (let n = 1; byNumber.has(n); n++) run.push(byNumber.get(n)!);
  const chain = await HeaderChain.open({ number: 1, checksum: null }, new MemoryHeaderStorage());
  expect(chain.appendAll(run)).toEqual({ taken: 17, stopped: null });
  const joints = numbers.filter((n) => byNumber.has(n - 1));
  for (const n of joints)
    expect(toHex(byNumber.get(n)!.previousChecksum!)).toBe(toHex(byNumber.get(n - 1)!.checksum));
  expect(joints.length).toBeGreaterThan(30);
  expect(numbers.at(-1)).toBeGreaterThanOrEqual(45);
});

it('writes headers back as they came', () => {
  for (const { bytes, header } of recorded()) {
    const compacted = header.signatures.length > 0 && header.signatures.every((s) => s.rsa === null);
    const forms = (['bits', 'difficulty'] as const).map((tail) =>
      toHex(encodeHeader(header, { signatures: compacted ? 'compacted' : 'full', tail, transactions: true })),
    );
    expect(forms).toContain(toHex(bytes));
  }
});

it('finds the freeze checksum of block n in block n + 5 wherever the signatures did not grow since', () => {
  const signed = new Map<number, BlockHeader>();
  for (const { header } of recorded()) if (header.signatures.length > 0) signed.set(header.number, header);
  let equal = 0;
  let compared = 0;
  for (const [n, h] of signed) {
    const frozen = signed.get(n + 5)?.freezeChecksum ?? null;
    if (frozen === null) continue;
    compared++;
    if (bytesEqual(signatureFreezeChecksum(n, h.signatures), frozen)) equal++;
  }
  expect(compared).toBeGreaterThan(5);
  expect(equal).toBeGreaterThan(0);
});

it('verifies every recorded proof against the header of its block', () => {
  const roots = new Map(recorded().map(({ header }) => [header.number, header.pitRoot!]));
  const proofs = payloads(Code.pitData2).map((p) => decodePitData2(p, 'relay'));
  expect(proofs.length).toBe(5);
  for (const { block, pit } of proofs) expect(toHex(decodePitProof(pit).root)).toBe(toHex(roots.get(block)!));
});

it('reads, names and writes back every recorded transaction; the proofs show their ids', () => {
  const wires = [
    ...payloads(Code.transactionData2),
    ...payloads(Code.transactionsChunk3).flatMap((p) => decodeTransactionsChunk3(p, 'relay').transactions),
  ];
  const ids = new Set<string>();
  for (const wire of wires) {
    const t = decodeTransaction(wire);
    expect(toHex(encodeTransaction(t))).toBe(toHex(wire));
    expect(transactionFee(t) >= 0n).toBe(true);
    ids.add(toHex(transactionId(t, NETWORKS.reg.lock)));
  }
  const shown = payloads(Code.pitData2).flatMap((p) => decodePitProof(decodePitData2(p, 'relay').pit).ids);
  expect(shown.some((id) => ids.has(toHex(id)))).toBe(true);
});
