// The thread of a verify pool: takes batches from shared memory until it is told to end.

import { parentPort, workerData } from 'node:worker_threads';
import { loadRsaCore, type RsaCore, RsaVerdict, rsaEngineNames } from '../../core/index.js';
import { enableRelaxedSimd } from '../../core/node/index.js';
import { createVerifyEngine, type VerifyEngine, type VerifyEngineName } from '../index.js';
import { threadGivesWay } from './give-way.js';
import { type VerifySlot, VerifySlots } from './verify-slots.js';

/** What the pool hands to its threads. */
export interface VerifyWorkerData {
  readonly engine: VerifyEngineName;
  readonly memory: SharedArrayBuffer;
}

/** Verdicts of an engine that wants an object per item, on the items named. */
async function withEngine(engine: VerifyEngine, slot: VerifySlot, which: readonly number[]): Promise<void> {
  const items = slot.items();
  const verdicts = await engine.verify(which.map((i) => items[i]!));
  for (const [k, i] of which.entries())
    slot.verdicts[i] = verdicts[k] === true ? RsaVerdict.valid : RsaVerdict.wrong;
}

/** Verifies with a kernel, from the slot to its verdicts; which items it leaves to another engine, null for none. */
function withKernel(kernel: RsaCore, slot: VerifySlot): number[] | null {
  const { count, verdicts } = slot;
  kernel.verifyPackedKeys(slot.data, slot.lengths, count, verdicts);
  let operations = 0;
  let elsewhere: number[] | null = null;
  for (let i = 0; i < count; i++) {
    const verdict = verdicts[i];
    if (verdict !== RsaVerdict.refused) operations++;
    if (verdict === RsaVerdict.elsewhere) {
      elsewhere ??= [];
      elsewhere.push(i);
    }
  }
  slot.operations = operations;
  return elsewhere;
}

async function work({ engine: name, memory }: VerifyWorkerData): Promise<void> {
  threadGivesWay();
  enableRelaxedSimd();
  const engine = await createVerifyEngine(name);
  const kernelName = rsaEngineNames.find((n) => n === name);
  const kernel = kernelName === undefined ? null : await loadRsaCore(kernelName);
  const slots = new VerifySlots(memory);
  parentPort?.postMessage('ready');
  while (slots.waitForBatch()) {
    const slot = slots.slot(slots.done);
    if (kernel === null) {
      const before = engine.operations;
      await withEngine(engine, slot, [...new Array(slot.count).keys()]);
      slot.operations = engine.operations - before;
    } else {
      const elsewhere = withKernel(kernel, slot);
      // Waited for only where there is something to wait for.
      if (elsewhere !== null) await withEngine(engine, slot, elsewhere);
    }
    if (slots.finish()) parentPort?.postMessage('done');
  }
  await engine.close();
}

// Not awaited: bundled as CommonJS, which has no await at its top. A rejection is the thread's 'error' all the same.
void work(workerData as VerifyWorkerData);
