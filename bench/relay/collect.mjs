// Preloaded into a server whose memory is measured: collects garbage when it is told to. A signal that every process
// ignores by default tells it, so that servers and floors need to know nothing of it.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { isMainThread } from 'node:worker_threads';

export const collectSignal = 'SIGWINCH';
/** What one collection finds unreachable, such as buffers behind weak references, only the next ones free. */
const collections = 3;

if (isMainThread) {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc');
  process.on(collectSignal, () => {
    for (let i = 0; i < collections; i++) collect();
  });
}
