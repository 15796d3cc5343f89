import { fork } from 'node:child_process';
import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Counters } from '../counters/index.js';
import { connectionCapacity, descriptorLimit } from './descriptors.js';
import { Gate } from './gate.js';
import { HandOver, type PendingConnection } from './hand-over.js';
import type { Asked, Fields, ParentSample, ToParent } from './protocol.js';
import { WORKER_ENV } from './worker-port.js';
import { WorkerProcess } from './worker-process.js';

/** A crashed worker is replaced after this long, doubled with every crash up to the second value. */
const restartMsMin = 100;
const restartMsMax = 30_000;
/** A worker that lived this long has not crashed at its start: the wait begins anew. */
const healthyMs = 60_000;
/** A worker that says nothing for so long is ended: its clients are better off with another. */
const silentMsMax = 30_000;
/** A new worker serves within this time, or an upgrade is given up. */
const readyMsMax = 60_000;
/** The old leader gives up what it holds within this time, or is ended. */
const yieldMsMax = 15_000;
const tickMs = 1_000;

/** A listener of the parent. */
export interface GateSpec {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** Who gets its connections: all workers evenly, or always the leader. */
  readonly to: 'workers' | 'leader';
  /** What a connection is told that nobody can take; may be empty. */
  readonly refusal: Uint8Array;
}

export interface SupervisorOptions {
  /** Program of a worker and its arguments; read from disk anew for every worker. */
  readonly module: string;
  readonly args: readonly string[];
  readonly processes: number;
  /** What a worker is told at its start, ports of the listeners included. */
  start(ports: ReadonlyMap<string, number>): unknown;
  readonly counters: Counters;
  log(level: 'info' | 'warn' | 'error', event: string, fields: Fields): void;
  /** Longest an ending worker is waited for, in milliseconds. */
  readonly stopMs: number;
  /** Longest a connection waits for a worker with a place, in milliseconds. */
  readonly waitMs?: number;
  /** A worker passes on what an operator asked for. */
  onAsk?(what: Asked, why: string): void;
  /** All workers have drained. */
  onDrained?(): void;
}

/** A worker could not start; the program's own exit code. */
export class WorkerFailed extends Error {
  override readonly name = 'WorkerFailed';
  constructor(
    readonly code: number,
    text: string,
  ) {
    super(text);
  }
}

interface Accepted extends PendingConnection {
  readonly socket: Socket;
}

/**
 * The parent of a relay's worker processes: holds the listeners and gives accepted connections to the workers,
 * replaces those that end, appoints the leader among them, and exchanges them one by one when asked. It reads
 * nothing from any connection and knows no protocol.
 */
export class Supervisor {
  readonly #o: SupervisorOptions;
  readonly #gates: { readonly gate: Gate; readonly spec: GateSpec }[] = [];
  readonly #workers = new Map<string, WorkerProcess>();
  readonly #handOver: HandOver<Accepted>;
  /** For the leader alone: API and metrics. */
  readonly #leaderHandOver: HandOver<Accepted>;
  readonly #timers: NodeJS.Timeout[] = [];
  #folder = '';
  #generation = 0;
  #leader: string | null = null;
  #capacity = connectionCapacity();
  #crashes = 0;
  #stopping = false;
  #upgrading = false;
  #draining = false;

  private constructor(options: SupervisorOptions) {
    this.#o = options;
    const { counters, waitMs } = options;
    const wait = waitMs === undefined ? {} : { waitMs };
    const onRoom = (): void => {
      for (const { gate } of this.#gates) gate.resume();
    };
    this.#handOver = new HandOver({ counters, onRoom, ...wait });
    this.#leaderHandOver = new HandOver({ counters, onRoom, ...wait });
  }

  /**
   * Binds the listeners; connections wait until a worker serves.
   *
   * @throws the system's error when an address cannot be bound
   */
  static async open(options: SupervisorOptions, gates: readonly GateSpec[]): Promise<Supervisor> {
    const s = new Supervisor(options);
    s.#folder = await mkdtemp(join(tmpdir(), 'starling-'));
    try {
      for (const spec of gates) await s.addGate(spec);
    } catch (e) {
      for (const { gate } of s.#gates) gate.close();
      await rm(s.#folder, { recursive: true, force: true });
      throw e;
    }
    return s;
  }

  /**
   * One listener more, before the workers start.
   *
   * @throws the system's error when the address cannot be bound
   */
  async addGate(spec: GateSpec): Promise<void> {
    const gate = await Gate.open({
      name: spec.name,
      host: spec.host,
      port: spec.port,
      counters: this.#o.counters,
      room: () => this.#pending < this.#capacity,
      roomy: () => this.#pending <= this.#capacity / 2,
      onSpareUsed: () => this.#spares(),
      onSocket: (_gate, socket) => this.#accepted(spec, socket),
    });
    this.#gates.push({ gate, spec });
  }

  /** Folder of the bus, entered by nobody else; also for the operator's control socket. */
  get folder(): string {
    return this.#folder;
  }

  /** Ports of the listeners by name. */
  get ports(): ReadonlyMap<string, number> {
    return new Map(this.#gates.map(({ gate, spec }) => [spec.name, gate.port]));
  }

  /** Process ids of the workers by name. */
  get workers(): ReadonlyMap<string, number> {
    return new Map([...this.#workers].map(([name, w]) => [name, w.pid]));
  }

  get leader(): string | null {
    return this.#leader;
  }

  /** Connections of each worker as the parent counts them. */
  get loads(): ReadonlyMap<string, number> {
    return this.#handOver.loads;
  }

  get #pending(): number {
    return this.#handOver.pending + this.#leaderHandOver.pending;
  }

  /**
   * Starts the workers: the first one alone, because the others take their state from it.
   *
   * @throws WorkerFailed when the first one cannot start
   */
  async start(): Promise<void> {
    this.#timers.push(setInterval(() => this.#tick(), tickMs));
    const first = this.#spawn();
    await first.ready(readyMsMax);
    const rest = Array.from({ length: this.#o.processes - 1 }, () => this.#spawn());
    await Promise.all(rest.map((w) => w.ready(readyMsMax)));
  }

  // --- connections ----------------------------------------------------------------------------------------

  #accepted(spec: GateSpec, socket: Socket): void {
    const connection: Accepted = {
      gate: spec.name,
      socket,
      release: () => void socket.destroy(),
      refuse: () => {
        if (spec.refusal.length > 0) socket.end(spec.refusal);
        else socket.destroySoon();
        // Said is enough: the parent waits for nobody.
        setTimeout(() => socket.destroy(), 1_000).unref();
      },
    };
    if (this.#stopping) connection.refuse();
    else (spec.to === 'leader' ? this.#leaderHandOver : this.#handOver).add(connection);
  }

  // --- workers --------------------------------------------------------------------------------------------

  #spawn(): WorkerProcess {
    const { module, args } = this.#o;
    const name = `w${++this.#generation}`;
    const env: NodeJS.ProcessEnv = { ...process.env, [WORKER_ENV]: name };
    delete env.STARLING_STOP_WITH_STDIN;
    const child = fork(module, [...args], {
      env,
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const worker = new WorkerProcess(name, this.#generation, child, {
      message: (w, m, handle) => this.#message(w, m, handle),
      ended: (w, code, signal) => this.#ended(w, code, signal),
    });
    const members = [...this.#workers.keys()];
    this.#workers.set(name, worker);
    this.#o.log('info', 'worker_started', { worker: name, pid: worker.pid });
    const start = this.#o.start(this.ports);
    worker.send({
      type: 'start',
      name,
      generation: worker.generation,
      folder: this.#folder,
      members,
      leader: this.#leader ?? name,
      start,
    });
    this.#leader ??= name;
    return worker;
  }

  #message(w: WorkerProcess, m: ToParent, handle: unknown): void {
    switch (m.type) {
      case 'ready':
        this.#ready(w, m.capacity, m.members);
        return;
      case 'took':
        this.#lineOf(m.id).confirmed(w.name, Math.abs(m.id));
        return;
      case 'full':
        this.#lineOf(m.id).declined(w.name, Math.abs(m.id));
        return;
      case 'closed':
        this.#handOver.closed(w.name, m.count);
        return;
      case 'listener':
        if (handle !== undefined)
          this.#gates.find((g) => g.spec.name === m.gate)?.gate.addSpare(handle as { close(): void });
        return;
      case 'ask':
        this.#o.onAsk?.(m.what, m.why);
        return;
      case 'drained':
        w.drained = true;
        if (this.#draining && [...this.#workers.values()].every((x) => x.drained)) this.#o.onDrained?.();
        return;
      case 'failed':
        w.failure = new WorkerFailed(m.code, m.text);
        return;
      case 'alive':
      case 'yielded':
        return;
    }
  }

  /** Ids of the leader's line are negative on the channel, so that one worker can serve both. */
  #lineOf(id: number): HandOver<Accepted> {
    return id < 0 ? this.#leaderHandOver : this.#handOver;
  }

  #taker(w: WorkerProcess, capacity: number): Parameters<HandOver<Accepted>['join']>[0] {
    return {
      name: w.name,
      capacity,
      give: (id, c) => w.send({ type: 'socket', id, gate: c.gate }, c.socket),
    };
  }

  #ready(w: WorkerProcess, capacity: number, members: readonly string[]): void {
    w.members = members;
    const missing = [...this.#workers.values()].filter(
      (x) => x !== w && x.state === 'ready' && !members.includes(x.name) && !x.members.includes(w.name),
    );
    if (missing.length > 0) {
      // Two workers that do not reach each other would split the relay: better one that tries again.
      this.#o.log('error', 'worker_unconnected', { worker: w.name, missing: missing[0]!.name });
      w.kill();
      return;
    }
    w.becameReady();
    this.#o.log('info', 'worker_ready', { worker: w.name, pid: w.pid, capacity });
    this.#handOver.join(this.#taker(w, capacity));
    if (this.#leader === null) this.#appoint(w.name);
    else if (this.#leader === w.name) this.#leads(w);
    else w.send({ type: 'leader', name: this.#leader });
    if (this.#draining) w.send({ type: 'drain' });
    this.#spares();
  }

  #leads(w: WorkerProcess): void {
    const t = this.#taker(w, Number.POSITIVE_INFINITY);
    this.#leaderHandOver.join({ ...t, give: (id, c) => t.give(-id, c) });
  }

  #appoint(name: string | null): void {
    if (this.#leader !== null) this.#leaderHandOver.retire(this.#leader);
    this.#leader = name;
    const w = name === null ? undefined : this.#workers.get(name);
    for (const x of this.#workers.values()) x.send({ type: 'leader', name });
    if (w === undefined) return;
    this.#o.log('info', 'leader_appointed', { worker: w.name });
    this.#leads(w);
  }

  /** Oldest first: it has had the time to learn everything. */
  #candidate(): WorkerProcess | undefined {
    return [...this.#workers.values()].find((w) => w.state === 'ready');
  }

  #spares(): void {
    const w = this.#candidate();
    if (w === undefined) return;
    for (const { gate, spec } of this.#gates)
      for (let n = gate.sparesWanted; n > 0 && gate.handle !== null; n--)
        w.send({ type: 'listener', gate: spec.name }, gate.handle as unknown as Socket);
  }

  #ended(w: WorkerProcess, code: number | null, signal: string | null): void {
    const expected = w.state === 'retiring' || this.#stopping;
    this.#workers.delete(w.name);
    rmSync(join(this.#folder, `${w.name}.sock`), { force: true });
    this.#handOver.leave(w.name);
    this.#leaderHandOver.leave(w.name);
    const lived = Date.now() - w.startedMs;
    const fields = { worker: w.name, pid: w.pid, code, signal, seconds: Math.round(lived / 1000) };
    if (expected) this.#o.log('info', 'worker_ended', fields);
    else this.#o.log('error', 'worker_ended', fields);
    if (this.#stopping) return;
    if (this.#leader === w.name) this.#appoint(this.#candidate()?.name ?? null);
    this.#spares();
    if (expected || w.onlyTry) return;
    this.#crashes = lived > healthyMs ? 1 : this.#crashes + 1;
    this.#o.counters
      .counter('ixian_worker_restarts_total', 'Worker processes replaced because they had ended, by reason', {
        reason: signal === null ? 'exit' : 'signal',
      })
      .add();
    const wait = Math.min(restartMsMin * 2 ** (this.#crashes - 1), restartMsMax);
    setTimeout(() => {
      if (!this.#stopping) this.#spawn();
    }, wait);
  }

  #tick(): void {
    this.#capacity = connectionCapacity(descriptorLimit());
    this.#handOver.sweep();
    this.#leaderHandOver.sweep();
    for (const { gate } of this.#gates) gate.resume();
    this.#spares();
    const now = Date.now();
    for (const w of this.#workers.values())
      if (w.state !== 'starting' && now - w.heardMs > silentMsMax) {
        this.#o.log('error', 'worker_silent', { worker: w.name, pid: w.pid });
        w.kill();
      }
    const leader = this.#leader === null ? undefined : this.#workers.get(this.#leader);
    leader?.send({ type: 'counted', samples: this.#samples() });
  }

  #samples(): ParentSample[] {
    const out: ParentSample[] = [
      { kind: 'gauge', name: 'ixian_workers', labels: {}, value: this.#workers.size },
      { kind: 'gauge', name: 'ixian_handovers_pending', labels: {}, value: this.#pending },
    ];
    for (const [worker, value] of this.loads)
      out.push({ kind: 'gauge', name: 'ixian_worker_connections', labels: { worker }, value });
    for (const s of this.#o.counters.samples())
      if (s.kind !== 'histogram' && 'value' in s.metric)
        out.push({ kind: s.kind, name: s.name, labels: s.labels, value: s.metric.value });
    return out;
  }

  // --- the operator's wishes ------------------------------------------------------------------------------

  /** Every worker reads its configuration again. */
  reload(): void {
    for (const w of this.#workers.values()) w.send({ type: 'reload' });
  }

  /** Every worker begins its long drain, and so does one that takes the place of another meanwhile. */
  drain(): void {
    this.#draining = true;
    for (const w of this.#workers.values()) {
      w.drained = false;
      w.send({ type: 'drain' });
    }
  }

  /** The drain was called off: the workers know already. */
  resume(): void {
    this.#draining = false;
    for (const w of this.#workers.values()) w.drained = false;
  }

  /**
   * Replaces the workers one by one: a new one from what is on disk now, and only when it serves the old one moves
   * its clients on and ends. Rejects, with all that serves left as it is, when a new one does not come up.
   */
  async upgrade(progress: (event: string, fields: Fields) => void): Promise<void> {
    if (this.#upgrading || this.#stopping) throw new Error('an upgrade or a stop is under way');
    this.#upgrading = true;
    try {
      const old = [...this.#workers.values()];
      const started = { workers: old.length };
      this.#o.log('info', 'upgrade_started', started);
      progress('upgrade_started', started);
      for (const [i, w] of old.entries()) {
        if (w.state === 'gone') continue;
        const fresh = this.#spawn();
        fresh.onlyTry = true;
        try {
          await fresh.ready(readyMsMax);
        } catch (e) {
          fresh.kill();
          throw e;
        }
        fresh.onlyTry = false;
        progress('worker_ready', { worker: fresh.name, pid: fresh.pid });
        if (this.#leader === w.name && w.state === 'ready') {
          await w.yield(yieldMsMax).catch(() => w.kill());
          if (this.#workers.get(fresh.name)?.state === 'ready') this.#appoint(fresh.name);
        }
        await this.#retire(w);
        const replaced = { worker: w.name, by: fresh.name, done: i + 1, of: old.length };
        this.#o.log('info', 'worker_replaced', replaced);
        progress('worker_replaced', replaced);
      }
      this.#o.log('info', 'upgrade_ended', started);
      progress('upgrade_ended', started);
    } finally {
      this.#upgrading = false;
    }
  }

  async #retire(w: WorkerProcess): Promise<void> {
    if (w.state === 'gone') return;
    w.state = 'retiring';
    // Not left: what is on its way to it would be served twice.
    this.#handOver.retire(w.name);
    w.send({ type: 'retire' });
    await w.end(this.#o.stopMs);
  }

  /** Ends everything in order. Safe to call twice. */
  async stop(why: string): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    for (const t of this.#timers) clearInterval(t);
    for (const { gate } of this.#gates) gate.close();
    this.#handOver.close();
    this.#leaderHandOver.close();
    const all = [...this.#workers.values()];
    for (const w of all) w.send({ type: 'stop', why });
    await Promise.all(all.map((w) => w.end(this.#o.stopMs)));
    await rm(this.#folder, { recursive: true, force: true });
  }
}
