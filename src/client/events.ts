import type { DroppedEndpoint, FoundEndpoint } from './types.js';

/** Where a client stands towards the network. */
export type ClientState = 'stopped' | 'connecting' | 'online' | 'offline';

/** State of a message in the history. */
export type DeliveryState = 'received' | 'queued' | 'sent' | 'delivered' | 'read' | 'expired';

/** One text of a conversation. */
export interface ChatMessage {
  /** Address of the other side, as text. */
  readonly address: string;
  /** Message id, hex. */
  readonly id: string;
  readonly direction: 'in' | 'out';
  readonly text: string;
  /** Network seconds at which the sender made it. */
  readonly timestamp: number;
  readonly state: DeliveryState;
}

/** A contact as the application sees it. */
export interface ContactView {
  readonly address: string;
  readonly nick: string | null;
  /** The user asked for it, or agreed to it. */
  readonly approved: boolean;
  /** It asked us and waits for an answer. */
  readonly requested: boolean;
  /** Session keys agreed: messages flow. */
  readonly established: boolean;
  readonly online: boolean;
  /** Network seconds of its newest verified claim, 0 when never seen. */
  readonly lastSeen: number;
  /** Messages that wait for delivery or confirmation. */
  readonly unconfirmed: number;
}

/**
 * A step of the discovery lifecycle with the values that came of it (docs/protocol/08 §4): 1 connect, 2 announce,
 * 3 sector look-up, 4 presence verified, 5 keys agreed, 6 encrypted message confirmed.
 */
export interface StageEvent {
  readonly stage: 1 | 2 | 3 | 4 | 5 | 6;
  readonly name: 'connect' | 'announce' | 'sector' | 'presence' | 'keys' | 'message';
  /** How long the step took. */
  readonly ms: number;
  readonly facts: Readonly<Record<string, string | number | boolean | readonly string[]>>;
}

/** Payload of every event by its name. Addresses are text. */
export interface ClientEvents {
  /** A text arrived; it is in the history already, and never comes twice. */
  message: ChatMessage;
  /** The other side confirmed it. */
  delivered: { readonly address: string; readonly id: string; readonly ms: number };
  /** The other side's user has seen it. */
  read: { readonly address: string; readonly id: string };
  /** Given up after five days without confirmation. */
  expired: { readonly address: string; readonly id: string };
  contactRequest: { readonly address: string };
  /** A contact was added, established, renamed, or went back to the beginning. */
  contact: ContactView;
  presence: {
    readonly address: string;
    readonly online: boolean;
    readonly endpoints: readonly FoundEndpoint[];
  };
  /** Endpoints of a known wallet that failed a check. */
  dropped: { readonly address: string; readonly endpoints: readonly DroppedEndpoint[] };
  /** The primary relay changed; null while there is none. */
  relay: { readonly endpoint: string | null; readonly wallet: string | null };
  /** A connected relay went away. */
  relayLost: { readonly endpoint: string; readonly wallet: string; readonly why: string };
  stage: StageEvent;
  state: { readonly state: ClientState };
  /** Something failed that no call was waiting for. */
  error: { readonly error: unknown; readonly during: string };
}

type Handler<T> = (event: T) => void;

/** Typed events. A handler that throws harms neither the client nor the other handlers. */
export class Emitter<Events extends { error: { readonly error: unknown; readonly during: string } }> {
  readonly #handlers = new Map<keyof Events, Set<Handler<never>>>();

  /** Calls `handler` on every such event; the returned call ends that. */
  on<K extends keyof Events>(name: K, handler: Handler<Events[K]>): () => void {
    let set = this.#handlers.get(name);
    if (set === undefined) {
      set = new Set();
      this.#handlers.set(name, set);
    }
    const own = set;
    own.add(handler as Handler<never>);
    return () => {
      own.delete(handler as Handler<never>);
    };
  }

  emit<K extends keyof Events>(name: K, event: Events[K]): void {
    for (const handler of [...(this.#handlers.get(name) ?? [])]) {
      try {
        (handler as Handler<Events[K]>)(event);
      } catch (error) {
        if (name !== 'error') this.emit('error', { error, during: `handler of ${String(name)}` });
      }
    }
  }
}
