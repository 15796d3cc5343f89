import { describe, expect, it } from 'vitest';
import {
  decodePresence,
  encodePresence,
  entryProblem,
  judgeAddress,
  keyProblem,
  type PresenceAddress,
  replacesStored,
  verifyPresence,
} from '../../src/presence/index.js';
import { EMPTY_BYTES } from '../../src/wire/index.js';
import {
  address,
  engine,
  forged,
  HeldEngine,
  HOST,
  ledgerless,
  OTHER_HOST,
  presence,
  signer,
  T0,
} from './support.js';

const judge = async (fields: Parameters<typeof address>[0]) =>
  judgeAddress((await signer()).address, await address(fields), T0, ledgerless).problem;

describe('05 §7.4 presence verification', () => {
  it('05 §7.4 rule 1: a public key of 32 to 2500 bytes must be there', async () => {
    const p = await presence([await address()]);
    for (const [size, problem] of [
      [0, 'key-length'],
      [31, 'key-length'],
      [32, 'foreign-key'],
      [2500, 'foreign-key'],
      [2501, 'key-length'],
    ] as const)
      expect(keyProblem({ ...p, publicKey: new Uint8Array(size) })).toBe(problem);
    expect(keyProblem(p)).toBe(null);
    const verified = await verifyPresence({ ...p, publicKey: EMPTY_BYTES }, T0, ledgerless, await engine());
    expect(verified).toEqual({ problem: 'key-length', addresses: [], dropped: [] });
  });

  it('05 §7.4 strict: the wallet must be the address of the key, before anything costs', async () => {
    const held = new HeldEngine(await engine(), false);
    const victim = { ...(await presence([await address()])), wallet: (await signer('w1')).address };
    expect(keyProblem(victim)).toBe('foreign-key');
    expect((await verifyPresence(victim, T0, ledgerless, held)).problem).toBe('foreign-key');
    expect(held.operations).toBe(0);
  });

  it('05 §7.4 strict: every address version of a key is bound to it', async () => {
    for (const who of ['w0', 'w1', 'w2', 'w3', 'w4', 'w5'])
      expect(keyProblem(await presence([await address({}, who)], who))).toBe(null);
  });

  it('05 §7.4 rule 2: a device of 64 bytes is taken, of 65 dropped', async () => {
    expect(await judge({ device: new Uint8Array(64) })).toBe(null);
    expect(await judge({ device: new Uint8Array(65) })).toBe('device-length');
  });

  it('05 §7.4 rule 2: a node version of 20 units is taken, of 21 dropped', async () => {
    expect(await judge({ nodeVersion: 'x'.repeat(20) })).toBe(null);
    expect(await judge({ nodeVersion: 'x'.repeat(21) })).toBe('node-version');
    expect(await judge({ nodeVersion: '\u{1f600}'.repeat(10) })).toBe(null);
    expect(await judge({ nodeVersion: `${'\u{1f600}'.repeat(10)}x` })).toBe('node-version');
  });

  it('05 §7.4 rule 2: age 300 s is taken, 301 s dropped; 30 s ahead taken, 31 s dropped', async () => {
    expect(await judge({ timestamp: T0 - 299 })).toBe(null);
    expect(await judge({ timestamp: T0 - 300 })).toBe(null);
    expect(await judge({ timestamp: T0 - 301 })).toBe('stale');
    expect(await judge({ timestamp: T0 + 29 })).toBe(null);
    expect(await judge({ timestamp: T0 + 30 })).toBe(null);
    expect(await judge({ timestamp: T0 + 31 })).toBe('future');
  });

  it('05 §7.4 rule 2: what is dropped unread counts as unworked', async () => {
    const { address: wallet } = await signer();
    for (const [fields, problem] of [
      [{ device: new Uint8Array(65) }, 'device-length'],
      [{ nodeVersion: 'x'.repeat(21) }, 'node-version'],
      [{ timestamp: T0 - 301 }, 'stale'],
    ] as const)
      expect(judgeAddress(wallet, await address(fields), T0, ledgerless)).toEqual({
        problem,
        powVerified: false,
      });
  });

  it('05 §7.4 rule 2: the rules of 7.3 and the hostname rule apply to each address', async () => {
    expect(await judge({ type: 'M' })).toBe('pow-missing');
    expect(await judge({ hostname: '10.0.0.1:1' })).toBe('hostname');
    expect(await judge({ signature: null })).toBe('unsigned');
    expect(await judge({ type: 'Z' })).toBe(null);
  });

  it('05 §7.4 rule 2: the signature of each address is checked with the key of the packet', async () => {
    const good = await address();
    const foreign = await address({ device: Uint8Array.of(2) }, 'w1');
    const p = await presence([good, foreign]);
    const verified = await verifyPresence(p, T0, ledgerless, await engine());
    expect(verified.addresses).toEqual([good]);
    expect(verified.dropped).toEqual([{ device: Uint8Array.of(2), reason: 'signature' }]);
  });

  it('05 §7.4 rule 3: no address left refuses the packet, one left keeps it', async () => {
    const old = await address({ timestamp: T0 - 301 });
    const good = await address({ device: Uint8Array.of(2) });
    const e = await engine();
    expect((await verifyPresence(await presence([]), T0, ledgerless, e)).problem).toBe('no-address');
    expect((await verifyPresence(await presence([old]), T0, ledgerless, e)).problem).toBe('no-address');
    const both = await verifyPresence(await presence([old, good]), T0, ledgerless, e);
    expect(both).toEqual({
      problem: null,
      addresses: [good],
      dropped: [{ device: old.device, reason: 'stale' }],
    });
  });

  it('05 §7.4 strict: one broken or forged address among valid ones loses just itself', async () => {
    const devices = [1, 2, 3].map((n) => Uint8Array.of(n));
    const [a, b, c] = await Promise.all(devices.map((device) => address({ device })));
    const p = await presence([a!, forged(b!), { ...c!, version: 3 }]);
    const decoded = decodePresence(encodePresence(p));
    expect(decoded.malformed).toHaveLength(1);
    const verified = await verifyPresence(decoded, T0, ledgerless, await engine());
    expect(verified.problem).toBe(null);
    expect(verified.addresses.map((x) => x.device)).toEqual([Uint8Array.of(1)]);
    expect(verified.dropped.map((d) => d.reason).sort()).toEqual(['malformed', 'signature']);
  });
});

describe('05 §8.2 updateEntry, rules', () => {
  it('05 §8.2 rule A1: unsigned, of unknown type, older than 300 s or 31 s ahead is skipped', async () => {
    const a = await address();
    expect(entryProblem(a, T0)).toBe(null);
    expect(entryProblem({ ...a, signature: null }, T0)).toBe('unsigned');
    for (const type of ['Z', 'W', 'D', 'c']) expect(entryProblem({ ...a, type }, T0)).toBe('type');
    for (const type of ['C', 'R', 'M', 'H']) expect(entryProblem({ ...a, type }, T0)).toBe(null);
    expect(entryProblem({ ...a, lastSeen: T0 - 300 }, T0)).toBe(null);
    expect(entryProblem({ ...a, lastSeen: T0 - 301 }, T0)).toBe('stale');
    expect(entryProblem({ ...a, lastSeen: T0 + 30 }, T0)).toBe(null);
    expect(entryProblem({ ...a, lastSeen: T0 + 31 }, T0)).toBe('future');
  });

  const stored = { lastSeen: T0, hostname: HOST, signature: new Uint8Array(1) };
  const incoming = (type: string, later: number, hostname = HOST): PresenceAddress => ({
    version: 2,
    device: Uint8Array.of(1),
    hostname,
    type,
    nodeVersion: '',
    lastSeen: T0 + later,
    signature: new Uint8Array(1),
    pow: null,
  });

  it.each([
    ['C', 50, false],
    ['C', 51, true],
    ['M', 50, false],
    ['M', 51, true],
    ['H', 50, false],
    ['H', 51, true],
    ['R', 100, false],
    ['R', 101, true],
  ] as const)('05 §8.2 rule A3: type %s, %i s newer: %s', (type, later, taken) => {
    expect(replacesStored(stored, incoming(type, later))).toBe(taken);
  });

  it('05 §8.2 rule A3: a changed hostname needs 2 s', () => {
    expect(replacesStored(stored, incoming('C', 1, OTHER_HOST))).toBe(false);
    expect(replacesStored(stored, incoming('C', 2, OTHER_HOST))).toBe(true);
    expect(replacesStored(stored, incoming('C', 2))).toBe(false);
  });

  it('05 §8.2 rule A3: a stored address without signature is replaced by anything', () => {
    expect(replacesStored({ ...stored, signature: null }, incoming('C', -10))).toBe(true);
  });

  it('05 §8.2 rule A3: an unknown type replaces nothing that is signed', () => {
    expect(replacesStored(stored, incoming('Z', 200))).toBe(false);
  });
});
