import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeAcceptAdd2,
  decodeAppData,
  decodeAppProtocols,
  decodeKeys0,
  decodeKeys2,
  decodeReaction,
  decodeRequestAdd2,
  decodeSpixiMessage,
  decodeStoredStreamMessage,
  decodeStreamMessage,
  decodeTransactionRequest,
  decodeTransactionSend,
  decodeTransactionSendRequest,
  decodeTransactionSendResponse,
  encodeAppData,
  encodeReaction,
  encodeSpixiMessage,
  encodeStoredStreamMessage,
  encodeStreamMessage,
  encodeTransactionRequest,
  encodeTransactionSendRequest,
  envelopeOf,
  messageIdBytesMax,
  recipientOf,
  type StreamMessage,
} from '../../src/messages/index.js';
import { ByteWriter, concatBytes, DecodeError } from '../../src/wire/index.js';

const bytes = (min: number, max: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: min, maxLength: max });
const address = fc.oneof(
  bytes(32, 32).map((b) => concatBytes(Uint8Array.of(0), b)),
  fc.tuple(fc.constantFrom(1, 2), bytes(44, 44)).map(([v, b]) => concatBytes(Uint8Array.of(v), b)),
);
const some = (max: number): fc.Arbitrary<Uint8Array | null> => fc.option(bytes(1, max));

const message: fc.Arbitrary<StreamMessage> = fc
  .record({
    version: fc.constantFrom(0, 1, 2, 300),
    id: bytes(1, messageIdBytesMax),
    type: fc.nat(300),
    encryptionType: fc.nat(300),
    sender: fc.option(address),
    recipient: fc.option(address),
    data: some(400),
    timestamp: fc.bigInt(0n, 0x7fff_ffff_ffff_ffffn),
    signature: some(520),
    requireRcvConfirmation: fc.boolean(),
    transaction: some(20),
    sigdata: some(20),
    encryptedHint: fc.boolean(),
  })
  .map((m) => (m.version === 0 ? m : { ...m, transaction: null, sigdata: null }));

describe('StreamMessage', () => {
  it('reads back what it writes, on the wire and in storage', () => {
    fc.assert(
      fc.property(message, (m) => {
        const wire = m.version === 0 ? m : { ...m, encryptedHint: false };
        expect(decodeStreamMessage(encodeStreamMessage(m))).toEqual(wire);
        expect(decodeStoredStreamMessage(encodeStoredStreamMessage(m))).toEqual(m);
      }),
    );
  });

  it('has an envelope that agrees with the whole message', () => {
    fc.assert(
      fc.property(message, (m) => {
        const payload = encodeStreamMessage(m);
        const e = envelopeOf(payload);
        expect(e).toEqual({
          version: m.version,
          id: m.id,
          type: m.type,
          encryptionType: m.encryptionType,
          sender: m.sender,
          recipient: m.recipient,
        });
        expect(recipientOf(payload)).toEqual(m.recipient);
        if (e.recipient !== null) expect(e.recipient.buffer).toBe(payload.buffer);
      }),
    );
  });

  it('is refused by both decoders when anything is cut off, save the flag of version 0', () => {
    fc.assert(
      fc.property(message, fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), (m, part) => {
        const payload = encodeStreamMessage(m);
        const cut = payload.subarray(0, Math.floor(part * payload.length));
        if (m.version === 0 && cut.length === payload.length - 1) {
          expect(decodeStreamMessage(cut).requireRcvConfirmation).toBe(true);
          expect(envelopeOf(cut).id).toEqual(m.id);
          return;
        }
        expect(() => decodeStreamMessage(cut)).toThrow(DecodeError);
        expect(() => envelopeOf(cut)).toThrow(DecodeError);
      }),
    );
  });

  it('never lets a payload through the fast path that the decoder refuses, but for address checksums', () => {
    fc.assert(
      fc.property(message, fc.nat(), fc.integer({ min: 1, max: 255 }), (m, at, bit) => {
        const payload = encodeStreamMessage({ ...m, version: Math.max(1, m.version) });
        payload[at % payload.length]! ^= bit;
        let envelope: ReturnType<typeof envelopeOf>;
        try {
          envelope = envelopeOf(payload);
        } catch (e) {
          expect(e).toBeInstanceOf(DecodeError);
          return;
        }
        try {
          const full = decodeStreamMessage(payload);
          expect(envelope.recipient).toEqual(full.recipient);
          expect(envelope.id).toEqual(full.id);
        } catch (e) {
          // A length turned into 36 or 48 is an address with checksum, which only the receiver verifies;
          // a timestamp above 2^63 is no business of a relay.
          expect(e).toBeInstanceOf(DecodeError);
          expect(['CHECKSUM', 'RANGE']).toContain((e as DecodeError).code);
        }
      }),
    );
  });

  it.each([
    ['no id', Uint8Array.of(1, 0, 2, 4, 0, 0, 0, 0, 0, 1)],
    [
      'an id above the limit',
      new ByteWriter().var(1).vb(new Uint8Array(65)).var(2).var(4).raw(new Uint8Array(6)).bytes(),
    ],
    ['a version 0 that is not 0', Uint8Array.of(0, 1, 0, 0, 1, 0, 0, 0, 9)],
    [
      'an address of version 1 with 33 bytes',
      new ByteWriter()
        .var(1)
        .vb(Uint8Array.of(9))
        .var(2)
        .var(4)
        .vb(new Uint8Array(33).fill(1))
        .raw(new Uint8Array(6))
        .bytes(),
    ],
  ])('is not forwarded with %s', (_, payload) => {
    expect(() => envelopeOf(payload)).toThrow(DecodeError);
  });

  it('does not allocate what is only declared', () => {
    const huge = new ByteWriter()
      .var(1)
      .vb(Uint8Array.of(9))
      .var(2)
      .var(4)
      .u8(0)
      .u8(0)
      .var(0x7fff_ffff)
      .bytes();
    expect(() => decodeStreamMessage(huge)).toThrow(DecodeError);
    expect(() => envelopeOf(huge)).toThrow(DecodeError);
  });
});

describe('SpixiMessage and payload bodies', () => {
  const body = fc.record({
    type: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
    data: some(100),
    channel: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
    groupAddress: fc.option(address),
    groupSenderAddress: fc.option(address),
  });

  it('reads back what it writes on both lines', () => {
    fc.assert(
      fc.property(body, (m) => {
        expect(decodeSpixiMessage(encodeSpixiMessage(m))).toEqual(m);
        const old = decodeSpixiMessage(encodeSpixiMessage(m, '0.9.7'));
        expect(old).toEqual({ ...m, groupAddress: null, groupSenderAddress: null });
      }),
    );
  });

  it('reads back reactions, application data and amounts of either sign', () => {
    fc.assert(
      fc.property(
        bytes(1, 40),
        fc.string({ maxLength: 32 }),
        some(60),
        fc.bigInt(-(2n ** 70n), 2n ** 70n),
        (id, s, b, n) => {
          const text = new TextDecoder().decode(new TextEncoder().encode(s));
          expect(decodeReaction(encodeReaction({ messageId: id, reaction: s }))).toEqual({
            messageId: id,
            reaction: text,
          });
          const app = { sessionId: id, data: b, appId: 'app' };
          expect(decodeAppData(encodeAppData(app))).toEqual(app);
          const ask = { amount: n, tag: null, message: b };
          expect(decodeTransactionSendRequest(encodeTransactionSendRequest(ask))).toEqual(ask);
          const request = { requestId: id, amount: n, message: b, instructions: null, publicKey: b };
          expect(decodeTransactionRequest(encodeTransactionRequest(request))).toEqual(request);
        },
      ),
    );
  });

  it('fails on random bytes with a typed error or not at all', () => {
    const decoders: ((b: Uint8Array) => unknown)[] = [
      decodeStreamMessage,
      envelopeOf,
      decodeSpixiMessage,
      decodeRequestAdd2,
      decodeAcceptAdd2,
      decodeKeys2,
      decodeKeys0,
      decodeReaction,
      decodeAppData,
      decodeAppProtocols,
      decodeTransactionSendRequest,
      decodeTransactionSendResponse,
      decodeTransactionSend,
      decodeTransactionRequest,
    ];
    fc.assert(
      fc.property(bytes(0, 200), (b) => {
        for (const decode of decoders) {
          try {
            decode(b);
          } catch (e) {
            expect(e).toBeInstanceOf(DecodeError);
          }
        }
      }),
      { numRuns: 500 },
    );
  });
});
