import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** One JSON line of a child process: an event with its name in `event`. */
export interface ChildEvent {
  readonly event: string;
  readonly [field: string]: unknown;
}

/** How long a child may take to end by itself before it is killed. */
const stopGraceMs = 3_000;
/** Lines of a child's standard error that are kept for the message when it dies. */
const stderrLinesMax = 20;

/**
 * A `starling` command in a process of its own, speaking JSON lines on its standard output. The processes of a
 * local network are started, watched and ended through this, and nothing else is ever signalled.
 */
export class Child {
  readonly #process: ChildProcess;
  readonly #events: ChildEvent[] = [];
  readonly #listeners = new Set<(event: ChildEvent) => void>();
  readonly #stderr: string[] = [];
  #exit: { code: number | null; signal: string | null } | null = null;
  readonly #ended: Promise<void>;
  /** Called when the process ends without having been asked to. */
  onDeath: (() => void) | null = null;
  #asked = false;

  constructor(
    readonly name: string,
    main: string,
    args: readonly string[],
  ) {
    this.#process = spawn(process.execPath, [main, ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
      // A group of its own: Ctrl-C reaches us alone, and we end the network in order. Should we die without a
      // word, the closed pipe ends the child.
      detached: true,
      env: { ...process.env, STARLING_STOP_WITH_STDIN: '1' },
    });
    createInterface({ input: this.#process.stdout! }).on('line', (line) => this.#line(line));
    createInterface({ input: this.#process.stderr! }).on('line', (line) => {
      this.#stderr.push(line);
      if (this.#stderr.length > stderrLinesMax) this.#stderr.shift();
    });
    // Writing to a child that has just died is not an error of ours: its end is reported below.
    this.#process.stdin!.on('error', () => undefined);
    this.#ended = new Promise((resolve) => {
      this.#process.on('exit', (code, signal) => {
        this.#exit = { code, signal };
        if (!this.#asked) this.onDeath?.();
        resolve();
      });
    });
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  get alive(): boolean {
    return this.#exit === null;
  }

  /** What the process wrote to its standard error last. */
  get lastWords(): string {
    return this.#stderr.join('\n');
  }

  /** Events so far, oldest first. */
  get events(): readonly ChildEvent[] {
    return this.#events;
  }

  #line(line: string): void {
    let parsed: unknown;
    try {
      parsed = JSON.parse(line);
    } catch {
      return;
    }
    if (typeof parsed !== 'object' || parsed === null || !('event' in parsed)) return;
    const event = parsed as ChildEvent;
    this.#events.push(event);
    for (const l of [...this.#listeners]) l(event);
  }

  /** Calls `fn` for every later event; the returned call ends it. */
  on(fn: (event: ChildEvent) => void): () => void {
    this.#listeners.add(fn);
    return () => this.#listeners.delete(fn);
  }

  /** Sends one command as a JSON line. */
  command(command: Readonly<Record<string, unknown>>): void {
    this.#process.stdin!.write(`${JSON.stringify(command)}\n`);
  }

  /**
   * The first event, past or future, that `wanted` accepts. Rejects when the process ends or `ms` have gone.
   */
  waitFor(what: string, ms: number, wanted: (event: ChildEvent) => boolean): Promise<ChildEvent> {
    const past = this.#events.find(wanted);
    if (past !== undefined) return Promise.resolve(past);
    return new Promise((resolve, reject) => {
      const done = (): void => {
        clearTimeout(timer);
        off();
      };
      const timer = setTimeout(() => {
        done();
        reject(new Error(`${this.name}: ${what} did not happen within ${ms / 1000} s`));
      }, ms);
      const off = this.on((e) => {
        if (!wanted(e)) return;
        done();
        resolve(e);
      });
      void this.#ended.then(() => {
        done();
        const { code, signal } = this.#exit!;
        reject(
          new Error(`${this.name} ended (${signal ?? `exit ${code}`}) before ${what}\n${this.lastWords}`),
        );
      });
    });
  }

  /** Asks the process to end, kills it if it does not, and resolves when it is gone. */
  async stop(): Promise<void> {
    this.#asked = true;
    if (this.#exit !== null) return;
    this.#process.kill('SIGTERM');
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), stopGraceMs);
    await this.#ended;
    clearTimeout(timer);
  }

  /** Sends a signal to this process: kill and freeze tests. */
  signal(name: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void {
    if (name === 'SIGKILL') this.#asked = true;
    if (this.#exit === null) this.#process.kill(name);
  }
}
