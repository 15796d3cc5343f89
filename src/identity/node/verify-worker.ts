// The thread of a verify pool: takes batches from shared memory until it is told to end.

import { parentPort, workerData } from 'node:worker_threads';
import { enableRelaxedSimd } from '../../core/node/index.js';
import { createVerifyEngine, type VerifyEngineName } from '../index.js';
import { VerifySlots } from './verify-slots.js';

/** What the pool hands to its threads. */
export interface VerifyWorkerData {
  readonly engine: VerifyEngineName;
  readonly memory: SharedArrayBuffer;
}

async function work({ engine: name, memory }: VerifyWorkerData): Promise<void> {
  enableRelaxedSimd();
  const engine = await createVerifyEngine(name);
  const slots = new VerifySlots(memory);
  parentPort?.postMessage('ready');
  while (slots.waitForBatch()) {
    const before = engine.operations;
    const verdicts = await engine.verify(slots.items());
    slots.finish(verdicts, engine.operations - before);
    parentPort?.postMessage('done');
  }
  await engine.close();
}

await work(workerData as VerifyWorkerData);
