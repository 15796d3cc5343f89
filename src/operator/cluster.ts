import type { Bus, ParentSample } from '../cluster/index.js';
import { Counters, type Histogram, type Labels } from '../counters/index.js';
import type { PeerSnapshot, Relay } from '../relay/index.js';
import { isLogLevel, type LogLevel } from './log.js';
import type { Sampled } from './metrics/render.js';
import type { RelayNode } from './node.js';

const metricsTopic = 'metrics?';
const totalsTopic = 'totals?';
const pageTopic = 'page?';
const disconnectTopic = 'disconnect?';
const wishTopic = 'wish';
/** A process that does not answer in time is left out: an operator's question must not wait for a stalled one. */
const askMs = 2_000;

/** Sums over all processes. */
export interface ClusterTotals {
  readonly connections: number;
  readonly clients: number;
  readonly sessions: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

interface TextSample {
  readonly name: string;
  readonly help: string;
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly labels: Labels;
  readonly value?: number;
  readonly bounds?: readonly number[];
  readonly cumulative?: readonly number[];
  readonly sum?: number;
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
  constructor(
    private readonly bus: Bus,
    private readonly node: RelayNode,
    private readonly relay: Relay,
    private readonly options: {
      parentSamples(): readonly ParentSample[];
      setLevel(level: LogLevel): void;
      cancelDrain(): void;
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
    bus.on(wishTopic, (_from, payload) => {
      const wish = decode<{ level?: string; cancelDrain?: boolean; bans?: boolean }>(payload);
      if (wish.level !== undefined && isLogLevel(wish.level)) options.setLevel(wish.level);
      if (wish.cancelDrain === true) options.cancelDrain();
      if (wish.bans === true) options.rereadBans();
    });
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

  tellLevel(level: string): void {
    this.bus.publish(wishTopic, encode({ level }), 'control');
  }

  tellBans(): void {
    this.bus.publish(wishTopic, encode({ bans: true }), 'control');
  }

  tellDrainCancelled(): void {
    this.bus.publish(wishTopic, encode({ cancelDrain: true }), 'control');
  }

  #own(): ClusterTotals {
    const s = this.relay.status();
    const bytes = { in: 0, out: 0 };
    for (const x of this.node.counters.samples())
      if (x.name === 'ixian_protocol_bytes_total' && 'value' in x.metric)
        bytes[x.labels.direction === 'in' ? 'in' : 'out'] += x.metric.value;
    return {
      connections: s.connections,
      clients: this.relay.control.clientIds().length,
      sessions: s.sessions,
      bytesIn: bytes.in,
      bytesOut: bytes.out,
    };
  }

  async totals(): Promise<ClusterTotals> {
    const all = [this.#own(), ...(await this.#askAll<ClusterTotals>(totalsTopic, null)).map((a) => a.value)];
    const sum = (f: (t: ClusterTotals) => number): number => all.reduce((n, t) => n + f(t), 0);
    return {
      connections: sum((t) => t.connections),
      clients: sum((t) => t.clients),
      sessions: sum((t) => t.sessions),
      bytesIn: sum((t) => t.bytesIn),
      bytesOut: sum((t) => t.bytesOut),
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

  #numbers(): Numbers {
    const samples = this.node.counters.samples().map((s): TextSample => {
      const { name, help, kind, labels } = s;
      if (kind !== 'histogram')
        return { name, help, kind, labels, value: (s.metric as { value: number }).value };
      const h = s.metric as Histogram;
      return { name, help, kind, labels, bounds: h.bounds, cumulative: h.cumulative(), sum: h.sum };
    });
    return { samples, sampled: this.node.sample() };
  }

  async #gather(): Promise<{ counters: Counters; sampled: Sampled[] }> {
    const others = await this.#askAll<Numbers>(metricsTopic, null);
    const all = [{ from: this.bus.self, value: this.#numbers() }, ...others];
    const counters = new Counters();
    for (const { value } of all) for (const s of value.samples) addUp(counters, s);
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

function addUp(into: Counters, s: TextSample): void {
  if (s.kind === 'histogram') into.histogram(s.name, s.help, s.bounds, s.labels).merge(s.cumulative!, s.sum!);
  else if (s.kind === 'counter') into.counter(s.name, s.help, s.labels).add(s.value);
  else {
    const g = into.gauge(s.name, s.help, s.labels);
    // A moment is no amount: of several the last one counts.
    if (/_seconds$/.test(s.name)) g.set(Math.max(g.value, s.value!));
    else g.add(s.value!);
  }
}
