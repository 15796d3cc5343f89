import type { Clock } from '../clock/index.js';
import { aggregateDifference, squashDifference } from '../link/index.js';

/** The network's time: this machine's clock less what the ledger nodes' clocks say together (03 §5.3). */
export class NetworkTime {
  #seconds = 0;
  #unclampedSeconds = 0;

  constructor(private readonly clock: Clock) {}

  /** Seconds by which the clock of this machine is ahead, within the bounds that are corrected. */
  get differenceSeconds(): number {
    return this.#seconds;
  }

  /** The same without bounds: what an operator is shown. */
  get unclampedSeconds(): number {
    return this.#unclampedSeconds;
  }

  nowMs(): number {
    return this.clock.nowMs() - this.#seconds * 1000;
  }

  nowSeconds(): number {
    return Math.floor(this.clock.nowMs() / 1000) - this.#seconds;
  }

  /**
   * Of the main outbound manager's connections alone, at each helloData; it never decays. False when they do not
   * suffice.
   */
  adjust(differencesSeconds: readonly number[], hostsKnown: number | undefined): boolean {
    const network = aggregateDifference(differencesSeconds.map(squashDifference), 'R', hostsKnown);
    if (network === null) return false;
    this.#seconds = network.seconds;
    this.#unclampedSeconds = network.unclampedSeconds;
    return true;
  }

  /** What the process found that faces the ledger. */
  follow(seconds: number, unclampedSeconds: number): void {
    this.#seconds = seconds;
    this.#unclampedSeconds = unclampedSeconds;
  }
}
