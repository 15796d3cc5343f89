import { createServer, connect as netConnect, type Socket } from 'node:net';
import { type Clock, systemClock, type Timer } from '../../clock/index.js';
import { isLending, isLent, isLentNow, keepLent, lasting, waitedFor, waitsForLent } from '../lent-chunk.js';
import {
  plainAddress,
  type Transport,
  type TransportCloseReason,
  type TransportHandlers,
  type TransportListener,
  transportHighWaterBytes,
  transportLingerMs,
  withoutRest,
} from '../transport.js';
import {
  acceptReading,
  kept,
  lentOf,
  readingInto,
  readMuchNext,
  returned,
  turnReadBytes,
} from './tcp-reads.js';

/**
 * Largest piece given to the socket at once. Node reports progress per write only, so a large frame goes in
 * pieces: a peer that reads slowly is then told apart from one that does not read at all.
 */
const writeSliceBytes = 256 * 1024;

/** Connections the kernel holds until we accept: a restart brings everybody back at once (03 §4.1). */
const listenBacklog = 4096;

/** A dial that led nowhere. */
export class DialError extends Error {
  override readonly name = 'DialError';
  constructor(
    /** `timeout`, or the system's error code such as `ECONNREFUSED`. */
    readonly reason: string,
    target: string,
  ) {
    super(`${target}: ${reason}`);
  }
}

/** Buffers that the frames gathered in one turn may lie in; frames beyond are copied when they are a small part. */
const gatheredBuffersMax = 8;

/** Writes between two looks at whether gathering would save anything. */
const writesPerProbe = 64;

/**
 * The current turn of the event loop, watched only while that pays: a socket that is written to for the first time in
 * a turn writes at once, unless it got several frames in its turn before; what comes after that in the same turn is
 * gathered into one system call. Where every
 * socket gets one frame per turn, even learning that a turn is over costs more than it saves, so a turn in which
 * nothing was gathered ends the watch, and every {@link writesPerProbe} writes one turn is watched again.
 */
class Turn {
  /** Number of the turn while it is watched, else 0. */
  now = 0;
  #count = 0;
  #untilProbe = 0;
  readonly #gathering: TcpTransport[] = [];

  /** Called for every write while no turn is watched. */
  unwatched(): void {
    if (--this.#untilProbe > 0) return;
    this.now = ++this.#count;
    setImmediate(() => this.#end());
  }

  gather(transport: TcpTransport): void {
    this.#gathering.push(transport);
  }

  /**
   * After a chunk that filled the buffer: who sends flat out mostly sends to one, and what that one got leaves while
   * the caches still hold it. When the turn is over, megabytes of other chunks have passed.
   */
  flushLast(): void {
    this.#gathering.at(-1)?.flushMuch();
  }

  #end(): void {
    this.now = 0;
    // The next write begins the next watched turn at once, or after a while when there was nothing to gather.
    this.#untilProbe = this.#gathering.length > 0 ? 0 : writesPerProbe;
    if (this.#gathering.length > 0) for (const t of this.#gathering.splice(0)) t.flush();
  }
}

const turn = new Turn();

/**
 * A socket knows its transport, so that all sockets share the listeners below: closures of its own would be a
 * kilobyte of every idle connection.
 */
const transportKey = Symbol('transport');

interface OwnedSocket extends Socket {
  [transportKey]: TcpTransport;
}

function onData(this: Socket, chunk: Uint8Array): void {
  (this as OwnedSocket)[transportKey].received(chunk);
}

/**
 * Called by the socket itself, which reads into `buffer` again afterwards. Of a socket that filled the buffer more is
 * there at once: libuv would read 32 buffers of it before the next socket has its turn and before anything gathered
 * leaves. With fifty senders that is 100 MB per turn, and what does not fit into the receivers' queues is refused.
 */
function onRead(this: Socket, n: number, buffer: Uint8Array): boolean {
  const transport = (this as OwnedSocket)[transportKey];
  if (n < turnReadBytes) {
    transport.received(kept(buffer, n));
    return true;
  }
  try {
    transport.received(lentOf(buffer, n));
    turn.flushLast();
  } finally {
    returned();
  }
  const isFull = n === buffer.length;
  if (isFull) {
    nextTurn.push(transport);
    if (nextTurn.length === 1) setImmediate(readOn);
  }
  readMuchNext(Math.max(filledLast, nextTurn.length));
  return !isFull;
}

/** Those that are read again when this turn is over, and how many there were in the turn before. */
let nextTurn: TcpTransport[] = [];
let filledLast = 0;

function readOn(): void {
  const all = nextTurn;
  nextTurn = [];
  filledLast = all.length;
  for (const t of all) t.readOn();
}

function onError(this: Socket, e: NodeJS.ErrnoException): void {
  (this as OwnedSocket)[transportKey].over('error', e.code ?? e.message);
}

/** The reference does not notice a FIN; we end at once (03 §2.3). */
function onEnd(this: Socket): void {
  (this as OwnedSocket)[transportKey].over('remote', '');
}

function onDrain(this: Socket): void {
  (this as OwnedSocket)[transportKey].drained();
}

function pausedStill(transport: TcpTransport): void {
  transport.pauseAgain();
}

class TcpTransport implements Transport {
  readonly remoteAddress: string;
  readonly remotePort: number;
  #handlers: TransportHandlers | null = null;
  /** Pieces of large frames that wait behind what the socket holds. */
  #backlog: Uint8Array[] | null = null;
  #backlogBytes = 0;
  #blocked = false;
  /** The turn in which it was written to last, and how many frames are gathered in it. */
  #turn = 0;
  #gathered = 0;
  /** The buffer of the frame gathered last, and how many there were. */
  #buffer: ArrayBufferLike | null = null;
  #buffers = 0;
  /** The part of it that waits: frames that lie side by side, as a flood of one sender does, go as one. */
  #from = 0;
  #to = 0;
  /** The last lent chunk of which something is gathered; 0 when there is none. */
  #ofLent = 0;
  #paused = false;
  #ending = false;
  #ended: { reason: TransportCloseReason; detail: string } | null = null;
  #reported = false;
  #linger: Timer | null = null;

  constructor(
    readonly socket: Socket,
    readonly clock: Clock,
    /** Whether the socket hands over what it reads by {@link onRead}, and not as events. */
    private readonly reads = false,
  ) {
    this.remoteAddress = plainAddress(socket.remoteAddress ?? '');
    this.remotePort = socket.remotePort ?? 0;
    socket.setNoDelay(true);
    (socket as OwnedSocket)[transportKey] = this;
    socket.on('error', onError);
    socket.on('end', onEnd);
    socket.on('close', onEnd);
    socket.on('drain', onDrain);
  }

  // Of the class, not of every connection.
  get kind(): 'tcp' {
    return 'tcp';
  }

  /** A chunk has memory of its own, see {@link kept}, but for a whole buffer, which is lent. */
  get chunksStay(): boolean {
    return !isLending();
  }

  /** Looked up when asked for: an object of every socket otherwise. */
  get localAddress(): string {
    return plainAddress(this.socket.localAddress ?? '');
  }

  get bufferedBytes(): number {
    if (this.#ended !== null) return 0;
    return this.socket.writableLength + this.#backlogBytes + this.#to - this.#from;
  }

  start(handlers: TransportHandlers): void {
    if (this.#handlers !== null) throw new TypeError('a transport is started once');
    this.#handlers = handlers;
    if (this.#ended !== null) {
      queueMicrotask(() => this.#report());
      return;
    }
    if (!this.reads) this.socket.on('data', onData);
    this.socket.resume();
  }

  /** A chunk arrived. */
  received(chunk: Uint8Array): void {
    if (this.#ended === null) this.#handlers!.data(chunk);
  }

  write(bytes: Uint8Array): boolean {
    if (this.#ended !== null || this.#ending) return false;
    const own = lasting(bytes);
    if (this.#backlogBytes > 0 || own.length > writeSliceBytes) this.#slice(own);
    else this.#write(own);
    if (this.bufferedBytes < transportHighWaterBytes) return true;
    if (this.socket.writableCorked > 0) {
      // The kernel has not been asked yet.
      this.flush();
      if (this.bufferedBytes < transportHighWaterBytes) return true;
    }
    this.#blocked = true;
    return false;
  }

  #write(bytes: Uint8Array): void {
    const { socket } = this;
    if (turn.now === 0) turn.unwatched();
    if (this.#turn !== turn.now || turn.now === 0) {
      this.#turn = turn.now;
      const several = this.#gathered > 1;
      this.#gathered = 0;
      // Several frames in its last turn: this one has followers too, and waits for them.
      if (!several || turn.now === 0 || socket.writableLength > 0) {
        // The kernel took nothing of what came before: this waits too.
        this.#writeNow(socket.writableLength > 0 ? withoutRest(bytes) : bytes);
        return;
      }
    }
    if (socket.writableCorked === 0) {
      // Something is on its way to the kernel already: as above, and there is no call to save.
      if (socket.writableLength > 0) {
        this.#writeNow(withoutRest(bytes));
        return;
      }
      socket.cork();
      turn.gather(this);
    }
    this.#gathered++;
    const { buffer, byteOffset } = bytes;
    if (buffer === this.#buffer && byteOffset === this.#to) {
      this.#to += bytes.length;
      return;
    }
    this.#pass();
    if (buffer !== this.#buffer) {
      this.#buffer = buffer;
      this.#buffers++;
    }
    this.#from = byteOffset;
    this.#to = byteOffset + bytes.length;
    // Of an earlier one that still waits here nothing is used again.
    if (isLent(buffer) && !isLentNow(this.#ofLent)) this.#ofLent = waitsForLent();
  }

  #writeNow(bytes: Uint8Array): void {
    this.socket.write(bytes);
    if (this.socket.writableLength > 0) keepLent(bytes);
  }

  /** Gives the socket, which holds it back, what lies side by side. */
  #pass(): void {
    if (this.#to === this.#from || this.socket.destroyed) return;
    const bytes = new Uint8Array(this.#buffer!, this.#from, this.#to - this.#from);
    this.#to = this.#from;
    this.socket.write(this.#buffers <= gatheredBuffersMax ? bytes : withoutRest(bytes));
  }

  /** Writes what was gathered. */
  flush(): void {
    this.#pass();
    this.#buffer = null;
    this.#buffers = 0;
    this.socket.uncork();
    if (this.#ofLent === 0) return;
    waitedFor(this.#ofLent, this.socket.writableLength === 0);
    this.#ofLent = 0;
  }

  /** Writes what was gathered when it is most of a chunk. */
  flushMuch(): void {
    if (this.#to - this.#from > turnReadBytes / 2) this.flush();
  }

  #slice(bytes: Uint8Array): void {
    keepLent(bytes);
    this.#backlog ??= [];
    for (let at = 0; at < bytes.length; at += writeSliceBytes)
      this.#backlog.push(bytes.subarray(at, at + writeSliceBytes));
    this.#backlogBytes += bytes.length;
    this.#pass();
    this.#feed();
  }

  #feed(): void {
    // One piece at a time: several waiting ones would be merged into one system call again.
    const backlog = this.#backlog;
    if (backlog === null) return;
    while (backlog.length > 0 && this.socket.writableLength === 0) {
      const piece = backlog.shift()!;
      this.#backlogBytes -= piece.length;
      this.socket.write(piece, () => this.drained());
    }
    if (backlog.length === 0) this.#backlog = null;
  }

  /** The socket has taken what it held. */
  drained(): void {
    if (this.#ended !== null) return;
    this.#feed();
    if (this.#ending && this.#backlog === null) this.socket.end();
    if (!this.#blocked || this.bufferedBytes >= transportHighWaterBytes) return;
    this.#blocked = false;
    this.#handlers?.drain();
  }

  pause(): void {
    this.#paused = true;
    this.socket.pause();
    // What a resume before it in this turn has put off starts the reading once more.
    if (this.reads) process.nextTick(pausedStill, this);
  }

  /** Stops reading again unless it was asked for meanwhile. */
  pauseAgain(): void {
    if (this.#paused) this.socket.pause();
  }

  resume(): void {
    this.#paused = false;
    if (this.#handlers !== null) this.socket.resume();
  }

  /** Its turn again, see {@link onRead}. */
  readOn(): void {
    if (!this.#paused && this.#ended === null) this.socket.resume();
  }

  end(): void {
    if (this.#ending || this.#ended !== null) return;
    this.#ending = true;
    this.#pass();
    if (this.#backlog === null) this.socket.end();
    // What the peer still sends must be read, or its FIN would never be seen.
    this.#paused = false;
    this.socket.resume();
    this.#linger = this.clock.after(transportLingerMs, () => this.socket.destroy());
  }

  destroy(): void {
    this.#ending = true;
    this.socket.destroy();
  }

  /** The end of the socket, however it came. */
  over(reason: TransportCloseReason, detail: string): void {
    if (this.#ended !== null) return;
    this.#ended = { reason: this.#ending ? 'local' : reason, detail };
    this.#backlog = null;
    this.#backlogBytes = 0;
    this.#linger?.cancel();
    this.#pass();
    // With everything handed to the kernel there is nothing to wait for, and two system calls less.
    if (this.socket.writableLength === 0) this.socket.destroy();
    else this.socket.destroySoon();
    if (this.#handlers !== null) this.#report();
  }

  #report(): void {
    if (this.#reported || this.#ended === null) return;
    this.#reported = true;
    this.#handlers!.close(this.#ended.reason, this.#ended.detail);
  }
}

/** A silent transport of a socket that has read nothing yet. */
function accepted(socket: Socket, clock: Clock): Transport {
  const reading = readingInto(socket, onRead);
  return reading === null ? new TcpTransport(socket, clock) : new TcpTransport(reading, clock, true);
}

/** Without a farewell and without leaving a port in TIME_WAIT: a flood is not worth either. */
export function resetTcp(socket: Socket): void {
  socket.on('error', () => undefined);
  socket.resetAndDestroy();
}

export interface ListenTcpOptions {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** Every accepted connection, not started yet. */
  onConnection(transport: Transport): void;
  /** True: a connection from that address is reset before anything is made of it. */
  shuns?(address: string): boolean;
  readonly clock?: Clock;
}

/**
 * Listens for TCP connections, without any pause between accepts (03 §4.1 Weakness).
 *
 * @throws the system's error when the address cannot be bound.
 */
export function listenTcp(options: ListenTcpOptions): Promise<TransportListener> {
  const clock = options.clock ?? systemClock;
  const take = (socket: Socket, transportOf: (socket: Socket) => Transport): void => {
    // A peer that is already gone again has no address any more and is nobody's connection.
    const { remoteAddress } = socket;
    if (remoteAddress === undefined) socket.destroy();
    else if (options.shuns?.(plainAddress(remoteAddress)) === true) resetTcp(socket);
    else options.onConnection(transportOf(socket));
  };
  const server = createServer({ pauseOnConnect: true }, (socket) => take(socket, (s) => accepted(s, clock)));
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: options.host, port: options.port, backlog: listenBacklog, exclusive: true }, () => {
      server.off('error', reject);
      // EMFILE while accepting and the like: the listener lives on, the connection is lost.
      server.on('error', () => undefined);
      acceptReading(server, onRead, (socket) => take(socket, (s) => new TcpTransport(s, clock, true)));
      const at = server.address();
      if (at === null || typeof at === 'string') throw new TypeError('not a TCP address');
      resolve({
        port: at.port,
        address: at.address,
        close: () =>
          new Promise((done) => {
            server.close(() => done());
            // server.close waits for open connections, which live on by contract.
            done();
          }),
      });
    });
  });
}

/** A connection that was accepted elsewhere as a transport, silent until it is started. */
export function adoptTcp(socket: Socket, clock: Clock = systemClock): Transport {
  socket.pause();
  return accepted(socket, clock);
}

export interface DialTcpOptions {
  readonly host: string;
  readonly port: number;
  /** Source address to bind: on loopback a relay must come from the address it announces (09 §14.1). */
  readonly localAddress?: string;
  /** Default: the reference's connect timeout (03 §2.5). */
  readonly timeoutMs?: number;
  readonly clock?: Clock;
}

const dialTimeoutMs = 5_000;

/**
 * Opens a TCP connection.
 *
 * @throws DialError when it is refused, unreachable or not there in time.
 */
export function dialTcp(options: DialTcpOptions): Promise<Transport> {
  const clock = options.clock ?? systemClock;
  const target = `${options.host}:${options.port}`;
  return new Promise((resolve, reject) => {
    const socket = netConnect({
      host: options.host,
      port: options.port,
      noDelay: true,
      ...(options.localAddress === undefined ? {} : { localAddress: options.localAddress }),
    });
    const timer = clock.after(options.timeoutMs ?? dialTimeoutMs, () => fail('timeout'));
    const fail = (reason: string): void => {
      timer.cancel();
      socket.removeAllListeners();
      socket.on('error', () => undefined);
      socket.destroy();
      reject(new DialError(reason, target));
    };
    socket.once('error', (e: NodeJS.ErrnoException) => fail(e.code ?? e.message));
    socket.once('connect', () => {
      timer.cancel();
      socket.removeAllListeners();
      socket.pause();
      resolve(new TcpTransport(socket, clock));
    });
  });
}
