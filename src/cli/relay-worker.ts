import type { Socket } from 'node:net';
import { ProcessBus, WorkerPort } from '../cluster/index.js';
import { Counters } from '../counters/index.js';
import {
  type Accepted,
  type Bans,
  ClusterOperator,
  type Drain,
  type EventLog,
  levelsFrom,
  moveClients,
  type RelayNode,
  type Reloader,
} from '../operator/index.js';
import type { Relay } from '../relay/index.js';
import type { Life } from './relay-serve.js';

/** What a parent tells its workers at the start, besides what the cluster's room needs. */
export interface WorkerInit {
  readonly password: string;
  readonly processes: number;
  /** Ports of the parent's listeners by name. */
  readonly ports: Readonly<Record<string, number>>;
}

/** Why a process ends whose clients have been moved on already. */
export const RETIRED = 'retired';

/** This process as one of several of a relay. */
export class Worker {
  readonly counters = new Counters();
  readonly #init: WorkerInit;
  readonly #takers = new Map<string, (socket: Socket) => void>();

  private constructor(
    readonly port: WorkerPort,
    readonly bus: ProcessBus,
    init: WorkerInit,
    counters: Counters,
  ) {
    this.#init = init;
    this.counters = counters;
  }

  /** Hears the parent out and joins the bus. */
  static async open(openLog: (counters: Counters) => EventLog): Promise<Worker> {
    const port = await WorkerPort.open();
    const counters = new Counters();
    const log = openLog(counters);
    const { name, folder, members, start } = port.start;
    const bus = await ProcessBus.open({
      self: name,
      folder,
      counters,
      onError: (topic, e) =>
        log.log('error', 'bus_error', {
          topic,
          error: e instanceof Error ? (e.stack ?? e.message) : String(e),
        }),
    });
    await Promise.all(members.map((m) => bus.dial(m)));
    // Both sides have said their names.
    const until = Date.now() + 2_000;
    while (bus.members.length < members.length && Date.now() < until)
      await new Promise((r) => setTimeout(r, 5));
    return new Worker(port, bus, start as WorkerInit, counters);
  }

  get password(): string {
    return this.#init.password;
  }

  get processes(): number {
    return this.#init.processes;
  }

  get cluster(): { bus: ProcessBus; leader: string; port: number; wsPort: number | null } {
    const { ports } = this.#init;
    return { bus: this.bus, leader: this.port.start.leader, port: ports.tcp ?? 0, wsPort: ports.ws ?? null };
  }

  /** Connections of a listener of the parent; undefined when it has none of that name. */
  accepted(gate: string): Accepted | undefined {
    const port = this.#init.ports[gate];
    if (port === undefined) return undefined;
    return { port, to: (take) => void this.#takers.set(gate, take) };
  }

  operate(node: RelayNode, relay: Relay, drain: Drain, bans: Bans, log: EventLog): ClusterOperator {
    const operator = new ClusterOperator(this.bus, node, relay, {
      parentSamples: () => this.port.parentSamples,
      setLevel: (level) => log.setLevels(levelsFrom(level)),
      cancelDrain: () => drain.cancel(),
      drainCancelled: () => this.port.ask('resume', 'api'),
      rereadBans: () =>
        void bans
          .reread()
          .catch((e: unknown) => log.log('error', 'bus_error', { topic: 'bans', error: String(e) })),
    });
    bans.onSaved = () => operator.tell({ bans: true });
    return operator;
  }

  /** Obeys the parent from now on, and says that connections may come. */
  serve(relay: Relay, life: Life, reloader: Reloader): void {
    this.#takers.set('tcp', (socket) => relay.adopt(socket));
    this.#takers.set('ws', (socket) => relay.adoptWeb(socket));
    this.port.handle({
      socket: (gate, socket) => {
        const take = this.#takers.get(gate);
        if (take === undefined) socket.destroy();
        else take(socket);
      },
      leader: (name) => void relay.setLeader(name),
      yieldLead: () => relay.setLeader(null),
      retire: () =>
        void moveClients(relay, reloader.config.whole('drainSeconds')).then(() => life.end(RETIRED)),
      stop: (why) => life.end(why),
      reload: () => life.onReload(),
      drain: () => life.onDrain(),
    });
    this.port.ready(relay.control.limits().connectionsMax, this.bus.members);
  }

  async close(): Promise<void> {
    await this.bus.close();
    this.port.close();
  }
}
