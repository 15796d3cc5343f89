import { afterEach, describe, expect, it } from 'vitest';
import { sectorPrefix } from '../../src/identity/index.js';
import { decodeKeepAlive, decodePow, decodePresence } from '../../src/presence/index.js';
import {
  bytesEqual,
  Code,
  CuckooFilter,
  decodeBalance2,
  decodeGetPresence2,
  decodeKeepAlivesChunk,
  decodeNameRecord,
  decodeSectorNodes,
  EventType,
  encodeAttachEvent,
  encodeGetBalance2,
  encodeGetKeepAlives,
  encodeGetNameRecord,
  encodeGetPresence2,
  encodeGetRandomPresences,
  encodeGetSectorNodes,
  toHex,
} from '../../src/wire/index.js';
import { Guest, START_MS, type Stage, settle, stage, until, wallet } from './support.js';

let s: Stage;
afterEach(() => s.coordinator.stop());

const ask = (g: Guest, max: number): void =>
  g.send(Code.getSectorNodes, encodeGetSectorNodes({ prefix: sectorPrefix(g.signer.address), max }));

describe('coordinator level L0 (09 §14)', () => {
  it('row 1: answers a hello as M, with height, 64-byte checksum, version 12 and the observed endpoint', async () => {
    s = await stage({ genesisBlocks: 5 });
    const r = await Guest.dial(s, 'bob', 'R', 4711);
    const peer = r.link.peer!;
    expect(peer.nodeType).toBe('M');
    expect(peer.verified).toBe('signature');
    expect(peer.lastBlock!.number).toBe(5);
    expect(peer.lastBlock!.version).toBe(12);
    expect(toHex(peer.lastBlock!.checksum)).toBe(toHex(s.coordinator.checksum(5)));
    expect(peer.reportedEndpoint).toBe('127.0.0.1:4711');
    expect(s.events).toContainEqual(expect.objectContaining({ kind: 'peer-open', type: 'R' }));
  });

  it('row 1: takes clients, with and without a relay, and does not probe relays', async () => {
    s = await stage();
    const [c, r] = await Promise.all([Guest.dial(s, 'carol', 'C', 0), Guest.dial(s, 'bob', 'R', 1)]);
    expect(c.link.isOpen).toBe(true);
    expect(r.link.isOpen).toBe(true);
    expect(s.coordinator.peers).toBe(2);
  });

  it('row 2: asks an unknown relay for its presence at the hello, and lists it', async () => {
    s = await stage();
    const r = await Guest.dial(s, 'bob', 'R', 4711);
    expect(toHex(decodeGetPresence2(await r.next(Code.getPresence2)))).toBe(toHex(r.signer.address));
    await r.sendPresence();
    await until(() => s.coordinator.relays.length === 1, 'relay listed');
    expect(toHex(s.coordinator.relays[0]!)).toBe(toHex(r.signer.address));
    const again = await Guest.dial(s, 'bob', 'R', 4711);
    await settle(20);
    expect(again.count(Code.getPresence2)).toBe(0);
  });

  it('row 2: drops a keep-alive of an unknown wallet and asks the sender, a client too', async () => {
    s = await stage();
    const c = await Guest.dial(s, 'carol', 'C', 0);
    await settle(20);
    expect(c.count(Code.getPresence2)).toBe(0);
    await c.sendKeepAlive();
    expect(toHex(decodeGetPresence2(await c.next(Code.getPresence2)))).toBe(toHex(c.signer.address));
    await c.sendPresence();
    // The signature is checked meanwhile; until then the wallet is a stranger.
    await until(() => {
      c.send(Code.getPresence2, encodeGetPresence2(c.signer.address));
      return c.count(Code.updatePresence) > 0;
    });
    const kept = decodePresence(await c.next(Code.updatePresence));
    expect(toHex(kept.wallet)).toBe(toHex(c.signer.address));
    expect(kept.addresses[0]!.type).toBe('C');
  });

  it('row 2: forgets a relay 300 to 310 s after its last keep-alive', async () => {
    s = await stage({ blockIntervalMs: 1_000_000_000 });
    const r = await Guest.dial(s, 'bob', 'R', 4711);
    await r.sendPresence();
    await until(() => s.coordinator.relays.length === 1);
    await s.pass(100);
    await r.sendKeepAlive();
    await settle(20);
    await s.pass(295);
    expect(s.coordinator.relays.length).toBe(1);
    await s.pass(15);
    expect(s.coordinator.relays.length).toBe(0);
    expect(s.events.at(-1)).toMatchObject({ kind: 'relay-gone' });
  }, 30_000);

  it('row 3: names a single relay twice, several once each, none as an empty list', async () => {
    s = await stage();
    const c = await Guest.dial(s, 'carol', 'C', 0);
    ask(c, 6);
    const empty = decodeSectorNodes(await c.next(Code.sectorNodes));
    expect(empty.presences).toEqual([]);
    expect(bytesEqual(empty.prefix, sectorPrefix(c.signer.address))).toBe(true);

    const r1 = await Guest.dial(s, 'bob', 'R', 4711);
    await r1.sendPresence();
    await until(() => s.coordinator.relays.length === 1);
    ask(c, 6);
    const single = decodeSectorNodes(await c.next(Code.sectorNodes)).presences;
    expect(single.length).toBe(2);
    expect(toHex(single[0]!)).toBe(toHex(single[1]!));
    const p = decodePresence(single[0]!);
    expect(toHex(p.wallet)).toBe(toHex(r1.signer.address));
    expect(p.addresses[0]!.hostname).toBe('127.0.0.1:4711');

    const r2 = await Guest.dial(s, 'dave', 'R', 4712);
    await r2.sendPresence();
    await until(() => s.coordinator.relays.length === 2);
    for (const max of [0, 1, 2, 6, 300]) {
      ask(c, max);
      const both = decodeSectorNodes(await c.next(Code.sectorNodes)).presences.map((x) =>
        toHex(decodePresence(x).wallet),
      );
      expect(new Set(both)).toEqual(new Set([r1, r2].map((x) => toHex(x.signer.address))));
      expect(both.length).toBe(2);
    }
  });

  it('row 4: answers every balance with 0 and its height, the address as it was asked', async () => {
    s = await stage({ genesisBlocks: 3 });
    const r = await Guest.dial(s, 'bob', 'R', 4711);
    r.send(Code.getBalance2, encodeGetBalance2(r.signer.address));
    const b = decodeBalance2(await r.next(Code.balance2));
    expect(b.balance).toBe(0n);
    expect(b.height).toBe(3);
    expect(toHex(b.blockChecksum!)).toBe(toHex(s.coordinator.checksum(3)));
    expect(toHex(b.address)).toBe(toHex(r.signer.address));
  });

  it('row 5: knows its own presence, and is silent about strangers', async () => {
    s = await stage();
    const r = await Guest.dial(s, 'bob', 'R', 4711);
    r.send(Code.getPresence2, encodeGetPresence2((await wallet('dave')).address));
    r.send(Code.getPresence2, encodeGetPresence2(s.coordinator.address));
    const p = decodePresence(await r.next(Code.updatePresence));
    expect(toHex(p.wallet)).toBe(toHex(s.coordinator.address));
    expect(p.addresses.length).toBe(1);
    expect(p.addresses[0]!.type).toBe('M');
    expect(p.addresses[0]!.hostname).toBe(`127.0.0.1:${s.coordinator.port}`);
    expect(decodePow(p.addresses[0]!.pow!).block).toBe(1n);
    expect(r.count(Code.updatePresence)).toBe(1);
  });

  it('row 6: offers itself to whoever asks for masters, and no clients to anybody', async () => {
    s = await stage();
    const r = await Guest.dial(s, 'bob', 'R', 4711);
    r.send(Code.getRandomPresences, encodeGetRandomPresences('C'));
    r.send(Code.getRandomPresences, encodeGetRandomPresences('H'));
    r.send(Code.getRandomPresences, encodeGetRandomPresences('M'));
    expect(toHex(decodePresence(await r.next(Code.updatePresence)).wallet)).toBe(
      toHex(s.coordinator.address),
    );
    expect(r.count(Code.updatePresence)).toBe(1);
  });

  it('rows 7 and 10: takes events, inventory, stream messages and unknown codes without a word', async () => {
    s = await stage();
    const r = await Guest.dial(s, 'bob', 'R', 4711);
    await r.next(Code.getPresence2);
    const before = r.received.length;
    const filter = CuckooFilter.build([r.signer.address]).encode();
    r.send(Code.attachEvent, encodeAttachEvent({ type: EventType.transactionFrom, filter }));
    r.send(Code.inventory2, Uint8Array.of(1, 2, 9, 9));
    r.send(Code.s2data, new Uint8Array(50));
    r.send(Code.transactionData2, new Uint8Array(50));
    r.send(99, Uint8Array.of(1));
    r.send(Code.getSectorNodes, Uint8Array.of(3, 1, 2));
    r.send(Code.getBalance2, encodeGetBalance2(r.signer.address));
    await r.next(Code.balance2);
    expect(r.received.length).toBe(before + 1);
    expect(r.closed).toBeNull();
    expect(s.events.filter((e) => e.kind === 'malformed').length).toBe(1);
  });

  it('row 8: gives keep-alives it holds', async () => {
    s = await stage();
    const r = await Guest.dial(s, 'bob', 'R', 4711);
    await r.sendPresence();
    await until(() => s.coordinator.relays.length === 1);
    r.send(
      Code.getKeepAlives,
      encodeGetKeepAlives([{ address: r.signer.address, device: Uint8Array.of(1) }]),
    );
    const [ka] = decodeKeepAlivesChunk(await r.next(Code.keepAlivesChunk));
    expect(toHex(decodeKeepAlive(ka!).wallet)).toBe(toHex(r.signer.address));
  });

  it('row 9: says that a name holds nothing', async () => {
    s = await stage();
    const r = await Guest.dial(s, 'bob', 'R', 4711);
    const name = new Uint8Array(65).fill(7);
    r.send(Code.getNameRecord, encodeGetNameRecord({ name, record: null }));
    const answer = decodeNameRecord(await r.next(Code.nameRecord));
    expect(answer.records).toEqual([]);
    expect(toHex(answer.name)).toBe(toHex(name));
  });

  it('row 11: sends its own keep-alive to every peer each 100 s, newer each time', async () => {
    s = await stage({ blockIntervalMs: 1_000_000_000 });
    const [r, c] = [await Guest.dial(s, 'bob', 'R', 4711), await Guest.dial(s, 'carol', 'C', 0)];
    await s.pass(99);
    expect(r.count(Code.keepAlivePresence)).toBe(0);
    for (const n of [1, 2]) {
      await s.pass(n === 1 ? 1 : 100);
      await until(
        () => r.count(Code.keepAlivePresence) === n && c.count(Code.keepAlivePresence) === n,
        `keep-alive ${n}`,
      );
    }
    const times = r.received
      .filter((m) => m.code === Code.keepAlivePresence)
      .map((m) => decodeKeepAlive(m.payload).timestamp - START_MS / 1000);
    expect(times).toEqual([100, 200]);
  }, 30_000);

  it('ends its connections with bye 200 when it stops', async () => {
    s = await stage();
    const r = await Guest.dial(s, 'bob', 'R', 4711);
    await s.coordinator.stop();
    await until(() => r.closed !== null);
    expect(r.byeCode).toBe(200);
  });
});
