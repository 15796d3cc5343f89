import { afterEach, describe, expect, it } from 'vitest';
import { ManualClock, systemClock } from '../../src/clock/index.js';
import { Counters } from '../../src/counters/index.js';
import { dialTcp } from '../../src/link/node/index.js';
import { awayMax, moveClients } from '../../src/operator/index.js';
import { Departed, departedMax, departedMs } from '../../src/relay/departed.js';
import type { Relay } from '../../src/relay/index.js';
import { backMs, Moves } from '../../src/relay/moves.js';
import { type Parked, ParkedMessages, parkedBytesMax, parkedMax, parkedMs } from '../../src/relay/parked.js';
import type { SessionPeer } from '../../src/relay/sessions.js';
import { TicketKeys, ticketKeySeconds, ticketKeysMax } from '../../src/relay/ticket-keys.js';
import { Bye, Code } from '../../src/wire/index.js';
import { type Pocket, pocketOf } from '../link/resumption-support.js';
import { engine, selfInfo, Watched } from '../link/support.js';
import { connect, until } from '../relay/support.js';
import { clientAt, failures, got, message, type Stage, stage, stopStages, told, total } from './support.js';

afterEach(stopStages);

describe('moving on', () => {
  it('loses nothing of either side: queues leave before the bye, what follows it is still taken', async () => {
    const s = await stage(2);
    const a = await clientAt(s, 0, 'w1');
    const b = await clientAt(s, 1, 'w2');
    await told(s, 2);
    const id = s.relays[0]!.control.clientIds()[0]!;
    b.link.send(Code.s2data, await message('w2', 'w1', 1));
    await until('before', () => got(a) === 1);
    for (let n = 1; n <= 20; n++) a.link.send(Code.s2data, await message('w1', 'w2', n));
    expect(s.relays[0]!.control.moveOn(id)).toBe(true);
    await until('all of it', () => got(b) === 20);
    await until('told to go', () => a.closed?.byeCode === Bye.bye);
    s.next = 1;
    const again = await connect(s.front, { wallet: 'w1' });
    await until('back elsewhere', () => again.opened > 0);
    b.link.send(Code.s2data, await message('w2', 'w1', 2));
    await until('found', () => got(again) === 1);
  });

  it('what is sent behind the bye waits for its receiver, which moves too', async () => {
    const s = await stage(2);
    const a = await clientAt(s, 0, 'w1');
    const b = await clientAt(s, 0, 'w2');
    await told(s, 2);
    const { control } = s.relays[0]!;
    const [first, second] = control.clientIds() as [number, number];
    control.moveOn(second);
    await until('gone', () => b.closed !== null);
    a.link.send(Code.s2data, await message('w1', 'w2', 7));
    control.moveOn(first);
    await until('parked', () => total(s, 'ixian_messages_parked_total', { result: 'delivered' }) === 0);
    await until('gone too', () => a.closed !== null);
    const again = await clientAt(s, 1, 'w2');
    await until('delivered elsewhere', () => got(again) === 1);
    expect(total(s, 'ixian_messages_parked_total', { result: 'given_up' })).toBe(0);
  });

  it('what is parked when its process ends waits on in another one', async () => {
    const s = await stage(3);
    const a = await clientAt(s, 0, 'w1');
    await told(s, 1);
    const { control } = s.relays[0]!;
    a.link.send(Code.s2data, await message('w1', 'w2', 7));
    control.moveOn(control.clientIds()[0]!);
    await until('gone', () => a.closed !== null && control.clientsConnected === 0);
    await s.relays[0]!.stop();
    await s.buses[0]!.close();
    expect(total(s, 'ixian_messages_parked_total', { result: 'handed_over' })).toBe(1);
    const again = await clientAt(s, 1, 'w2');
    await until('delivered', () => got(again) === 1);
  });

  it('whose receiver does not come back is told to the sender where it is now', async () => {
    const clock = new ManualClock(Date.now());
    const s = await stage(2, { clock });
    const a = await clientAt(s, 0, 'w1');
    await told(s, 1);
    const { control } = s.relays[0]!;
    a.link.send(Code.s2data, await message('w1', 'w2', 7));
    control.moveOn(control.clientIds()[0]!);
    await until('gone', () => a.closed !== null);
    const again = await clientAt(s, 1, 'w1');
    await told(s, 1);
    expect(failures(again)).toEqual([]);
    // In steps, or the connections of both ends would be silent for too long.
    for (let ms = 0; ms <= parkedMs; ms += 500) {
      clock.advance(500);
      await new Promise((r) => setTimeout(r, 1));
      again.link.send(Code.getPresence2, new Uint8Array(1));
    }
    await until('told', () => failures(again).includes('070007'));
    expect(total(s, 'ixian_messages_parked_total', { result: 'sender_told' })).toBe(1);
  });

  it('is paced by those who came back elsewhere', async () => {
    const ids = Array.from({ length: 500 }, (_, i) => i);
    let away = 0;
    const told_: number[] = [];
    const control = {
      clientIds: () => ids,
      moveOn: () => {
        told_.push(ids.shift()!);
        away++;
        return true;
      },
      get away() {
        return away;
      },
      clientsConnected: 0,
    };
    const clock = new ManualClock();
    const done = moveClients({ control } as unknown as Relay, 120, clock);
    clock.advance(100);
    expect(told_.length).toBe(awayMax);
    clock.advance(100);
    expect(told_.length).toBe(awayMax);
    away -= 10;
    clock.advance(50);
    expect(told_.length).toBe(awayMax + 10);
    // Nobody comes: they are told all the same, over the seconds given.
    clock.advance(60_000);
    expect(told_.length).toBeGreaterThanOrEqual(250);
    expect(told_.length).toBeLessThan(260);
    clock.advance(60_000);
    await done;
    expect([told_.length, ids.length]).toEqual([500, 0]);
  });
});

describe('clients that are away', () => {
  const peer = (wallet: number, device: number): SessionPeer => ({
    id: 1,
    sourceAddress: '127.0.0.1',
    info: {
      address: new Uint8Array(45).fill(wallet),
      deviceId: Uint8Array.of(device),
      verified: 'signature',
    },
  });
  it('are counted by wallet and device until they come or too much time has gone', () => {
    const m = new Moves();
    m.told(peer(1, 1), 0);
    m.told(peer(1, 2), 1);
    m.told(peer(2, 1), 2);
    m.came(peer(3, 1));
    expect(m.away(3)).toBe(3);
    m.came(peer(1, 2));
    expect(m.away(3)).toBe(2);
    expect(m.away(backMs)).toBe(1);
    expect(m.away(backMs + 2)).toBe(0);
  });
  it('and those who went are remembered, within a bound of number and time', () => {
    const d = new Departed();
    const client = { address: new Uint8Array(45), deviceId: new Uint8Array(1) };
    d.add(1, client, 0);
    expect(d.get(1)).toMatchObject(client);
    for (let id = 2; id <= departedMax + 1; id++) d.add(id, client, 1);
    expect([d.get(1), d.get(2) !== null]).toEqual([null, true]);
    d.add(0, client, departedMs + 1);
    expect([d.get(2), d.get(departedMax + 1)]).toEqual([null, null]);
  });
});

describe('parked messages', () => {
  const made = (deliver: (p: Parked) => boolean, tell = (_: Parked) => false) => {
    const clock = new ManualClock();
    const counters = new Counters();
    const parked = new ParkedMessages(clock, counters, {
      receiverOf: (payload) => String(payload[0]),
      deliver,
      tell,
    });
    const count = (result: string) => counters.counter('ixian_messages_parked_total', '', { result }).value;
    return { clock, parked, count };
  };
  it('go to their receiver when it comes, and to nobody else', () => {
    let there = false;
    const { parked, count } = made(() => there);
    parked.add(Uint8Array.of(1), 1);
    parked.add(Uint8Array.of(2), 1);
    parked.came('1');
    expect(parked.size).toBe(2);
    there = true;
    parked.came('1');
    expect([parked.size, count('delivered')]).toEqual([1, 1]);
  });
  it('are bounded in number and bytes; what has no room is told at once, or lost and counted', () => {
    let told = true;
    const { parked, count } = made(
      () => false,
      () => told,
    );
    for (let i = 0; i < parkedMax; i++) expect(parked.add(Uint8Array.of(1), 1)).toBe(true);
    expect(parked.add(Uint8Array.of(1), 1)).toBe(true);
    told = false;
    expect(parked.add(Uint8Array.of(1), 1)).toBe(false);
    expect([parked.size, count('no_room_told'), count('no_room')]).toEqual([parkedMax, 1, 1]);
    const big = made(() => false);
    expect(big.parked.add(new Uint8Array(parkedBytesMax), 1)).toBe(true);
    expect(big.parked.add(new Uint8Array(1), 1)).toBe(false);
  });
  it('end after a while: the sender is told, or it is counted', () => {
    const { clock, parked, count } = made(
      () => false,
      (p) => p.senderId === 1,
    );
    parked.add(Uint8Array.of(1), 1);
    parked.add(Uint8Array.of(1), 2);
    clock.advance(parkedMs);
    expect(parked.size).toBe(2);
    clock.advance(1_000);
    expect([parked.size, count('sender_told'), count('given_up')]).toEqual([0, 1, 1]);
  });
});

describe('tickets between processes', () => {
  const client = async (s: Stage, process: number, pocket: Pocket): Promise<Watched> => {
    s.next = process;
    const { port } = s.front;
    const w = new Watched(await dialTcp({ host: '127.0.0.1', port }), {
      direction: 'out',
      self: await selfInfo(systemClock, {
        wallet: 'w1',
        nodeType: 'C',
        endpoint: { ip: '127.0.0.1', port },
        deviceId: Uint8Array.of(9),
      }),
      clock: systemClock,
      engine: await engine(),
      policy: { expectedEndpoints: [`127.0.0.1:${port}`] },
      tickets: pocket,
    });
    await until('open', () => w.opened > 0);
    return w;
  };
  const resumed = (s: Stage) => total(s, 'ixian_resumptions_total', { result: 'resumed' });

  it('one of any process is good at every other, also at one that came later', async () => {
    const s = await stage(2);
    const pocket = await pocketOf('w1');
    (await client(s, 0, pocket)).link.destroy();
    await until('ticket', () => pocket.held !== null);
    for (const [n, process] of [1, 2, 0].entries()) {
      if (process === 2) await s.add();
      const again = await client(s, process, pocket);
      await until('resumed', () => resumed(s) === n + 1);
      again.link.destroy();
    }
    expect(total(s, 'ixian_hello_signatures_total', { result: 'signed' })).toBe(1);
  });

  it('keys made in several processes at one moment are one list in all, newest first', async () => {
    let now = 1_800_000_000;
    const open = () =>
      TicketKeys.open(
        null,
        () => now,
        () => undefined,
      );
    const [a, b] = [await open(), await open()];
    const exchange = () => {
      const [ours, theirs] = [a.all, b.all];
      a.learn(theirs);
      b.learn(ours);
    };
    exchange();
    expect(a.current().id).toBe(b.current().id);
    const issuedWith = a.current().id;
    now += ticketKeySeconds;
    for (const k of [a, b]) k.current();
    exchange();
    expect(a.all.map((k) => k.id)).toEqual(b.all.map((k) => k.id));
    expect([a.byId(issuedWith), b.byId(issuedWith)].every((k) => k !== null)).toBe(true);
    now += ticketKeySeconds;
    a.current();
    expect(a.byId(issuedWith)).toBeNull();
    for (let i = 0; i < 2 * ticketKeysMax; i++) a.learn([...(await open()).all]);
    expect(a.all.length).toBe(ticketKeysMax);
  });

  it('the next key is made by the leader, and by others only when theirs is overdue', async () => {
    let now = 1_800_000_000;
    const keys = await TicketKeys.read({
      path: null,
      nowSeconds: () => now,
      onError: () => undefined,
      patienceSeconds: () => 60,
    });
    const { id } = keys.current();
    now += ticketKeySeconds + 59;
    expect(keys.current().id).toBe(id);
    now += 1;
    expect(keys.current().id).not.toBe(id);
  });
});
