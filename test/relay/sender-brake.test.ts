import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/clock/index.js';
import { Counters } from '../../src/counters/index.js';
import type { RelayPeer } from '../../src/relay/peer.js';
import { brakeBytes, brakeHeldMsMax, brakeMsMax, SenderBrake } from '../../src/relay/sender-brake.js';

/** What the brake looks at of a connection. */
function peer(): { peer: RelayPeer; link: { queuedBytes: number; isClosed: boolean; paused: boolean } } {
  const link = {
    queuedBytes: 0,
    isClosed: false,
    paused: false,
    get isFlushed() {
      return link.queuedBytes === 0;
    },
    pause: () => {
      link.paused = true;
    },
    resume: () => {
      link.paused = false;
    },
  };
  return { peer: { link, isClient: true } as unknown as RelayPeer, link };
}

describe('SenderBrake', () => {
  const setUp = () => {
    const clock = new ManualClock(1_000_000);
    const counted = new Counters().counter('held', 'senders held');
    return { clock, brake: new SenderBrake(clock, counted), counted, from: peer(), to: peer() };
  };

  it('holds a sender whose receiver has much waiting, until half of it has gone', () => {
    const { clock, brake, counted, from, to } = setUp();
    to.link.queuedBytes = brakeBytes - 1;
    brake.sent(from.peer, to.peer);
    expect(from.link.paused).toBe(false);
    to.link.queuedBytes = brakeBytes;
    brake.sent(from.peer, to.peer);
    expect(from.link.paused).toBe(true);
    expect(counted.value).toBe(1);
    to.link.queuedBytes = brakeBytes / 2 + 1;
    clock.advance(10);
    expect(from.link.paused).toBe(true);
    to.link.queuedBytes = brakeBytes / 2;
    clock.advance(10);
    expect(from.link.paused).toBe(false);
    expect(brake.held).toBe(0);
  });

  it('holds nobody for a receiver that takes nothing, until it has taken everything', () => {
    const { clock, brake, from, to } = setUp();
    to.link.queuedBytes = brakeBytes;
    brake.sent(from.peer, to.peer);
    clock.advance(brakeMsMax - 10);
    expect(from.link.paused).toBe(true);
    clock.advance(20);
    expect(from.link.paused).toBe(false);
    brake.sent(from.peer, to.peer);
    expect(from.link.paused).toBe(false);
    to.link.queuedBytes = 0;
    clock.advance(10);
    to.link.queuedBytes = brakeBytes;
    brake.sent(from.peer, to.peer);
    expect(from.link.paused).toBe(true);
  });

  it('holds nobody for long for a receiver that takes little', () => {
    const { clock, brake, from, to } = setUp();
    to.link.queuedBytes = 2 * brakeBytes;
    brake.sent(from.peer, to.peer);
    for (let ms = 0; ms < brakeHeldMsMax; ms += 500) {
      expect(from.link.paused).toBe(true);
      to.link.queuedBytes--;
      clock.advance(500);
    }
    clock.advance(500);
    expect(from.link.paused).toBe(false);
  });

  it('lets go when the receiver ends', () => {
    const { clock, brake, from, to } = setUp();
    to.link.queuedBytes = brakeBytes;
    brake.sent(from.peer, to.peer);
    to.link.isClosed = true;
    clock.advance(10);
    expect(from.link.paused).toBe(false);
  });
});
