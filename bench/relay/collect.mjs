// Preloaded into a server whose memory is measured: collects garbage when it is told to, by a signal, so that servers and
// floors need to know nothing of it.

import { queryObjects } from 'node:v8';
import { isMainThread } from 'node:worker_threads';
import { collectSignal } from './machine.mjs';

/** What one collection finds unreachable, such as buffers behind weak references, only the next ones free. */
const collections = 3;

if (isMainThread) {
  const { collect } = await import('../core/measure.mjs');
  process.on(collectSignal, () => {
    for (let i = 0; i < collections; i++) collect();
    // A collection gives the young generation's empty pages back, 30 MB, only when little was allocated in the seconds
    // before: of one step and not of the next, that would be 6 KB per client. Before a query V8 always gives them back.
    queryObjects(class Nothing {}, { format: 'count' });
  });
}
