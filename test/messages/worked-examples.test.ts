import { describe, expect, it } from 'vitest';
import { p521 } from '../../src/identity/index.js';
import {
  appProtocolId,
  checksumInput,
  decodeSpixiMessage,
  decodeStreamMessage,
  deriveSessionKeys,
  encodeRelayError,
  encodeSpixiMessage,
  encodeStreamMessage,
  messageAad,
  relayErrorOf,
  Spixi,
  spixi,
  spixi2Decrypt,
  spixi2Encrypt,
  streamMessage,
  streamMessageChecksum,
} from '../../src/messages/index.js';
import { concatBytes, fromHex, toHex } from '../../src/wire/index.js';

// docs/protocol/07 §15: values common to its examples.
const id = Uint8Array.from({ length: 16 }, (_, i) => i);
const party = (b: number): Uint8Array => concatBytes(Uint8Array.of(1), new Uint8Array(44).fill(b));
const sender = party(0x11);
const recipient = party(0x22);
const timestamp = 1_700_000_000n;

describe('worked examples of docs/protocol/07 §15', () => {
  it('15.1: version 1 frame and its checksum', () => {
    const m = streamMessage({
      id,
      encryptionType: 4,
      sender,
      recipient,
      data: fromHex('deadbeef'),
      timestamp,
    });
    const wire = encodeStreamMessage(m);
    expect(toHex(wire)).toBe(
      `0110${toHex(id)}02042d01${'11'.repeat(44)}2d01${'22'.repeat(44)}04deadbeeffd00f153650001`,
    );
    expect(wire.length).toBe(124);
    expect(checksumInput(m).length).toBe(122);
    expect(toHex(streamMessageChecksum(m))).toBe(
      'baa6a0609e09e6bbc8d4702177634c5a93f19c927b94981dc34cb168fbd89d717d4dcd503ece79c6d6dc08cb6fcb9cf0fe49e913401aa89d700a8aec1d6214af',
    );
    expect(decodeStreamMessage(wire)).toEqual(m);
  });

  it('15.2 and 15.3: additional data and spixi2', () => {
    const aad = messageAad(id, 2, timestamp);
    expect(toHex(aad)).toBe('000102030405060708090a0b0c0d0e0f02fd00f15365');
    const keys = { aesKey: new Uint8Array(32).fill(0xa1), chachaKey: new Uint8Array(32).fill(0xc2) };
    const nonce = Uint8Array.from({ length: 64 }, (_, i) => i);
    const plain = encodeSpixiMessage(spixi(Spixi.chat, new TextEncoder().encode('hi')));
    expect(toHex(plain)).toBe('00000000020000006869000000000000');
    const data = spixi2Encrypt(plain, keys, aad, nonce);
    expect(toHex(data)).toBe(
      `40${toHex(nonce)}3009541315e8539e5d007400a84e068d82588b072cad9cc76bda06ef09931109ee48d3919304d00b579401ebbe6392f4d5`,
    );
    expect(data.length).toBe(114);
    expect(spixi2Decrypt(data, keys, aad)).toEqual(plain);
    expect(spixi2Decrypt(data, keys, messageAad(id, 1, timestamp))).toBeNull();
    expect(spixi2Decrypt(concatBytes(data, Uint8Array.of(0)), keys, aad)).toBeNull();
  });

  it('15.4: ECDH secrets lose their leading zeros, HKDF gives both keys', () => {
    const one = Uint8Array.of(1);
    const short = p521.sharedSecret(one, p521.publicKey(one));
    expect(short.length).toBe(65);
    expect(toHex(short.subarray(0, 4))).toBe('c6858e06');
    const long = p521.sharedSecret(Uint8Array.of(3), p521.publicKey(one));
    expect(long.length).toBe(66);
    expect(toHex(long.subarray(0, 10))).toBe('01a73d352443de29195d');
    const keys = deriveSessionKeys(
      new Uint8Array(65).fill(0x0b),
      new Uint8Array(32).fill(0x0c),
      new Uint8Array(32).fill(1),
      new Uint8Array(32).fill(2),
    );
    expect(toHex(keys.aesKey)).toBe('4ac8277db9ec13075b41c475a13250df71f1293ac6734230837b1c1b231aff5e');
    expect(toHex(keys.chachaKey)).toBe('bdf0d3f854d96535ab198db98311e08673fdaaef1d983fc3ee9792cd128544d2');
  });

  it('15.5: the error message of a relay', () => {
    const error = encodeRelayError(
      { failedId: id, failedRecipient: recipient, failedSender: sender, timestamp },
      (n) => new Uint8Array(n).fill(0xee),
    );
    expect(toHex(error)).toBe(
      `0000000010000000${'ee'.repeat(16)}00000000000000003000000001${'22'.repeat(44)}1cfba1` +
        `3000000001${'11'.repeat(44)}cd60db10000000${toHex(id)}0000000000000000000000000000` +
        '00f153650000000001',
    );
    expect(error.length).toBe(179);
    expect(relayErrorOf(decodeStreamMessage(error), sender)).toEqual({ contact: recipient, failedId: id });
    expect(relayErrorOf(decodeStreamMessage(error), recipient)).toBeNull();
  });

  it('rejects an error that would name nothing (§9.3 quirk)', () => {
    const nothing = new Uint8Array(0);
    expect(() =>
      encodeRelayError({ failedId: nothing, failedRecipient: recipient, failedSender: sender, timestamp }),
    ).toThrow(RangeError);
  });

  it('08 §10.1: the protocol id of a name', () => {
    expect(toHex(appProtocolId('ixian.holepunch.v1'))).toBe(
      '740e22d6b6b1f38f9f7677c2bd249b365dcc0eb6bcceec2aa28a32f91363e5b117b3fd4e67e43a1470c21fe7',
    );
  });

  it('reads a message of 0.9.7 without group fields', () => {
    const m = spixi(Spixi.chat, Uint8Array.of(0x4e), 3);
    expect(encodeSpixiMessage(m, '0.9.7').length).toBe(13);
    expect(encodeSpixiMessage(m, '0.9.8').length).toBe(15);
    expect(decodeSpixiMessage(encodeSpixiMessage(m, '0.9.7'))).toEqual(m);
  });
});
