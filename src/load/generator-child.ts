import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { LoadError, type LoadErrorKind } from './errors.js';
import type { FromGenerator, GeneratorPlan, ToGenerator } from './plan.js';

/** A process that does not end by itself after its work gets this long. */
const endMs = 3_000;

/** The compiled file of a process of ours, also when this one runs from the sources (tests). */
export function compiledFile(name: string): string {
  const beside = fileURLToPath(new URL(`./${name}.js`, import.meta.url));
  if (existsSync(beside)) return beside;
  return fileURLToPath(new URL(`../../dist/load/${name}.js`, import.meta.url));
}

/** Starts one of our compiled files with a pipe for messages, on one processor core where asked for. */
export function startProcess(name: string, cpu: string | null, args: readonly string[] = []): ChildProcess {
  const file = compiledFile(name);
  const command = cpu === null ? process.execPath : 'taskset';
  const before = cpu === null ? [] : ['-c', cpu, process.execPath];
  return spawn(command, [...before, file, ...args], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    // The advanced form carries typed arrays and is cheaper; histograms are many numbers.
    serialization: 'advanced',
  });
}

/** A generator in a process of its own, as its parent sees it. */
export class GeneratorChild {
  readonly #process: ChildProcess;
  readonly #exited: Promise<void>;
  #ended = false;

  constructor(
    cpu: string | null,
    private readonly onMessage: (message: FromGenerator) => void,
    onFailure: (error: LoadError) => void,
  ) {
    this.#process = startProcess('generator-process', cpu);
    this.#process.on('message', (m) => {
      const message = m as FromGenerator;
      if (message.type === 'error') onFailure(new LoadError(message.kind as LoadErrorKind, message.message));
      else this.onMessage(message);
    });
    this.#exited = new Promise((resolve) => {
      this.#process.on('error', (e) => {
        onFailure(new LoadError('process', `a generator could not be started: ${e.message}`));
        resolve();
      });
      this.#process.on('exit', (code, signal) => {
        if (!this.#ended)
          onFailure(new LoadError('process', `a generator ended too early (${signal ?? `exit ${code}`})`));
        resolve();
      });
    });
  }

  #tell(message: ToGenerator): void {
    if (this.#process.connected) this.#process.send(message, () => undefined);
  }

  plan(plan: GeneratorPlan): void {
    this.#tell({ type: 'plan', plan });
  }

  go(atMs: number): void {
    this.#tell({ type: 'go', atMs });
  }

  stop(): void {
    this.#tell({ type: 'stop' });
  }

  /** Closes the pipe, which ends the process; kills it when it does not. */
  async end(): Promise<void> {
    this.#ended = true;
    if (this.#process.connected) this.#process.disconnect();
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), endMs);
    await this.#exited;
    clearTimeout(timer);
  }
}
