// CPU per forwarded 512-byte message over WebSocket: the relay beside the uWebSockets.js floor.

import { run as forwarding } from './forwarding.mjs';

export const about = 'the same over WebSocket';

export const run = (settings) => forwarding(settings, 'ws');
