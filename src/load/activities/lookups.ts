import { sectorPrefix } from '../../identity/index.js';
import { Code } from '../../wire/index.js';
import type { ActivityContext, RunningActivity } from '../activity.js';
import type { LoadClient } from '../client.js';
import type { Count, Latency } from '../metrics.js';
import { OpenQuestions } from '../open-questions.js';
import { PresenceCarrier } from '../presence-carrier.js';
import type { LookupsActivity } from '../scenario.js';
import { WalletSet } from '../wallet-set.js';

const perTurnMax = 512;
/** Questions without an answer after this long count as unanswered. */
const answerMs = 10_000;

/** Questions for presences or sectors, at a rate or with so many always open on every connection. */
export class Lookups implements RunningActivity {
  readonly #wallets: WalletSet;
  readonly #carrier: PresenceCarrier;
  readonly #questions: OpenQuestions;
  readonly #prefixes: Uint8Array[] = [];
  readonly #latency: Latency;
  readonly #asked: Count;
  readonly #answered: Count;
  readonly #intervalMs: number;
  #nextMs = 0;
  #endMs = 0;

  constructor(
    private readonly a: LookupsActivity,
    private readonly ctx: ActivityContext,
    firstIdentity: number,
    size: number,
  ) {
    const { host, port, network } = ctx.terms;
    this.#wallets = new WalletSet(ctx.identities, firstIdentity, size, network, `${host}:${port}`);
    this.#carrier = new PresenceCarrier(ctx, this.#wallets, a.fillPerSecond * ctx.share);
    this.#questions = new OpenQuestions(a.what);
    this.#latency = ctx.metrics.latency('lookups');
    this.#asked = ctx.metrics.count('lookups.asked');
    this.#answered = ctx.metrics.count('lookups.answered');
    this.#intervalMs = a.perSecond === 'max' ? 0 : 1000 / (a.perSecond * ctx.share);
  }

  async prepare(): Promise<void> {
    if (this.a.what === 'presence' && this.a.of === 'own') await this.#carrier.fill();
    else {
      this.#wallets.make(0, this.#wallets.size);
      if (this.a.what === 'presence') return;
      for (let i = 0; i < this.#wallets.size; i++)
        this.#prefixes.push(sectorPrefix(this.#wallets.address(i)));
    }
  }

  start(nowMs: number, endMs: number): void {
    this.#nextMs = nowMs;
    this.#endMs = endMs;
    if (this.#wallets.size > 0) this.ctx.pacer.add(this.#tick);
  }

  #ask(client: LoadClient, dueMs: number, nowMs: number): void {
    const i = Math.floor(this.ctx.random() * this.#wallets.size);
    this.#asked.value++;
    this.#questions.ask({
      about: this.a.what === 'presence' ? this.#wallets.address(i) : this.#prefixes[i]!,
      client,
      dueMs,
      askedMs: nowMs,
      done: (lastSeen, doneMs) => {
        if (lastSeen === null) {
          this.ctx.metrics.add('lookups.unanswered');
          return;
        }
        this.#answered.value++;
        this.#latency.record(dueMs, doneMs);
      },
    });
  }

  readonly #tick = (nowMs: number): boolean => {
    this.#questions.expire(nowMs - answerMs, nowMs);
    let n = 0;
    if (this.a.perSecond === 'max') {
      if (nowMs < this.#endMs)
        for (const client of this.ctx.clients)
          while (client.state === 'open' && !client.blocked && this.#questions.on(client) < this.a.open) {
            this.#ask(client, nowMs, nowMs);
            n++;
          }
      return n > 0;
    }
    while (this.#nextMs <= nowMs && this.#nextMs < this.#endMs && n < perTurnMax) {
      const client = this.#carrier.next();
      this.ctx.metrics.add('lookups.intended');
      if (client === null) this.ctx.metrics.add('lookups.unsent');
      else this.#ask(client, this.#nextMs, nowMs);
      this.#nextMs += this.#intervalMs;
      n++;
    }
    return n > 0;
  };

  onFrame(
    client: LoadClient,
    code: number,
    bytes: Uint8Array,
    at: number,
    length: number,
    _crc: number,
    nowMs: number,
  ): boolean {
    if (code !== Code.updatePresence && code !== Code.sectorNodes) return false;
    const payload = bytes.subarray(at, at + length);
    return (
      this.#questions.answer(client, code, payload, nowMs) ||
      this.#carrier.onFrame(client, code, payload, nowMs)
    );
  }

  onClose(client: LoadClient, nowMs: number): void {
    this.#questions.closed(client, nowMs);
    this.#carrier.onClose(client, nowMs);
  }

  stop(): void {
    this.#endMs = 0;
  }

  get settled(): boolean {
    return this.#questions.count === 0;
  }

  finish(): void {
    this.ctx.pacer.remove(this.#tick);
  }
}
