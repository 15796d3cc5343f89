/**
 * A received chunk whose memory is used again as soon as its call is over, unless something of it waits somewhere. Who
 * sends flat out brings thousands of full buffers a second; a fresh array for each has left the caches before it is
 * used once, and the collector frees it when hundreds of them have.
 *
 * One chunk at a time is lent, within one call. Whoever lets views of what it was given outlive that call says so; whoever
 * copies where a transport's chunks do not stay needs to know nothing of this.
 */
let lent: ArrayBufferLike | null = null;
let isKept = false;
let isBrief = false;
let waiting = 0;
/** Counts the chunks that were lent; 0 while none is. */
let number = 0;
let count = 0;

/** From now on views of this memory are lent. */
export function lend(memory: ArrayBufferLike): void {
  lent = memory;
  isBrief = false;
  isKept = false;
  waiting = 0;
  number = ++count;
}

/**
 * As {@link lend} memory that its owner takes back after the call whatever anybody says, as uWebSockets.js does: it cannot
 * be kept, only copied, see {@link lasting}.
 */
export function lendBriefly(memory: ArrayBufferLike): void {
  lend(memory);
  isBrief = true;
}

/** These bytes, or a copy of them when their memory will be taken back. */
export function lasting(bytes: Uint8Array): Uint8Array {
  return isBrief && bytes.buffer === lent ? bytes.slice() : bytes;
}

/** The call is over. True when nobody has a view any more: the memory may be written to. */
export function takeBack(): boolean {
  lent = null;
  isBrief = false;
  number = 0;
  return !isKept && waiting === 0;
}

/** Whether a chunk is lent now. */
export function isLending(): boolean {
  return lent !== null;
}

/** Whether it is this memory. Of an array asking for its memory is a call into the engine: ask once per message. */
export function isLent(memory: ArrayBufferLike): boolean {
  return memory === lent;
}

/**
 * What to keep of these bytes, which are needed after the call: if they are lent, their memory is theirs, or a copy where it
 * cannot be.
 */
export function keepLent(bytes: Uint8Array): Uint8Array {
  const own = lasting(bytes);
  if (own.buffer === lent) isKept = true;
  return own;
}

/** Whether the chunk of that {@link waitsForLent} is the one lent now. */
export function isLentNow(ofNumber: number): boolean {
  return ofNumber === number && number !== 0;
}

/** Bytes of the lent chunk wait until {@link waitedFor} is called with what this answers. */
export function waitsForLent(): number {
  waiting++;
  return number;
}

/** What waited has gone, all of it or not; of another chunk than the one lent now it changes nothing. */
export function waitedFor(ofNumber: number, all: boolean): void {
  if (!isLentNow(ofNumber)) return;
  waiting--;
  if (!all) isKept = true;
}
