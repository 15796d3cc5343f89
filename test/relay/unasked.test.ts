import { afterEach, expect, it } from 'vitest';
import { systemClock } from '../../src/clock/index.js';
import type { TransportListener } from '../../src/link/index.js';
import { listenTcp } from '../../src/link/node/tcp.js';
import type { Relay } from '../../src/relay/index.js';
import {
  Code,
  decodeBalance2,
  encodeGetBalance2,
  encodeGetPresence2,
  encodeNameRecord,
  FRAME_HEADER_BYTES,
  fromHex,
  toHex,
} from '../../src/wire/index.js';
import { engine, selfInfo, vectorFile, Watched } from '../link/support.js';
import { connected, startRelay, until } from './support.js';

interface Session {
  readonly connections: readonly {
    readonly records: readonly { readonly from: string; readonly code?: number; readonly hex: string }[];
  }[];
}

/** First recorded payload of that code from the reference master. */
function recorded(code: number): Uint8Array {
  const [c] = vectorFile<Session>('session-m-s2.json').connections;
  const r = c!.records.find((x) => x.from === 'listener' && x.code === code)!;
  return fromHex(r.hex).subarray(FRAME_HEADER_BYTES);
}

/** What a master answers, as recorded; of code 43 nothing was. */
const answers: readonly (readonly [string, number, Uint8Array])[] = [
  ['sectorNodes', Code.sectorNodes, recorded(Code.sectorNodes)],
  ['balance2', Code.balance2, recorded(Code.balance2)],
  [
    'nameRecord',
    Code.nameRecord,
    encodeNameRecord({ name: new Uint8Array(64).fill(7), records: [Uint8Array.of(1, 2)] }),
  ],
  ['pitData2', Code.pitData2, recorded(Code.pitData2)],
  ['rejected', Code.rejected, recorded(Code.rejected)],
  ['blockHeaders3', Code.blockHeaders3, recorded(Code.blockHeaders3)],
  ['blockHeaders4', Code.blockHeaders4, recorded(Code.blockHeaders4)],
  ['transactionsChunk3', Code.transactionsChunk3, recorded(Code.transactionsChunk3)],
  ['transactionData2', Code.transactionData2, recorded(Code.transactionData2)],
];

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

interface Master {
  readonly port: number;
  /** The relay's connection, once it came. */
  readonly link: () => Watched;
  readonly codes: () => number[];
}

/** A ledger node that answers nothing by itself. */
async function master(wallet: string): Promise<Master> {
  let watched: Watched | null = null;
  let listener: TransportListener | null = null;
  const shared = await engine();
  listener = await listenTcp({
    host: '127.0.0.1',
    port: 0,
    onConnection: (t) => {
      void selfInfo(systemClock, {
        wallet,
        nodeType: 'M',
        endpoint: { ip: '127.0.0.1', port: listener!.port },
        tip: () => ({ number: 10, checksum: new Uint8Array(64).fill(1), version: 13 }),
      }).then((self) => {
        watched = new Watched(t, { direction: 'in', self, clock: systemClock, engine: shared });
      });
    },
  });
  open.push(async () => {
    watched?.link.destroy();
    await listener!.close();
  });
  return {
    port: listener.port,
    link: () => watched!,
    codes: () => watched!.messages.map((m) => m.code),
  };
}

async function relayWith(...masters: Master[]): Promise<Relay> {
  const relay = await startRelay({
    standalone: false,
    seeds: masters.map((m) => ({ host: `127.0.0.1:${m.port}`, wallet: null })),
  });
  open.push(() => relay.stop());
  await until('ledger connections', () => relay.status().ledgerPeers === masters.length);
  return relay;
}

const wallet = decodeBalance2(recorded(Code.balance2)).address;

for (const [name, code, payload] of answers)
  it(`${name} without its question changes nothing and reaches nobody`, async () => {
    const m = await master('w3');
    const relay = await relayWith(m);
    const client = await connected(relay, { wallet: 'w1' });
    await until('headers asked', () => m.codes().includes(Code.getBlockHeaders3));
    // Headers were asked of the master on connecting: here they come from somebody who was not.
    const other = await connected(relay, { wallet: 'w2' });
    const before = { ...relay.status(), address: '' };
    const sender = code === Code.blockHeaders3 ? other : m.link();
    const asked = m.codes().length;
    sender.link.send(code, payload);
    // Behind it on the same connection: when this has been handled, so has the answer.
    sender.link.send(Code.getPresence2, encodeGetPresence2(relay.address));
    await until('handled', () => sender.messages.some((x) => x.code === Code.updatePresence));
    expect({ ...relay.status(), address: '' }).toEqual(before);
    expect(client.messages).toEqual([]);
    expect(m.codes().slice(asked)).toEqual(sender === other ? [] : [Code.updatePresence]);
    expect([client.closed, m.link().closed]).toEqual([null, null]);
  });

it('a balance nobody asked for is not remembered as an answer', async () => {
  const m = await master('w3');
  const relay = await relayWith(m);
  const client = await connected(relay, { wallet: 'w1' });
  m.link().link.send(Code.balance2, recorded(Code.balance2));
  m.link().link.send(Code.getPresence2, encodeGetPresence2(relay.address));
  await until('handled', () => m.codes().includes(Code.updatePresence));
  client.link.send(Code.getBalance2, encodeGetBalance2(wallet));
  await until('asked of the ledger', () => m.codes().includes(Code.getBalance2));
  expect(client.messages).toEqual([]);
  m.link().link.send(Code.balance2, recorded(Code.balance2));
  await until('answered', () => client.messages.length === 1);
  expect(toHex(client.messages[0]!.payload)).toBe(toHex(recorded(Code.balance2)));
});

it('an answer counts only from the ledger node that was asked', async () => {
  const [a, b] = [await master('w3'), await master('w4')];
  const relay = await relayWith(a, b);
  const client = await connected(relay, { wallet: 'w1' });
  client.link.send(Code.getBalance2, encodeGetBalance2(wallet));
  const askedOf = (): Master[] => [a, b].filter((m) => m.codes().includes(Code.getBalance2));
  await until('one is asked', () => askedOf().length === 1);
  const [right] = askedOf();
  const wrong = right === a ? b : a;
  wrong.link().link.send(Code.balance2, recorded(Code.balance2));
  wrong.link().link.send(Code.getPresence2, encodeGetPresence2(relay.address));
  await until('handled', () => wrong.codes().includes(Code.updatePresence));
  expect(client.messages).toEqual([]);
  right!.link().link.send(Code.balance2, recorded(Code.balance2));
  await until('answered', () => client.messages.length === 1);
  expect(client.messages.map((x) => x.code)).toEqual([Code.balance2]);
});
