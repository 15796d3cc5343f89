/** Why a request came back without an answer. */
export type BusProblem =
  /** No member of that name, or it left before it answered. */
  | 'gone'
  /** No answer in time. */
  | 'timeout'
  /** Too much is on its way to that member already. */
  | 'full'
  /** The member has nobody for that topic, or its handler threw. */
  | 'refused';

/** Thrown by {@link Bus.request}. */
export class BusError extends Error {
  override readonly name = 'BusError';
  constructor(
    readonly problem: BusProblem,
    detail: string,
  ) {
    super(`${problem}: ${detail}`);
  }
}

/**
 * `data` is refused when a member is too far behind, and whoever sends it hears so at once. `control` keeps copies
 * of state alike and is never refused: a member that cannot keep up with it leaves and joins anew.
 */
export type BusKind = 'data' | 'control';

/** Handles a message. `payload` is a view that is valid only during the call. */
export type BusHandler = (from: string, payload: Uint8Array) => void;
/** Answers a request. `payload` is a view that is valid only until the first await. */
export type BusAnswer = (from: string, payload: Uint8Array) => Uint8Array | Promise<Uint8Array>;

/** Told of members that come and go. */
export interface MemberListener {
  joined?(name: string): void;
  left?(name: string): void;
}

/**
 * What passes messages between the relay processes of one operator. Every process is a member with a name that is
 * never used again. Between two members messages arrive in the order they were sent, each at most once; a member
 * sees its own messages never.
 *
 * The interface is made for three carriers: `memory` (tests, simulation), `process` (Unix sockets between processes
 * of one host), and a message broker between hosts later, where a topic becomes a subject, `send` an addressed
 * subject and `request` its request-reply.
 */
export interface Bus {
  /** Own name. */
  readonly self: string;
  /** The other members, in the order in which they joined. */
  readonly members: readonly string[];
  /**
   * Sends to one member. False when it was refused and counted: no such member, or too far behind. The bytes must
   * not be changed afterwards.
   */
  send(to: string, topic: string, payload: Uint8Array, kind?: BusKind): boolean;
  /** Sends to every other member; how many took it. */
  publish(topic: string, payload: Uint8Array, kind?: BusKind): number;
  /**
   * Asks one member.
   *
   * @throws BusError when no answer comes
   */
  request(to: string, topic: string, payload: Uint8Array, timeoutMs?: number): Promise<Uint8Array>;
  /** Handles messages of a topic; one handler per topic. */
  on(topic: string, handler: BusHandler): void;
  /** Answers requests of a topic; one per topic. What it throws is a refusal to the asker. */
  answer(topic: string, handler: BusAnswer): void;
  /**
   * Called for every message of that topic that was sent and of which is not known that it was handled, when its
   * member has left. It may have been handled all the same.
   */
  onLost(topic: string, lost: (to: string, payload: Uint8Array) => void): void;
  onMember(listener: MemberListener): void;
  /** Leaves: what was sent is handed over as far as possible within a second. */
  close(): Promise<void>;
}
