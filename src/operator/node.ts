import { statfsSync } from 'node:fs';
import { Counters } from '../counters/index.js';
import type { Verifier } from '../identity/node/index.js';
import type { Relay } from '../relay/index.js';
import type { Sampled } from './metrics/render.js';
import { RuntimeMonitor } from './metrics/runtime.js';
import type { UpdateCheck } from './update-check.js';

/** How far a node has come. `stalled` follows from the header's age and is not kept here. */
export type Phase = 'starting' | 'running' | 'stopping';

/** When a node counts as ready (docs/protocol/11 §12.1). */
export interface ReadyTerms {
  /** Complete connections to ledger nodes. */
  readonly mastersMin: number;
  /** Age of the last header in seconds. */
  readonly headerAgeMaxSeconds: number;
  readonly blocksBehindMax: number;
  /** No ledger at all: nothing of it is waited for. */
  readonly standalone: boolean;
}

export interface NodeFacts {
  readonly network: 'main' | 'test' | 'reg';
  readonly version: string;
  readonly ready: ReadyTerms;
  /** Folder whose free space is watched. */
  readonly dataDir?: string;
}

/** The line of the protocol core whose behaviour this relay follows. */
export const CORE_COMPAT = '0.9.8';
/** Own keep-alives expire after this long: an older one means that nobody finds us (05 §8.4). */
const keepAliveFreshSeconds = 300;
/** Connectable is said while or this long after somebody was connected from outside (11 §6). */
const connectableMs = 300_000;
/** A relay without a new header for this long is stalled (11 §1.2). */
export const stalledSeconds = 1_800;

/** One readiness or health check with what was found and what was wanted. */
export interface Check {
  readonly ok: boolean;
  readonly value: number | boolean | string;
  readonly want: number | boolean | string;
}

/**
 * A relay as the operator's surface sees it: exists before the relay has started and after it has stopped, so
 * that probes are answered all the time.
 */
export class RelayNode {
  readonly startedMs = Date.now();
  readonly runtime: RuntimeMonitor;
  phase: Phase = 'starting';
  /** Numbers of all processes of this relay; absent when it is one alone. */
  gather?: () => Promise<{ readonly counters: Counters; readonly sampled: readonly Sampled[] }>;
  /** What verifies signatures, where it tells what it does. */
  verifier: Verifier | null = null;
  /** Looks for newer versions; null when off. */
  updates: UpdateCheck | null = null;
  #relay: Relay | null = null;
  #inboundSeenMs = Number.NEGATIVE_INFINITY;
  readonly #inboundTimer: NodeJS.Timeout;

  constructor(
    readonly facts: NodeFacts,
    readonly counters: Counters = new Counters(),
  ) {
    this.runtime = new RuntimeMonitor(counters);
    this.#inboundTimer = setInterval(() => void this.connectable, 10_000);
    this.#inboundTimer.unref();
  }

  /** Every number of this relay, of all its processes where there are several. */
  async numbers(): Promise<{ readonly counters: Counters; readonly sampled: readonly Sampled[] }> {
    return (await this.gather?.()) ?? { counters: this.counters, sampled: this.sample() };
  }

  /** Bytes of protocol messages of this process so far. */
  get traffic(): { readonly bytesIn: number; readonly bytesOut: number } {
    const t = { in: 0, out: 0 };
    for (const s of this.counters.samples())
      if (s.name === 'ixian_protocol_bytes_total' && 'value' in s.metric)
        t[s.labels.direction === 'in' ? 'in' : 'out'] += s.metric.value;
    return { bytesIn: t.in, bytesOut: t.out };
  }

  /** The relay once it serves, else null. */
  get relay(): Relay | null {
    return this.#relay;
  }

  /** The relay serves from now on. */
  attach(relay: Relay): void {
    this.#relay = relay;
    this.phase = 'running';
  }

  /** A version that is out and newer than this one. */
  get newerVersion(): string | null {
    const u = this.updates?.state;
    return u?.state === 'available' ? u.version : null;
  }

  /** Ends the measuring; the relay is stopped by who started it. */
  close(): void {
    clearInterval(this.#inboundTimer);
    this.updates?.close();
    this.runtime.stop();
  }

  get draining(): boolean {
    return this.phase === 'stopping' || this.#relay?.control.draining === true;
  }

  get uptimeSeconds(): number {
    return Math.floor((Date.now() - this.startedMs) / 1000);
  }

  /** True while or within 300 s of any inbound connection. */
  get connectable(): boolean {
    if ((this.#relay?.control.inbound ?? 0) > 0) this.#inboundSeenMs = Date.now();
    return Date.now() - this.#inboundSeenMs <= connectableMs;
  }

  /** Whether no header has come for half an hour, although a ledger is followed. */
  get stalled(): boolean {
    const s = this.#relay?.status();
    if (s === undefined || this.facts.ready.standalone || s.headerSeconds === 0) return false;
    return this.#relay!.control.networkSeconds() - s.headerSeconds > stalledSeconds;
  }

  // --- health (11 §12.1) ------------------------------------------------------------------------------------

  liveChecks(): Record<string, Check> {
    const delay = this.runtime.eventLoopDelaySeconds;
    return { eventLoopDelaySeconds: { ok: delay < 5, value: Number(delay.toFixed(3)), want: 5 } };
  }

  startedChecks(): Record<string, Check> {
    const up = this.#relay !== null;
    return { started: { ok: up, value: up, want: true } };
  }

  readyChecks(): Record<string, Check> {
    const checks: Record<string, Check> = {
      ...this.startedChecks(),
      accepting: { ok: !this.draining, value: !this.draining, want: true },
    };
    const relay = this.#relay;
    if (relay === null) return checks;
    const s = relay.status();
    const now = relay.control.networkSeconds();
    const { mastersMin, headerAgeMaxSeconds, blocksBehindMax, standalone } = this.facts.ready;
    const age = now - s.announcedSeconds;
    checks.ownKeepAlive = {
      ok: s.announcedSeconds > 0 && age < keepAliveFreshSeconds,
      value: s.announcedSeconds > 0 ? age : 'none',
      want: keepAliveFreshSeconds,
    };
    if (standalone) return checks;
    checks.masters = { ok: s.ledgerPeers >= mastersMin, value: s.ledgerPeers, want: mastersMin };
    const headerAge = now - s.headerSeconds;
    checks.headerAgeSeconds = {
      ok: s.headerSeconds > 0 && headerAge <= headerAgeMaxSeconds,
      value: s.headerSeconds > 0 ? headerAge : 'none',
      want: headerAgeMaxSeconds,
    };
    const behind = Math.max(0, s.networkHeight - s.height);
    checks.blocksBehind = { ok: behind <= blocksBehindMax, value: behind, want: blocksBehindMax };
    return checks;
  }

  /** 0 warm-up, 1 ready, 2 stalled, 3 stopping (11 §6, `Core Status`). */
  get coreStatus(): number {
    if (this.phase === 'starting') return 0;
    if (this.phase === 'stopping') return 3;
    return this.stalled ? 2 : 1;
  }

  // --- metrics (11 §12.2) -----------------------------------------------------------------------------------

  /** Values read for one scrape. */
  sample(): Sampled[] {
    const { network, version } = this.facts;
    const status = ['warmup', 'ready', 'stalled', 'stopping'];
    const out: Sampled[] = [
      {
        name: 'ixian_build_info',
        labels: { version, core_compat: CORE_COMPAT, network, node_type: 'R' },
        value: 1,
      },
      ...status.map((s, i) => ({
        name: 'ixian_node_status',
        labels: { status: s },
        value: this.coreStatus === i ? 1 : 0,
      })),
      { name: 'ixian_draining', value: this.draining ? 1 : 0 },
      { name: 'ixian_connectable', value: this.connectable ? 1 : 0 },
      { name: 'ixian_update_available', value: this.newerVersion === null ? 0 : 1 },
      { name: 'ixian_ready', value: Object.values(this.readyChecks()).every((c) => c.ok) ? 1 : 0 },
      ...this.runtime.sample(),
    ];
    const free = freeBytes(this.facts.dataDir);
    if (free !== null) out.push({ name: 'ixian_disk_free_bytes', value: free });
    if (this.verifier !== null) out.push(...verifierSamples(this.verifier));
    if (this.#relay !== null) out.push(...relaySamples(this.#relay));
    return out;
  }
}

/** Free bytes where a folder lies, null when unknown. */
export function freeBytes(dir: string | undefined): number | null {
  if (dir === undefined) return null;
  try {
    const s = statfsSync(dir);
    return s.bavail * s.bsize;
  } catch {
    return null;
  }
}

function verifierSamples(v: Verifier): Sampled[] {
  const { engine, place, why, threads } = v.choice;
  const s = v.stats;
  return [
    { name: 'ixian_verify_engine', labels: { engine, place, why }, value: 1 },
    { name: 'ixian_verify_threads', value: threads },
    { name: 'ixian_verify_queue_items', value: s?.queued ?? 0 },
    { name: 'ixian_verify_batches_total', value: s?.batches ?? 0 },
    { name: 'ixian_verify_batch_items_total', value: s?.items ?? 0 },
    { name: 'ixian_verify_batch_items_largest', value: s?.largestBatch ?? 0 },
    { name: 'ixian_verify_batches_retried_total', value: s?.retried ?? 0 },
    { name: 'ixian_verify_threads_replaced_total', value: s?.replaced ?? 0 },
    { name: 'ixian_verify_refused_total', labels: { reason: 'full' }, value: s?.refused ?? 0 },
    { name: 'ixian_verify_refused_total', labels: { reason: 'threads_died' }, value: s?.failed ?? 0 },
    { name: 'ixian_verify_in_place_total', value: s?.inPlace ?? 0 },
  ];
}

function relaySamples(relay: Relay): Sampled[] {
  const s = relay.status();
  const t = relay.control.totals();
  const limits = relay.control.limits();
  const at = (name: string, value: number, labels: Readonly<Record<string, string>> = {}): Sampled => ({
    name,
    labels,
    value,
  });
  return [
    at('ixian_block_height', s.height),
    at('ixian_network_block_height', s.networkHeight),
    at('ixian_last_header_timestamp_seconds', s.headerSeconds),
    at('ixian_clock_offset_seconds', s.unclampedTimeDifferenceSeconds),
    at('ixian_connections_limit', limits.clientsMax, { direction: 'in', peer_type: 'C' }),
    at('ixian_connections_limit', limits.ledgerInboundMax, { direction: 'in', peer_type: 'M' }),
    at('ixian_connections_limit', limits.connectionsMax, { direction: 'in', peer_type: 'any' }),
    at('ixian_queue_messages', t.clientQueueFrames, { queue: 'send_clients' }),
    at('ixian_queue_messages', t.serverQueueFrames, { queue: 'send_servers' }),
    at('ixian_queue_bytes', t.clientQueueBytes, { queue: 'send_clients' }),
    at('ixian_queue_bytes', t.serverQueueBytes, { queue: 'send_servers' }),
    ...Object.entries(relay.control.presenceCounts).map(([type, n]) => at('ixian_presences', n, { type })),
    at('ixian_subscriptions', t.subscriptions),
    at('ixian_sector_nodes', s.relaysKnown),
    at('ixian_sessions', s.sessions),
    at('ixian_connections_before_hello', t.greeting),
    at('ixian_bans', relay.control.bans().length),
    at('ixian_presence_store_bytes', relay.control.memory.presenceBytes),
    at('ixian_memory_queued_bytes', relay.control.memory.queuedBytes),
    at('ixian_memory_receiving_bytes', relay.control.memory.receivingBytes),
    at('ixian_allowances', relay.control.allowances.wallets, { scope: 'wallet' }),
    at('ixian_allowances', relay.control.allowances.prefixes, { scope: 'prefix' }),
    ...Object.entries(limits).map(([limit, value]) => at('ixian_limit', value, { limit })),
  ];
}
