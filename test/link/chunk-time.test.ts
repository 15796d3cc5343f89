import { beforeAll, describe, expect, it } from 'vitest';
import type { VerifyEngine } from '../../src/identity/index.js';
import { chunkBegins, chunkEnds, chunkTime } from '../../src/link/chunk-time.js';
import { memoryPair } from '../../src/link/index.js';
import { Code, concatBytes, encodeFrame } from '../../src/wire/index.js';
import { engine, ManualClock, selfInfo, settle, until, Watched } from './support.js';

let verifier: VerifyEngine;
beforeAll(async () => {
  verifier = await engine();
});

/** Counts how often somebody asks. */
class CountingClock extends ManualClock {
  reads = 0;
  override nowMs(): number {
    this.reads++;
    return super.nowMs();
  }
}

async function openPair(onMessage: () => void) {
  const start = 1_767_225_600_000;
  const clock = new CountingClock(start);
  const other = new ManualClock(start);
  const [far, near] = memoryPair();
  const relay = new Watched(near, {
    clock,
    engine: verifier,
    direction: 'in',
    self: await selfInfo(clock, { wallet: 'w0' }),
    onMessage,
  });
  const client = new Watched(far, {
    clock: other,
    engine: verifier,
    direction: 'out',
    self: await selfInfo(other, { wallet: 'w1', nodeType: 'C', endpoint: { ip: '', port: 0 } }),
  });
  await until(() => relay.opened === 1 && client.opened === 1);
  return { clock, relay, far };
}

describe('time within a chunk', () => {
  it('is that of its arrival, for that clock alone and no longer', () => {
    const [a, b] = [new ManualClock(1_000), new ManualClock(5_000)];
    chunkBegins(a, 1_000);
    a.advance(7);
    expect([chunkTime(a), chunkTime(b)]).toEqual([1_000, 5_000]);
    chunkEnds();
    expect(chunkTime(a)).toBe(1_007);
  });

  it('costs one look at the clock for all messages that a chunk brings, answered ones too', async () => {
    let answer = (): void => undefined;
    const { clock, relay, far } = await openPair(() => answer());
    answer = () => void relay.link.send(Code.s2data, Uint8Array.of(1));
    const frame = encodeFrame(Code.s2data, new Uint8Array(40));
    const readsFor = async (frames: number): Promise<number> => {
      const before = relay.messages.length;
      clock.reads = 0;
      far.write(concatBytes(...Array.from({ length: frames }, () => frame)));
      await until(() => relay.messages.length === before + frames);
      return clock.reads;
    };
    await readsFor(1);
    const one = await readsFor(1);
    expect(one).toBeGreaterThan(0);
    expect(await readsFor(200)).toBeLessThan(one + 20);
  });

  it('is over when a chunk breaks a rule in the middle', async () => {
    const { clock, relay, far } = await openPair(() => undefined);
    const header = encodeFrame(Code.s2data, new Uint8Array(40)).slice(0, 12);
    // Announces 4 GB.
    header.fill(0xff, 3, 7);
    header[11] = header.subarray(0, 11).reduce((x, b) => x ^ b, 0x7f);
    far.write(header);
    await until(() => relay.closed !== null);
    expect(relay.closed?.why).toBe('frame-too-large');
    clock.advance(50);
    await settle();
    expect(chunkTime(clock)).toBe(clock.nowMs());
  });
});
