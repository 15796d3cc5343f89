/** Connections that have ended and are remembered: those of a relay of 10,000 clients that are all moved on. */
export const departedMax = 20_000;
/** For how long: as long as a message of theirs may be under way or parked, with room for a second try. */
export const departedMs = 60_000;

/** Whose connection it was. */
export interface DepartedClient {
  readonly address: Uint8Array;
  readonly deviceId: Uint8Array;
}

/** Whose connections have ended of late, in any process: who sent on them is told on its next one. */
export class Departed {
  readonly #byId = new Map<number, DepartedClient & { readonly endedMs: number }>();

  add(id: number, client: DepartedClient, nowMs: number): void {
    for (const [first, c] of this.#byId) {
      if (this.#byId.size < departedMax && nowMs - c.endedMs < departedMs) break;
      this.#byId.delete(first);
    }
    this.#byId.set(id, { address: client.address, deviceId: client.deviceId, endedMs: nowMs });
  }

  get(id: number): DepartedClient | null {
    return this.#byId.get(id) ?? null;
  }
}
