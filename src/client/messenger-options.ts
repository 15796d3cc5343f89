import type { Clock } from '../clock/index.js';
import type { Signer, VerifyEngine } from '../identity/index.js';
import type { ClientEvents, Emitter } from './events.js';
import type { PresenceBook } from './presence-book.js';
import type { Router } from './router.js';
import type { ClientStorage } from './storage.js';
import type { ClientLimits } from './types.js';

/** What the messenger works with. */
export interface MessengerOptions {
  readonly signer: Signer;
  readonly engine: VerifyEngine;
  readonly storage: ClientStorage;
  readonly clock: Clock;
  readonly limits: ClientLimits;
  readonly book: PresenceBook;
  readonly router: Router;
  readonly events: Emitter<ClientEvents>;
  readonly nick: string;
  readonly autoAccept: boolean;
  readonly allowRequests: boolean;
  readonly readReceipts: boolean;
  networkSeconds(): number;
  /** The list of contacts changed: event subscriptions must follow. */
  onContacts(): void;
}
