import { lockHolder } from '../lock.js';
import { parseBind } from '../ops-server.js';
import type { Running } from './subject.js';

/** How long a relay on this machine may take to answer. */
const askTimeoutMs = 3_000;

async function page(base: string, path: string): Promise<string | null> {
  try {
    return await (await fetch(base + path, { signal: AbortSignal.timeout(askTimeoutMs) })).text();
  } catch {
    return null;
  }
}

/** The names of failing checks in an answer of /readyz, null when it is no such answer. */
function failing(text: string | null): string[] | null {
  try {
    const { checks } = JSON.parse(text ?? '') as { checks: Record<string, { ok: boolean }> };
    return Object.entries(checks).flatMap(([name, c]) => (c.ok ? [] : [name]));
  } catch {
    return null;
  }
}

/** Sum of the samples of a metric whose labels hold all of these; null without one. */
function sumOf(metrics: string, name: string, ...labels: readonly RegExp[]): number | null {
  let sum: number | null = null;
  for (const line of metrics.split('\n')) {
    const m = /^([a-z_]+)(\{.*\})? (\S+)$/.exec(line);
    if (m?.[1] !== name || !labels.every((l) => l.test(m[2] ?? ''))) continue;
    sum = (sum ?? 0) + Number(m[3]);
  }
  return sum;
}

/** Member of the public document about a relay, '' without one. */
function member(text: string | null, name: string): string {
  try {
    const value = (JSON.parse(text ?? '') as Record<string, unknown>)[name];
    return typeof value === 'string' ? value : '';
  } catch {
    return '';
  }
}

/**
 * The relay that runs on a data folder, by its health page, its metrics and its public document; null when none does.
 * `opsBind` as configured, `infoUrl` of `/v1/info` or null.
 */
export async function findRunning(
  dataDir: string,
  opsBind: string,
  infoUrl: string | null,
): Promise<Running | null> {
  const holder = await lockHolder(dataDir);
  if (holder === null || !holder.alive) return null;
  let base: string | null = null;
  try {
    const bind = parseBind(opsBind);
    const host = bind.host === '0.0.0.0' ? '127.0.0.1' : bind.host;
    base = `http://${host.includes(':') ? `[${host}]` : host}:${bind.port}`;
  } catch {
    // Off.
  }
  const ready = base === null ? null : await page(base, '/readyz');
  const metrics = base === null ? '' : ((await page(base, '/metrics')) ?? '');
  const info = infoUrl === null ? null : await page(infoUrl, '');
  const connectable = sumOf(metrics, 'ixian_connectable');
  const told = sumOf(metrics, 'ixian_connections', /direction="out"/, /peer_type="[MH]"/);
  return {
    pid: holder.pid,
    inside: false,
    notReady: failing(ready),
    ledgerPeers: metrics === '' ? null : (told ?? 0),
    clockOffsetSeconds: sumOf(metrics, 'ixian_clock_offset_seconds'),
    connectable: connectable === null ? null : connectable === 1,
    endpoint: member(info, 'endpoint'),
    address: member(info, 'address'),
  };
}
