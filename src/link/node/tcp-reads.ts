import { type Server, Socket, type SocketConstructorOpts } from 'node:net';
import { lend, takeBack } from '../lent-chunk.js';

/**
 * Reading without an allocation per chunk. As events, node:net takes 64 KiB for every read, shrinks it to what came and
 * sends it through a stream: an eighth of what forwarding a small message costs a bare program.
 */

/** What all sockets are read into, one after the other; no more is read of one before the others have had their turn. */
export const turnReadBytes = 64 * 1024;
/**
 * Of few that send flat out so much is read at once: what a read, a write, an acknowledgement and a wake-up cost is then
 * paid for four times the bytes. Of many it would keep everybody else waiting, and lie in no cache.
 */
const largeReadBytes = 256 * 1024;
/** Few: what they bring in one turn takes tens of milliseconds. */
const largeReadersMax = 64;
const large = Buffer.allocUnsafeSlow(largeReadBytes);
const small = large.subarray(0, turnReadBytes);

/** What the socket that was read last is read into next. */
let next: Uint8Array = small;

/** Called by every socket when it is made and after each read. */
function nextBuffer(): Uint8Array {
  const buffer = next;
  next = small;
  return buffer;
}

/** The last thing in the call of a socket that is read flat out, as `all` are: it is read into the large buffer next. */
export function readMuchNext(all: number): void {
  if (all <= largeReadersMax) next = large;
}

/**
 * Small chunks get their memory from arrays of this size: a frame that a stalled receiver's socket still holds keeps
 * no more than that.
 */
const carvedBytes = 16 * 1024;
/** Larger chunks get an array of their own. */
const carvedChunkBytesMax = 4 * 1024;

let carved = new Uint8Array(carvedBytes);
let used = 0;

/** The first `n` bytes of what was read, in memory that nobody writes to any more. */
export function kept(read: Uint8Array, n: number): Uint8Array {
  if (n > carvedChunkBytesMax) return new Uint8Array(read.subarray(0, n));
  if (carvedBytes - used < n) {
    carved = new Uint8Array(carvedBytes);
    used = 0;
  }
  const chunk = new Uint8Array(carved.buffer, used, n);
  chunk.set(read.subarray(0, n));
  used += n;
  return chunk;
}

/** For the next full buffer of either size: the memory of the one before, when nothing of that was kept. */
const spare: { small: Uint8Array | null; large: Uint8Array | null } = { small: null, large: null };
let out: Uint8Array | null = null;

/** So much that was read that it is worth it, in memory that is lent until {@link returned}. */
export function lentOf(read: Uint8Array, n: number): Uint8Array {
  const size = n > turnReadBytes ? 'large' : 'small';
  out = spare[size] ?? new Uint8Array(size === 'large' ? largeReadBytes : turnReadBytes);
  spare[size] = null;
  const chunk = n < read.length ? read.subarray(0, n) : read;
  out.set(chunk);
  lend(out.buffer);
  return n < out.length ? out.subarray(0, n) : out;
}

/** After {@link lentOf}, when all of it has been handled. */
export function returned(): void {
  if (takeBack() && out !== null) spare[out.length > turnReadBytes ? 'large' : 'small'] = out;
  out = null;
}

/** What a socket calls, as itself, with what it read; true to go on. */
export type OnRead = (this: Socket, n: number, buffer: Uint8Array) => boolean;

/** node:net's own name for what is below a socket; its constructor takes one over. */
interface Handled {
  _handle?: object | null;
}

/** As node:net's server makes them: not reading before it is told to. */
interface HandleOptions extends SocketConstructorOpts {
  readonly handle: object;
  readonly pauseOnCreate: true;
  readonly onread: { readonly buffer: () => Uint8Array; readonly callback: OnRead };
}

/** A socket over that handle, which reads by `onRead` once it is resumed: only a constructor takes that option. */
function socketOver(handle: object, onRead: OnRead): Socket {
  const options: HandleOptions = {
    handle,
    pauseOnCreate: true,
    onread: { buffer: nextBuffer, callback: onRead },
  };
  return new Socket(options);
}

/** What the handle of a server calls for a connection, or with an error in its place. */
type OnConnection = (this: object, error: number, connection: object | undefined) => void;

interface ServerHandle {
  onconnection?: OnConnection;
}

/**
 * Has a server that listens make sockets that read by `onRead`, and hand them to `accepted`. A server gives that option
 * to none of its sockets, and one that is made only to be thrown away again ({@link readingInto}) is 6 % of the main
 * thread's time for a handshake, as profiled. Where this Node has no such handle nothing changes: connections come as events.
 */
export function acceptReading(server: Server, onRead: OnRead, accepted: (socket: Socket) => void): void {
  const handle = (server as Server & Handled)._handle as ServerHandle | null | undefined;
  const own = handle?.onconnection;
  if (handle === null || handle === undefined || typeof own !== 'function') return;
  handle.onconnection = function (error, connection) {
    if (error !== 0 || connection === undefined) own.call(this, error, connection);
    else accepted(socketOver(connection, onRead));
  };
}

/**
 * The connection of `socket`, which was accepted and has read nothing yet, as a socket that reads by `onRead`: the
 * connection moves to a new one, and the old one is closed without it. Who waits for the old one's 'close' waits for the
 * connection's end and hears of that. Null, and nothing has changed, where this Node has no handle to move.
 */
export function readingInto(socket: Socket, onRead: OnRead): Socket | null {
  const handle = (socket as Handled)._handle;
  if (handle === undefined || handle === null || socket.readableLength > 0 || socket.bytesRead > 0)
    return null;
  const reading = socketOver(handle, onRead);
  (socket as Handled)._handle = null;
  for (const waiting of socket.rawListeners('close')) reading.on('close', waiting as () => void);
  socket.removeAllListeners('close');
  socket.on('error', () => undefined);
  socket.destroy();
  return reading;
}
