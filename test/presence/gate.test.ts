import { describe, expect, it } from 'vitest';
import { VerifyBusy, type VerifyEngine, VerifyFailed, type VerifyItem } from '../../src/identity/index.js';
import { PresenceRequestLimiter, presenceRequestSeconds, SignatureGate } from '../../src/presence/index.js';
import { settle, T0 } from './support.js';

const item = (n: number): VerifyItem => ({
  key: Uint8Array.of(1),
  message: Uint8Array.of(n),
  signature: Uint8Array.of(n, n),
});

/** Says yes to even messages, as soon as it is let go. */
class Fake implements VerifyEngine {
  readonly name = 'native';
  operations = 0;
  readonly calls: number[] = [];
  go: () => void = () => undefined;
  hold = false;

  async verify(items: readonly VerifyItem[]): Promise<boolean[]> {
    this.operations += items.length;
    this.calls.push(items.length);
    if (this.hold) await new Promise<void>((r) => (this.go = r));
    return items.map((i) => i.message[0]! % 2 === 0);
  }

  async close(): Promise<void> {}
}

describe('signature gate', () => {
  it('an engine that is full says nothing about a signature: busy, and asked again the next time', async () => {
    const e = new Fake();
    const gate = new SignatureGate(e);
    const judge = e.verify.bind(e);
    e.verify = () => Promise.reject(new VerifyBusy(8));
    expect(await gate.verify([item(1), item(2), item(2)])).toEqual(['busy', 'busy', 'busy']);
    e.verify = () => Promise.reject(new VerifyFailed('threads died'));
    await expect(gate.verify([item(1), item(2)])).rejects.toBeInstanceOf(VerifyFailed);
    e.verify = judge;
    expect(await gate.verify([item(1), item(2)])).toEqual([false, true]);
    expect(gate.pending).toBe(0);
  });

  it('asks in one call and answers in order', async () => {
    const e = new Fake();
    const gate = new SignatureGate(e);
    expect(await gate.verify([item(1), item(2), item(3), item(4)])).toEqual([false, true, false, true]);
    expect(e.calls).toEqual([4]);
    expect(await gate.verify([])).toEqual([]);
    expect(gate.pending).toBe(0);
  });

  it('asks the same question once when it is asked twice at once', async () => {
    const e = new Fake();
    e.hold = true;
    const gate = new SignatureGate(e);
    const first = gate.verify([item(2), item(2), item(1)]);
    const second = gate.verify([item(2), item(1)]);
    await settle();
    expect(e.operations).toBe(2);
    expect(gate.pending).toBe(2);
    e.go();
    expect(await first).toEqual([true, true, false]);
    expect(await second).toEqual([true, false]);
    expect(gate.pending).toBe(0);
  });

  it('does not try again what failed, but does what succeeded', async () => {
    const e = new Fake();
    const gate = new SignatureGate(e);
    await gate.verify([item(1), item(2)]);
    expect(await gate.verify([item(1), item(2)])).toEqual([false, true]);
    expect(e.operations).toBe(3);
  });

  it('tells key, message and signature apart', async () => {
    const e = new Fake();
    const gate = new SignatureGate(e);
    await gate.verify([item(1)]);
    await gate.verify([{ ...item(1), key: Uint8Array.of(2) }]);
    await gate.verify([{ ...item(1), signature: Uint8Array.of(9) }]);
    await gate.verify([{ ...item(1), message: Uint8Array.of(3) }]);
    expect(e.operations).toBe(4);
  });

  it('takes no more than it may hold', async () => {
    const e = new Fake();
    e.hold = true;
    const gate = new SignatureGate(e, 2);
    const run = gate.verify([item(2), item(4), item(6)]);
    await settle();
    expect(await gate.verify([item(8)])).toEqual(['busy']);
    e.go();
    expect(await run).toEqual([true, true, 'busy']);
    e.hold = false;
    expect(await gate.verify([item(6)])).toEqual([true]);
  });

  it('forgets a question whose engine failed', async () => {
    const e = new Fake();
    const gate = new SignatureGate({
      name: 'native',
      operations: 0,
      verify: (items) => (e.operations++ === 0 ? Promise.reject(new Error('gone')) : e.verify(items)),
      close: async () => {},
    });
    await expect(gate.verify([item(1)])).rejects.toThrow('gone');
    await settle();
    expect(gate.pending).toBe(0);
    expect(await gate.verify([item(2)])).toEqual([true]);
  });
});

describe('05 §8.3 strict: asking for unknown wallets', () => {
  const w = (n: number): Uint8Array => Uint8Array.of(n, n >> 8);

  it.each([
    [29, false],
    [30, true],
    [31, true],
  ])('05 §8.3 strict: the same wallet from the same endpoint after %i s: %s', (later, allowed) => {
    const l = new PresenceRequestLimiter();
    expect(presenceRequestSeconds).toBe(30);
    expect(l.allow('a', w(1), T0)).toBe(true);
    expect(l.allow('a', w(1), T0 + later)).toBe(allowed);
  });

  it('05 §8.3 strict: another endpoint may be asked, so nobody can keep the owner from being heard', () => {
    const l = new PresenceRequestLimiter();
    expect(l.allow('attacker', w(1), T0)).toBe(true);
    expect(l.allow('owner', w(1), T0)).toBe(true);
    expect(l.allow('owner', w(2), T0)).toBe(true);
  });

  it('05 §8.3 strict: an endpoint triggers a bounded number within 30 s', () => {
    const l = new PresenceRequestLimiter(3);
    const asked = (from: number, at: number): boolean[] =>
      [0, 1, 2, 3].map((i) => l.allow('a', w(from + i), at));
    expect(asked(0, T0)).toEqual([true, true, true, false]);
    expect(l.allow('b', w(9), T0)).toBe(true);
    expect(l.allow('a', w(50), T0 + 29)).toBe(false);
    expect(asked(10, T0 + 30)).toEqual([true, true, true, false]);
    l.drop('a');
    expect(l.allow('a', w(70), T0 + 31)).toBe(true);
  });

  it('05 §8.3 strict: a wallet asked for again is remembered from then on', () => {
    const l = new PresenceRequestLimiter(1_000_000, 4);
    for (let i = 0; i < 4; i++) expect(l.allow('a', w(i), T0)).toBe(true);
    expect(l.allow('a', w(0), T0 + 30)).toBe(true);
    // One pair too many: the two oldest go, and w(0) is none of them any more.
    expect(l.allow('a', w(4), T0 + 30)).toBe(true);
    expect(l.allow('a', w(0), T0 + 31)).toBe(false);
    expect(l.allow('a', w(3), T0 + 29)).toBe(false);
    expect(l.allow('a', w(1), T0 + 29)).toBe(true);
  });

  it('05 §8.3 strict: what was refused is not remembered as asked', () => {
    const l = new PresenceRequestLimiter(1);
    expect(l.allow('a', w(1), T0)).toBe(true);
    expect(l.allow('a', w(2), T0 + 1)).toBe(false);
    expect(l.allow('a', w(2), T0 + 30)).toBe(true);
  });

  it('05 §8.3 strict: a clock that goes back opens a new window, too', () => {
    const l = new PresenceRequestLimiter(1);
    expect(l.allow('a', w(1), T0)).toBe(true);
    expect(l.allow('a', w(2), T0 - 29)).toBe(false);
    expect(l.allow('a', w(2), T0 - 30)).toBe(true);
    expect(l.allow('a', w(3), T0 - 30)).toBe(false);
  });

  it('05 §8.3 strict: endpoint and wallet are told apart', () => {
    const l = new PresenceRequestLimiter();
    const text = (t: string): Uint8Array => new TextEncoder().encode(t);
    expect(l.allow('a', text('bc'), T0)).toBe(true);
    expect(l.allow('ab', text('c'), T0)).toBe(true);
    expect(l.allow('ab', text('c'), T0)).toBe(false);
  });

  it('remembers a bounded number of pairs and survives a clock that goes back', () => {
    const l = new PresenceRequestLimiter(1_000_000, 10);
    for (let i = 0; i < 10; i++) expect(l.allow('a', w(i), T0)).toBe(true);
    expect(l.allow('a', w(0), T0 + 1)).toBe(false);
    expect(l.allow('a', w(10), T0)).toBe(true);
    // The oldest half is forgotten, the newer ones still known.
    for (let i = 5; i <= 10; i++) expect(l.allow('a', w(i), T0 + 1)).toBe(false);
    for (let i = 0; i < 4; i++) expect(l.allow('a', w(i), T0 + 1)).toBe(true);
    expect(l.allow('a', w(4), T0 + 1)).toBe(true);
    expect(l.allow('a', w(10), T0 - 1000)).toBe(true);
  });
});
