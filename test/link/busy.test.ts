import { describe, expect, it } from 'vitest';
import { memoryPair, retryAfterOf } from '../../src/link/index.js';
import { retryData } from '../../src/link/not-ready.js';
import { Bye } from '../../src/wire/index.js';
import { engine, selfInfo, systemClock, until, Watched } from './support.js';

async function pair(over: {
  busy?: (deadlineMs: number) => number | null;
  verify?: () => Promise<boolean | null>;
  sign?: () => Promise<Uint8Array | null>;
}) {
  const [a, b] = memoryPair();
  const asked: number[] = [];
  let verified = 0;
  const common = { clock: systemClock, engine: await engine() };
  const server = new Watched(a, {
    ...common,
    direction: 'in',
    self: {
      ...(await selfInfo(systemClock, over.sign === undefined ? {} : { sign: over.sign })),
      busy: (deadlineMs) => {
        asked.push(deadlineMs - Date.now());
        return over.busy?.(deadlineMs) ?? null;
      },
    },
    verifyHello: async ({ item }) => {
      verified++;
      if (over.verify !== undefined) return over.verify();
      return (await common.engine.verify([item]))[0]!;
    },
  });
  const client = new Watched(b, {
    ...common,
    direction: 'out',
    self: await selfInfo(systemClock, { wallet: 'w1', nodeType: 'C', endpoint: { ip: '', port: 0 } }),
    policy: { expectedEndpoints: ['127.0.0.1:11235'] },
  });
  return { server, client, asked, verified: () => verified };
}

describe('a relay that cannot answer in time', () => {
  it('refuses before it verifies, and says when to come back', async () => {
    const { client, server, asked, verified } = await pair({ busy: () => 2_345.2 });
    await until(() => client.closed !== null, 'refusal');
    expect(client.closed).toMatchObject({ byeCode: Bye.notReady, data: '2346', opened: false });
    expect(retryAfterOf(client.closed!.data)).toBe(2346);
    expect(verified()).toBe(0);
    expect(asked.length).toBe(1);
    expect(asked[0]).toBeGreaterThan(9_000);
    expect(server.count('ixian_connections_rejected_total', { reason: '700' })).toBe(1);
  });

  it('verifies through the hook it was given', async () => {
    const { client, verified } = await pair({});
    await until(() => client.opened > 0, 'open');
    expect(verified()).toBe(1);
  });

  it('takes the verdict of the hook: nobody had time to look', async () => {
    const { client } = await pair({ verify: () => Promise.resolve(null) });
    await until(() => client.closed !== null, 'refusal');
    expect(client.closed).toMatchObject({ byeCode: Bye.notReady, data: '' });
  });

  it('says when to come back also when the signature did not come in time', async () => {
    let asked = 0;
    const { client } = await pair({
      busy: () => (asked++ === 0 ? null : 700),
      sign: () => Promise.resolve(null),
    });
    await until(() => client.closed !== null, 'refusal');
    expect(client.closed).toMatchObject({ byeCode: Bye.notReady, data: '700' });
  });

  it('data of other programs means nothing', () => {
    for (const data of ['', '-1', '1.5', 'soon', '1234567', ' 5'])
      expect(retryAfterOf(data), JSON.stringify(data)).toBeNull();
    expect(retryAfterOf('0')).toBe(0);
    expect(retryAfterOf('999999')).toBe(60_000);
    expect([retryData(null), retryData(-4), retryData(1e9)]).toEqual(['', '0', '60000']);
  });
});
