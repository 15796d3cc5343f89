import { describe, expect, it } from 'vitest';
import type { VerifyEngine, VerifyItem } from '../../src/identity/index.js';
import { encodePresence } from '../../src/presence/index.js';
import {
  address,
  Bench,
  engine,
  forged,
  keepAlive,
  OTHER_HOST,
  packet,
  presence,
  signer,
  T0,
} from './support.js';

/** Notes how many signatures each call has. */
class CallsEngine implements VerifyEngine {
  readonly name = 'native';
  readonly calls: number[] = [];

  constructor(private readonly inner: VerifyEngine | null) {}

  get operations(): number {
    return this.calls.reduce((a, b) => a + b, 0);
  }

  verify(items: readonly VerifyItem[]): Promise<boolean[]> {
    this.calls.push(items.length);
    return this.inner === null ? Promise.reject(new Error('closed')) : this.inner.verify(items);
  }

  async close(): Promise<void> {}
}

const device = (n: number): Uint8Array => Uint8Array.of(n);
const held = async (b: Bench, who = 'w0') =>
  (b.store.get((await signer(who)).address)?.addresses ?? []).map((a) => [
    a.device[0],
    a.hostname,
    a.lastSeen,
  ]);

/** One of each kind of packet. */
async function mixture(): Promise<Uint8Array[]> {
  return [
    await packet([await address()]),
    Uint8Array.of(1, 2, 3),
    await packet(
      [await address({}, 'w1'), await address({ device: device(2), timestamp: T0 - 301 }, 'w1')],
      'w1',
    ),
    encodePresence({ ...(await presence([await address()], 'w2')), wallet: (await signer('w0')).address }),
    await packet([forged(await address({}, 'w3'))], 'w3'),
    await packet([await address({}, 'w4'), await address({ device: device(2) }, 'w4')], 'w4'),
    // Of the first packet's wallet again: another device, and the known one.
    await packet([await address({ device: device(7) })]),
    await packet([await address({ timestamp: T0 + 1 })]),
    encodePresence(await presence([])),
    await packet([await address({ type: 'Z' }, 'w5')], 'w5'),
  ];
}

describe('presences in a batch', () => {
  it('one call of the engine, and what would have come of each alone', async () => {
    const messages = await mixture();
    const alone = new Bench(await engine());
    const expected = [];
    for (const m of messages) expected.push(await alone.service.receivePresence(m));
    const calls = new CallsEngine(await engine());
    const b = new Bench(await engine(), { engine: calls });
    expect(await b.service.receivePresences(messages)).toEqual(expected);
    expect(expected.map((o) => (o.kind === 'refused' ? o.reason : o.kind))).toEqual([
      'changed',
      'malformed',
      'changed',
      'foreign-key',
      'no-address',
      'changed',
      'changed',
      'unchanged',
      'no-address',
      'no-address',
    ]);
    // 1 + 1 + 1 + 2 + 1, and the one that only the verdicts show to be known.
    expect(calls.calls).toEqual([7]);
    for (const who of ['w0', 'w1', 'w3', 'w4', 'w5'])
      expect(await held(b, who)).toEqual(await held(alone, who));
  });

  it.each([
    [[0, 2], 'changed', 'changed', T0 + 2],
    [[2, 0], 'changed', 'unchanged', T0 + 2],
  ] as const)('two of one device, %j s: the newest stays', async (seconds, first, second, last) => {
    const b = new Bench(await engine());
    const of = async (s: number) =>
      packet([await address({ timestamp: T0 + s, ...(s === 2 ? { hostname: OTHER_HOST } : {}) })]);
    const outcomes = await b.service.receivePresences([await of(seconds[0]), await of(seconds[1])]);
    expect(outcomes.map((o) => o.kind)).toEqual([first, second]);
    expect(await held(b)).toEqual([[1, OTHER_HOST, last]]);
  });

  it.each([true, false])(
    'with a keep-alive of the device at once, presence first: %s',
    async (presenceFirst) => {
      const b = new Bench(await engine());
      await b.seed([await address()]);
      b.now = T0 + 60;
      const newer = await packet([await address({ timestamp: T0 + 55, hostname: OTHER_HOST })]);
      const newest = await keepAlive({ timestamp: T0 + 60, hostname: OTHER_HOST });
      const both = [() => b.service.receivePresences([newer]), () => b.service.receiveKeepAlives([newest])];
      await Promise.all((presenceFirst ? both : both.reverse()).map((go) => go()));
      expect(await held(b)).toEqual([[1, OTHER_HOST, T0 + 60]]);
    },
  );

  it('an engine without a verdict costs those alone whose signatures it was asked about', async () => {
    const b = new Bench(await engine(), { engine: new CallsEngine(null) });
    const outcomes = await b.service.receivePresences(await mixture());
    expect(outcomes.map((o) => o.kind === 'refused' && o.reason)).toEqual([
      'engine',
      'malformed',
      'engine',
      'foreign-key',
      'engine',
      'engine',
      'engine',
      'engine',
      'no-address',
      'no-address',
    ]);
    // What was set aside before is told all the same.
    expect(outcomes[2]!.dropped).toEqual([{ device: device(2), reason: 'stale' }]);
    expect(b.store.addresses).toBe(0);
  });

  it('more than may wait: the first are verified, the others are busy, none is refused for good', async () => {
    const b = new Bench(await engine(), { pendingMax: 2 });
    const messages = await Promise.all(
      ['w0', 'w1', 'w2', 'w3'].map(async (who) => packet([await address({}, who)], who)),
    );
    const outcomes = await b.service.receivePresences(messages);
    expect(outcomes.map((o) => o.kind)).toEqual(['changed', 'changed', 'refused', 'refused']);
    expect(outcomes.slice(2).map((o) => o.dropped.map((d) => d.reason))).toEqual([['busy'], ['busy']]);
    const again = await b.service.receivePresences(messages.slice(2));
    expect(again.map((o) => o.kind)).toEqual(['changed', 'changed']);
  });

  it('nothing to verify asks no engine, and no messages give no outcomes', async () => {
    const calls = new CallsEngine(null);
    const b = new Bench(await engine(), { engine: calls });
    expect(await b.service.receivePresences([])).toEqual([]);
    expect((await b.service.receivePresences([Uint8Array.of(9)]))[0]!.kind).toBe('refused');
    expect(calls.calls).toEqual([]);
  });
});
