import { describe, expect, it } from 'vitest';
import { encodeName, networkHeight } from '../../src/ledger/index.js';
import { DecodeError, NETWORKS, toHex } from '../../src/wire/index.js';

const lock = NETWORKS.main.lock;

describe('names', () => {
  it('hash label by label, top label first, whatever the case', () => {
    const name = encodeName('Example.ixi', lock);
    expect(name.length).toBe(130);
    expect(toHex(name)).toBe(toHex(encodeName('example.IXI', lock)));
    expect(toHex(name.subarray(0, 65))).toBe(toHex(encodeName('ixi', lock)));
    expect(toHex(name)).not.toBe(toHex(encodeName('example.ixi', NETWORKS.reg.lock)));
  });

  it('reads other scripts as their punycode', () => {
    const same = (a: string, b: string): void =>
      expect(toHex(encodeName(a, lock))).toBe(toHex(encodeName(b, lock)));
    same('bücher', 'xn--bcher-kva');
    same('Bücher', 'xn--bcher-kva');
    same('münchen', 'xn--mnchen-3ya');
    same('他们为什么不说中文', 'xn--ihqwcrb4cv8a8dqg056pqjye');
    same('почемужеонинеговорятпорусски', 'xn--b1abfaaepdrnnbgefbadotcwatmq2g4l');
  });

  it('refuses empty and over-long labels', () => {
    for (const bad of ['', 'a..b', '.a', `${'a'.repeat(64)}.ixi`, `${'a.'.repeat(127)}`])
      expect(() => encodeName(bad, lock)).toThrow(DecodeError);
  });
});

describe('network height rule (09 §12)', () => {
  const own = { height: 100, timestamp: 1000, now: 1000 + 30 * 50 };

  it('keeps the middle third and takes its largest', () => {
    const at = (heights: number[]): number => networkHeight(heights, own, 1);
    expect(at([120])).toBe(120);
    expect(at([110, 120])).toBe(120);
    expect(at([110, 120, 130])).toBe(120);
    expect(at([110, 120, 130, 140])).toBe(120);
    expect(at([110, 120, 130, 140, 145])).toBe(120);
    expect(at([110, 120, 130, 140, 145, 149])).toBe(140);
    expect(at([0, 0, 120])).toBe(120);
  });

  it('is capped by the blocks that can have been made, and never below the own height', () => {
    expect(networkHeight([999], own, 1)).toBe(150);
    expect(networkHeight([50], own, 1)).toBe(100);
    expect(networkHeight([999], { ...own, timestamp: own.now + 5 }, 1)).toBe(999);
    expect(networkHeight([999], { height: 0, timestamp: 0, now: 5 }, 1)).toBe(999);
  });

  it('strictly wants three voices', () => {
    expect(networkHeight([120, 120], own)).toBe(100);
    expect(networkHeight([120, 120, 0], own)).toBe(100);
    expect(networkHeight([120, 120, 120], own)).toBe(120);
  });
});
