import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OpsServer, parseBind, RelayNode } from '../../src/operator/index.js';
import { FACTS, startNode } from './support.js';

interface Body {
  status: string;
  checks: Record<string, { ok: boolean; value: unknown; want: unknown }>;
}

describe.each(['uws', 'node'] as const)('probes over %s (11 §12.1)', (httpEngine) => {
  let up: Awaited<ReturnType<typeof startNode>>;
  let ops: OpsServer;
  const ask = async (path: string): Promise<{ status: number; text: string; body: Body }> => {
    const r = await fetch(`http://127.0.0.1:${ops.port}${path}`);
    const text = await r.text();
    return { status: r.status, text, body: text.startsWith('{') ? JSON.parse(text) : {} };
  };
  beforeAll(async () => {
    up = await startNode();
    ops = await OpsServer.start(up.node, { bind: { host: '127.0.0.1', port: 0 }, httpEngine });
  });
  afterAll(async () => {
    await ops.stop();
    await up.stop();
  });

  it('answers all four with every check, or with plain ok', async () => {
    for (const path of ['/livez', '/healthz', '/startupz', '/readyz']) {
      const r = await ask(path);
      expect([path, r.status, r.body.status]).toEqual([path, 200, 'ok']);
      expect(Object.values(r.body.checks).every((c) => c.ok)).toBe(true);
      expect((await ask(`${path}?verbose=0`)).text).toBe('ok');
    }
    expect((await ask('/nothing')).status).toBe(404);
  });

  it('is not ready at once while draining, and alive all the time', async () => {
    up.relay.control.setDraining(true);
    const ready = await ask('/readyz');
    expect([ready.status, ready.body.status, ready.body.checks.accepting?.ok]).toEqual([503, 'fail', false]);
    expect((await ask('/livez')).status).toBe(200);
    up.relay.control.setDraining(false);
    expect((await ask('/readyz')).status).toBe(200);
  });
});

it('without a ledger link a relay that wants one is not ready, and says which check failed', async () => {
  const up = await startNode({}, { ...FACTS, ready: { ...FACTS.ready, standalone: false } });
  const checks = up.node.readyChecks();
  expect([checks.masters, checks.headerAgeSeconds?.ok]).toEqual([{ ok: false, value: 0, want: 1 }, false]);
  expect(checks.blocksBehind?.ok).toBe(true);
  await up.stop();
});

it('before the relay serves, startupz and readyz fail and livez does not', async () => {
  const node = new RelayNode(FACTS);
  const ops = await OpsServer.start(node, { bind: { host: '127.0.0.1', port: 0 }, httpEngine: 'node' });
  const status = async (path: string): Promise<number> =>
    (await fetch(`http://127.0.0.1:${ops.port}${path}`)).status;
  expect([await status('/livez'), await status('/startupz'), await status('/readyz')]).toEqual([
    200, 503, 503,
  ]);
  await ops.stop();
  node.close();
});

it('an event loop that is held up for seconds fails livez', () => {
  const node = new RelayNode(FACTS);
  Object.defineProperty(node.runtime, 'eventLoopDelaySeconds', { value: 5.2 });
  expect(node.liveChecks().eventLoopDelaySeconds).toEqual({ ok: false, value: 5.2, want: 5 });
  node.close();
});

it('reads where to listen', () => {
  expect(parseBind('127.0.0.1:9235')).toEqual({ host: '127.0.0.1', port: 9235 });
  expect(parseBind('[::1]:0')).toEqual({ host: '::1', port: 0 });
  for (const bad of ['9235', 'a:b', '1.2.3.4:70000', ':1', ''])
    expect(() => parseBind(bad)).toThrow(RangeError);
});
