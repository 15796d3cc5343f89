import type { SessionPeer } from './sessions.js';

/** A connection of another process of this relay, as far as the rules of sessions need it (07 §9.1). */
export interface RemoteClaim {
  readonly id: number;
  readonly address: Uint8Array;
  readonly deviceId: Uint8Array;
  readonly nodeType: string;
  readonly verified: 'none' | 'signature' | 'proven';
  readonly sourceAddress: string;
  readonly openedMs: number;
}

/** Such a connection in the session table: it takes messages through its process. */
export class RemoteSession implements SessionPeer {
  readonly id: number;
  readonly sourceAddress: string;
  readonly openedMs: number;
  readonly nodeType: string;
  readonly info: SessionPeer['info'];

  constructor(
    /** Name of its process on the bus. */
    readonly node: string,
    readonly process: number,
    claim: RemoteClaim,
  ) {
    const { id, address, deviceId, verified, sourceAddress, openedMs, nodeType } = claim;
    this.id = id;
    this.sourceAddress = sourceAddress;
    this.openedMs = openedMs;
    this.nodeType = nodeType;
    this.info = { address, deviceId, verified };
  }
}

/** Generation of a process by its name on the bus: workers are called w1, w2, …; what is not is 0. */
export function generationOf(node: string): number {
  const m = /^w(\d{1,6})$/.exec(node);
  return m === null ? 0 : Number(m[1]);
}
