import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { codeCachePath, codeCachesMax, readCodeCache, writeCodeCache } from '../../src/cli/code-cache.js';

let folder: string;
let bundle: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'starling-code-cache-'));
  bundle = join(folder, 'starling-0123456789abcdef.js');
  writeFileSync(bundle, 'void 0;');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const code = Uint8Array.from({ length: 1000 }, (_, i) => i & 0xff);

describe('compiled code beside the bundle', () => {
  it('is read as it was written, and nothing else is left in the folder', () => {
    expect(readCodeCache(bundle)).toBeNull();
    expect(writeCodeCache(bundle, code)).toBe(true);
    expect(new Uint8Array(readCodeCache(bundle)!)).toEqual(code);
    expect(readdirSync(folder)).toHaveLength(2);
  });

  it('bears the version of Node, system and processor in its name', () => {
    const { version, platform, arch } = process;
    expect(codeCachePath(bundle)).toContain(`${version}-${platform}-${arch}-`);
  });

  it('is not taken when any of its bytes has changed or is missing, and is replaced then', () => {
    const path = codeCachePath(bundle);
    for (const damage of [
      (b: Buffer): Buffer => b.subarray(0, b.length - 1),
      (b: Buffer): Buffer => b.subarray(0, 32),
      (b: Buffer): Buffer => b.subarray(0, 0),
      (b: Buffer): Buffer => Buffer.concat([b.subarray(0, 500), Buffer.of(b[500]! ^ 1), b.subarray(501)]),
      (b: Buffer): Buffer => Buffer.concat([Buffer.of(b[0]! ^ 1), b.subarray(1)]),
    ]) {
      expect(writeCodeCache(bundle, code)).toBe(true);
      writeFileSync(path, damage(readFileSync(path)));
      expect(readCodeCache(bundle)).toBeNull();
    }
    expect(writeCodeCache(bundle, code)).toBe(true);
    expect(readCodeCache(bundle)).not.toBeNull();
  });

  it.skipIf(process.platform === 'win32')('is not taken where others could have written it', () => {
    writeCodeCache(bundle, code);
    for (const mode of [0o664, 0o646, 0o666]) {
      chmodSync(codeCachePath(bundle), mode);
      expect(readCodeCache(bundle)).toBeNull();
    }
    chmodSync(codeCachePath(bundle), 0o600);
    expect(readCodeCache(bundle)).not.toBeNull();
  });

  it('is not written where the folder is gone, nor beside as many as are kept', () => {
    expect(writeCodeCache(join(folder, 'gone', 'starling.js'), code)).toBe(false);
    for (let i = 0; i < codeCachesMax; i++) writeFileSync(`${bundle}.v${i}.compiled`, '');
    expect(writeCodeCache(bundle, code)).toBe(false);
    expect(readdirSync(folder)).toHaveLength(codeCachesMax + 1);
  });
});
