import { Code } from '../../wire/index.js';
import type { ActivityContext, RunningActivity } from '../activity.js';
import type { LoadClient } from '../client.js';
import type { Latency } from '../metrics.js';
import { OpenQuestions } from '../open-questions.js';
import { PresenceCarrier } from '../presence-carrier.js';
import type { KeepAlivesActivity } from '../scenario.js';
import { WalletSet } from '../wallet-set.js';

/** Keep-alives signed in one turn at most: 30 µs each, so received bytes wait no longer than 2 ms. */
const perTurnMax = 64;
/** A keep-alive that is watched is asked for again after this long, until it is seen or given up. */
const watchMs = 5;
const watchGiveUpMs = 10_000;
/** Comparisons without one more wallet as sent, after which the relay is taken at its word: some has been lost. */
const vainComparisonsMax = 20;

/**
 * Signed keep-alives of many wallets over few connections, as a relay gets them from others: every one a new signature
 * of another key. Some are watched from their due time until the relay answers with them; at the end its whole store is
 * compared with what was sent.
 */
export class KeepAlives implements RunningActivity {
  readonly #wallets: WalletSet;
  readonly #carrier: PresenceCarrier;
  readonly #watched = new OpenQuestions('presence');
  readonly #applied: Latency;
  readonly #intervalMs: number;
  readonly #watchEvery: number;
  #again: {
    readonly wallet: number;
    readonly timestamp: number;
    readonly dueMs: number;
    readonly fromMs: number;
  }[] = [];
  #nextMs = 0;
  #endMs = 0;
  #turn = 0;
  #compared: boolean | null = null;

  constructor(
    a: KeepAlivesActivity,
    private readonly ctx: ActivityContext,
    firstIdentity: number,
    size: number,
  ) {
    const { host, port, network } = ctx.terms;
    const hostname = a.hostname === '' ? `${host}:${port}` : a.hostname;
    this.#wallets = new WalletSet(ctx.identities, firstIdentity, size, network, hostname);
    this.#carrier = new PresenceCarrier(ctx, this.#wallets, a.fillPerSecond * ctx.share);
    this.#applied = ctx.metrics.latency('keepAlives');
    this.#intervalMs = 1000 / (a.perSecond * ctx.share);
    this.#watchEvery = Math.max(1, Math.round(a.perSecond / a.watchPerSecond));
  }

  prepare(): Promise<void> {
    return this.#carrier.fill();
  }

  start(nowMs: number, endMs: number): void {
    this.#nextMs = nowMs;
    this.#endMs = endMs;
    if (this.#wallets.size > 0) this.ctx.pacer.add(this.#tick);
  }

  readonly #tick = (nowMs: number): boolean => {
    const { metrics } = this.ctx;
    let n = 0;
    while (this.#nextMs <= nowMs && this.#nextMs < this.#endMs && n < perTurnMax) {
      const dueMs = this.#nextMs;
      this.#nextMs += this.#intervalMs;
      const wallet = this.#turn++ % this.#wallets.size;
      metrics.add('keepAlives.intended');
      n++;
      const client = this.#carrier.next();
      const timestamp = Math.floor(Date.now() / 1000);
      // Twice in one second cannot be told apart by the relay: it is refused as a replay.
      if (client === null || client.blocked || this.#wallets.claimed[wallet]! >= timestamp) {
        metrics.add('keepAlives.unsent');
        continue;
      }
      client.send(Code.keepAlivePresence, this.#wallets.keepAlive(wallet, timestamp), nowMs);
      metrics.add('keepAlives.sent');
      if (this.#turn % this.#watchEvery === 0) this.#watch(wallet, timestamp, dueMs, client, nowMs);
    }
    this.#watched.expire(nowMs - 1_000, nowMs);
    if (this.#again.length > 0) {
      const later = this.#again;
      this.#again = [];
      for (const w of later) {
        const client = this.#carrier.next();
        if (w.fromMs > nowMs || client === null) this.#again.push(w);
        else this.#watch(w.wallet, w.timestamp, w.dueMs, client, nowMs);
      }
    }
    return n > 0;
  };

  /** Asks for the wallet until the relay answers with this claim or a newer one. */
  #watch(wallet: number, timestamp: number, dueMs: number, client: LoadClient, nowMs: number): void {
    this.#watched.ask({
      about: this.#wallets.address(wallet),
      client,
      dueMs,
      askedMs: nowMs,
      done: (lastSeen, doneMs) => {
        if (lastSeen !== null && lastSeen >= timestamp) {
          this.#applied.record(dueMs, doneMs);
          this.ctx.metrics.add('keepAlives.seen');
        } else if (doneMs - dueMs > watchGiveUpMs) this.ctx.metrics.add('keepAlives.unseen');
        else this.#again.push({ wallet, timestamp, dueMs, fromMs: doneMs + watchMs });
      },
    });
  }

  onFrame(
    client: LoadClient,
    code: number,
    bytes: Uint8Array,
    at: number,
    length: number,
    _crc: number,
    nowMs: number,
  ): boolean {
    // A relay that does not know a wallet asks for it, and carries its clients' claims to others: not our business.
    if (code === Code.getPresence2 || code === Code.keepAlivePresence) return true;
    if (code !== Code.updatePresence) return false;
    const payload = bytes.subarray(at, at + length);
    return (
      this.#watched.answer(client, code, payload, nowMs) ||
      this.#carrier.onFrame(client, code, payload, nowMs)
    );
  }

  onClose(client: LoadClient, nowMs: number): void {
    this.#watched.closed(client, nowMs);
    this.#carrier.onClose(client, nowMs);
  }

  stop(): void {
    // The tick goes on for what is still watched; nothing new falls due.
    const started = this.#endMs > 0;
    this.#endMs = 0;
    if (this.#compared !== null) return;
    this.#compared = !started;
    if (!started) return;
    void this.#compare();
  }

  /** The relay may still be busy with the last ones, so what is stale is asked again until all is current. */
  async #compare(): Promise<void> {
    const { metrics } = this.ctx;
    let list = Array.from({ length: this.#wallets.size }, (_, i) => i);
    for (let vain = 0; vain < vainComparisonsMax; ) {
      const { current, stale, absent } = await this.#carrier.compare(list);
      metrics.add('keepAlives.stored', current);
      metrics.count('keepAlives.stale').value = stale.length;
      metrics.count('keepAlives.absent').value = absent.length;
      list = [...stale, ...absent];
      if (list.length === 0) break;
      vain = current > 0 ? 0 : vain + 1;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    this.#compared = true;
  }

  get settled(): boolean {
    return this.#compared === true && this.#again.length === 0 && this.#watched.count === 0;
  }

  finish(): void {
    this.ctx.pacer.remove(this.#tick);
  }
}
