/** What parent and worker say to each other over the channel that Node opens between them. */

/** A line of progress or of the log, for the operator. */
export type Fields = Readonly<Record<string, string | number | boolean | null>>;

/** What a worker is told first. */
export interface WorkerStart {
  readonly name: string;
  /** Grows with every worker ever started: the highest bits of its connections' ids. */
  readonly generation: number;
  readonly folder: string;
  /** Members that are there already, to be dialled. */
  readonly members: readonly string[];
  /** Who leads; its own name for the first one. */
  readonly leader: string;
  /** The program's own. */
  readonly start: unknown;
}

export type ToWorker =
  /** First of all: who it is and what it shall do. */
  | ({ readonly type: 'start' } & WorkerStart)
  /** A connection, sent with its handle. */
  | { readonly type: 'socket'; readonly id: number; readonly gate: string }
  /** A listening handle to be sent back. */
  | { readonly type: 'listener'; readonly gate: string }
  /** Who leads from now on; sent to everybody, the leader included. */
  | { readonly type: 'leader'; readonly name: string | null }
  /** Give the lead up; answered by `yielded`. */
  | { readonly type: 'yield' }
  /** Move the clients on, then end. */
  | { readonly type: 'retire' }
  /** End in order. */
  | { readonly type: 'stop'; readonly why: string }
  | { readonly type: 'reload' }
  | { readonly type: 'drain' }
  /** What the parent itself counted, so that whoever shows numbers has these too. */
  | { readonly type: 'counted'; readonly samples: readonly ParentSample[] };

export interface ParentSample {
  readonly kind: 'counter' | 'gauge';
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** What an operator asks of all processes through one of them. */
export type Asked = 'stop' | 'upgrade' | 'reload' | 'drain' | 'resume';

export type ToParent =
  /** It serves: connections may come. `members`: whom it reaches over the bus. */
  | { readonly type: 'ready'; readonly capacity: number; readonly members: readonly string[] }
  | { readonly type: 'took'; readonly id: number }
  | { readonly type: 'full'; readonly id: number }
  /** So many connections ended since the last time. */
  | { readonly type: 'closed'; readonly count: number }
  | { readonly type: 'listener'; readonly gate: string }
  | { readonly type: 'alive' }
  | { readonly type: 'yielded' }
  /** The operator asked for it through this worker. */
  | { readonly type: 'ask'; readonly what: Asked; readonly why: string }
  /** Its long drain is over. */
  | { readonly type: 'drained' }
  /** It cannot start: the program's exit code and words for the operator. */
  | { readonly type: 'failed'; readonly code: number; readonly text: string };
