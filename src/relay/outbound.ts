import type { Clock, Timer } from '../clock/index.js';
import type { Link, LinkClose } from '../link/index.js';
import { Bye } from '../wire/index.js';

/** How often a manager looks at its connections (docs/protocol/03 §5.1). */
export const managerPassMs = 2_000;
/** The same until the first handshake: a fresh node should be useful within a second. */
export const managerFirstPassMs = 200;
/** Attempts at one endpoint, the first included, before it is given up (03 §5.1). */
export const dialAttemptsMax = 3;
/** Times the attempts so far: how long a lost or refused endpoint is left alone before the next attempt. */
export const redialDelayMs = 1_500;
/** Dials in progress at once per manager: a dead list must not open hundreds of sockets. */
export const dialsAtOnceMax = 3;
/** Chance per pass to try one more candidate although enough are connected, so that the set renews itself. */
export const exploreChance = 0.01;

export interface Candidate {
  /** `host:port`. */
  readonly host: string;
  /** Wallet that must answer, null when any may. */
  readonly wallet: Uint8Array | null;
}

interface Slot {
  readonly candidate: Candidate;
  /** Since it became a candidate, whether they succeeded or not: who drops us again and again is left. */
  attempts: number;
  /** Not dialled again before this moment. */
  notBeforeMs: number;
  link: Link | null;
  open: boolean;
  dialing: boolean;
}

export interface OutboundOptions {
  readonly clock: Clock;
  /** Connections wanted. */
  readonly target: number;
  readonly random?: () => number;
  /** The next candidate, skipping hosts for which `skip` is true; null when there is none now. */
  next(skip: (host: string) => boolean): Candidate | null;
  /** True for hosts that must not be dialled: ourselves, or connected by another way. */
  excluded(host: string): boolean;
  /**
   * Dials and starts the handshake. Rejects when no connection could be made. `onOpen` and `onClose` are
   * called for the link later.
   */
  dial(candidate: Candidate, events: DialEvents): Promise<Link>;
  /** An endpoint was given up after its attempts. */
  onGivenUp?(host: string): void;
  /** Connected peers for which this is false get `bye` 200 (a sector list that changed). */
  keeps?(link: Link): boolean;
}

export interface DialEvents {
  onOpen(link: Link): void;
  onClose(link: Link, close: LinkClose): void;
}

/**
 * Keeps a number of outbound connections open: dials candidates one after the other without blocking, tries a
 * lost one again until it had three attempts in all, leaves a peer that said bye, trims a surplus (03 §5.1).
 */
export class OutboundManager {
  readonly #slots: Slot[] = [];
  #timer: Timer | null = null;
  #stopped = true;

  constructor(private readonly options: OutboundOptions) {}

  /** Links whose handshake is complete. */
  get links(): readonly Link[] {
    return this.#slots.filter((s) => s.open && s.link !== null).map((s) => s.link!);
  }

  /** Endpoints connected or being dialled. */
  get hosts(): readonly string[] {
    return this.#slots.map((s) => s.candidate.host);
  }

  start(): void {
    if (!this.#stopped) return;
    this.#stopped = false;
    this.#pass();
  }

  /** Looks at the connections now instead of at the next pass. */
  wake(): void {
    if (this.#stopped) return;
    this.#timer?.cancel();
    this.#pass();
  }

  /** Stops dialling and says bye to everybody. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    for (const s of [...this.#slots]) s.link?.bye(Bye.bye, 'Shutting down');
    this.#slots.length = 0;
  }

  #pass(): void {
    this.#work();
    if (this.#stopped) return;
    const anyOpen = this.#slots.some((s) => s.open);
    this.#timer = this.options.clock.after(anyOpen ? managerPassMs : managerFirstPassMs, () => this.#pass());
  }

  #work(): void {
    const { target, keeps, clock } = this.options;
    const random = this.options.random ?? Math.random;
    for (const s of this.#slots)
      if (s.open && s.link !== null && keeps !== undefined && !keeps(s.link))
        s.link.bye(Bye.bye, 'Not in the sector any more');
    for (const s of this.#slots)
      if (s.link === null && !s.dialing && s.notBeforeMs <= clock.nowMs() && this.#dialing() < dialsAtOnceMax)
        this.#dial(s);
    let missing = target - this.#slots.length;
    if (missing <= 0 && this.#slots.length === target && random() < exploreChance) missing = 1;
    while (missing > 0 && this.#dialing() < dialsAtOnceMax) {
      const candidate = this.options.next((host) => this.hosts.includes(host) || this.options.excluded(host));
      if (candidate === null) break;
      const slot: Slot = { candidate, attempts: 0, notBeforeMs: 0, link: null, open: false, dialing: false };
      this.#slots.push(slot);
      this.#dial(slot);
      missing--;
    }
    const open = this.#slots.filter((s) => s.open);
    if (open.length > target) open[0]!.link?.bye(Bye.bye, 'Shuffling connections');
  }

  #dialing(): number {
    let n = 0;
    for (const s of this.#slots) if (s.dialing) n++;
    return n;
  }

  #remove(slot: Slot): void {
    const i = this.#slots.indexOf(slot);
    if (i >= 0) this.#slots.splice(i, 1);
  }

  #dial(slot: Slot): void {
    slot.attempts++;
    slot.dialing = true;
    const events: DialEvents = {
      onOpen: () => {
        slot.open = true;
      },
      onClose: (_link, close) => {
        slot.link = null;
        slot.open = false;
        slot.dialing = false;
        this.#ended(slot, close.why === 'bye-received' || close.why === 'bye-sent');
      },
    };
    this.options.dial(slot.candidate, events).then(
      (link) => {
        slot.dialing = false;
        // It may have ended before we were told that it began.
        if (!link.isClosed) slot.link = link;
        if (this.#stopped) link.bye(Bye.bye, 'Shutting down');
      },
      () => {
        slot.dialing = false;
        this.#ended(slot, false);
      },
    );
  }

  #ended(slot: Slot, byBye: boolean): void {
    if (byBye) this.#remove(slot);
    else if (slot.attempts >= dialAttemptsMax) {
      this.#remove(slot);
      this.options.onGivenUp?.(slot.candidate.host);
    } else slot.notBeforeMs = this.options.clock.nowMs() + slot.attempts * redialDelayMs;
  }
}
