import { bytesEqual } from '../wire/index.js';
import type { ContactState } from './contact.js';
import {
  canSeal,
  type OutgoingJson,
  type OutgoingMessage,
  outgoingFromJson,
  outgoingToJson,
} from './outgoing.js';

/** Age at which an unconfirmed message is given up (docs/protocol/07 §8 step 7): 5 days. */
export const messageAgeSecondsMax = 432_000;

/** First wait before a repetition; doubles up to {@link retryMsMax} (07 §8, "better sender"). */
export const retryMsMin = 2_500;
export const retryMsMax = 300_000;

/** Messages one contact's queue may hold: 2,000 at 1 kB each are 2 MB. */
export const queuedMessagesMax = 2_000;

/** A queued message and when to try it next. */
export interface QueueEntry {
  readonly message: OutgoingMessage;
  /** Transmissions since it was queued or the back-off was reset. */
  readonly attempts: number;
  /** Local clock, milliseconds. */
  readonly nextAtMs: number;
}

/** One contact's unconfirmed messages in order. Plain data. */
export interface OutgoingQueue {
  readonly entries: readonly QueueEntry[];
}

export const emptyQueue: OutgoingQueue = { entries: [] };

/** The queue is at {@link queuedMessagesMax}: the application has to wait or give something up. */
export class QueueFull extends Error {
  override readonly name = 'QueueFull';
}

/**
 * Adds a message. One with the same id takes the place of the older one, so a newer nick does not queue twice;
 * `first` messages go in front (keys2 before anything under the session keys).
 *
 * @throws QueueFull
 */
export function enqueue(q: OutgoingQueue, message: OutgoingMessage, nowMs: number): OutgoingQueue {
  const entry: QueueEntry = { message, attempts: 0, nextAtMs: nowMs };
  const at = q.entries.findIndex((e) => bytesEqual(e.message.id, message.id));
  if (message.first) return { entries: [entry, ...q.entries.filter((_, i) => i !== at)] };
  if (at >= 0) return { entries: q.entries.map((e, i) => (i === at ? entry : e)) };
  if (q.entries.length >= queuedMessagesMax) throw new QueueFull(`${q.entries.length} messages are waiting`);
  return { entries: [...q.entries, entry] };
}

/** The messages to transmit now, in order: due, and with every key at hand. */
export function dueMessages(q: OutgoingQueue, contact: ContactState, nowMs: number): OutgoingMessage[] {
  return q.entries.filter((e) => e.nextAtMs <= nowMs && canSeal(e.message, contact)).map((e) => e.message);
}

/** When the next message that can be sealed is due, in local milliseconds; null when none waits. */
export function nextDueMs(q: OutgoingQueue, contact: ContactState): number | null {
  let next: number | null = null;
  for (const e of q.entries)
    if (canSeal(e.message, contact) && (next === null || e.nextAtMs < next)) next = e.nextAtMs;
  return next;
}

function backOffMs(attempts: number): number {
  return Math.min(retryMsMin * 2 ** Math.min(attempts, 30), retryMsMax);
}

function update(q: OutgoingQueue, id: Uint8Array, f: (e: QueueEntry) => QueueEntry | null): OutgoingQueue {
  const entries: QueueEntry[] = [];
  for (const e of q.entries) {
    const changed = bytesEqual(e.message.id, id) ? f(e) : e;
    if (changed !== null) entries.push(changed);
  }
  return { entries };
}

/** A message was handed to a connection: fire-once messages leave, the others wait longer each time. */
export function markSent(q: OutgoingQueue, id: Uint8Array, nowMs: number): OutgoingQueue {
  return update(q, id, (e) =>
    e.message.once ? null : { ...e, attempts: e.attempts + 1, nextAtMs: nowMs + backOffMs(e.attempts) },
  );
}

/** A transmission failed before it reached a connection: try again at the shortest interval. */
export function markFailed(q: OutgoingQueue, id: Uint8Array, nowMs: number): OutgoingQueue {
  return update(q, id, (e) => ({ ...e, nextAtMs: nowMs + retryMsMin }));
}

/** The peer confirmed it, or it is no longer wanted. */
export function removeMessage(q: OutgoingQueue, id: Uint8Array): OutgoingQueue {
  return update(q, id, () => null);
}

/** An unproven receipt: slow down, but keep it until something proven says the peer has it. */
export function slowDown(q: OutgoingQueue, id: Uint8Array, nowMs: number): OutgoingQueue {
  return update(q, id, (e) => ({ ...e, nextAtMs: Math.max(e.nextAtMs, nowMs + retryMsMax) }));
}

/** The contact appeared, or moved to another relay: everything is tried at once again. */
export function resetBackOff(q: OutgoingQueue, nowMs: number): OutgoingQueue {
  return { entries: q.entries.map((e) => ({ ...e, attempts: 0, nextAtMs: Math.min(e.nextAtMs, nowMs) })) };
}

/** Takes out what is older than {@link messageAgeSecondsMax}; `nowSeconds` is network time. */
export function expireMessages(
  q: OutgoingQueue,
  nowSeconds: number,
): { readonly queue: OutgoingQueue; readonly expired: readonly OutgoingMessage[] } {
  const old = (e: QueueEntry): boolean => nowSeconds - e.message.timestamp > messageAgeSecondsMax;
  return {
    queue: { entries: q.entries.filter((e) => !old(e)) },
    expired: q.entries.filter(old).map((e) => e.message),
  };
}

/** {@link OutgoingQueue} for storage: the back-off starts afresh when it is loaded. */
export interface QueueJson {
  readonly messages: readonly OutgoingJson[];
}

export function queueToJson(q: OutgoingQueue): QueueJson {
  return { messages: q.entries.map((e) => outgoingToJson(e.message)) };
}

/** Inverse of {@link queueToJson}; everything is due at `nowMs`. @throws DecodeError */
export function queueFromJson(j: QueueJson, nowMs: number): OutgoingQueue {
  return { entries: j.messages.map((m) => ({ message: outgoingFromJson(m), attempts: 0, nextAtMs: nowMs })) };
}
