import { afterEach, expect, it } from 'vitest';
import { family02 } from '../../src/cli/vectors/family-02-identity.js';
import { restrictRuntime } from '../../src/identity/runtime.js';
import { notPassed, runFamily } from '../support/vectors.js';

afterEach(() => restrictRuntime());

// The same cases on the roads of other runtimes: a browser has no node:crypto, a page without a secure context
// no WebCrypto either. node-forge takes its time for 4096-bit signatures, so the last road runs fewer cases.

it('every case passes as in a browser', { timeout: 60_000 }, async () => {
  restrictRuntime({ node: true });
  expect(notPassed(await runFamily(family02))).toEqual([]);
});

it.each([
  'signature/verify/',
  'signature/create/signer2048',
  'rsa-oaep/decrypt/1',
  'rsa2/decrypt',
  'wallet-file/v5',
  'wallet-file/v2/full',
  'aes-',
  'chacha20',
  'password/',
  'address/from-text',
])('cases %s pass with neither node:crypto nor WebCrypto', { timeout: 60_000 }, async (only) => {
  restrictRuntime({ node: true, subtle: true });
  expect(notPassed(await runFamily(family02, only))).toEqual([]);
});
