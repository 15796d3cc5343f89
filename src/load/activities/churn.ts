import type { ActivityContext, RunningActivity } from '../activity.js';
import type { LoadClient } from '../client.js';
import type { ChurnActivity, StallActivity, StormActivity } from '../scenario.js';

/** Clients that leave and come back, one at a time at a rate, or every one as soon as it is there. */
export class Churn implements RunningActivity {
  readonly #away = new Set<LoadClient>();
  readonly #intervalMs: number;
  #nextMs = 0;
  #endMs = 0;
  #left = 0;

  constructor(
    private readonly a: ChurnActivity,
    private readonly ctx: ActivityContext,
  ) {
    this.#intervalMs = a.perSecond === 'max' ? 0 : 1000 / (a.perSecond * ctx.share);
  }

  start(nowMs: number, endMs: number): void {
    this.#nextMs = nowMs;
    this.#endMs = endMs;
    if (this.a.perSecond !== 'max') this.ctx.pacer.add(this.#tick);
    else for (const c of this.ctx.clients) this.#leave(c, nowMs);
  }

  readonly #tick = (nowMs: number): boolean => {
    const { clients, random } = this.ctx;
    let n = 0;
    while (this.#nextMs <= nowMs && this.#nextMs < this.#endMs && n < 100) {
      this.#nextMs += this.#intervalMs;
      this.#leave(clients[Math.floor(random() * clients.length)]!, nowMs);
      n++;
    }
    return n > 0;
  };

  #leave(client: LoadClient, nowMs: number): void {
    if (client.state !== 'open') return;
    this.#away.add(client);
    this.ctx.metrics.add('churn.left');
    // Half of them go without a word, as phones do.
    if (this.a.how === 'cut' || (this.a.how === 'mixed' && this.#left++ % 2 === 1)) client.cut('churn');
    else client.leave('churn', nowMs);
  }

  onOpen(client: LoadClient, nowMs: number): void {
    this.#away.delete(client);
    if (this.a.perSecond === 'max' && nowMs < this.#endMs) {
      this.ctx.metrics.add('churn.handshakes');
      // Not within the call that told us: others still have to hear of it.
      setImmediate(() => this.#leave(client, performance.now()));
    }
  }

  onClose(client: LoadClient): void {
    if (this.#away.has(client)) this.ctx.reconnect(client);
  }

  owns(client: LoadClient): boolean {
    return this.#away.has(client);
  }

  stop(): void {
    this.#endMs = 0;
    this.ctx.pacer.remove(this.#tick);
  }
}

/** All clients of the group lose their connections in one moment, and come back as fast as they may. */
export class Storm implements RunningActivity {
  readonly #cut = new Set<LoadClient>();
  #cutMs = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(
    private readonly a: StormActivity,
    private readonly ctx: ActivityContext,
  ) {}

  start(nowMs: number): void {
    const inMs = nowMs + this.a.atSeconds * 1000 - performance.now();
    this.#timer = setTimeout(
      () => {
        this.#cutMs = performance.now();
        for (const c of this.ctx.clients) if (c.state === 'open') this.#cut.add(c);
        this.ctx.metrics.add('storm.cut', this.#cut.size);
        for (const c of [...this.#cut]) c.cut('storm');
      },
      Math.max(0, inMs),
    );
  }

  onOpen(client: LoadClient, nowMs: number): void {
    if (!this.#cut.delete(client)) return;
    this.ctx.metrics.add('storm.back');
    // From the moment of the cut: the largest is the time until all were back.
    this.ctx.metrics.latency('storm', true).record(this.#cutMs, nowMs);
  }

  onClose(client: LoadClient): void {
    if (this.#cut.has(client)) this.ctx.reconnect(client);
  }

  owns(client: LoadClient): boolean {
    return this.#cut.has(client);
  }

  get settled(): boolean {
    return this.#cut.size === 0;
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
  }
}

/** Some clients stop reading for a while, again and again: what a phone in a tunnel looks like. */
export class Stall implements RunningActivity {
  readonly #slow: LoadClient[];
  #timers: NodeJS.Timeout[] = [];

  constructor(
    private readonly a: StallActivity,
    private readonly ctx: ActivityContext,
  ) {
    // The odd ones receive in pairs; the others only send.
    const receivers = ctx.clients.filter((_, i) => i % 2 === 1);
    this.#slow = receivers.slice(0, Math.round(receivers.length * a.share));
  }

  start(): void {
    const { stallSeconds, everySeconds } = this.a;
    const round = (): void => {
      for (const c of this.#slow) if (c.state === 'open') c.pause();
      this.ctx.metrics.add('stall.stalls', this.#slow.length);
      this.#timers.push(setTimeout(() => this.#resume(), stallSeconds * 1000));
    };
    round();
    this.#timers.push(setInterval(round, everySeconds * 1000));
  }

  #resume(): void {
    for (const c of this.#slow) c.resume(performance.now());
  }

  onClose(client: LoadClient): void {
    client.paused = false;
  }

  stop(): void {
    for (const t of this.#timers) clearTimeout(t);
    this.#timers = [];
    this.#resume();
  }
}
