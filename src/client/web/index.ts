import { dialWs } from '../../link/index.js';
import type { Dial } from '../types.js';
import { type WsDialOptions, wsDialler } from '../ws-dial.js';

export { type IndexedDbOptions, IndexedDbStorage, IndexedDbStorageError } from './indexed-db.js';

/** Dials relays with the WebSocket of the browser (or any runtime that has one). */
export function dialWebRelay(options: Omit<WsDialOptions, 'open'> = {}): Dial {
  return wsDialler({ ...options, open: (url) => dialWs(url) });
}
