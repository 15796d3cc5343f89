import type { VerifyEngine, VerifyEngineName } from '../../identity/index.js';
import type { Candidate } from '../../relay/index.js';
import type { Network } from '../../wire/index.js';
import type { Config } from '../config/index.js';
import type { Greeter, Greeting } from './greet.js';

/** What a running relay says of itself. */
export interface Running {
  /** Process that holds the data folder. */
  readonly pid: number;
  /** True when the checks run inside that process. */
  readonly inside: boolean;
  /** Names of the readiness checks that fail; null when it does not answer. */
  readonly notReady: readonly string[] | null;
  /** Connections to ledger nodes, and seconds by which its clock is ahead of theirs; null when not told. */
  readonly ledgerPeers: number | null;
  readonly clockOffsetSeconds: number | null;
  /** Somebody connected from outside within the last five minutes; null when not told. */
  readonly connectable: boolean | null;
  /** Endpoint it advertises, '' when it knows none. */
  readonly endpoint: string;
  /** Wallet address as text, '' when not told. */
  readonly address: string;
}

/** One port of the relay. */
export interface PortUse {
  /** The setting. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** Not asked for: the relay runs without it where it is taken. */
  readonly isDefault: boolean;
}

/** Everything the checks look at. */
export interface Subject {
  readonly config: Config;
  readonly network: Network;
  /** Ledger nodes the relay begins with. */
  readonly seeds: readonly Candidate[];
  readonly ports: readonly PortUse[];
  readonly dataDir: string;
  readonly walletPath: string;
  /** The password that was given, null without one. Rejects when it cannot be read. */
  readonly password: () => Promise<string | null>;
  /** File the password comes from, null when it comes otherwise. */
  readonly passwordFile: string | null;
  /** Null when no relay runs on this data folder. */
  readonly running: Running | null;
  readonly greeter: Greeter;
  /** Answers of the seeds, asked once for all checks. */
  readonly greetings: () => Promise<readonly SeedGreeting[]>;
  /** How the machine looks; replaced where a test plants a fault that no test may cause. */
  readonly machine: Machine;
}

export interface SeedGreeting {
  readonly host: string;
  readonly greeting: Greeting;
}

/** The parts of the machine that the checks read. */
export interface Machine {
  nowMs(): number;
  /** Files a process may open, null when unknown. */
  openFilesMax(pid: number): number | null;
  /** Free bytes where a folder lies, null when unknown. */
  freeBytes(dir: string): number | null;
  /** Rejects with `EngineUnavailable` where the engine does not run here. */
  engine(name: VerifyEngineName): Promise<VerifyEngine>;
}
