import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  decodeKeepAlive,
  decodePresence,
  encodeKeepAlive,
  encodePresence,
  keepAliveOf,
  verifyKeepAlive,
  verifyPresence,
} from '../../src/presence/index.js';
import { Code, FRAME_HEADER_BYTES, fromHex, NETWORKS, toHex } from '../../src/wire/index.js';
import { engine, ledgerless } from './support.js';

interface SessionRecord {
  readonly kind: string;
  readonly ms: number;
  readonly code?: number;
  readonly hex: string;
}
interface Session {
  readonly connections: readonly {
    readonly t0_unix_ms: number;
    readonly records: readonly SessionRecord[];
  }[];
}

/** Payloads of one code with the network second at which they were recorded. */
function recorded(file: string, code: number): { payload: Uint8Array; second: number }[] {
  const path = resolve(import.meta.dirname, '../vectors', file);
  const session = JSON.parse(readFileSync(path, 'utf8')) as Session;
  return session.connections.flatMap((c) =>
    c.records
      .filter((r) => r.kind === 'frame' && r.code === code)
      .map((r) => ({
        payload: fromHex(r.hex).subarray(FRAME_HEADER_BYTES),
        second: Math.floor((c.t0_unix_ms + r.ms) / 1000),
      })),
  );
}

const reg = { ...ledgerless, network: NETWORKS.reg };

describe.each(['session-m-s2.json', 'session-c98-s2.json'])('recorded session %s', (file) => {
  it('its presences re-encode to the same bytes and every endpoint verifies', async () => {
    const presences = recorded(file, Code.updatePresence);
    expect(presences.length).toBeGreaterThan(0);
    for (const { payload, second } of presences) {
      const p = decodePresence(payload);
      expect(toHex(encodePresence(p))).toBe(toHex(payload));
      expect(await verifyPresence(p, second, reg, await engine())).toMatchObject({
        problem: null,
        dropped: [],
      });
    }
  });

  it('its keep-alives re-encode to the same bytes and verify with the key of a presence seen', async () => {
    const keys = new Map<string, Uint8Array>();
    for (const f of ['session-m-s2.json', 'session-c98-s2.json'])
      for (const { payload } of recorded(f, Code.updatePresence)) {
        const p = decodePresence(payload);
        keys.set(toHex(p.wallet), p.publicKey);
      }
    const keepAlives = recorded(file, Code.keepAlivePresence);
    expect(keepAlives.length).toBeGreaterThan(0);
    let verified = 0;
    for (const { payload } of keepAlives) {
      const ka = decodeKeepAlive(payload);
      expect(toHex(encodeKeepAlive(ka))).toBe(toHex(payload));
      const key = keys.get(toHex(ka.wallet));
      if (key === undefined) continue;
      expect(await verifyKeepAlive(ka, key, reg, await engine())).toBe(null);
      expect(keepAliveOf(ka.wallet, { ...ka, nodeVersion: '', lastSeen: ka.timestamp })).toEqual(ka);
      verified++;
    }
    expect(verified).toBeGreaterThan(0);
  });
});
