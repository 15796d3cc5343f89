import { loadCore, loadRsaCore } from 'starling-core';
import { signedBatch } from './signed-batch.mjs';

/** Verifies 32 signatures of which one is forged; a line that says with what, and what was found. */
export async function verifyOneForged() {
  const items = await signedBatch(32);
  items[7] = { ...items[7], message: new TextEncoder().encode('forged') };

  // The fastest kernel that works here; null where WebAssembly does not, then the core does it in JavaScript.
  const kernel = await loadRsaCore();
  const core = await loadCore();
  const verdicts = kernel?.verifyBatch(items) ?? core.rsaVerifyBatch(items);

  const valid = verdicts.filter((v) => v === 1).length;
  kernel?.freeMemory();
  return `${kernel?.engine ?? core.engine}: ${valid} of ${items.length} valid, forged: ${verdicts.indexOf(0)}`;
}
