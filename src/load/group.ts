import { Messages } from './activities/messages.js';
import type { RunningActivity } from './activity.js';
import { type ClientHandlers, type ClientTerms, LoadClient } from './client.js';
import { Connector } from './connector.js';
import type { Identities } from './keys/identities.js';
import type { Metrics } from './metrics.js';
import type { Pacer } from './pacer.js';
import type { GeneratorPlan } from './plan.js';
import { createRandom } from './random.js';
import { type Activity, type Group, unitOf } from './scenario.js';
import { isLoopback } from './target.js';

/** All clients get their pings within this time, a slice of them in every look. */
const liveRoundMs = 1_000;

/** What the groups of one process share. */
export interface GroupSetting {
  readonly plan: GeneratorPlan;
  readonly terms: ClientTerms;
  readonly metrics: Metrics;
  readonly pacer: Pacer;
  readonly identities: Identities;
  /** Number of the group's first client among all of the test. */
  readonly firstIdentity: number;
  readonly firstFreeIdentity: number;
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
    const unit = unitOf(group);
    const units = group.clients / unit;
    const from = Math.floor((units * processIndex) / processes) * unit;
    const to = Math.floor((units * (processIndex + 1)) / processes) * unit;
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
      firstFreeIdentity: setting.firstFreeIdentity,
      random,
      reconnect: (client: LoadClient) => this.#connector.add(client),
    };
    this.activities = share === 0 ? [] : group.activities.map((a, i) => this.#activity(a, i, context));
  }

  #activity(a: Activity, i: number, context: ConstructorParameters<typeof Messages>[1]): RunningActivity {
    const { processIndex } = this.setting.plan;
    const slot = (processIndex * 32 + this.index) * 16 + i;
    switch (a.do) {
      case 'messages':
        return new Messages(a, context, (slot * flowsPerActivity) % 2 ** 32);
    }
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
          if (!wanted) this.setting.metrics.add(`connections.lost.${reason}`);
          for (const a of this.activities) a.onClose?.(client, now);
          if (!wanted && this.group.reconnect) this.#connector.add(client);
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
    this.setting.pacer.add(this.#live);
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
