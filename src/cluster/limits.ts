/** Every limit of the cluster room, unit last, with the reason behind its default. */
export interface BusLimits {
  /**
   * Bytes sent to one member and not handled there yet, beyond which `data` is refused: what one process may be
   * behind another before senders are told.
   */
  readonly dataBytesMax: number;
  /**
   * The same for `control`, which is never refused: a member that far behind is cut off, and told everything anew
   * when it is back.
   */
  readonly controlBytesMax: number;
  /** Bytes of one message or answer: a listing of some thousand connections must fit. */
  readonly messageBytesMax: number;
  /** Requests to one member without an answer yet. */
  readonly requestsMax: number;
  /** How long an answer is waited for unless the request says otherwise. */
  readonly requestMs: number;
  /** A connection between two members must have said its name by then. */
  readonly greetingMs: number;
}

export const DEFAULT_BUS_LIMITS: BusLimits = {
  dataBytesMax: 8 * 1024 * 1024,
  controlBytesMax: 128 * 1024 * 1024,
  messageBytesMax: 64 * 1024 * 1024,
  requestsMax: 1_024,
  requestMs: 10_000,
  greetingMs: 5_000,
};

/** Bytes of a topic's name. */
export const topicBytesMax = 64;
/** Descriptors of a process that connections never take: files, the bus, dials, the runtime's own. */
export const spareDescriptors = 256;
