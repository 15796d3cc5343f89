import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fromHex } from '../../src/wire/index.js';

export interface Fixture {
  readonly name: string;
  readonly in: Readonly<Record<string, unknown>>;
  readonly out: Readonly<Record<string, unknown>>;
}

const loaded = new Map<string, readonly Fixture[]>();

/** Cases of a golden vector file. */
export function fixtures(file: string): readonly Fixture[] {
  let list = loaded.get(file);
  if (list === undefined) {
    const path = resolve(import.meta.dirname, '../vectors', file);
    list = (JSON.parse(readFileSync(path, 'utf8')) as { cases: Fixture[] }).cases;
    loaded.set(file, list);
  }
  return list;
}

export function fixture(file: string, name: string): Fixture {
  const found = fixtures(file).find((f) => f.name === name);
  if (found === undefined) throw new Error(`no case ${name} in ${file}`);
  return found;
}

export function hex(v: unknown): Uint8Array {
  return fromHex(typeof v === 'string' ? v : '');
}

/** Serialized private key of a test wallet: w0 … w5 (4096 bit), signer (2048 bit). */
export function walletKey(name: string): Uint8Array {
  return hex(fixture('wallets.json', name).in.privateKey);
}
