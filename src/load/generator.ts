import { createVerifyEngine } from '../identity/index.js';
import { judgeHelloData } from '../link/index.js';
import { Code, NETWORKS } from '../wire/index.js';
import type { ClientTerms, LoadClient } from './client.js';
import { LoadError } from './errors.js';
import { GroupRunner, type GroupSetting } from './group.js';
import { Identities } from './keys/identities.js';
import { MessageReader } from './message.js';
import { Metrics } from './metrics.js';
import { Pacer } from './pacer.js';
import type { GeneratorPlan, GeneratorResult, SecondSample } from './plan.js';
import { renewedWallets, walletsOf } from './scenario.js';

/** What the owner of a generator is told. */
export interface GeneratorEvents {
  onConnected(open: number, failures: Readonly<Record<string, number>>): void;
  onSecond(sample: SecondSample): void;
  onPhase(phase: 'window' | 'drain'): void;
  onDone(result: GeneratorResult): void;
  onError(error: Error): void;
}

/** Bytes still under way when the byes are sent get this long. */
const leaveMs = 200;
/** After the load everything may be accounted for at once; repeated messages would still come within this time. */
const lingerMs = 300;
/** How often it is looked whether everything is accounted for. */
const settledCheckMs = 50;
/** Nobody at all connected after this long: nobody will. */
const nobodyMs = 15_000;
/** How often it is looked whether everybody is connected. */
const connectedCheckMs = 20;

/** Fields of a map whose names begin with a prefix, without it. */
function under(counts: Readonly<Record<string, number>>, prefix: string): Record<string, number> {
  return Object.fromEntries(
    Object.entries(counts)
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, n]) => [name.slice(prefix.length), n]),
  );
}

/**
 * One generator: a process's part of a load test from the first connection to the result. Ordinary code without a
 * process of its own, so that tests can run it in place.
 */
export class Generator {
  readonly #metrics = new Metrics();
  readonly #pacer: Pacer;
  readonly #groups: GroupRunner[] = [];
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #strays: MessageReader;
  #serverChecked = false;
  #second: { atMs: number; cpu: NodeJS.CpuUsage; spinMs: number; idleMs: number };
  #window: { cpu: NodeJS.CpuUsage; atMs: number; spinMs: number; idleMs: number } | null = null;
  #windowCpuShare = 0;
  #windowBusyShare: number | null = null;
  #phase: 'connect' | 'warmUp' | 'window' | 'drain' | 'done' = 'connect';

  constructor(
    private readonly plan: GeneratorPlan,
    private readonly events: GeneratorEvents,
  ) {
    this.#pacer = new Pacer(plan.pacing);
    this.#strays = new MessageReader(plan.run);
    this.#second = { atMs: performance.now(), cpu: process.cpuUsage(), spinMs: 0, idleMs: 0 };
    const terms: ClientTerms = {
      host: plan.host,
      port: plan.port,
      wsPort: plan.wsPort,
      network: NETWORKS[plan.network],
      line: plan.line,
    };
    const { groups } = plan.scenario;
    const setting: Omit<GroupSetting, 'firstIdentity' | 'firstWallet'> = {
      plan,
      terms,
      metrics: this.#metrics,
      pacer: this.#pacer,
      identities: new Identities(plan.seed),
      renewed: renewedWallets(groups),
      onHelloData: (client, payload) => this.#checkServer(client, payload),
      onStray: (code, bytes, at, length, crc) => {
        // One of ours on a connection where no flow of it ends: the relay gave it to the wrong one.
        if (code === Code.s2data && this.#strays.read(bytes, at, length, crc) === 'ours')
          this.#metrics.add('messages.misdelivered');
        else this.#metrics.add(`strays.${code}`);
      },
    };
    let firstIdentity = 0;
    let firstWallet = groups.reduce((n, g) => n + g.clients, 0);
    groups.forEach((g, i) => {
      this.#groups.push(new GroupRunner(g, i, { ...setting, firstIdentity, firstWallet }));
      firstIdentity += g.clients;
      firstWallet += g.activities.reduce((n, a) => n + walletsOf(a), 0);
    });
  }

  get #open(): number {
    return this.#groups.reduce((n, g) => n + g.open, 0);
  }

  get #waiting(): number {
    return this.#groups.reduce((n, g) => n + g.waiting, 0);
  }

  /** Begins the connections. `onConnected` follows when all are there or the scenario's time is over. */
  connect(): void {
    const now = performance.now();
    this.#pacer.start();
    for (const g of this.#groups) g.connect(now);
    this.#timers.push(setInterval(() => this.#sample(), 1000));
    const { connectSeconds } = this.plan.scenario;
    const check = setInterval(() => {
      const ms = performance.now() - now;
      const hopeless = ms > nobodyMs && (this.#metrics.values()['connections.opened'] ?? 0) === 0;
      if (this.#waiting > 0 && ms < connectSeconds * 1000 && !hopeless && this.#phase === 'connect') return;
      clearInterval(check);
      void this.#prepare();
    }, connectedCheckMs);
    this.#timers.push(check);
  }

  async #prepare(): Promise<void> {
    try {
      await Promise.all(this.#groups.map((g) => g.prepare()));
    } catch (e) {
      this.events.onError(e as Error);
      return;
    }
    if (this.#phase === 'connect')
      this.events.onConnected(this.#open, under(this.#metrics.values(), 'connections.failed.'));
  }

  /** The load begins at this wall-clock time, the same for every process of a test. */
  go(atMs: number): void {
    if (this.#phase !== 'connect') return;
    const { warmUpSeconds, windowSeconds } = this.plan.scenario;
    const inMs = Math.max(0, atMs - Date.now());
    const startMs = performance.now() + inMs;
    const { span } = this.#metrics;
    span.fromMs = startMs + warmUpSeconds * 1000;
    span.toMs = span.fromMs + windowSeconds * 1000;
    const at = (ms: number, fn: () => void): void => {
      this.#timers.push(setTimeout(fn, Math.max(0, ms - performance.now())));
    };
    at(startMs, () => {
      this.#phase = 'warmUp';
      for (const g of this.#groups) g.start(startMs, span.toMs);
    });
    at(span.fromMs, () => this.#windowStarts());
    at(span.toMs, () => this.#drain());
  }

  #windowStarts(): void {
    this.#phase = 'window';
    this.#metrics.windowStarts();
    this.#window = { cpu: process.cpuUsage(), atMs: performance.now(), ...this.#pacer.spent() };
    this.events.onPhase('window');
  }

  #drain(): void {
    if (this.#window !== null) {
      const elapsed = performance.now() - this.#window.atMs;
      const cpu = process.cpuUsage(this.#window.cpu);
      this.#windowCpuShare = (cpu.user + cpu.system) / 1000 / elapsed;
      this.#windowBusyShare = busy(this.#window, this.#pacer.spent());
      this.#metrics.windowEnds();
    }
    this.#phase = 'drain';
    this.events.onPhase('drain');
    this.#settle(this.plan.scenario.drainSeconds * 1000);
  }

  /** No new load; the end comes when all is accounted for, or when the time for it is over. */
  #settle(ms: number): void {
    const from = performance.now();
    for (const g of this.#groups) g.stop(from);
    const check = setInterval(() => {
      const waited = performance.now() - from;
      if (waited < ms && (waited < lingerMs || this.#groups.some((g) => !g.settled))) return;
      clearInterval(check);
      this.#end();
    }, settledCheckMs);
    this.#timers.push(check);
  }

  /** Ends before its time, in order and with a report. */
  stop(): void {
    if (this.#phase === 'done') return;
    for (const t of this.#timers.splice(1)) clearTimeout(t);
    if (this.#phase === 'window') this.#drain();
    else this.#settle(this.plan.scenario.drainSeconds * 1000);
  }

  #end(): void {
    if (this.#phase === 'done') return;
    this.#phase = 'done';
    const now = performance.now();
    this.#sample();
    for (const g of this.#groups) g.end(now);
    for (const t of this.#timers) clearTimeout(t);
    setTimeout(() => {
      this.#pacer.stop();
      this.events.onDone({
        ...this.#metrics.data(),
        pid: process.pid,
        cpuShare: this.#windowCpuShare,
        busyShare: this.#windowBusyShare,
        rssBytes: process.memoryUsage.rss(),
      });
    }, leaveMs);
  }

  #sample(): void {
    const now = performance.now();
    const cpu = process.cpuUsage(this.#second.cpu);
    const elapsed = Math.max(1, now - this.#second.atMs);
    const spent = this.#pacer.spent();
    this.events.onSecond({
      open: this.#open,
      waiting: this.#waiting,
      counts: this.#metrics.values(),
      latencies: this.#metrics.takeSecond(),
      cpuShare: (cpu.user + cpu.system) / 1000 / elapsed,
      busyShare: busy(this.#second, spent),
      rssBytes: process.memoryUsage.rss(),
    });
    this.#second = { atMs: now, cpu: process.cpuUsage(), ...spent };
  }

  /** The relay's first answer is checked in full, so that a test against something else is noticed at once. */
  #checkServer(client: LoadClient, payload: Uint8Array): void {
    if (this.#serverChecked || !this.plan.verifyServer) return;
    this.#serverChecked = true;
    const { host, port, network } = this.plan;
    const ip = host === 'localhost' ? '127.0.0.1' : host;
    const bytes = payload.slice();
    void (async () => {
      const engine = await createVerifyEngine();
      const verdict = await judgeHelloData(bytes, {
        network: NETWORKS[network],
        observedIp: ip,
        engine,
        challenge: client.challenge,
        policy: { expectedEndpoints: [`${ip}:${port}`] },
      });
      if (verdict.kind === 'refuse')
        this.events.onError(
          new LoadError(
            'connect',
            `the answer of ${host}:${port} is no relay's of this network: ${verdict.text}`,
          ),
        );
    })().catch((e: unknown) => this.events.onError(e as Error));
  }
}

/** Share of the time between two readings in which there was something to do; null where nobody spun. */
function busy(
  from: { readonly spinMs: number; readonly idleMs: number },
  to: { readonly spinMs: number; readonly idleMs: number },
): number | null {
  const spin = to.spinMs - from.spinMs;
  return spin <= 0 ? null : 1 - (to.idleMs - from.idleMs) / spin;
}
