// Preloaded into a server whose memory is measured: collects garbage when it is told to, by a signal, so that servers and
// floors need to know nothing of it.

import { Session } from 'node:inspector';
import { isMainThread } from 'node:worker_threads';
import { collectSignal } from './machine.mjs';

if (isMainThread) {
  // V8's own answer to a machine short of memory: it collects until nothing more comes free, and gives back the room of the
  // young generation, which after `gc()` is 30 MB at one step and 0.3 at the next. The session stays connected for good:
  // to end it within its answer hangs the process.
  const session = new Session();
  session.connect();
  process.on(collectSignal, () => session.post('HeapProfiler.collectGarbage'));
}
