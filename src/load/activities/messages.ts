import { decodeStreamMessage, relayErrorOf } from '../../messages/index.js';
import { Code, DecodeError } from '../../wire/index.js';
import type { ActivityContext, RunningActivity } from '../activity.js';
import type { LoadClient } from '../client.js';
import { MessageReader, MessageWriter } from '../message.js';
import type { Count, Latency } from '../metrics.js';
import type { MessagesActivity } from '../scenario.js';
import { Flow } from './flow.js';

/** Messages written in one turn at most: then received bytes are looked at. */
const messagesPerTurnMax = 512;
/** With `max`, messages gathered into one write: a real sender that always has one ready does the same. */
const gatherMax = 16;
/** Messages that wait for one sender stopped by back-pressure; what falls due beyond is counted as unready. */
const waitingMax = 20_000;

/** Numbered, checked messages between clients, at a rate or as fast as back-pressure lets them. */
export class Messages implements RunningActivity {
  readonly #flows: Flow[] = [];
  /** By client index: the flows it sends, and messages given to its socket that the kernel does not have yet. */
  readonly #sends = new Map<LoadClient, Flow[]>();
  readonly #held = new Map<LoadClient, number>();
  /** By client: the flows it sends or receives. */
  readonly #touches = new Map<LoadClient, Flow[]>();
  readonly #senders: LoadClient[];
  readonly #reader: MessageReader;
  readonly #firstFlow: number;
  readonly #intended: Count;
  readonly #written: Count;
  readonly #delivered: Count;
  readonly #latency: Latency;
  readonly #lag: Latency;
  readonly #intervalMs: number;
  #nextMs = 0;
  #endMs = 0;
  #turn = 0;
  #gather: Uint8Array;
  #stopped = false;

  constructor(
    private readonly a: MessagesActivity,
    private readonly ctx: ActivityContext,
    /** Numbers of this activity's flows begin here: unique within the test. */
    firstFlow: number,
  ) {
    const { metrics } = ctx;
    this.#firstFlow = firstFlow;
    this.#reader = new MessageReader(ctx.run);
    this.#intended = metrics.count('messages.intended');
    this.#written = metrics.count('messages.written');
    this.#delivered = metrics.count('messages.delivered');
    this.#latency = metrics.latency('messages');
    this.#lag = metrics.latency('sendLag');
    for (const [sender, recipient] of this.#pairs()) this.#flow(sender, recipient);
    this.#senders = [...this.#sends.keys()];
    this.#intervalMs = a.perSecond === 'max' ? 0 : 1000 / (a.perSecond * ctx.share);
    this.#gather = new Uint8Array(gatherMax * (this.#flows[0]?.writer.wireBytes ?? 0));
  }

  /** Numbers used, for the next activity. */
  get flowCount(): number {
    return this.#flows.length;
  }

  *#pairs(): Generator<[LoadClient, LoadClient]> {
    const { clients, random } = this.ctx;
    const { to, bothWays, senders, contacts } = this.a;
    const n = clients.length;
    if (to === 'random') {
      for (let i = 0; i < n; i++)
        for (let c = 0; c < contacts; c++)
          yield [clients[i]!, clients[(i + 1 + Math.floor(random() * (n - 1))) % n]!];
      return;
    }
    const unit = to === 'pair' ? 2 : senders + 1;
    for (let u = 0; u + unit <= n; u += unit) {
      const first = clients[u]!;
      if (to === 'pair') {
        yield [first, clients[u + 1]!];
        if (bothWays) yield [clients[u + 1]!, first];
      } else for (let s = 1; s < unit; s++) yield [clients[u + s]!, first];
    }
  }

  #flow(sender: LoadClient, recipient: LoadClient): void {
    const id = this.#firstFlow + this.#flows.length;
    const [from, to] = [sender.identity.address, recipient.identity.address];
    const writer = new MessageWriter(sender.kind, this.ctx.run, id, from, to, this.a.bytes);
    const flow = new Flow(id, sender, recipient, writer);
    this.#flows.push(flow);
    listed(this.#sends, sender).push(flow);
    for (const client of [sender, recipient]) listed(this.#touches, client).push(flow);
  }

  start(nowMs: number, endMs: number): void {
    if (this.#flows.length === 0) return;
    this.#endMs = endMs;
    // Processes begin at different points of the interval, so that together they are as even as one.
    this.#nextMs = nowMs + (this.#intervalMs * (this.ctx.processIndex + 0.5)) / this.ctx.processes;
    this.ctx.pacer.add(this.#tick);
  }

  stop(nowMs: number): void {
    if (this.#flows.length === 0 || this.#stopped) return;
    this.ctx.pacer.remove(this.#tick);
    if (this.a.perSecond !== 'max') {
      // What fell due and could not be looked at in time belongs to the test, sent or not.
      this.#tick(nowMs);
      for (; this.#nextMs <= nowMs && this.#nextMs < this.#endMs; this.#advance()) {
        this.#intended.value++;
        this.ctx.metrics.add('messages.unready');
      }
    }
    this.#stopped = true;
  }

  #advance(): void {
    const poisson = this.a.arrivals === 'poisson';
    this.#nextMs += poisson ? -Math.log(1 - this.ctx.random()) * this.#intervalMs : this.#intervalMs;
  }

  readonly #tick = (nowMs: number): boolean => {
    if (this.a.perSecond === 'max') return this.#tickMax(nowMs);
    const poisson = this.a.arrivals === 'poisson';
    const n = this.#flows.length;
    let sent = 0;
    while (this.#nextMs <= nowMs && this.#nextMs < this.#endMs && sent < messagesPerTurnMax) {
      const flow = this.#flows[poisson ? Math.floor(this.ctx.random() * n) : this.#turn++ % n]!;
      this.#due(flow, this.#nextMs);
      this.#advance();
      sent++;
    }
    return sent > 0;
  };

  #due(flow: Flow, dueMs: number): void {
    this.#intended.value++;
    const { sender } = flow;
    if (sender.state !== 'open') {
      this.ctx.metrics.add('messages.unsent');
      return;
    }
    if (sender.blocked) {
      if (flow.waiting.length - flow.waitingAt >= waitingMax) this.ctx.metrics.add('messages.unready');
      else flow.waiting.push(dueMs);
      return;
    }
    this.#write(flow, dueMs);
  }

  #write(flow: Flow, dueMs: number): void {
    const { sender, writer } = flow;
    const now = performance.now();
    const bytes = writer.next(flow.sent++, dueMs);
    this.#lag.record(dueMs, now);
    if (sender.write(bytes, now)) this.#written.value++;
    else {
      writer.keep();
      this.#held.set(sender, (this.#held.get(sender) ?? 0) + 1);
    }
  }

  #tickMax(nowMs: number): boolean {
    let worked = false;
    for (const sender of this.#senders) {
      if (sender.state !== 'open' || sender.blocked) continue;
      worked = true;
      const flows = this.#sends.get(sender)!;
      const size = flows[0]!.writer.wireBytes;
      for (let i = 0; i < gatherMax; i++) {
        const flow = flows[(this.#turn + i) % flows.length]!;
        this.#gather.set(flow.writer.next(flow.sent++, nowMs), i * size);
      }
      this.#turn++;
      this.#intended.value += gatherMax;
      if (sender.write(this.#gather, nowMs)) this.#written.value += gatherMax;
      else {
        this.#gather = new Uint8Array(this.#gather.length);
        this.#held.set(sender, gatherMax);
      }
    }
    return worked;
  }

  onFlushed(client: LoadClient): void {
    const held = this.#held.get(client);
    if (held !== undefined) {
      this.#written.value += held;
      this.#held.delete(client);
    }
    for (const flow of this.#sends.get(client) ?? []) {
      while (flow.waitingAt < flow.waiting.length && !client.blocked && !this.#stopped)
        this.#write(flow, flow.waiting[flow.waitingAt++]!);
      if (flow.waitingAt > 1024 || flow.waitingAt === flow.waiting.length) {
        flow.waiting.splice(0, flow.waitingAt);
        flow.waitingAt = 0;
      }
    }
  }

  onFrame(
    client: LoadClient,
    code: number,
    bytes: Uint8Array,
    at: number,
    length: number,
    crc: number,
    nowMs: number,
  ): boolean {
    if (code !== Code.s2data) return false;
    const { metrics } = this.ctx;
    const verdict = this.#reader.read(bytes, at, length, crc);
    if (verdict === 'corrupt') {
      metrics.add('messages.corrupted');
      return true;
    }
    if (verdict === 'foreign') return this.#refusal(client, bytes.subarray(at, at + length));
    const flow = this.#flows[this.#reader.flow - this.#firstFlow];
    if (flow === undefined) return false;
    if (flow.recipient !== client) {
      metrics.add('messages.misdelivered');
      return true;
    }
    const arrival = flow.arrived(this.#reader.sequence);
    if (arrival === 'repeated') metrics.add('messages.duplicated');
    else {
      if (arrival === 'late') metrics.add('messages.reordered');
      this.#delivered.value++;
      this.#latency.record(this.#reader.intendedMs, nowMs);
    }
    return true;
  }

  /** A relay's word that it could not deliver one of ours. */
  #refusal(client: LoadClient, payload: Uint8Array): boolean {
    let failed: { readonly flow: number; readonly sequence: number } | null = null;
    try {
      const notice = relayErrorOf(decodeStreamMessage(payload), client.identity.address);
      failed = notice === null ? null : this.#reader.failed(notice.failedId);
    } catch (e) {
      if (!(e instanceof DecodeError)) throw e;
    }
    if (failed === null) return false;
    const flow = this.#flows[failed.flow - this.#firstFlow];
    if (flow === undefined) return false;
    if (flow.sender === client && flow.wasRefused(failed.sequence)) this.ctx.metrics.add('messages.refused');
    return true;
  }

  onOpen(client: LoadClient): void {
    for (const f of this.#touches.get(client) ?? []) f.disturbed();
  }

  onClose(client: LoadClient): void {
    // What the socket still held never left.
    this.#held.delete(client);
    for (const f of this.#touches.get(client) ?? []) {
      f.disturbed();
      if (f.sender === client) {
        this.ctx.metrics.add('messages.unsent', f.waiting.length - f.waitingAt);
        f.waiting.length = 0;
        f.waitingAt = 0;
      }
    }
  }

  get settled(): boolean {
    return this.#flows.every((f) => f.delivered + f.refused >= f.sent);
  }

  finish(): void {
    const { metrics } = this.ctx;
    for (const flow of this.#flows) {
      const { lost, inDoubt } = flow.unaccounted();
      if (lost > 0) metrics.add('messages.lost', lost);
      if (inDoubt > 0) metrics.add('messages.inDoubt', inDoubt);
      const waiting = flow.waiting.length - flow.waitingAt;
      if (waiting > 0) metrics.add('messages.unready', waiting);
    }
  }
}

function listed(map: Map<LoadClient, Flow[]>, client: LoadClient): Flow[] {
  let list = map.get(client);
  if (list === undefined) {
    list = [];
    map.set(client, list);
  }
  return list;
}
