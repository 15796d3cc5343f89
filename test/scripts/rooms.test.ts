import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../..');
const CHECK = join(ROOT, 'scripts/check-rooms.mjs');

async function check(root: string): Promise<{ code: number; text: string }> {
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [CHECK, root]);
    return { code: 0, text: stdout + stderr };
  } catch (e) {
    const failure = e as { code: number; stdout: string; stderr: string };
    return { code: failure.code, text: failure.stdout + failure.stderr };
  }
}

describe('the order of the rooms', () => {
  it('is kept by the sources', async () => {
    expect(await check(ROOT)).toEqual({
      code: 0,
      text: expect.stringMatching(/^rooms: \d+ files keep the order\n$/),
    });
  });

  // One copy for all: making it takes far longer than checking it. What a case plants goes with the case.
  let copy: string;
  let planted: string[] = [];
  beforeAll(() => {
    copy = mkdtempSync(join(tmpdir(), 'starling-rooms-'));
    cpSync(join(ROOT, 'package.json'), join(copy, 'package.json'));
    cpSync(join(ROOT, 'src'), join(copy, 'src'), { recursive: true });
  });
  afterEach(() => {
    for (const path of planted) rmSync(path, { recursive: true });
    planted = [];
  });
  afterAll(() => rmSync(copy, { recursive: true, force: true }));

  const plant = (file: string, text: string): void => {
    const path = join(copy, 'src', file);
    const made = mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text, { flag: 'wx' });
    planted.push(made ?? path);
  };

  it.each([
    ['wire/planted.ts', "import { x } from '../presence/index.js';", 'wire may not import presence'],
    ['wire/planted.ts', "export type { X } from '../link/index.js';", 'wire may not import link'],
    ['client/planted.ts', "import { Relay } from '../relay/index.js';", 'client and relay may not know'],
    [
      'relay/planted.ts',
      "import { Coordinator } from '../coordinator/index.js';",
      'relay and coordinator may',
    ],
    ['presence/planted.ts', "const x = await import('../cli/exit.js');", 'presence may not import cli'],
    ['presence/planted.ts', "import { x } from '../wire/reader.js';", 'wire/reader.js is not a façade'],
    ['counters/planted.ts', "import { x } from '../wire/index.js';", 'counters imports nothing'],
    ['core/planted.ts', "import { sha512 } from '@noble/hashes/sha2.js';", 'core imports nothing'],
    ['messages/planted.ts', "import { readFileSync } from 'node:fs';", 'node:fs may not be imported here'],
    ['client/planted.ts', "import { WebSocket } from 'ws';", 'ws may not be imported here'],
    ['client/planted.ts', "import { dialTcp } from '../link/node/index.js';", 'link/node is for Node'],
    [
      'link/planted.ts',
      "import { dialTcp } from './node/tcp.js';",
      'the portable part of link imports link/node',
    ],
    ['ledger/planted.ts', 'export const x = Buffer.from([1]);', 'Buffer does not exist in browsers'],
    ['relay/planted.ts', "import { x } from 'left-pad';", 'left-pad is not a dependency'],
    ['attic/planted.ts', 'export const x = 1;', 'attic is not a room'],
  ])('fails for a breach: %s with %s', async (file, text, why) => {
    plant(file, `/** Planted. */\n${text}\n`);
    const { code, text: shown } = await check(copy);
    expect(shown).toContain(`src/${file}:${file.startsWith('attic') ? 1 : 2}: `);
    expect(shown).toContain(why);
    expect(code).toBe(1);
  });

  it.each([
    ['presence/planted.ts', "import { DecodeError } from '../wire/index.js';"],
    ['relay/planted.ts', "import { dialTcp } from '../link/node/index.js';"],
    ['wire/planted.ts', "// import { x } from '../relay/index.js';"],
    ['wire/planted.ts', "/* Buffer.from */ export const said = 'Buffer.from(x)';"],
    ['identity/planted.ts', "import type { KeyObject } from 'node:crypto';"],
  ])('lets pass what is allowed: %s with %s', async (file, text) => {
    plant(file, `/** Planted. */\n${text}\n`);
    expect((await check(copy)).text).toMatch(/keep the order/);
  });
});
