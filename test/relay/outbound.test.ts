import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/clock/index.js';
import {
  type Candidate,
  type DialEvents,
  OutboundManager,
  type OutboundOptions,
} from '../../src/relay/outbound.js';
import { Bye } from '../../src/wire/index.js';
import { closeOf, FakeLink } from './fakes.js';

interface Dial {
  readonly host: string;
  readonly events: DialEvents;
  readonly link: FakeLink;
  /** The connection came about. */
  connect(): Promise<void>;
  fail(): Promise<void>;
  /** Connection and handshake. */
  open(): Promise<void>;
  close(why: Parameters<typeof closeOf>[0], byeCode?: number): Promise<void>;
}

const settle = async (): Promise<void> => {
  for (let i = 0; i < 4; i++) await Promise.resolve();
};

let clock: ManualClock;
let dials: Dial[];
let candidates: string[];
let givenUp: string[];
let manager: OutboundManager;

function make(target: number, over: Partial<OutboundOptions> = {}): void {
  clock = new ManualClock(1_000_000);
  dials = [];
  givenUp = [];
  manager = new OutboundManager({
    clock,
    target,
    random: () => 0.5,
    next: (skip) => {
      const host = candidates.find((h) => !skip(h));
      return host === undefined ? null : { host, wallet: null };
    },
    excluded: () => false,
    dial: (c: Candidate, events: DialEvents) =>
      new Promise((resolve, reject) => {
        const link = new FakeLink();
        const d: Dial = {
          host: c.host,
          events,
          link,
          connect: async () => {
            resolve(link.asLink());
            await settle();
          },
          fail: async () => {
            reject(new Error('refused'));
            await settle();
          },
          open: async () => {
            await d.connect();
            events.onOpen(link.asLink());
          },
          close: async (why, byeCode) => {
            link.isOpen = false;
            events.onClose(link.asLink(), closeOf(why, byeCode ?? null));
            await settle();
          },
        };
        dials.push(d);
      }),
    onGivenUp: (h) => givenUp.push(h),
    ...over,
  });
  manager.start();
}

const dialled = (): string[] => dials.map((d) => d.host);

beforeEach(() => {
  candidates = ['a:1', 'b:1', 'c:1', 'd:1', 'e:1'];
});

describe('03 §5.1 outbound connections', () => {
  it('dials at once, three at a time, until the target is reached', async () => {
    make(4);
    expect(dialled()).toEqual(['a:1', 'b:1', 'c:1']);
    await dials[0]!.open();
    clock.advance(1_999);
    expect(dialled().length).toBe(4);
    for (const d of dials.slice(1)) await d.open();
    clock.advance(60_000);
    expect([dialled(), manager.links.length]).toEqual([['a:1', 'b:1', 'c:1', 'd:1'], 4]);
  });

  it('passes come every 2 s, every 200 ms while nobody is connected', async () => {
    candidates = [];
    make(3);
    candidates = ['a:1'];
    clock.advance(199);
    expect(dialled()).toEqual([]);
    clock.advance(1);
    expect(dialled()).toEqual(['a:1']);
    await dials[0]!.open();
    clock.advance(200);
    candidates = ['a:1', 'b:1'];
    clock.advance(1_999);
    expect(dialled()).toEqual(['a:1']);
    clock.advance(1);
    expect(dialled()).toEqual(['a:1', 'b:1']);
  });

  it('gives an endpoint up after three attempts, the first included, and says so', async () => {
    candidates = ['a:1'];
    make(1);
    await dials[0]!.fail();
    candidates = [];
    clock.advance(1_400);
    expect(dials.length).toBe(1);
    clock.advance(200);
    expect(dials.length).toBe(2);
    await dials[1]!.fail();
    clock.advance(2_800);
    expect(dials.length).toBe(2);
    clock.advance(400);
    expect(dials.length).toBe(3);
    expect([givenUp, manager.hosts]).toEqual([[], ['a:1']]);
    await dials[2]!.fail();
    expect([givenUp, manager.hosts]).toEqual([['a:1'], []]);
    clock.advance(60_000);
    expect(dials.length).toBe(3);
  });

  it('a lost connection is dialled again, and one that is lost each time is given up', async () => {
    candidates = ['a:1'];
    make(1);
    await dials[0]!.open();
    await dials[0]!.close('remote-end');
    expect(manager.links).toEqual([]);
    clock.advance(2_000);
    expect(dials.length).toBe(2);
    await dials[1]!.open();
    expect(manager.links.length).toBe(1);
    await dials[1]!.close('silence');
    clock.advance(4_000);
    await dials[2]!.open();
    await dials[2]!.close('transport-error');
    expect(givenUp).toEqual(['a:1']);
  });

  it('a bye of either side removes the endpoint without rating it', async () => {
    make(2);
    await dials[0]!.open();
    await dials[1]!.open();
    candidates = [];
    await dials[0]!.close('bye-received', 200);
    await dials[1]!.close('bye-sent', 200);
    expect([manager.hosts, givenUp]).toEqual([[], []]);
    clock.advance(60_000);
    expect(dials.length).toBe(2);
  });

  it('a refused handshake counts as a bye', async () => {
    make(1);
    await dials[0]!.connect();
    await dials[0]!.close('bye-received', 605);
    expect(manager.hosts).toEqual([]);
  });

  it('a link that ended before the dial was told is dialled again', async () => {
    candidates = ['a:1'];
    make(1);
    await dials[0]!.close('remote-end');
    await dials[0]!.connect();
    clock.advance(2_000);
    expect(dials.length).toBe(2);
  });

  it('above the target the first one gets bye 200', async () => {
    let explore = false;
    make(2, { random: () => (explore ? 0.0099 : 0.01) });
    await dials[0]!.open();
    await dials[1]!.open();
    clock.advance(10_000);
    expect(dials.length).toBe(2);
    explore = true;
    clock.advance(2_000);
    expect(dials.length).toBe(3);
    explore = false;
    await dials[2]!.open();
    clock.advance(2_000);
    expect(dials.map((d) => d.link.byes)).toEqual([[Bye.bye], [], []]);
    await dials[0]!.close('bye-sent', 200);
    clock.advance(10_000);
    expect(dials.map((d) => d.link.byes.length)).toEqual([1, 0, 0]);
    expect(manager.hosts).toEqual(['b:1', 'c:1']);
  });

  it('neither connected hosts nor excluded ones are candidates', () => {
    make(5, { excluded: (h) => h === 'b:1' || h === 'd:1' });
    clock.advance(1_000);
    expect(dialled()).toEqual(['a:1', 'c:1', 'e:1']);
  });

  it('rule 3: who is not kept gets bye 200', async () => {
    const unwanted = new Set<number>();
    make(2, { keeps: (l) => !unwanted.has(l.id) });
    await dials[0]!.open();
    await dials[1]!.open();
    unwanted.add(dials[1]!.link.id);
    clock.advance(2_000);
    expect(dials.map((d) => d.link.byes)).toEqual([[], [Bye.bye]]);
  });

  it('stopping says bye, also to a connection that comes about afterwards', async () => {
    make(2);
    await dials[0]!.open();
    manager.stop();
    await dials[1]!.connect();
    expect(dials.map((d) => d.link.byes)).toEqual([[Bye.bye], [Bye.bye]]);
    clock.advance(60_000);
    expect(dials.length).toBe(2);
  });
});
