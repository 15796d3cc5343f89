import { WebSocket } from 'ws';
import type { Transport } from '../transport.js';
import { type DialWsOptions, dialWs, type WebSocketConstructor, wsMessageBytesMax } from '../ws-client.js';

/** `ws` with our caps, in the shape of the platform's WebSocket. */
class NodeWebSocket extends WebSocket {
  constructor(url: string) {
    super(url, { perMessageDeflate: false, maxPayload: wsMessageBytesMax });
  }
}

/**
 * {@link dialWs} for Node: always `ws`, because Node 20 has no WebSocket of its own and the one of later
 * versions cannot be told a message cap.
 */
export function dialNodeWs(url: string, options: Omit<DialWsOptions, 'webSocket'> = {}): Promise<Transport> {
  return dialWs(url, { ...options, webSocket: NodeWebSocket as WebSocketConstructor });
}
