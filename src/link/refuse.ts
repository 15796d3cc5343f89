import { Code, encodeBye, encodeFrame } from '../wire/index.js';
import type { Transport } from './transport.js';

/** The last frame of a connection: why it ends (docs/protocol/03 §5.2). */
export function byeFrame(code: number, text: string, data = ''): Uint8Array {
  return encodeFrame(Code.bye, encodeBye({ code, text, data }));
}

/**
 * Refuses a connection before it becomes a link: bye without time records (03 §4.1), e.g. 700 when not ready
 * or 605 when full. Needs no hello and no signature. `over` is called once the connection has ended.
 */
export function refuseTransport(
  transport: Transport,
  code: number,
  text: string,
  data = '',
  over: () => void = () => undefined,
): void {
  transport.start({ data: () => undefined, drain: () => undefined, close: over });
  transport.write(byeFrame(code, text, data));
  transport.end();
}
