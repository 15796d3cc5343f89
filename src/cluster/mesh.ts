import type { Counters } from '../counters/index.js';
import {
  type Bus,
  type BusAnswer,
  BusError,
  type BusHandler,
  type BusKind,
  type MemberListener,
} from './bus.js';
import { type BusLimits, DEFAULT_BUS_LIMITS } from './limits.js';
import { BusMember, type BusPipe } from './member.js';

/** A closing member gives what it sent this long to be handled. */
const closeMs = 1_000;

export interface MeshOptions {
  /** Own name, never used before. */
  readonly self: string;
  readonly counters: Counters;
  readonly limits?: Partial<BusLimits>;
  /** A handler threw, or another member sent nonsense. */
  onError?(topic: string, error: unknown): void;
}

/** The bus over one pipe per pair of members: no third process sees, copies or delays a message. */
export class MeshBus implements Bus {
  readonly self: string;
  readonly #limits: BusLimits;
  readonly #handlers = new Map<string, BusHandler>();
  readonly #answers = new Map<string, BusAnswer>();
  readonly #lost = new Map<string, (to: string, payload: Uint8Array) => void>();
  readonly #listeners: MemberListener[] = [];
  /** Those who said their name. */
  readonly #members = new Map<string, BusMember>();
  readonly #strangers = new Set<BusMember>();
  #closing = false;

  constructor(private readonly options: MeshOptions) {
    this.self = options.self;
    this.#limits = { ...DEFAULT_BUS_LIMITS, ...options.limits };
  }

  get members(): readonly string[] {
    return [...this.#members.keys()];
  }

  /** Bytes sent to all members and not yet handled there. */
  get waitingBytes(): number {
    let sum = 0;
    for (const m of this.#members.values()) sum += m.waitingBytes;
    return sum;
  }

  /** A pipe to another process, whose name comes over it. */
  attach(pipe: BusPipe): void {
    if (this.#closing) {
      pipe.destroy();
      return;
    }
    const member = new BusMember(pipe, {
      self: this.self,
      limits: this.#limits,
      counters: this.options.counters,
      handlers: this.#handlers,
      answers: this.#answers,
      greeted: (m, name) => this.#greeted(m, name),
      ended: (m, undelivered) => this.#ended(m, undelivered),
      failed: (topic, error) => this.options.onError?.(topic, error),
    });
    this.#strangers.add(member);
  }

  #greeted(member: BusMember, name: string): boolean {
    this.#strangers.delete(member);
    if (name === '' || name === this.self || this.#members.has(name)) return false;
    member.name = name;
    this.#members.set(name, member);
    for (const l of this.#listeners) l.joined?.(name);
    return true;
  }

  #ended(member: BusMember, undelivered: readonly { topic: string; payload: Uint8Array }[]): void {
    this.#strangers.delete(member);
    if (this.#members.get(member.name) !== member) return;
    this.#members.delete(member.name);
    for (const l of this.#listeners) l.left?.(member.name);
    for (const { topic, payload } of undelivered) this.#lost.get(topic)?.(member.name, payload);
  }

  send(to: string, topic: string, payload: Uint8Array, kind: BusKind = 'data'): boolean {
    return this.#members.get(to)?.send(topic, payload, kind) ?? false;
  }

  publish(topic: string, payload: Uint8Array, kind: BusKind = 'data'): number {
    let taken = 0;
    for (const m of [...this.#members.values()]) if (m.send(topic, payload, kind)) taken++;
    return taken;
  }

  request(to: string, topic: string, payload: Uint8Array, timeoutMs?: number): Promise<Uint8Array> {
    const m = this.#members.get(to);
    if (m === undefined) return Promise.reject(new BusError('gone', to));
    return m.request(topic, payload, timeoutMs ?? this.#limits.requestMs);
  }

  on(topic: string, handler: BusHandler): void {
    if (this.#handlers.has(topic)) throw new TypeError(`${topic} has a handler`);
    this.#handlers.set(topic, handler);
  }

  answer(topic: string, handler: BusAnswer): void {
    if (this.#answers.has(topic)) throw new TypeError(`${topic} has an answer`);
    this.#answers.set(topic, handler);
  }

  onLost(topic: string, lost: (to: string, payload: Uint8Array) => void): void {
    this.#lost.set(topic, lost);
  }

  onMember(listener: MemberListener): void {
    this.#listeners.push(listener);
  }

  /** Leaves without a word, as a process that dies. */
  abort(): void {
    this.#closing = true;
    for (const m of [...this.#strangers, ...this.#members.values()]) m.destroy();
  }

  async close(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    for (const m of this.#strangers) m.destroy();
    const until = Date.now() + closeMs;
    while (this.waitingBytes > 0 && Date.now() < until) await new Promise((r) => setTimeout(r, 5));
    for (const m of [...this.#members.values()]) m.end();
    await new Promise((r) => setImmediate(r));
    for (const m of [...this.#members.values()]) m.destroy();
  }
}
