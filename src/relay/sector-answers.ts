import { crc32c } from '../core/index.js';
import type { PresenceStore } from '../presence/index.js';
import type { RelayTree } from '../sectors/index.js';
import {
  Code,
  crcJoin,
  crcShift,
  lengthBytes,
  putLength,
  roomyPayload,
  sealSummedFrame,
} from '../wire/index.js';

/** Windows of the tree whose presences are kept ready: each is some 8 kB, and there are a few per sector in use. */
export const sectorWindowsMax = 256;
/** Ends of windows are numbers below this. */
const keyBase = 2 ** 26;

/** The presences of one window of the tree, as they stand behind the prefix in every answer. */
interface Body {
  readonly bytes: Uint8Array;
  readonly crc: number;
  readonly shift: number;
}

/**
 * The sectorNodes frames that answer getSectorNodes (docs/protocol/06 §6). Many prefixes lead to the same window of the
 * tree, so what follows the prefix is put together and summed once per window and kept until a presence of a relay
 * changes: an answer is then one copy.
 */
export class SectorAnswers {
  readonly #bodies = new Map<number, Body>();
  #version = -1;

  constructor(
    private readonly store: PresenceStore,
    private readonly tree: RelayTree,
  ) {}

  /** Windows kept ready. */
  get size(): number {
    return this.#bodies.size;
  }

  /** The frame with the presences of those relays around `prefix` that are known, in key order, each whole. */
  frame(prefix: Uint8Array, max: number): Uint8Array {
    const { from, to } = this.tree.window(prefix, max);
    const body = this.#body(from, to);
    const lead = lengthBytes(prefix.length) + prefix.length;
    const payload = roomyPayload(lead + body.bytes.length);
    payload.set(prefix, putLength(payload, 0, prefix.length));
    payload.set(body.bytes, lead);
    const first = crc32c(payload.subarray(0, lead));
    return sealSummedFrame(Code.sectorNodes, payload, crcJoin(first, body.crc, body.shift));
  }

  #body(from: number, to: number): Body {
    if (this.#version !== this.store.relayVersion) {
      this.#bodies.clear();
      this.#version = this.store.relayVersion;
    }
    const key = from * keyBase + to;
    const kept = this.#bodies.get(key);
    if (kept !== undefined) return kept;
    const bytes = this.#gather(from, to);
    const body = { bytes, crc: crc32c(bytes), shift: crcShift(bytes.length) };
    if (this.#bodies.size >= sectorWindowsMax) this.#bodies.clear();
    this.#bodies.set(key, body);
    return body;
  }

  #gather(from: number, to: number): Uint8Array {
    const { store } = this;
    const wallets = this.tree.wallets.slice(from, to);
    let known = 0;
    let size = 0;
    const sizes = wallets.map((w) => {
      const n = store.presenceBytes(w);
      if (n > 0) known++;
      size += n > 0 ? lengthBytes(n) + n : 0;
      return n;
    });
    const out = new Uint8Array(lengthBytes(known) + size);
    let at = putLength(out, 0, known);
    for (let i = 0; i < wallets.length; i++)
      if (sizes[i]! > 0) at = store.copyPresence(wallets[i]!, out, putLength(out, at, sizes[i]!));
    return out;
  }
}
