// Preloaded into a server whose memory is measured: collects garbage when it is told to, by a signal, so that servers and
// floors need to know nothing of it.

import { isMainThread } from 'node:worker_threads';
import { collectSignal } from './machine.mjs';

/** What one collection finds unreachable, such as buffers behind weak references, only the next ones free. */
const collections = 3;

if (isMainThread) {
  const { collect } = await import('../core/measure.mjs');
  process.on(collectSignal, () => {
    for (let i = 0; i < collections; i++) collect();
  });
}
