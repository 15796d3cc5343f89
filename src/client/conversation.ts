import {
  type ContactJson,
  type ContactState,
  contactFromJson,
  contactToJson,
  emptyQueue,
  type OutgoingJson,
  type OutgoingMessage,
  type OutgoingQueue,
  outgoingFromJson,
  outgoingToJson,
} from '../messages/index.js';
import { fromHex, toHex } from '../wire/index.js';
import type { ChatMessage, DeliveryState } from './events.js';
import type { ClientStorage, StorageChange } from './storage.js';

/** Key prefixes in the storage. `contact/HEX`, `queue/HEX/ID`, `chat/HEX/NUMBER`. */
export const contactPrefix = 'contact/';
export const queuePrefix = 'queue/';
export const chatPrefix = 'chat/';

/** Digits of a chat number in a key, so that key order is arrival order. */
const numberDigits = 10;

/** A text as it is stored; the address is in the key. */
export interface ChatRecord {
  readonly id: string;
  readonly in: boolean;
  readonly text: string;
  readonly timestamp: number;
  readonly state: DeliveryState;
}

interface QueueRecord {
  readonly order: number;
  readonly message: OutgoingJson;
}

/** Everything held about one other wallet. Changed only inside its {@link Conversation.inTurn}. */
export class Conversation {
  /** Null: a stranger whose first message is being looked at. */
  contact: ContactState | null = null;
  queue: OutgoingQueue = emptyQueue;
  readonly chat: ChatRecord[] = [];
  /** Waiting turns; a flood from one sender must not pile up without end. */
  pending = 0;
  pumping = false;
  pumpAgain = false;
  /** Local milliseconds of the last look-up, and how many in a row found nothing. */
  locatedMs = Number.NEGATIVE_INFINITY;
  missed = 0;
  online = false;
  /** When the user asked for this contact, for the narration. */
  askedMs: number | null = null;
  /** The first confirmation was narrated. */
  narrated = false;
  /** First transmission of messages not yet confirmed, by id. */
  readonly sentMs = new Map<string, number>();
  readonly #chatIndex = new Map<string, number>();
  readonly #orders = new Map<string, number>();
  #nextOrder = 0;
  #firstOrder = 0;
  #savedContact: string | null = null;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(
    readonly address: Uint8Array,
    /** The address as hex: the key of everything. */
    readonly wallet: string,
    /** The address as people read it. */
    readonly text: string,
  ) {}

  /** Runs `work` after everything begun before: one thing at a time per contact. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    this.pending++;
    const run = this.#turn.then(work).finally(() => {
      this.pending--;
    });
    this.#turn = run.catch(() => undefined);
    return run;
  }

  /** True when that text is in the history. */
  hasChat(direction: 'in' | 'out', id: string): boolean {
    return this.#chatIndex.has(`${direction}${id}`);
  }

  /** The stored text, if it is there. */
  chatOf(direction: 'in' | 'out', id: string): ChatRecord | null {
    const at = this.#chatIndex.get(`${direction}${id}`);
    return at === undefined ? null : this.chat[at]!;
  }

  /** What to store for new or changed texts; {@link keepChat} takes them over afterwards. */
  chatChanges(records: readonly ChatRecord[]): StorageChange[] {
    const added = new Map<string, number>();
    return records.map((record) => {
      const key = `${record.in ? 'in' : 'out'}${record.id}`;
      let at = this.#chatIndex.get(key) ?? added.get(key);
      if (at === undefined) {
        at = this.chat.length + added.size;
        added.set(key, at);
      }
      return { key: this.#chatKey(at), value: JSON.stringify(record) };
    });
  }

  keepChat(record: ChatRecord): void {
    const key = `${record.in ? 'in' : 'out'}${record.id}`;
    const at = this.#chatIndex.get(key);
    if (at !== undefined) this.chat[at] = record;
    else {
      this.#chatIndex.set(key, this.chat.length);
      this.chat.push(record);
    }
  }

  #chatKey(at: number): string {
    return `${chatPrefix}${this.wallet}/${String(at).padStart(numberDigits, '0')}`;
  }

  message(record: ChatRecord): ChatMessage {
    const { id, text, timestamp, state } = record;
    return { address: this.text, id, direction: record.in ? 'in' : 'out', text, timestamp, state };
  }

  /** What to store when `contact` takes the place of the present state and `records` are stored with it. */
  contactChange(contact: ContactState | null, records: readonly ChatRecord[] = []): StorageChange[] {
    // Ids of texts are in the history; only the others must be remembered with the contact.
    const json =
      contact === null
        ? null
        : JSON.stringify(
            contactToJson({
              ...contact,
              seen: contact.seen.filter(
                (id) => !this.hasChat('in', id) && !records.some((r) => r.in && r.id === id),
              ),
            }),
          );
    if (json === this.#savedContact) return [];
    return [{ key: contactPrefix + this.wallet, value: json }];
  }

  keepContact(contact: ContactState | null, changes: readonly StorageChange[]): void {
    this.contact = contact;
    const key = contactPrefix + this.wallet;
    for (const c of changes) if (c.key === key) this.#savedContact = c.value;
  }

  /** What to store when `queue` takes the place of the present one. Fire-once messages are not kept. */
  queueChanges(queue: OutgoingQueue): StorageChange[] {
    const before = new Map(this.queue.entries.map((e) => [toHex(e.message.id), e.message]));
    const changes: StorageChange[] = [];
    const present = new Set<string>();
    queue.entries.forEach((e, i) => {
      const id = toHex(e.message.id);
      present.add(id);
      if (!isKept(e.message) || before.get(id) === e.message) return;
      let order = this.#orders.get(id);
      if (order === undefined || (e.message.first && i === 0)) {
        order = e.message.first && i === 0 ? --this.#firstOrder : this.#nextOrder++;
        this.#orders.set(id, order);
      }
      const record: QueueRecord = { order, message: outgoingToJson(e.message) };
      changes.push({ key: this.#queueKey(id), value: JSON.stringify(record) });
    });
    for (const [id, message] of before)
      if (!present.has(id)) {
        this.#orders.delete(id);
        if (isKept(message)) changes.push({ key: this.#queueKey(id), value: null });
      }
    return changes;
  }

  #queueKey(id: string): string {
    return `${queuePrefix}${this.wallet}/${id}`;
  }

  /** Everything of this contact, to be forgotten. */
  forgetChanges(): StorageChange[] {
    return [
      ...this.contactChange(null),
      ...this.queueChanges(emptyQueue),
      ...this.chat.map((_, at) => ({ key: this.#chatKey(at), value: null })),
    ];
  }

  /** Takes over what an earlier run stored. */
  restore(
    contact: string | null,
    queue: readonly (readonly [key: string, value: string])[],
    chat: readonly (readonly [key: string, value: string])[],
    nowMs: number,
  ): void {
    for (const [, value] of chat) this.keepChat(JSON.parse(value) as ChatRecord);
    const records = queue.map(([, v]) => JSON.parse(v) as QueueRecord).sort((a, b) => a.order - b.order);
    this.queue = {
      entries: records.map((r) => {
        const message = outgoingFromJson(r.message);
        this.#orders.set(toHex(message.id), r.order);
        this.#nextOrder = Math.max(this.#nextOrder, r.order + 1);
        this.#firstOrder = Math.min(this.#firstOrder, r.order);
        return { message, attempts: 0, nextAtMs: nowMs };
      }),
    };
    if (contact === null) return;
    this.#savedContact = contact;
    const stored = contactFromJson(JSON.parse(contact) as ContactJson);
    this.contact = stored;
  }
}

/** True for messages that must survive the process. */
function isKept(m: OutgoingMessage): boolean {
  return m.queue && !m.once;
}

/** All conversations of a storage, by hex address. `text` turns an address into what people read. */
export async function loadConversations(
  storage: ClientStorage,
  text: (address: Uint8Array) => string,
  nowMs: number,
): Promise<Map<string, Conversation>> {
  const [contacts, queues, chats] = await Promise.all([
    storage.list(contactPrefix),
    storage.list(queuePrefix),
    storage.list(chatPrefix),
  ]);
  const queueOf = byWallet(queues);
  const chatOf = byWallet(chats);
  const out = new Map<string, Conversation>();
  for (const [key, value] of contacts) {
    const wallet = key.slice(contactPrefix.length);
    const address = fromHex(wallet);
    const c = new Conversation(address, wallet, text(address));
    c.restore(value, queueOf.get(wallet) ?? [], chatOf.get(wallet) ?? [], nowMs);
    out.set(wallet, c);
  }
  return out;
}

function byWallet(
  entries: readonly (readonly [key: string, value: string])[],
): Map<string, (readonly [string, string])[]> {
  const out = new Map<string, (readonly [string, string])[]>();
  for (const e of entries) {
    const wallet = e[0].split('/')[1]!;
    const list = out.get(wallet);
    if (list === undefined) out.set(wallet, [e]);
    else list.push(e);
  }
  return out;
}
