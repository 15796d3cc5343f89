import { createHash } from 'node:crypto';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type * as CoreModule from '../../src/core/index.js';

/** A fresh copy each: what was found and measured is the module's. */
async function freshCore(): Promise<typeof CoreModule> {
  vi.resetModules();
  return await import('../../src/core/index.js');
}

const LENGTHS = [0, 1, 45, 71, 72, 143, 144, 575, 576, 600, 2047, 2048, 8192, 65_536];
const message = (bytes: number): Uint8Array => new Uint8Array(bytes).map((_, i) => (i * 131 + bytes) & 0xff);
const want = (data: Uint8Array): string => createHash('sha3-512').update(data).digest('hex');
const hex = (data: Uint8Array): string => Buffer.from(data).toString('hex');

function checkAll(core: typeof CoreModule): void {
  for (const bytes of LENGTHS) {
    const data = message(bytes);
    const digest = core.sha3_512(data);
    expect(hex(digest), `${bytes} bytes`).toBe(want(data));
    // Bytes of its own: a Buffer's slice would be a view.
    expect(Object.getPrototypeOf(digest)).toBe(Uint8Array.prototype);
    expect(digest.buffer.byteLength).toBe(64);
  }
}

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

describe('one SHA3-512, whoever computes it', () => {
  it('gives the same digest before and after the crossover was measured', async () => {
    const core = await freshCore();
    checkAll(core);
    const found = core.measureSha3Crossover();
    expect(found.measured).toBe(true);
    expect(['crypto.hash', 'createHash']).toContain(found.native);
    expect(found.nativeBytesMin).toBeGreaterThanOrEqual(576);
    checkAll(core);
  });

  it('measures by itself once, behind 256 long messages, and never for short ones', async () => {
    const core = await freshCore();
    const now = vi.spyOn(performance, 'now');
    for (let i = 0; i < 600; i++) core.sha3_512(message(575));
    for (let i = 0; i < 255; i++) core.sha3_512(message(576));
    expect(now).not.toHaveBeenCalled();
    core.sha3_512(message(576));
    const calls = now.mock.calls.length;
    expect(calls).toBeGreaterThan(0);
    for (let i = 0; i < 600; i++) core.sha3_512(message(576));
    expect(now.mock.calls.length).toBe(calls);
  });

  it('keeps to its guess where the clock stands still', async () => {
    const core = await freshCore();
    vi.stubGlobal('performance', { now: () => 7 });
    expect(core.measureSha3Crossover()).toMatchObject({ nativeBytesMin: 2048, measured: false });
    vi.stubGlobal('performance', undefined);
    expect(core.measureSha3Crossover()).toMatchObject({ nativeBytesMin: 2048, measured: false });
    checkAll(core);
  });

  it('takes the faster one by the clock', async () => {
    const core = await freshCore();
    // Every second reading ends an interval; those of OpenSSL are the second of each pair.
    const clock = (wasmMs: number, ownMs: number): (() => number) => {
      let reading = 0;
      let time = 1;
      return () => {
        const at = reading++ % 4;
        if (at === 1) time += wasmMs;
        if (at === 3) time += ownMs;
        return time;
      };
    };
    vi.stubGlobal('performance', { now: clock(2, 1) });
    expect(core.measureSha3Crossover()).toMatchObject({ nativeBytesMin: 600, measured: true });
    checkAll(core);
    vi.stubGlobal('performance', { now: clock(1, 2) });
    expect(core.measureSha3Crossover()).toMatchObject({
      nativeBytesMin: Number.POSITIVE_INFINITY,
      measured: true,
    });
    checkAll(core);
  });

  it('does without node:crypto, and with one that does not know SHA-3', async () => {
    const core = await freshCore();
    const builtin = vi.spyOn(process, 'getBuiltinModule').mockReturnValue(undefined as never);
    expect(core.measureSha3Crossover()).toEqual({
      nativeBytesMin: Number.POSITIVE_INFINITY,
      native: null,
      measured: false,
    });
    checkAll(core);
    const old = await freshCore();
    builtin.mockReturnValue({
      createHash: () => {
        throw new Error('Digest method not supported');
      },
    } as never);
    expect(old.measureSha3Crossover().native).toBe(null);
    checkAll(old);
  });

  it('refuses what is not bytes, short or long', async () => {
    const core = await freshCore();
    for (const wrong of ['x', 'x'.repeat(5000), [1, 2], new Uint16Array(4000)])
      expect(() => core.sha3_512(wrong as unknown as Uint8Array)).toThrow(TypeError);
  });
});

describe('one CRC-32C', () => {
  it('is the same whether or not the core is loaded', async () => {
    const core = await freshCore();
    const lengths = [0, 1, 255, 256, 1100, 70_000];
    const before = lengths.map((bytes) => core.crc32c(message(bytes), 0x12345678));
    core.loadCoreSync();
    expect(lengths.map((bytes) => core.crc32c(message(bytes), 0x12345678))).toEqual(before);
    for (const wrong of ['x', 'x'.repeat(500)])
      expect(() => core.crc32c(wrong as unknown as Uint8Array)).toThrow(TypeError);
  });
});
