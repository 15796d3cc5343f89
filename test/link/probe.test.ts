import { createServer, type Server } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/clock/index.js';
import { parseEndpoint } from '../../src/link/index.js';
import { Prober, probe, probeBytes, probesPerAddressPerMinuteMax } from '../../src/link/node/index.js';
import { toHex } from '../../src/wire/index.js';
import { until } from './support.js';

let server: Server | null = null;
afterEach(() => {
  server?.close();
  server = null;
});

async function listener(): Promise<{ endpoint: string; received: () => string; connections: () => number }> {
  const parts: Uint8Array[] = [];
  let connections = 0;
  server = createServer((s) => {
    connections++;
    s.on('data', (d: Uint8Array) => parts.push(d));
    s.on('error', () => undefined);
  });
  await new Promise<void>((r) => server!.listen(0, '127.0.0.1', () => r()));
  const at = server.address();
  if (at === null || typeof at === 'string') throw new Error('no port');
  return {
    endpoint: `127.0.0.1:${at.port}`,
    received: () => toHex(new Uint8Array(Buffer.concat(parts))),
    connections: () => connections,
  };
}

describe('03 §3.6 connectivity probe', () => {
  it('says one zero byte and bye 200 to whoever listens, and is satisfied', async () => {
    const { endpoint, received } = await listener();
    expect(await probe(endpoint)).toBe(true);
    const expected = '00ea02000d000000c5b91def14c80000000754657374204f4b00';
    expect(toHex(probeBytes())).toBe(expected);
    await until(() => received() === expected);
  });

  it.each([
    '',
    '1.2.3.4',
    '1.2.3.4:0',
    '1.2.3.4:-1',
    '1.2.3:99',
    'host:99',
    '1.2.3.4:5:6',
    '256.1.1.1:80',
    '1.2.3.4:65536',
  ])('does not dial %j', async (endpoint) => {
    expect(parseEndpoint(endpoint)).toBe(null);
    expect(await probe(endpoint)).toBe(false);
  });

  it('fails where nobody listens', async () => {
    expect(await probe('127.0.0.1:1')).toBe(false);
  });

  it('gives up after a second of silence', async () => {
    const clock = new ManualClock(0);
    const result = probe('192.0.2.1:9', { clock });
    clock.advance(1_001);
    expect(await result).toBe(false);
  });

  it('two questions about one endpoint share one probe', async () => {
    const { endpoint, connections } = await listener();
    const prober = new Prober();
    expect(await Promise.all([prober.probe(endpoint), prober.probe(endpoint)])).toEqual([true, true]);
    expect(connections()).toBe(1);
  });

  it('is limited per target address and minute', async () => {
    const clock = new ManualClock(0);
    const prober = new Prober({ clock });
    const { endpoint, connections } = await listener();
    for (let i = 0; i < probesPerAddressPerMinuteMax; i++) expect(await prober.probe(endpoint)).toBe(true);
    expect(await prober.probe(endpoint)).toBe(false);
    expect([prober.refused, connections()]).toEqual([1, probesPerAddressPerMinuteMax]);
    clock.advance(60_000);
    expect(await prober.probe(endpoint)).toBe(true);
  });
});
