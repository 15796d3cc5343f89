import { describe, expect, it } from 'vitest';
import { type Line, sameKeys } from '../../src/messages/index.js';
import { Peer, type PeerOptions, Wire } from './support/parties.js';

const lines: readonly Line[] = ['0.9.7', '0.9.8'];
const minute = 60_000;

function agreed(a: Peer, b: Peer): boolean {
  if (a.contact === null || b.contact === null) return false;
  const complete = a.contact.handshakeStatus === 3 && b.contact.handshakeStatus === 3;
  return complete && sameKeys(a.contact, b.contact);
}

/** Three messages each way: all arrive, each once, in whatever order the network left them. */
async function talk(wire: Wire): Promise<void> {
  const { a, b } = wire;
  const words = (p: Peer): string[] => [1, 2, 3].map((i) => `${p.name} ${wire.nowMs} ${i}`);
  const fromA = words(a);
  const fromB = words(b);
  const before = [a.delivered.length, b.delivered.length] as const;
  for (const w of fromA) a.chat(w, wire.nowMs);
  for (const w of fromB) b.chat(w, wire.nowMs);
  const quiet = (): boolean => a.queue.entries.length === 0 && b.queue.entries.length === 0;
  expect(await wire.until(quiet, 30 * minute)).toBe(true);
  expect(b.delivered.slice(before[1]).sort()).toEqual(fromA.sort());
  expect(a.delivered.slice(before[0]).sort()).toEqual(fromB.sort());
}

function noSecretsLeft(...peers: Peer[]): void {
  for (const p of peers) expect(p.contact?.pending).toBeNull();
}

async function pair(a: PeerOptions, b: PeerOptions): Promise<[Peer, Peer]> {
  return [
    await Peer.create('alice', { approveAfterMs: 3_000, ...a }),
    await Peer.create('bob', { approveAfterMs: 3_000, ...b }),
  ];
}

const rough = { loss: 0.3, duplicates: 0.3, delayMsMax: 4_000 };

for (const lineA of lines)
  for (const lineB of lines)
    describe(`contact set-up, ${lineA} with ${lineB}`, () => {
      it('completes over a good network and both talk', async () => {
        const [a, b] = await pair({ line: lineA }, { line: lineB });
        const wire = new Wire(a, b, { seed: 1 });
        a.request(b, wire.nowMs, false);
        expect(await wire.until(() => agreed(a, b), minute)).toBe(true);
        noSecretsLeft(a, b);
        await talk(wire);
        expect(a.contact?.nick).toBe('nick of bob');
        expect(b.contact?.nick).toBe('nick of alice');
      });

      it('completes in spite of loss, duplicates, reordering and restarts', async () => {
        const [a, b] = await pair({ line: lineA }, { line: lineB });
        const wire = new Wire(a, b, { seed: 7, ...rough });
        b.request(a, wire.nowMs);
        await wire.until(() => a.contact !== null, 5 * minute);
        for (const p of [a, b]) p.restart(wire.nowMs);
        await wire.until(() => (b.contact?.handshakeStatus ?? 0) >= 2, 5 * minute);
        for (const p of [a, b]) p.restart(wire.nowMs);
        expect(await wire.until(() => agreed(a, b), 10 * minute)).toBe(true);
        noSecretsLeft(a, b);
        await talk(wire);
      });

      it('survives both asking at once', async () => {
        const [a, b] = await pair({ line: lineA }, { line: lineB });
        const wire = new Wire(a, b, { seed: 11, ...rough });
        a.request(b, wire.nowMs);
        b.request(a, wire.nowMs);
        expect(await wire.until(() => agreed(a, b), 10 * minute)).toBe(true);
        await talk(wire);
        expect(agreed(a, b)).toBe(true);
      });

      it('renews the keys when one side is re-installed', async () => {
        const [a, b] = await pair({ line: lineA }, { line: lineB });
        const wire = new Wire(a, b, { seed: 13, loss: 0.2, duplicates: 0.2, delayMsMax: 1_000 });
        a.request(b, wire.nowMs);
        expect(await wire.until(() => agreed(a, b), 10 * minute)).toBe(true);
        const old = a.contact;
        a.chat('sent before the phone was lost', wire.nowMs);
        b.reinstall();
        b.request(a, wire.nowMs);
        expect(await wire.until(() => agreed(a, b), 10 * minute)).toBe(true);
        expect(old !== null && a.contact !== null && sameKeys(old, a.contact)).toBe(false);
        await wire.until(() => a.queue.entries.length === 0, 10 * minute);
        expect(b.delivered).toEqual(['sent before the phone was lost']);
        await talk(wire);
      });
    });

describe('both asking at once, with a side that answers at once as the reference does', () => {
  // Address order decides whose acceptAdd2 counts: alice sorts below bob.
  it.each([
    ['the lower address', 'alice'],
    ['the higher address', 'bob'],
  ])('ends with equal keys when that is %s', async (_, reference) => {
    for (const seed of [21, 22, 23]) {
      const [a, b] = await pair(
        { glareLikeReference: reference === 'alice' },
        { glareLikeReference: reference === 'bob' },
      );
      const wire = new Wire(a, b, { seed, loss: 0.2, delayMsMax: 2_000 });
      a.request(b, wire.nowMs);
      b.request(a, wire.nowMs);
      expect(await wire.until(() => agreed(a, b), 10 * minute)).toBe(true);
      await talk(wire);
    }
  });

  it('ends with equal keys when the acceptances cross after the wait', async () => {
    const [a, b] = await pair({ glareLikeReference: false }, { glareLikeReference: true });
    const wire = new Wire(a, b, { seed: 31, delayMsMax: 45_000 });
    a.request(b, wire.nowMs);
    b.request(a, wire.nowMs);
    expect(await wire.until(() => agreed(a, b), 30 * minute)).toBe(true);
    await talk(wire);
  });
});
