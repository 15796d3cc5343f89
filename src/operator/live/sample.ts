import type { RelayNode } from '../node.js';
import type { LiveSample } from './merge.js';
import type { LiveDrop, LiveValues } from './series.js';

const DROPS = /_(dropped|refused|rejected|errors|suppressed)_total$/;

/** Label values joined: what a drop was for, never who. */
const reasonOf = (labels: Readonly<Record<string, string>>): string => Object.values(labels).join(' ');

/** One look at the counters: sums for the series, and every drop by reason. */
function countersOf(node: RelayNode): { sums: Map<string, number>; drops: LiveDrop[] } {
  const sums = new Map<string, number>();
  const drops: LiveDrop[] = [];
  const add = (key: string, value: number): void => void sums.set(key, (sums.get(key) ?? 0) + value);
  for (const { name, labels, metric } of node.counters.samples()) {
    if (!('value' in metric)) continue;
    add(name, metric.value);
    if (labels.result !== undefined) add(`${name} ${labels.result}`, metric.value);
    if (labels.direction !== undefined) add(`${name} ${labels.direction}`, metric.value);
    if (DROPS.test(name) && metric.value > 0)
      drops.push({
        counter: name.replace(/^ixian_|_total$/g, ''),
        reason: reasonOf(labels),
        total: metric.value,
      });
  }
  return { sums, drops };
}

/** Everything of one second: cheap enough to be taken always, with 100,000 clients too. */
export function sampleLive(node: RelayNode): LiveSample & { readonly endpoint: string } {
  const { sums, drops } = countersOf(node);
  const sum = (key: string): number => sums.get(key) ?? 0;
  const memory = process.memoryUsage();
  const cpu = process.cpuUsage();
  const relay = node.relay;
  const s = relay?.status();
  const t = relay?.control.totals();
  const count = (keep: (type: string) => boolean): number =>
    (t?.peers ?? []).filter((p) => keep(p.type)).reduce((n, p) => n + p.count, 0);
  const values: LiveValues = {
    clients: count((type) => type === 'C'),
    relays: count((type) => type === 'R'),
    ledgerNodes: count((type) => type === 'M' || type === 'H'),
    greeting: t?.greeting ?? 0,
    sessions: s?.sessions ?? 0,
    presences: s?.presences ?? 0,
    receivedTotal: sum('ixian_messages_received_total'),
    forwardedTotal: sum('ixian_relay_messages_total forwarded'),
    offlineTotal: sum('ixian_relay_messages_total recipient_offline'),
    refusedTotal: sum('ixian_relay_messages_total refused'),
    droppedTotal: drops.reduce((n, d) => n + d.total, 0),
    bytesInTotal: sum('ixian_protocol_bytes_total in'),
    bytesOutTotal: sum('ixian_protocol_bytes_total out'),
    queueFrames: (t?.clientQueueFrames ?? 0) + (t?.serverQueueFrames ?? 0),
    queueBytes: (t?.clientQueueBytes ?? 0) + (t?.serverQueueBytes ?? 0),
    verifiedTotal: sum('ixian_verify_results_total'),
    verifyPending: sum('ixian_verify_pending'),
    signedTotal: sum('ixian_hello_signatures_total signed'),
    openedTotal: sum('ixian_connections_opened_total'),
    loopDelaySeconds: node.runtime.eventLoopDelaySeconds,
    residentBytes: memory.rss,
    heapBytes: memory.heapUsed,
    cpuSecondsTotal: (cpu.user + cpu.system) / 1e6,
    height: s?.height ?? 0,
    networkHeight: s?.networkHeight ?? 0,
    headerAgeSeconds:
      relay === null || s === undefined || s.headerSeconds === 0
        ? 0
        : Math.max(0, relay.control.networkSeconds() - s.headerSeconds),
    relaysKnown: s?.relaysKnown ?? 0,
  };
  return { values, drops, endpoint: s?.endpoint ?? '' };
}
