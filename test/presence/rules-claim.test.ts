import { describe, expect, it } from 'vitest';
import {
  freshnessProblem,
  isOverdrawn,
  isWorthAnnouncing,
  judgeClaim,
  keepAliveOf,
  NO_POW_KNOWLEDGE,
  timeProblem,
  verifyKeepAlive,
} from '../../src/presence/index.js';
import { expiryThreshold } from '../../src/presence/rules-time.js';
import { NETWORKS } from '../../src/wire/index.js';
import {
  address,
  engine,
  forged,
  HeldEngine,
  HOST,
  ledgerless,
  OTHER_HOST,
  signer,
  somePow,
  T0,
} from './support.js';

const claim = async (fields: Parameters<typeof address>[0] = {}) =>
  keepAliveOf((await signer()).address, await address(fields));

describe('05 §7.3 keep-alive verification', () => {
  it('05 §7.3 rule 1: a proof of work that is there must pass', async () => {
    const tooOld = { ...ledgerless, pow: { ...NO_POW_KNOWLEDGE, height: 6_000_000 } };
    const withPow = await claim({ type: 'R', pow: somePow() });
    expect(judgeClaim(withPow, tooOld)).toEqual({ problem: 'pow-expired', powVerified: false });
    expect(judgeClaim(withPow, ledgerless)).toEqual({ problem: null, powVerified: false });
  });

  it('05 §7.3 rule 1: a node that warms up takes any proof of work', async () => {
    const pow = { ...NO_POW_KNOWLEDGE, height: 6_000_000 };
    const withPow = await claim({ type: 'M', pow: somePow() });
    expect(judgeClaim(withPow, { ...ledgerless, ownType: 'M', pow }).problem).toBe('pow-expired');
    const warm = { ...ledgerless, ownType: 'M' as const, pow: { ...pow, warmUp: true } };
    expect(judgeClaim(withPow, warm)).toEqual({ problem: null, powVerified: false });
  });

  it('05 §7.3 rule 1: work that was checked is told, also when a later rule refuses', async () => {
    const pow = {
      ...NO_POW_KNOWLEDGE,
      height: 5_875_000,
      minDifficulty: 0n,
      blockChecksum: () => new Uint8Array(64).fill(1),
    };
    const ledger = { ...ledgerless, ownType: 'M' as const, pow };
    const worked = await claim({ type: 'M', pow: somePow() });
    expect(judgeClaim(worked, ledger)).toEqual({ problem: null, powVerified: true });
    expect(judgeClaim({ ...worked, hostname: '' }, ledger)).toEqual({
      problem: 'hostname',
      powVerified: true,
    });
    expect(judgeClaim({ ...worked, signature: null }, ledger)).toEqual({
      problem: 'unsigned',
      powVerified: true,
    });
    expect(judgeClaim(await claim({ type: 'M' }), ledger)).toEqual({
      problem: 'pow-missing',
      powVerified: false,
    });
    expect(judgeClaim(await claim(), ledger)).toEqual({ problem: null, powVerified: false });
  });

  it('05 §7.3 rule 2: types M and H need a proof of work, R and C do not', async () => {
    for (const type of ['M', 'H']) {
      expect(judgeClaim(await claim({ type }), ledgerless).problem).toBe('pow-missing');
      expect(judgeClaim(await claim({ type, pow: somePow() }), ledgerless).problem).toBe(null);
    }
    for (const type of ['R', 'C', 'W', 'X'])
      expect(judgeClaim(await claim({ type }), ledgerless).problem).toBe(null);
  });

  it('05 §7.3 rule 3: the hostname rule, after the proof of work', async () => {
    expect(judgeClaim(await claim({ hostname: '10.0.0.1:1' }), ledgerless).problem).toBe('hostname');
    expect(judgeClaim(await claim({ type: 'M', hostname: '10.0.0.1:1' }), ledgerless).problem).toBe(
      'pow-missing',
    );
    const reg = { ...ledgerless, network: NETWORKS.reg };
    expect(judgeClaim(await claim({ hostname: '10.0.0.1:1' }), reg).problem).toBe(null);
  });

  it('05 §7.3 rule 4: a signature must be there and be valid for the given key', async () => {
    const { publicKey, address: wallet } = await signer();
    const e = await engine();
    expect(await verifyKeepAlive(await claim(), publicKey, ledgerless, e)).toBe(null);
    expect(await verifyKeepAlive(await claim({ signature: null }), publicKey, ledgerless, e)).toBe(
      'unsigned',
    );
    expect(await verifyKeepAlive(await claim(), (await signer('w1')).publicKey, ledgerless, e)).toBe(
      'signature',
    );
    const bad = keepAliveOf(wallet, forged(await address()));
    expect(await verifyKeepAlive(bad, publicKey, ledgerless, e)).toBe('signature');
  });

  it('05 §7.3 rule 4: the network lock and every signed field count', async () => {
    const { publicKey } = await signer();
    const e = await engine();
    const good = await claim({ pow: somePow() });
    const test = { ...ledgerless, network: NETWORKS.test };
    expect(await verifyKeepAlive(good, publicKey, test, e)).toBe('signature');
    const changed = [
      { device: Uint8Array.of(2) },
      { timestamp: good.timestamp + 1 },
      { hostname: OTHER_HOST },
      { type: 'R' },
      { pow: null },
      { wallet: (await signer('w1')).address },
    ];
    for (const c of changed)
      expect(await verifyKeepAlive({ ...good, ...c }, publicKey, ledgerless, e)).toBe('signature');
  });

  it('05 §7.3: what fails rules 1 to 3 costs no RSA operation', async () => {
    const held = new HeldEngine(await engine(), false);
    const { publicKey } = await signer();
    await verifyKeepAlive(await claim({ type: 'M' }), publicKey, ledgerless, held);
    await verifyKeepAlive(await claim({ hostname: '' }), publicKey, ledgerless, held);
    await verifyKeepAlive(await claim({ signature: null }), publicKey, ledgerless, held);
    expect(held.operations).toBe(0);
    await verifyKeepAlive(await claim(), publicKey, ledgerless, held);
    expect(held.operations).toBe(1);
  });

  it('05 §7.3: time is not looked at', async () => {
    const { publicKey } = await signer();
    const old = await claim({ timestamp: 5 });
    expect(await verifyKeepAlive(old, publicKey, ledgerless, await engine())).toBe(null);
  });
});

describe('05 §7.4 time window', () => {
  it.each([
    [-299, null],
    [-300, null],
    [-301, 'stale'],
    [29, null],
    [30, null],
    [31, 'future'],
    [0, null],
  ] as const)('05 §7.4 rule 2: a claim %i s from now is %s', (offset, problem) => {
    expect(timeProblem(T0 + offset, T0)).toBe(problem);
  });

  it('05 §8.4: the clean-up takes what is 300 s old exactly', () => {
    expect(expiryThreshold(T0)).toBe(T0 - 300);
  });

  it('05 §8.4: a claim 30 s ahead is overdrawn, one 29 s ahead is not', () => {
    expect(isOverdrawn(T0 + 29, T0)).toBe(false);
    expect(isOverdrawn(T0 + 30, T0)).toBe(true);
    expect(isOverdrawn(T0 + 31, T0)).toBe(true);
  });
});

describe('05 §8.3 rule 5: freshness', () => {
  it('05 §8.3 rule 5: equal timestamp is refused', () => {
    expect(freshnessProblem(T0, T0, T0)).toBe('replay');
  });
  it('05 §8.3 rule 5: older timestamp is refused', () => {
    expect(freshnessProblem(T0 - 1, T0, T0)).toBe('older');
  });
  it('05 §8.3 rule 5: one second newer is taken', () => {
    expect(freshnessProblem(T0 + 1, T0, T0)).toBe(null);
  });
  it('05 §8.3 rule 5: newer than stored, but 301 s old or 31 s ahead, is refused', () => {
    expect(freshnessProblem(T0 - 300, T0 - 400, T0)).toBe(null);
    expect(freshnessProblem(T0 - 301, T0 - 400, T0)).toBe('stale');
    expect(freshnessProblem(T0 + 30, T0 - 400, T0)).toBe(null);
    expect(freshnessProblem(T0 + 31, T0 - 400, T0)).toBe('future');
  });
});

describe('05 §8.3 strict: announcing', () => {
  const before = (type: string) => ({ announced: T0, hostname: HOST, type });
  it.each([
    ['C', 49, false],
    ['C', 50, true],
    ['C', 51, true],
    ['M', 49, false],
    ['M', 50, true],
    ['H', 50, true],
    ['R', 99, false],
    ['R', 100, true],
  ] as const)('05 §8.3 strict: type %s, %i s after the last one told: %s', (type, later, told) => {
    const claim = { timestamp: T0 + later, hostname: HOST, type };
    expect(isWorthAnnouncing(claim, before(type))).toBe(told);
  });

  it('05 §8.3 strict: a changed hostname or type is told at once', () => {
    const claim = { timestamp: T0 + 1, hostname: HOST, type: 'C' };
    expect(isWorthAnnouncing(claim, before('C'))).toBe(false);
    expect(isWorthAnnouncing({ ...claim, hostname: OTHER_HOST }, before('C'))).toBe(true);
    expect(isWorthAnnouncing({ ...claim, type: 'R' }, before('C'))).toBe(true);
  });

  it('05 §8.3 strict: a type that is not stored is not told', () => {
    const claim = { timestamp: T0 + 1000, hostname: HOST, type: 'W' };
    expect(isWorthAnnouncing(claim, before('W'))).toBe(false);
  });

  it('05 §8.3 strict: what was never told is told', () => {
    const never = { announced: Number.NEGATIVE_INFINITY, hostname: HOST, type: 'C' };
    expect(isWorthAnnouncing({ timestamp: T0, hostname: HOST, type: 'C' }, never)).toBe(true);
  });
});
