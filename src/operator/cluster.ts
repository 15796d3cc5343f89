import type { Bus, ParentSample } from '../cluster/index.js';
import { Counters } from '../counters/index.js';
import type { PeerSnapshot, Relay } from '../relay/index.js';
import { addUp, PastProcesses, type ProcessEnd, type TextSample, textSamples } from './cluster-numbers.js';
import type { LiveColumns } from './live/history.js';
import { type LiveSample, mergeLive } from './live/merge.js';
import { sampleLive } from './live/sample.js';
import { isLogLevel, type LogLevel } from './log.js';
import type { Sampled } from './metrics/render.js';
import type { RelayNode } from './node.js';

const metricsTopic = 'metrics?';
const totalsTopic = 'totals?';
const pageTopic = 'page?';
const disconnectTopic = 'disconnect?';
const wishTopic = 'wish';
const liveTopic = 'live';
const historyTopic = 'history?';
const busiestTopic = 'busiest?';
const remotesTopic = 'remotes?';
const pastTopic = 'past';
const askPastTopic = 'past?';
/** A process that does not answer in time is left out: an operator's question must not wait for a stalled one. */
const askMs = 2_000;

/** Sums over all processes. */
export interface ClusterTotals {
  readonly connections: number;
  readonly clients: number;
  readonly sessions: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly clientQueueFrames: number;
  readonly serverQueueFrames: number;
}

/** What an operator may wish of all processes at once. */
export interface ClusterWish {
  readonly level?: string;
  readonly cancelDrain?: true;
  readonly bans?: true;
  /** Ends the inbound connections with these words. */
  readonly disconnect?: string;
  /** Sends newcomers away, or takes them again. */
  readonly draining?: boolean;
}

interface Numbers {
  readonly samples: readonly TextSample[];
  readonly sampled: readonly Sampled[];
}

/** Gauges read per process that add up; of the others the leader's count. */
const ADD_UP =
  /^ixian_(queue_(messages|bytes)|subscriptions|sessions|connections_before_hello|connections_limit|verify_(threads|queue_items|pending))$/;
/** Numbers that describe a process, shown for each. */
const PER_PROCESS = /^(process|nodejs)_/;

const encode = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));
const decode = <T>(bytes: Uint8Array): T => JSON.parse(Buffer.from(bytes).toString()) as T;

/**
 * The operator's side of a relay of several processes. Each answers for itself; the one that leads asks all and adds
 * up, so that `/metrics` and the API speak for the whole relay (docs/cluster.md).
 */
export class ClusterOperator {
  /** What the others told last. */
  readonly #live = new Map<string, LiveSample>();
  readonly #past = new PastProcesses();
  #history: () => LiveColumns = () => ({ atMs: [], columns: [] });

  constructor(
    private readonly bus: Bus,
    private readonly node: RelayNode,
    private readonly relay: Relay,
    private readonly options: {
      parentSamples(): readonly ParentSample[];
      setLevel(level: LogLevel): void;
      cancelDrain(): void;
      /** The drain of all was called off here. */
      drainCancelled(): void;
      /** Another process changed the file of bans. */
      rereadBans(): void;
    },
  ) {
    bus.answer(metricsTopic, () => encode(this.#numbers()));
    bus.answer(totalsTopic, () => encode(this.#own()));
    bus.answer(pageTopic, (_from, payload) => {
      const [clients, after, max] = decode<[boolean, number, number]>(payload);
      return encode(relay.control.page(clients, after, max));
    });
    bus.answer(disconnectTopic, (_from, payload) =>
      encode(relay.control.disconnect(decode<number>(payload))),
    );
    bus.on(wishTopic, (_from, payload) => this.#obey(decode<ClusterWish>(payload)));
    bus.on(liveTopic, (from, payload) => void this.#live.set(from, decode<LiveSample>(payload)));
    bus.onMember({ left: (name) => void this.#live.delete(name) });
    bus.answer(historyTopic, () => encode(this.#history()));
    bus.answer(busiestTopic, (_from, payload) =>
      encode([
        relay.control.busiest(decode<number>(payload)),
        relay.control.servers(decode<number>(payload)),
      ]),
    );
    bus.answer(remotesTopic, () => encode(this.#ownRemotes()));
    bus.on(pastTopic, (from, payload) => this.#past.add(from, decode<ProcessEnd>(payload)));
    bus.answer(askPastTopic, () => encode([...this.#past.all]));
    node.gather = () => this.#gather();
  }

  async #askAll<T>(
    topic: string,
    question: unknown,
  ): Promise<{ readonly from: string; readonly value: T }[]> {
    const payload = encode(question);
    const all = await Promise.allSettled(
      this.bus.members.map(async (m) => ({
        from: m,
        value: decode<T>(await this.bus.request(m, topic, payload, askMs)),
      })),
    );
    return all.flatMap((r) => (r.status === 'fulfilled' ? [r.value] : []));
  }

  /** The answer of the first process that gives one; null when nobody does. For what all of them know alike. */
  async #askFirst<T>(topic: string): Promise<T | null> {
    for (const member of this.bus.members)
      try {
        return decode<T>(await this.bus.request(member, topic, encode(null), askMs));
      } catch {
        // It ended meanwhile: the next one knows the same.
      }
    return null;
  }

  /** Has the other processes do something. */
  tell(wish: ClusterWish): void {
    this.bus.publish(wishTopic, encode(wish), 'control');
    if (wish.cancelDrain === true) this.options.drainCancelled();
  }

  #obey(wish: ClusterWish): void {
    const { options, relay } = this;
    if (wish.level !== undefined && isLogLevel(wish.level)) options.setLevel(wish.level);
    if (wish.cancelDrain === true) options.cancelDrain();
    if (wish.bans === true) options.rereadBans();
    if (wish.draining !== undefined) relay.control.setDraining(wish.draining);
    if (wish.disconnect !== undefined) relay.control.disconnectInbound(wish.disconnect);
  }

  #own(): ClusterTotals {
    const s = this.relay.status();
    const totals = this.relay.control.totals();
    return {
      connections: s.connections,
      clients: this.relay.control.clientIds().length,
      sessions: s.sessions,
      ...this.node.traffic,
      clientQueueFrames: totals.clientQueueFrames,
      serverQueueFrames: totals.serverQueueFrames,
    };
  }

  async totals(): Promise<ClusterTotals> {
    const all = [this.#own(), ...(await this.#askAll<ClusterTotals>(totalsTopic, null)).map((a) => a.value)];
    const sum = (f: (t: ClusterTotals) => number): number => all.reduce((n, t) => n + f(t), 0);
    const past = this.#pastLive();
    return {
      connections: sum((t) => t.connections),
      clients: sum((t) => t.clients),
      sessions: sum((t) => t.sessions),
      bytesIn: past.reduce(
        (n, p) => n + p.values.bytesInTotal,
        sum((t) => t.bytesIn),
      ),
      bytesOut: past.reduce(
        (n, p) => n + p.values.bytesOutTotal,
        sum((t) => t.bytesOut),
      ),
      clientQueueFrames: sum((t) => t.clientQueueFrames),
      serverQueueFrames: sum((t) => t.serverQueueFrames),
    };
  }

  /** As of one process's control, over all: ids of one process all lie above those of the one before. */
  async page(
    clients: boolean,
    after: number,
    max: number,
  ): Promise<{ readonly items: PeerSnapshot[]; readonly total: number; readonly more: boolean }> {
    type Page = ReturnType<Relay['control']['page']>;
    const others = await this.#askAll<Page>(pageTopic, [clients, after, max]);
    const pages = [this.relay.control.page(clients, after, max), ...others.map((o) => o.value)];
    const items = pages.flatMap((p) => p.items).sort((a, b) => a.id - b.id);
    return {
      items: items.slice(0, max),
      total: pages.reduce((n, p) => n + p.total, 0),
      more: items.length > max || pages.some((p) => p.more),
    };
  }

  /** Ends a connection of another process; false when no process has it. */
  async disconnect(id: number): Promise<boolean> {
    return (await this.#askAll<boolean>(disconnectTopic, id)).some((a) => a.value);
  }

  // --- the dashboard --------------------------------------------------------------------------------------

  /** Tells the others what this process saw in the last second, and gives what all of them did. */
  live(own: LiveSample): LiveSample {
    this.bus.publish(liveTopic, encode(own), 'control');
    return mergeLive(own, [...this.#live.values()], this.#pastLive());
  }

  /** Those that have ended; one that is just ending still tells for itself. */
  #pastLive(): LiveSample[] {
    return [...this.#past.all].flatMap(([name, end]) => (this.#live.has(name) ? [] : [end.live]));
  }

  /** The history that is kept here, for newcomers. */
  keepHistory(columns: () => LiveColumns): void {
    this.#history = columns;
  }

  /** The history of whoever is there longest; null when nobody is. */
  history(): Promise<LiveColumns | null> {
    return this.#askFirst<LiveColumns>(historyTopic);
  }

  /** The clients that moved most bytes, and the connections to ledger nodes and relays, of the other processes. */
  async others(max: number): Promise<{ readonly busiest: PeerSnapshot[]; readonly servers: PeerSnapshot[] }> {
    const all = await this.#askAll<[PeerSnapshot[], PeerSnapshot[]]>(busiestTopic, max);
    return {
      busiest: all.flatMap((a) => a.value[0]),
      servers: all.flatMap((a) => a.value[1]),
    };
  }

  #ownRemotes(): [PeerSnapshot['role'], string][] {
    return this.relay.control.peers().map((p) => [p.role, p.remote]);
  }

  /** Role and remote address of every connection of all processes. */
  async remotes(): Promise<[PeerSnapshot['role'], string][]> {
    const others = await this.#askAll<[PeerSnapshot['role'], string][]>(remotesTopic, null);
    return [...this.#ownRemotes(), ...others.flatMap((o) => o.value)];
  }

  // --- numbers --------------------------------------------------------------------------------------------

  /** Takes over what processes that ended before had counted. */
  async join(): Promise<void> {
    for (const [name, end] of (await this.#askFirst<[string, ProcessEnd][]>(askPastTopic)) ?? [])
      this.#past.add(name, end);
  }

  /** The last word of a process that ends in order: what it counted is kept by the others. */
  leave(): void {
    const { endpoint: _, ...live } = sampleLive(this.node);
    const end: ProcessEnd = { samples: textSamples(this.node.counters), live };
    this.bus.publish(pastTopic, encode(end), 'control');
  }

  #numbers(): Numbers {
    return { samples: textSamples(this.node.counters), sampled: this.node.sample() };
  }

  async #gather(): Promise<{ counters: Counters; sampled: Sampled[] }> {
    const others = await this.#askAll<Numbers>(metricsTopic, null);
    const all = [{ from: this.bus.self, value: this.#numbers() }, ...others];
    const counters = new Counters();
    for (const { value } of all) for (const s of value.samples) addUp(counters, s);
    const answered = new Set(all.map((a) => a.from));
    for (const [name, end] of this.#past.all)
      if (!answered.has(name)) for (const s of end.samples) addUp(counters, s);
    for (const s of this.options.parentSamples()) addUp(counters, { ...s, help: '' });
    const sampled = new Map<string, Sampled>();
    for (const [i, { from, value }] of all.entries())
      for (const s of value.sampled) {
        const labels = PER_PROCESS.test(s.name) ? { ...s.labels, process: from } : (s.labels ?? {});
        const key = `${s.name} ${Object.entries(labels).flat().join(' ')}`;
        const old = sampled.get(key);
        if (old === undefined) sampled.set(key, { name: s.name, labels, value: s.value });
        else if (i > 0 && ADD_UP.test(s.name)) sampled.set(key, { ...old, value: old.value + s.value });
      }
    return { counters, sampled: [...sampled.values()] };
  }
}
