import { describe, expect, it } from 'vitest';
import {
  type ContactState,
  dueMessages,
  emptyQueue,
  enqueue,
  expireMessages,
  markFailed,
  markSent,
  messageAgeSecondsMax,
  newContact,
  nextDueMs,
  type OutgoingMessage,
  type OutgoingQueue,
  outgoing,
  QueueFull,
  queuedMessagesMax,
  queueFromJson,
  queueToJson,
  removeMessage,
  resetBackOff,
  retryMsMax,
  type SendKind,
  Spixi,
  slowDown,
  spixi,
} from '../../src/messages/index.js';

const ready: ContactState = newContact(new Uint8Array(45), {
  handshakeStatus: 3,
  protocolVersion: 1,
  aesKey: new Uint8Array(32),
  chachaKey: new Uint8Array(32),
});
const message = (
  id: number,
  fields: Partial<OutgoingMessage> = {},
  kind: SendKind = 'content',
): OutgoingMessage => ({
  ...outgoing({
    spixi: spixi(Spixi.chat, Uint8Array.of(id)),
    timestamp: 1000,
    id: Uint8Array.of(0xff, id),
    kind,
  }),
  ...fields,
});
const ids = (ms: readonly OutgoingMessage[]): number[] => ms.map((m) => m.id[1]!);
const queueOf = (...ms: OutgoingMessage[]): OutgoingQueue =>
  ms.reduce((q, m) => enqueue(q, m, 0), emptyQueue);

describe('outgoing queue of one contact (07 §8)', () => {
  it('keeps the order of arrival', () => {
    expect(ids(dueMessages(queueOf(message(1), message(2), message(3)), ready, 0))).toEqual([1, 2, 3]);
  });

  it('puts a newer message with the same id in the place of the older one', () => {
    const q = enqueue(queueOf(message(1), message(2)), message(1, { timestamp: 2000 }), 5);
    expect(q.entries.map((e) => e.message.timestamp)).toEqual([2000, 1000]);
  });

  it('puts keys2 in front, once', () => {
    const keys = (timestamp: number): OutgoingMessage => message(9, { first: true, timestamp });
    const q = enqueue(enqueue(queueOf(message(1), message(2)), keys(1), 0), keys(2), 0);
    expect(ids(q.entries.map((e) => e.message))).toEqual([9, 1, 2]);
    expect(q.entries[0]?.message.timestamp).toBe(2);
  });

  it('waits 2.5, 5, 10 … up to 300 seconds between transmissions', () => {
    let q = queueOf(message(1));
    let now = 0;
    const waits: number[] = [];
    for (let i = 0; i < 9; i++) {
      q = markSent(q, Uint8Array.of(0xff, 1), now);
      const next = nextDueMs(q, ready)!;
      expect(dueMessages(q, ready, next - 1)).toEqual([]);
      expect(dueMessages(q, ready, next).length).toBe(1);
      waits.push((next - now) / 1000);
      now = next;
    }
    expect(waits).toEqual([2.5, 5, 10, 20, 40, 80, 160, 300, 300]);
  });

  it('starts over when the contact appears or moves', () => {
    let q = queueOf(message(1));
    for (let i = 0; i < 5; i++) q = markSent(q, Uint8Array.of(0xff, 1), 0);
    expect(dueMessages(q, ready, 1000)).toEqual([]);
    q = resetBackOff(q, 1000);
    expect(dueMessages(q, ready, 1000).length).toBe(1);
    q = markSent(q, Uint8Array.of(0xff, 1), 1000);
    expect(nextDueMs(q, ready)).toBe(3500);
  });

  it('tries again soon when no connection took the message, without lengthening the wait', () => {
    let q = markFailed(queueOf(message(1)), Uint8Array.of(0xff, 1), 0);
    expect(nextDueMs(q, ready)).toBe(2500);
    q = markFailed(q, Uint8Array.of(0xff, 1), 2500);
    expect(nextDueMs(q, ready)).toBe(5000);
  });

  it('forgets receipts once they are on their way and everything else when it is confirmed', () => {
    let q = queueOf(message(1, {}, 'receipt'), message(2));
    for (const id of [1, 2]) q = markSent(q, Uint8Array.of(0xff, id), 0);
    expect(ids(q.entries.map((e) => e.message))).toEqual([2]);
    expect(removeMessage(q, Uint8Array.of(0xff, 2)).entries).toEqual([]);
    expect(removeMessage(q, Uint8Array.of(0xff, 3))).toEqual(q);
  });

  it('slows a message down on a receipt that proves nothing', () => {
    const q = slowDown(queueOf(message(1)), Uint8Array.of(0xff, 1), 0);
    expect(nextDueMs(q, ready)).toBe(retryMsMax);
    expect(q.entries.length).toBe(1);
  });

  it('holds back what has no keys yet and lets the rest pass it', () => {
    const open = message(2, { mode: 'plain' });
    const early = { ...ready, handshakeStatus: 2 as const };
    expect(ids(dueMessages(queueOf(message(1), open), early, 0))).toEqual([2]);
    const keyless = queueOf(message(1), message(3, { mode: 'rsa2' }));
    expect(dueMessages(keyless, early, 0)).toEqual([]);
    expect(nextDueMs(keyless, early)).toBeNull();
    expect(ids(dueMessages(keyless, { ...early, publicKey: new Uint8Array(528) }, 0))).toEqual([3]);
  });

  it('gives up after five days and says what was lost', () => {
    const q = queueOf(message(1, { timestamp: 0 }), message(2, { timestamp: 1 }));
    expect(expireMessages(q, messageAgeSecondsMax).expired).toEqual([]);
    const { queue, expired } = expireMessages(q, messageAgeSecondsMax + 1);
    expect(ids(expired)).toEqual([1]);
    expect(ids(queue.entries.map((e) => e.message))).toEqual([2]);
  });

  it('is bounded', () => {
    let q = emptyQueue;
    for (let i = 0; i < queuedMessagesMax; i++)
      q = {
        entries: [
          ...q.entries,
          { message: message(0, { id: Uint8Array.of(i >> 8, i, 1) }), attempts: 0, nextAtMs: 0 },
        ],
      };
    expect(() => enqueue(q, message(1), 0)).toThrow(QueueFull);
    const replaced = enqueue(q, message(0, { id: Uint8Array.of(0, 0, 1), timestamp: 7 }), 0);
    expect(replaced.entries[0]?.message.timestamp).toBe(7);
  });

  it('survives storage', () => {
    const q = markSent(queueOf(message(1), message(2, {}, 'profile')), Uint8Array.of(0xff, 1), 0);
    const loaded = queueFromJson(JSON.parse(JSON.stringify(queueToJson(q))), 50);
    expect(loaded.entries.map((e) => e.message)).toEqual(q.entries.map((e) => e.message));
    expect(dueMessages(loaded, ready, 50).length).toBe(2);
  });
});
