// A thread that finds out which verify engine is the fastest on this machine, tells it, and ends.

import { parentPort, workerData } from 'node:worker_threads';
import { enableRelaxedSimd } from '../../core/node/index.js';
import { chooseVerifyEngine } from '../index.js';

/** What the measuring thread is started with. */
export interface MeasureWorkerData {
  readonly budgetMs: number;
}

enableRelaxedSimd();
const { budgetMs } = workerData as MeasureWorkerData;
// Not awaited: bundled as CommonJS, which has no await at its top. A rejection is the thread's 'error' all the same.
void chooseVerifyEngine({ budgetMs }).then((choice) => parentPort?.postMessage(choice));
