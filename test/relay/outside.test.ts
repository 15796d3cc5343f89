import { afterEach, describe, expect, it } from 'vitest';
import { type Clock, ManualClock, systemClock } from '../../src/clock/index.js';
import { addressText } from '../../src/identity/index.js';
import { memoryPair, type Transport } from '../../src/link/index.js';
import { decodeKeepAlive, encodePresence, signKeepAlive } from '../../src/presence/index.js';
import type { Relay, RelayOptions } from '../../src/relay/index.js';
import { Bye, Code, decodeBye, NETWORKS, StreamParser } from '../../src/wire/index.js';
import { engine, selfInfo, signerOf, Watched } from '../link/support.js';
import { presenceFor, startRelay, until } from './support.js';

const relays: Relay[] = [];
async function relay(over: Partial<RelayOptions> & { wallet?: string }): Promise<Relay> {
  const r = await startRelay({ probePeers: false, host: '127.0.0.1', ...over });
  relays.push(r);
  return r;
}
afterEach(async () => {
  for (const r of relays.splice(0)) await r.stop();
});

/** Connects to the relay as if from that address. */
async function from(ip: string, r: Relay, wallet: string, port = 0): Promise<Watched> {
  const [mine, theirs] = memoryPair({ addresses: [ip, '127.0.0.1'] });
  r.accept(theirs);
  return new Watched(mine, {
    direction: 'out',
    self: await selfInfo(systemClock, {
      wallet,
      nodeType: 'C',
      endpoint: { ip: port === 0 ? '' : ip, port },
    }),
    clock: systemClock,
    engine: await engine(),
    policy: { expectedEndpoints: [`127.0.0.1:${r.port}`] },
  });
}

/** Everything the relay says to a connection that says nothing. */
function listen(r: Relay, ip: string): { times: number; byes: number[]; ended: boolean } {
  const heard = { times: 0, byes: [] as number[], ended: false };
  const [mine, theirs] = memoryPair({ addresses: [ip, '127.0.0.1'] });
  r.accept(theirs);
  const parser = new StreamParser();
  mine.start({
    data: (chunk) =>
      parser.push(chunk, {
        frame: (code, payload) => {
          if (code === Code.bye) heard.byes.push(decodeBye(payload).code);
        },
        time: () => {
          heard.times++;
        },
        byte: () => undefined,
      }),
    drain: () => undefined,
    close: () => {
      heard.ended = true;
    },
  });
  return heard;
}

/** Ledger nodes behind the relay's own dialling: by host, what each sees and says. */
interface Ledger {
  readonly wallet: string;
  /** Address the relay comes from, as this node sees it. */
  readonly sees: string;
  /** Seconds by which its clock is ahead. */
  readonly ahead?: number;
  readonly links: Watched[];
}

function dialling(
  ledgers: Record<string, Ledger>,
  clock: Clock,
  dialled: string[] = [],
): NonNullable<RelayOptions['dial']> {
  return async (host, port): Promise<Transport> => {
    dialled.push(`${host}:${port}`);
    const l = ledgers[host];
    if (l === undefined) throw new Error('nobody there');
    const [mine, theirs] = memoryPair({ addresses: [l.sees, host] });
    const self = await selfInfo(clock, { wallet: l.wallet, nodeType: 'M', endpoint: { ip: host, port } });
    l.links.push(
      new Watched(theirs, {
        direction: 'in',
        self: { ...self, networkTimeMs: () => clock.nowMs() + 1000 * (l.ahead ?? 0) },
        clock,
        engine: await engine(),
      }),
    );
    return mine;
  };
}

describe('03 §4.1 refused before the hello: a bye, no time records', () => {
  it('605 when the house is full, until somebody leaves', async () => {
    const r = await relay({ limits: { connectionsMax: 2 } });
    const [a, b] = [await from('10.0.0.1', r, 'w1'), await from('10.0.0.2', r, 'w2')];
    await until('open', () => a.opened === 1 && b.opened === 1);
    const full = listen(r, '10.0.0.3');
    await until('refused', () => full.ended);
    expect([full.byes, full.times]).toEqual([[Bye.rejected], 0]);
    a.link.destroy();
    await until('gone', () => r.status().connections <= 1);
    const fits = listen(r, '10.0.0.3');
    await until('greeted', () => fits.times === 5);
    expect(fits.byes).toEqual([]);
  });

  it('700 while it shuts down', async () => {
    const r = await relay({});
    const stopped = r.stop();
    const late = listen(r, '10.0.0.3');
    await until('refused', () => late.ended);
    expect([late.byes, late.times]).toEqual([[Bye.notReady], 0]);
    await stopped;
  });

  it('605 from a blacklisted range', async () => {
    const r = await relay({ blacklist: ['10.1.0.0/16'] });
    const [bad, good] = [listen(r, '10.1.2.3'), listen(r, '10.2.2.3')];
    await until('both', () => bad.ended && good.times === 5);
    expect([bad.byes, bad.times, good.byes]).toEqual([[Bye.rejected], 0, []]);
  });
});

describe('03 §3.5 step 7 blacklist', () => {
  it('605 for a wallet and for an endpoint, after the hello', async () => {
    const banned = addressText((await signerOf('w3')).address);
    const r = await relay({ blacklist: [banned, '10.2.0.1:77'] });
    const byWallet = await from('10.2.0.9', r, 'w3');
    const byEndpoint = await from('10.2.0.1', r, 'w2', 77);
    const other = await from('10.2.0.1', r, 'w2', 78);
    await until('judged', () => byWallet.closed !== null && byEndpoint.closed !== null && other.opened === 1);
    expect([byWallet.closed?.byeCode, byEndpoint.closed?.byeCode]).toEqual([Bye.rejected, Bye.rejected]);
  });

  it('such endpoints, addresses and wallets are not dialled', async () => {
    const dialled: string[] = [];
    const banned = (await signerOf('w3')).address;
    await relay({
      standalone: false,
      blacklist: ['10.3.0.1:5', '10.4.0.0/16', addressText(banned)],
      seeds: [
        { host: '10.3.0.1:5', wallet: null },
        { host: '10.4.9.9:5', wallet: null },
        { host: '10.5.0.1:5', wallet: banned },
        { host: '10.6.0.1:5', wallet: null },
      ],
      dial: dialling({}, systemClock, dialled),
    });
    await until('dialled', () => dialled.length > 0);
    await new Promise((r) => setTimeout(r, 300));
    expect(dialled).toEqual(['10.6.0.1:5']);
  });
});

describe('03 §5.6 ledger nodes met in presences', () => {
  it('are dialled, relays and clients are not', async () => {
    const dialled: string[] = [];
    const r = await relay({ standalone: false, dial: dialling({}, systemClock, dialled) });
    const c = await from('10.0.0.1', r, 'w1');
    await until('open', () => c.opened === 1);
    for (const [wallet, type, hostname, pow] of [
      ['w2', 'C', '10.7.0.2:10235', null],
      ['w3', 'M', '10.7.0.3:10234', Uint8Array.of(1, 1, 0, 0)],
    ] as const) {
      const signer = await signerOf(wallet);
      const timestamp = Math.floor(Date.now() / 1000);
      const fields = { device: Uint8Array.of(1), timestamp, hostname, type, pow };
      const ka = await signKeepAlive(fields, signer, NETWORKS.reg);
      c.link.send(Code.updatePresence, encodePresence(await presenceFor(wallet, ka)));
    }
    await until('dialled', () => dialled.length > 0);
    expect(r.status().presences).toBe(3);
    expect(new Set(dialled)).toEqual(new Set(['10.7.0.3:10234']));
  });
});

describe('03 §5.3 network clock', () => {
  const OWN = '10.9.9.9';
  async function network(ahead: readonly number[]): Promise<{ r: Relay; ledgers: Record<string, Ledger> }> {
    const ledgers: Record<string, Ledger> = {};
    ahead.forEach((seconds, i) => {
      ledgers[`10.8.0.${i + 1}`] = { wallet: `w${i + 1}`, sees: OWN, ahead: seconds, links: [] };
    });
    const r = await relay({
      standalone: false,
      externalIp: OWN,
      seeds: Object.keys(ledgers).map((ip) => ({ host: `${ip}:10234`, wallet: null })),
      dial: dialling(ledgers, systemClock),
    });
    await until('connected', () => r.status().ledgerPeers === ahead.length, 12_000);
    return { r, ledgers };
  }

  it('two ledger nodes move nothing, the middle of three does, and it never decays', async () => {
    const { r, ledgers } = await network([20, 12]);
    expect(r.status().timeDifferenceSeconds).toBe(0);
    ledgers['10.8.0.3'] = { wallet: 'w3', sees: OWN, ahead: 1, links: [] };
    r.addLedgerPeer('10.8.0.3:10234');
    await until('three', () => r.status().ledgerPeers === 3, 12_000);
    expect(Math.abs(r.status().timeDifferenceSeconds + 12)).toBeLessThanOrEqual(1);
    for (const l of Object.values(ledgers)) l.links[0]!.link.destroy();
    await until('lost', () => r.status().ledgerPeers === 0);
    expect(Math.abs(r.status().timeDifferenceSeconds + 12)).toBeLessThanOrEqual(1);
  });

  it('the correction is clamped to 30 s, the operator sees what was claimed', async () => {
    const { r } = await network([3_600, 100, 90]);
    const s = r.status();
    expect(s.timeDifferenceSeconds).toBe(-30);
    expect(Math.abs(s.unclampedTimeDifferenceSeconds + 100)).toBeLessThanOrEqual(1);
  });

  it('differences up to 2 s are none', async () => {
    const { r } = await network([1, 1, 1]);
    expect(r.status().timeDifferenceSeconds).toBe(0);
  });
});

describe('03 §5.2 and §5.4 own address by the peers’ word', () => {
  it('bye 600 names it; the next hello is signed over it, and the new keep-alive says it', async () => {
    const clock = new ManualClock(Date.now());
    const ledgers: Record<string, Ledger> = { '10.8.0.1': { wallet: 'w1', sees: '10.9.9.1', links: [] } };
    const r = await relay({
      standalone: false,
      externalIp: null,
      clock,
      seeds: [{ host: '10.8.0.1:10234', wallet: null }],
      dial: dialling(ledgers, clock),
    });
    const ledger = ledgers['10.8.0.1']!;
    const known = r.status().endpoint;
    await until(
      'accepted',
      () => {
        clock.advance(20);
        return r.status().ledgerPeers === 1;
      },
      15_000,
    );
    expect([known, ledger.links[0]!.closed?.byeCode]).toEqual(['', Bye.incorrectIp]);
    expect(r.status().endpoint).toBe(`10.9.9.1:${r.port}`);
    const claims = (): string[] =>
      ledger.links
        .flatMap((l) => l.messages)
        .filter((m) => m.code === Code.keepAlivePresence)
        .map((m) => decodeKeepAlive(m.payload).hostname);
    await until('announced', () => claims().length > 0);
    expect(new Set(claims())).toEqual(new Set([`10.9.9.1:${r.port}`]));
  });

  it('another address that one reports is not believed, that two report it is', async () => {
    const ledgers: Record<string, Ledger> = {
      '10.8.0.1': { wallet: 'w1', sees: '10.9.9.1', links: [] },
      '10.8.0.2': { wallet: 'w2', sees: '10.9.9.2', links: [] },
      '10.8.0.3': { wallet: 'w3', sees: '10.9.9.2', links: [] },
    };
    const clock = new ManualClock(Date.now());
    const r = await relay({
      standalone: false,
      externalIp: null,
      clock,
      seeds: [{ host: '10.8.0.1:10234', wallet: null }],
      dial: dialling(ledgers, clock),
    });
    await until(
      'first address',
      () => {
        clock.advance(20);
        return r.status().ledgerPeers === 1;
      },
      15_000,
    );
    expect(r.status().endpoint).toBe(`10.9.9.1:${r.port}`);
    r.addLedgerPeer('10.8.0.2:10234');
    await until(
      'one voice',
      () => {
        clock.advance(20);
        return ledgers['10.8.0.2']!.links.some((l) => l.closed !== null);
      },
      15_000,
    );
    expect(r.status().endpoint).toBe(`10.9.9.1:${r.port}`);
    r.addLedgerPeer('10.8.0.3:10234');
    await until(
      'corrected',
      () => {
        clock.advance(20);
        return r.status().endpoint === `10.9.9.2:${r.port}`;
      },
      15_000,
    );
  });
});
