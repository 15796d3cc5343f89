import { isIpv4 } from '../link/index.js';

/** Voices that must agree before a reported address is believed (03 §5.4, strict). */
export const endpointVotesMin = 2;

/** Reporters remembered; beyond, the one whose voice is oldest is forgotten. */
export const endpointVotesKept = 16;

/**
 * What this relay believes to be its own public `ip:port`. A configured address always wins; otherwise a
 * first guess from the interfaces, corrected only when at least two peers of different source addresses
 * report the same other one: a single liar must not move a relay (03 §5.2 code 600, §5.4).
 */
export class PublicEndpoint {
  #ip: string;
  readonly #forced: boolean;
  /** Last voice per reporting peer address. */
  readonly #votes = new Map<string, string>();

  constructor(
    configuredIp: string | null,
    guessedIp: string,
    readonly port: number,
    private readonly onChange: (endpoint: string) => void = () => {},
  ) {
    this.#forced = configuredIp !== null;
    this.#ip = configuredIp ?? guessedIp;
  }

  get ip(): string {
    return this.#ip;
  }

  get forced(): boolean {
    return this.#forced;
  }

  /** `ip:port`, empty when the address is unknown: what goes into signatures (03 §3.4). */
  get text(): string {
    return this.#ip === '' || this.port === 0 ? '' : `${this.#ip}:${this.port}`;
  }

  /** Another process of this relay leads, and this is what it believes. */
  follow(ip: string): void {
    if (ip === this.#ip || !isIpv4(ip)) return;
    this.#ip = ip;
    this.onChange(this.text);
  }

  /**
   * A peer reported the address it sees us at (helloData field 14, or the data of bye 600).
   * Returns true when the own address changed.
   */
  vote(reporter: string, reportedIp: string): boolean {
    if (this.#forced || !isIpv4(reportedIp)) return false;
    this.#votes.delete(reporter);
    this.#votes.set(reporter, reportedIp);
    // A bounded memory: the newest voices count.
    if (this.#votes.size > endpointVotesKept) this.#votes.delete(this.#votes.keys().next().value!);
    const tally = new Map<string, number>();
    for (const ip of this.#votes.values()) tally.set(ip, (tally.get(ip) ?? 0) + 1);
    // Whoever confirms the own address counts too: another one must have more voices.
    let best = this.#ip;
    let most = tally.get(this.#ip) ?? 0;
    for (const [ip, n] of tally)
      if (n > most) {
        best = ip;
        most = n;
      }
    // Without any address of our own a single voice is better than none: without one no hello verifies.
    const needed = this.#ip === '' ? 1 : endpointVotesMin;
    if (best === this.#ip || most < needed) return false;
    this.#ip = best;
    this.onChange(this.text);
    return true;
  }
}
