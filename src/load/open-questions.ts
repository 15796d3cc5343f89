import { decodePresence } from '../presence/index.js';
import {
  bytesEqual,
  Code,
  DecodeError,
  decodeSectorNodes,
  encodeGetPresence2,
  encodeGetSectorNodes,
} from '../wire/index.js';
import type { LoadClient } from './client.js';

/** One question that has no answer yet. */
export interface Question {
  /** Address or sector prefix. */
  readonly about: Uint8Array;
  readonly client: LoadClient;
  readonly dueMs: number;
  readonly askedMs: number;
  /** `lastSeen` is the newest claim in the answer, in network seconds; 0 for a sector. Null: no answer came. */
  readonly done: (lastSeen: number | null, nowMs: number) => void;
}

/** Relays asked for by a sector question, as clients do (docs/protocol/06 §6). */
const sectorNodesWanted = 7;

/** Questions on their way, by connection, and the answers that belong to them. Answers carry no number, only what they are about. */
export class OpenQuestions {
  readonly #open = new Map<LoadClient, Question[]>();
  #count = 0;

  constructor(private readonly what: 'presence' | 'sector') {}

  get count(): number {
    return this.#count;
  }

  on(client: LoadClient): number {
    return this.#open.get(client)?.length ?? 0;
  }

  ask(q: Question): void {
    let list = this.#open.get(q.client);
    if (list === undefined) {
      list = [];
      this.#open.set(q.client, list);
    }
    list.push(q);
    this.#count++;
    if (this.what === 'presence') q.client.send(Code.getPresence2, encodeGetPresence2(q.about), q.askedMs);
    else
      q.client.send(
        Code.getSectorNodes,
        encodeGetSectorNodes({ prefix: q.about, max: sectorNodesWanted }),
        q.askedMs,
      );
  }

  /** Takes an answer. False: it is about nothing that was asked on this connection. */
  answer(client: LoadClient, code: number, payload: Uint8Array, nowMs: number): boolean {
    if (code !== (this.what === 'presence' ? Code.updatePresence : Code.sectorNodes)) return false;
    const list = this.#open.get(client);
    if (list === undefined || list.length === 0) return false;
    let about: Uint8Array;
    let lastSeen = 0;
    try {
      if (this.what === 'presence') {
        const p = decodePresence(payload);
        about = p.wallet;
        for (const a of p.addresses) lastSeen = Math.max(lastSeen, a.lastSeen);
      } else about = decodeSectorNodes(payload).prefix;
    } catch (e) {
      if (e instanceof DecodeError) return false;
      throw e;
    }
    // A relay answers in order, so it is nearly always the first.
    const i = list.findIndex((q) => bytesEqual(q.about, about));
    if (i < 0) return false;
    const [q] = list.splice(i, 1);
    this.#count--;
    q!.done(lastSeen, nowMs);
    return true;
  }

  /** Ends questions that were asked before this time. */
  expire(askedBeforeMs: number, nowMs: number): void {
    for (const list of this.#open.values())
      while (list.length > 0 && list[0]!.askedMs < askedBeforeMs) {
        this.#count--;
        list.shift()!.done(null, nowMs);
      }
  }

  /** A connection has ended: nobody answers there any more. */
  closed(client: LoadClient, nowMs: number): void {
    const list = this.#open.get(client);
    if (list === undefined) return;
    this.#open.delete(client);
    this.#count -= list.length;
    for (const q of list) q.done(null, nowMs);
  }
}
