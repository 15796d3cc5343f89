/** Small frames pass, and frames of this size may be collected, however much all links hold together. */
export const alwaysHeldBytes = 64 * 1024;

/**
 * What all links of a node hold together: bytes that wait for receivers, and bytes of frames that have not
 * arrived whole. Each link keeps its part of the sums right; the bounds may be changed at any time.
 */
export class LinkMemory {
  /** Bytes in send queues and in transports that are full. */
  queuedBytes = 0;
  /** Bytes held for frames that are not complete. */
  receivingBytes = 0;

  constructor(
    public queuedBytesMax = Number.POSITIVE_INFINITY,
    public receivingBytesMax = Number.POSITIVE_INFINITY,
  ) {}
}
