import type { Signer, VerifyEngine } from '../../identity/index.js';
import type { Relay } from '../../relay/index.js';
import type { ClusterOperator } from '../cluster.js';
import type { Config } from '../config/index.js';
import type { DoctorReport } from '../doctor/index.js';
import type { Drain } from '../drain.js';
import type { EventLog } from '../log.js';
import type { RelayNode } from '../node.js';
import type { ReloadResult } from '../reload.js';
import type { Bans } from './bans.js';

/** What the API acts on. */
export interface ApiBackend {
  readonly node: RelayNode;
  readonly relay: Relay;
  readonly signer: Signer;
  readonly engine: VerifyEngine;
  readonly bans: Bans;
  readonly drain: Drain;
  readonly log: EventLog;
  /** The wallet's file, for its backup; null when there is none. */
  readonly walletPath: string | null;
  config(): Config;
  /** Starts the long drain unless it runs. */
  startDrain(): void;
  reload(): ReloadResult;
  /** The other processes of this relay; null when it is one alone. */
  readonly cluster?: ClusterOperator | null;
  /** The checks of starling doctor, from inside. */
  selfTest(): Promise<DoctorReport>;
  /** Asks the program to end in order. */
  shutdown(why: string): void;
}
