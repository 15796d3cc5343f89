import { Churn, Stall, Storm } from './activities/churn.js';
import { Garbage } from './activities/garbage.js';
import { KeepAlives } from './activities/keep-alives.js';
import { Lookups } from './activities/lookups.js';
import { Messages } from './activities/messages.js';
import type { ActivityContext, RunningActivity } from './activity.js';
import { type ClientHandlers, type ClientTerms, LoadClient } from './client.js';
import { Connector } from './connector.js';
import type { Identities } from './keys/identities.js';
import type { Metrics } from './metrics.js';
import type { Pacer } from './pacer.js';
import { type GeneratorPlan, partOf } from './plan.js';
import { createRandom } from './random.js';
import { type Activity, type Group, type WalletRange, walletsOf } from './scenario.js';
import { isLoopback } from './target.js';

/** All clients get their pings within this time, a slice of them in every look. */
const liveRoundMs = 1_000;
/** Slices no smaller than what falls into this time. */
const liveEveryMs = 50;

/** What the groups of one process share. */
export interface GroupSetting {
  readonly plan: GeneratorPlan;
  readonly terms: ClientTerms;
  readonly metrics: Metrics;
  readonly pacer: Pacer;
  readonly identities: Identities;
  /** Number of the group's first client among all of the test. */
  readonly firstIdentity: number;
  /** Number of the identity of the group's first wallet without a connection. */
  readonly firstWallet: number;
  /** Wallets that keep-alives renew, whoever does it. */
  readonly renewed: WalletRange | null;
  /** Told of every completed handshake, for the check of the relay's signature. */
  onHelloData(client: LoadClient, payload: Uint8Array): void;
  /** A frame that no activity took. */
  onStray(code: number, bytes: Uint8Array, at: number, length: number, crc: number): void;
}

/** Flow numbers of one activity in one process: two for each client of the largest group that one can hold. */
const flowsPerActivity = 2 ** 17;

/** One group's part in this process: its clients, how they connect and what they do. */
export class GroupRunner {
  readonly clients: LoadClient[] = [];
  readonly activities: RunningActivity[];
  readonly #connector: Connector;
  /** Clients of the whole group that are this process's, from … to − 1. */
  readonly #part: { readonly from: number; readonly to: number };
  /** When clients lost their connections and have not come back since. */
  readonly #lostMs = new Map<LoadClient, number>();
  #open = 0;
  #liveAt = 0;
  #liveMs = 0;
  #ended = false;

  constructor(
    readonly group: Group,
    readonly index: number,
    private readonly setting: GroupSetting,
  ) {
    const { plan, terms, metrics, pacer, identities, firstIdentity } = setting;
    const { processIndex, processes } = plan;
    const { from, to } = partOf(group, index, plan);
    this.#part = { from, to };
    const share = (to - from) / group.clients;
    const random = createRandom(plan.run ^ (index * 0x9e3779b1) ^ (processIndex * 0x85ebca6b));
    const handlers = this.#handlers();
    for (let i = from; i < to; i++) {
      const number = firstIdentity + i;
      this.clients.push(
        new LoadClient(
          i - from,
          identities.at(number),
          group.transport,
          terms,
          handlers,
          this.#source(number),
        ),
      );
    }
    this.#connector = new Connector(
      {
        perSecond: group.connectPerSecond * Math.max(share, 1e-9),
        atOnce: Math.max(1, Math.round(group.connectAtOnce * share)),
        attemptMs: group.attemptSeconds * 1000,
        metrics,
        pacer,
      },
      random,
    );
    const context = {
      clients: this.clients,
      metrics,
      pacer,
      identities,
      terms,
      run: plan.run,
      share,
      processIndex,
      processes,
      random,
      reconnect: (client: LoadClient) => this.#connector.add(client),
    };
    let firstWallet = setting.firstWallet;
    this.activities = group.activities.flatMap((a, i) => {
      const first = firstWallet;
      firstWallet += walletsOf(a);
      // Hostile connections are shared by all processes, everything else goes with the clients.
      return share === 0 && a.do !== 'garbage' ? [] : [this.#activity(a, i, context, first)];
    });
  }

  #activity(a: Activity, i: number, context: ActivityContext, firstWallet: number): RunningActivity {
    const { processIndex } = this.setting.plan;
    switch (a.do) {
      case 'messages': {
        const slot = (processIndex * 32 + this.index) * 16 + i;
        return new Messages(a, context, (slot * flowsPerActivity) % 2 ** 32);
      }
      case 'keepAlives':
        return new KeepAlives(a, context, ...this.#walletsHere(a.wallets, firstWallet));
      case 'lookups':
        // Those that are renewed anyway may be asked for by any process.
        return a.of === 'keepAlives'
          ? new Lookups(a, context, this.setting.renewed!.first, a.wallets)
          : new Lookups(a, context, ...this.#walletsHere(a.wallets, firstWallet));
      case 'churn':
        return new Churn(a, context);
      case 'storm':
        return new Storm(a, context);
      case 'stall':
        return new Stall(a, context);
      case 'garbage':
        return new Garbage(a, context);
    }
  }

  /** This process's part of an activity's wallets: number of the first and how many. */
  #walletsHere(wallets: number, first: number): [number, number] {
    const { from, to } = this.#part;
    const { clients } = this.group;
    const [a, b] = [from, to].map((x) => Math.floor((wallets * x) / clients)) as [number, number];
    return [first + a, b - a];
  }

  /** Clients are spread over loopback addresses, so that ports and per-address limits suffice. */
  #source(number: number): string | undefined {
    const per = this.group.clientsPerSource;
    const { host } = this.setting.terms;
    if (per === 0 || !isLoopback(host) || host === '::1') return undefined;
    const n = Math.floor(number / per) + 2;
    return `127.${1 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}`;
  }

  #handlers(): ClientHandlers {
    return {
      onOpen: (client, helloData) => {
        this.#open++;
        const now = performance.now();
        this.setting.pacer.worked = true;
        this.#connector.opened(client, now);
        const lostMs = this.#lostMs.get(client);
        if (lostMs !== undefined) {
          this.#lostMs.delete(client);
          this.setting.metrics.latency('comeback', true).record(lostMs, now);
        }
        this.setting.onHelloData(client, helloData);
        for (const a of this.activities) a.onOpen?.(client, now);
      },
      onFrame: (client, code, bytes, at, length, crc) => {
        this.setting.pacer.worked = true;
        const now = performance.now();
        for (const a of this.activities)
          if (a.onFrame?.(client, code, bytes, at, length, crc, now) === true) return;
        this.setting.onStray(code, bytes, at, length, crc);
      },
      onFlushed: (client) => {
        this.setting.pacer.worked = true;
        const now = performance.now();
        for (const a of this.activities) a.onFlushed?.(client, now);
      },
      onClose: (client, reason, opened) => {
        const now = performance.now();
        const wanted = this.#ended || this.activities.some((a) => a.owns?.(client) === true);
        if (opened) {
          this.#open--;
          for (const a of this.activities) a.onClose?.(client, now);
          if (wanted) return;
          this.setting.metrics.add(`connections.lost.${reason}`);
          this.#lostMs.set(client, now);
          if (this.group.reconnect) this.#connector.add(client);
        } else if (!this.#ended) this.#connector.failed(client, reason, now);
      },
    };
  }

  /** Clients whose handshake is complete. */
  get open(): number {
    return this.#open;
  }

  get waiting(): number {
    return this.#connector.waiting;
  }

  connect(nowMs: number): void {
    for (const c of this.clients) this.#connector.add(c);
    this.#connector.start(nowMs);
    this.#liveMs = nowMs;
    this.setting.pacer.add(this.#live, liveEveryMs);
  }

  /** Pings, a slice of the clients at a time. */
  readonly #live = (nowMs: number): boolean => {
    const n = this.clients.length;
    const due = Math.min(n, Math.floor(((nowMs - this.#liveMs) * n) / liveRoundMs));
    if (due === 0) return false;
    this.#liveMs += (due * liveRoundMs) / n;
    if (nowMs - this.#liveMs > liveRoundMs) this.#liveMs = nowMs;
    for (let i = 0; i < due; i++) {
      this.clients[this.#liveAt]!.live(nowMs);
      this.#liveAt = (this.#liveAt + 1) % n;
    }
    return false;
  };

  async prepare(): Promise<void> {
    for (const a of this.activities) await a.prepare?.();
  }

  start(nowMs: number, endMs: number): void {
    for (const a of this.activities) a.start(nowMs, endMs);
  }

  stop(nowMs: number): void {
    for (const a of this.activities) a.stop(nowMs);
  }

  /** Nothing is under way any more. */
  get settled(): boolean {
    return this.activities.every((a) => a.settled !== false);
  }

  /** Everybody leaves. */
  end(nowMs: number): void {
    this.#ended = true;
    for (const a of this.activities) a.finish?.();
    this.#connector.stop();
    this.setting.pacer.remove(this.#live);
    for (const c of this.clients) {
      if (c.state === 'open') c.leave('done', nowMs);
      else c.giveUp('done');
    }
  }
}
