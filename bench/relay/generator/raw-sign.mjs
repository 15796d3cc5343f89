// Signatures a second of one thread with a PEM key: node bench/relay/generator/raw-sign.mjs FILE

import { createPrivateKey, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';

const SECONDS = 3;
const key = createPrivateKey(readFileSync(process.argv[2]));
const message = new Uint8Array(60);
let n = 0;
const t = performance.now();
while (performance.now() - t < 1_000 * SECONDS) {
  sign('sha512', message, key);
  n++;
}
console.log(JSON.stringify({ rate: (1000 * n) / (performance.now() - t) }));
