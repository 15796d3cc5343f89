// What one RSA-4096 signature of a key never seen before costs an engine, in full batches: microseconds of processor time.
//
//   node raw-verify.mjs ENGINE ITEMS FIRST      identities from number FIRST on
//
// Prints {"microseconds", "items"}.

import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const dist = join(dirname(fileURLToPath(import.meta.url)), '../../../dist');
const { createVerifyEngine } = await import(join(dist, 'identity/index.js'));
const { enableRelaxedSimd } = await import(join(dist, 'core/node/index.js'));
const { Identities } = await import(join(dist, 'load/index.js'));

const [name, count, first] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
/** Of the relay's threads. */
const batchItems = 32;
/** Batches before the clock starts: the kernel is compiled by then. */
const warmBatches = 40;

enableRelaxedSimd();
const engine = await createVerifyEngine(name === 'native' ? 'native-sync' : name);
const identities = new Identities('starling bench');
const batches = [];
for (let i = 0; i < count; i += batchItems)
  batches.push(
    Array.from({ length: batchItems }, (_, k) => {
      const { publicKey, sign } = identities.at(first + i + k);
      const message = new Uint8Array(44).fill((i + k) & 0xff);
      return { key: publicKey, message, signature: sign(message) };
    }),
  );
let items = 0;
let start = 0;
for (const [i, batch] of batches.entries()) {
  if (i === warmBatches) start = process.cpuUsage();
  const verdicts = await engine.verify(batch);
  if (verdicts.includes(false)) throw new Error('a signature did not verify');
  if (i >= warmBatches) items += batch.length;
}
const { user, system } = process.cpuUsage(start);
console.log(JSON.stringify({ microseconds: (user + system) / items, items }));
await engine.close();
process.exit(0);
