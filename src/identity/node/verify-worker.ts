// The thread of a verify pool: takes batches from shared memory until it is told to end.

import { readlinkSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { loadRsaCore, type RsaCore, RsaVerdict, rsaEngineNames } from '../../core/index.js';
import { enableRelaxedSimd } from '../../core/node/index.js';
import { createVerifyEngine, type VerifyEngine, type VerifyEngineName } from '../index.js';
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

/** Above the process's own: a core that both want goes to the thread that talks to peers. */
const niceness = 5;

/** Linux schedules threads, each with a niceness; elsewhere, or where it is forbidden, nothing changes. */
function giveWay(): void {
  try {
    const thread = Number(readlinkSync('/proc/thread-self').split('/').at(-1));
    if (thread !== process.pid) setPriority(thread, Math.min(19, getPriority(thread) + niceness));
  } catch {
    // Signatures are verified all the same.
  }
}

async function work({ engine: name, memory }: VerifyWorkerData): Promise<void> {
  giveWay();
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
