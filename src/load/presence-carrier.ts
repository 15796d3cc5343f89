import { Code } from '../wire/index.js';
import type { ActivityContext } from './activity.js';
import type { LoadClient } from './client.js';
import { LoadError } from './errors.js';
import { OpenQuestions } from './open-questions.js';
import type { WalletSet } from './wallet-set.js';

/** Questions a second for every presence a second: they cost a relay no signature. */
const questionsPerPresence = 3;
/** Questions open on one connection while the relay's store is compared. */
const openPerClient = 32;
/** A question without an answer after this long is asked again, or its wallet counts as unknown. */
const answerMs = 1_000;
/** Between the last presence and the first question about them. */
const verifyMs = 300;
/** Times that presences which did not arrive are sent again. */
const roundsMax = 5;
/** Wallets made in one go before received bytes are looked at. */
const makeAtOnce = 200;

/**
 * Age of a claim in seconds at which a keep-alive renews it while the others are still brought: relays forget a presence 300
 * seconds after its claim, and what comes after the filling needs the rest.
 */
const renewAfterSeconds = 200;
/** Renewed in one turn at most, so that a slow relay still gets new ones. */
const renewedPerTurnMax = 64;

/** What the relay's store says of a set of wallets. */
export interface Comparison {
  /** The last claim sent is what the relay answers. */
  readonly current: number;
  /** The relay answers with an older claim. */
  readonly stale: number[];
  /** No answer. */
  readonly absent: number[];
}

/** Brings wallets into a relay's presence store, and compares the store with what was sent. */
export class PresenceCarrier {
  readonly #questions = new OpenQuestions('presence');
  #turn = 0;
  /** Wallets that were sent again: their claims are younger than their place in the order says. */
  readonly #sentAgain = new Set<number>();
  /** The next wallet to be renewed; they grow old in their order. */
  #oldest = 0;
  #filling = false;

  constructor(
    private readonly ctx: ActivityContext,
    private readonly wallets: WalletSet,
    /** Presences a second at most. */
    private readonly perSecond: number,
  ) {}

  /** The next open client, round and round; null when none is. */
  next(): LoadClient | null {
    const { clients } = this.ctx;
    for (let i = 0; i < clients.length; i++) {
      const c = clients[this.#turn++ % clients.length]!;
      if (c.state === 'open') return c;
    }
    return null;
  }

  onFrame(client: LoadClient, code: number, payload: Uint8Array, nowMs: number): boolean {
    return this.#questions.answer(client, code, payload, nowMs);
  }

  onClose(client: LoadClient, nowMs: number): void {
    this.#questions.closed(client, nowMs);
  }

  /** Calls `each` for every entry at the rate; `each` answers false when it could not now. */
  #paced(
    list: readonly number[],
    perSecond: number,
    each: (wallet: number, nowMs: number) => boolean,
  ): Promise<void> {
    return new Promise((resolve) => {
      const startMs = performance.now();
      let done = 0;
      const tick = (nowMs: number): boolean => {
        this.#questions.expire(nowMs - answerMs, nowMs);
        const renewed = this.#filling ? this.#renew(nowMs) : 0;
        const due = Math.min(list.length, Math.ceil(((nowMs - startMs) * perSecond) / 1000));
        let n = 0;
        while (done < due && n < makeAtOnce && each(list[done]!, nowMs)) {
          done++;
          n++;
        }
        if (done === list.length && this.#questions.count === 0) {
          this.ctx.pacer.remove(tick);
          resolve();
        }
        return n + renewed > 0;
      };
      this.ctx.pacer.add(tick);
    });
  }

  /** Keep-alives for those whose claim is getting old; how many. */
  #renew(nowMs: number): number {
    const { claimed, size } = this.wallets;
    const now = Math.floor(Date.now() / 1000);
    let renewed = 0;
    for (let looked = 0; looked < size && renewed < renewedPerTurnMax; looked++) {
      const i = this.#oldest;
      const at = claimed[i]!;
      if (at === 0) break;
      const isYoung = at + renewAfterSeconds > now;
      if (isYoung && !this.#sentAgain.has(i)) break;
      if (!isYoung) {
        const client = this.next();
        if (client === null || client.blocked) break;
        client.send(Code.keepAlivePresence, this.wallets.keepAlive(i, now), nowMs);
        this.ctx.metrics.add('presences.renewed');
        renewed++;
      }
      this.#oldest = (i + 1) % size;
    }
    return renewed;
  }

  /**
   * Makes the wallets and sends their presences until the relay answers with every one of them. When that takes long, the
   * first ones are renewed meanwhile: at the end all are stored and alive.
   */
  async fill(): Promise<void> {
    this.#filling = true;
    try {
      await this.#fill();
    } finally {
      this.#filling = false;
    }
  }

  async #fill(): Promise<void> {
    const { metrics } = this.ctx;
    let missing = Array.from({ length: this.wallets.size }, (_, i) => i);
    for (let round = 0; round < roundsMax && missing.length > 0; round++) {
      await this.#paced(missing, this.perSecond, (i, nowMs) => {
        const client = this.next();
        if (client === null || client.blocked) return false;
        if (round === 0) this.wallets.make(i, i + 1);
        else this.#sentAgain.add(i);
        client.send(Code.updatePresence, this.wallets.presence(i, Math.floor(Date.now() / 1000)), nowMs);
        metrics.add('presences.sent');
        return true;
      });
      // A relay that verifies elsewhere has not stored the last ones yet.
      await new Promise((resolve) => setTimeout(resolve, verifyMs));
      // A relay may hold a claim of an earlier test: newer ones follow, and what it holds is what we go on from.
      missing = (await this.compare(missing, true)).absent;
    }
    if (missing.length > 0)
      throw new LoadError(
        'connect',
        `the relay did not take ${missing.length} of ${this.wallets.size} presences: see its limits`,
      );
  }

  /**
   * Asks for every wallet and compares the answer with the last claim sent. `adopt` takes another claim that the relay
   * holds for the last one.
   */
  async compare(list: readonly number[], adopt = false): Promise<Comparison> {
    const stale: number[] = [];
    const absent: number[] = [];
    let current = 0;
    await this.#paced(list, questionsPerPresence * this.perSecond, (i, nowMs) => {
      const client = this.next();
      if (client === null || client.blocked || this.#questions.on(client) >= openPerClient) return false;
      this.#questions.ask({
        about: this.wallets.address(i),
        client,
        dueMs: nowMs,
        askedMs: nowMs,
        done: (lastSeen) => {
          if (lastSeen === null) absent.push(i);
          else if (adopt || lastSeen >= this.wallets.claimed[i]!) {
            this.wallets.claimed[i] = lastSeen;
            current++;
          } else stale.push(i);
        },
      });
      return true;
    });
    return { current, stale, absent };
  }
}
