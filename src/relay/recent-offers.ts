/** Offers remembered to damp repeats; the older half is forgotten and may be offered again. */
const offersRememberedMax = 1_000_000;
const slotsInitial = 1024;

/** What was offered. */
export interface Offered {
  readonly wallet: Uint8Array;
  readonly device: Uint8Array;
  readonly hostname: string;
  readonly type: string;
}

/** Columns of one row: two words of the address, one of the device, one of what is said, seconds; 0 there: free. */
const rowWords = 5;

/** Offers of one interval, open-addressed; forgotten all at once. A key's words are mixed with a secret already. */
class Generation {
  #rows = new Int32Array(slotsInitial * rowWords);
  #slots = slotsInitial;
  count = 0;

  /** Where the row with that key is or would be. */
  find(a: number, b: number, device: number): number {
    const h = Math.imul(a ^ (b >>> 7) ^ device, 0x2c1b3c6d);
    const mask = this.#slots - 1;
    for (let slot = (h ^ (h >>> 15)) & mask; ; slot = (slot + 1) & mask) {
      const at = slot * rowWords;
      if (this.#rows[at + 4] === 0) return at;
      if (this.#rows[at] === a && this.#rows[at + 1] === b && this.#rows[at + 2] === device) return at;
    }
  }

  said(at: number): number {
    return this.#rows[at + 3]!;
  }

  /** 0: the row is free. */
  seconds(at: number): number {
    return this.#rows[at + 4]! >>> 0;
  }

  set(a: number, b: number, device: number, said: number, seconds: number): void {
    let at = this.find(a, b, device);
    if (this.#rows[at + 4] === 0) {
      this.count++;
      if (2 * this.count > this.#slots) {
        this.#grow();
        at = this.find(a, b, device);
      }
    }
    this.#rows[at] = a;
    this.#rows[at + 1] = b;
    this.#rows[at + 2] = device;
    this.#rows[at + 3] = said;
    this.#rows[at + 4] = seconds;
  }

  clear(): void {
    this.#rows.fill(0);
    this.count = 0;
  }

  #grow(): void {
    const old = this.#rows;
    this.#slots *= 2;
    this.#rows = new Int32Array(this.#slots * rowWords);
    for (let at = 0; at < old.length; at += rowWords) {
      if (old[at + 4] === 0) continue;
      const to = this.find(old[at]!, old[at + 1]!, old[at + 2]!);
      this.#rows.set(old.subarray(at, at + rowWords), to);
    }
  }
}

/**
 * Who was offered to others less than an interval ago, and with what (docs/protocol/06 §8 rule 5). A relay of 700,000
 * clients offers 7,000 of them a second: a string and an object for each would be hundreds of MiB that V8 has to look
 * through. So a row has 64 bits of the address, which is a hash, and 32 each of the device and of what was said, under a
 * secret of this process. Whoever is taken for another is offered one keep-alive later.
 */
export class RecentOffers {
  #newer = new Generation();
  #older = new Generation();
  /** Seconds at which the newer generation began. */
  #since = 0;
  readonly #secret = crypto.getRandomValues(new Int32Array(4));

  constructor(
    private readonly intervalSeconds: number,
    private readonly offersMax = offersRememberedMax,
  ) {}

  /** Offers that are remembered. */
  get size(): number {
    return this.#newer.count + this.#older.count;
  }

  /** Whether the last offer of this device was less than an interval ago and said the same. */
  has(o: Offered, nowSeconds: number): boolean {
    this.#turn(nowSeconds);
    const [a, b, device, said] = this.#wordsOf(o);
    for (const g of [this.#newer, this.#older]) {
      const at = g.find(a, b, device);
      const seconds = g.seconds(at);
      if (seconds === 0) continue;
      const age = nowSeconds - seconds;
      return age >= 0 && age < this.intervalSeconds && g.said(at) === said;
    }
    return false;
  }

  add(o: Offered, nowSeconds: number): void {
    this.#turn(nowSeconds);
    if (this.#newer.count >= this.offersMax / 2) this.#next(nowSeconds);
    const [a, b, device, said] = this.#wordsOf(o);
    this.#newer.set(a, b, device, said, nowSeconds);
  }

  /** A generation is over after an interval, or when the clock was set back. */
  #turn(nowSeconds: number): void {
    if (nowSeconds >= this.#since && nowSeconds - this.#since < this.intervalSeconds) return;
    this.#next(nowSeconds);
  }

  #next(nowSeconds: number): void {
    [this.#newer, this.#older] = [this.#older, this.#newer];
    this.#newer.clear();
    this.#since = nowSeconds;
  }

  #wordsOf({ wallet, device, hostname, type }: Offered): [number, number, number, number] {
    // Behind the version byte. A shorter address than that exists in tests alone.
    const word = (at: number): number =>
      (wallet[at] ?? 0) |
      ((wallet[at + 1] ?? 0) << 8) |
      ((wallet[at + 2] ?? 0) << 16) |
      ((wallet[at + 3] ?? 0) << 24);
    let d = this.#secret[2]!;
    for (const byte of device) d = Math.imul(d ^ byte, 0x0100_0193);
    let s = this.#secret[3]!;
    for (let i = 0; i < hostname.length; i++) s = Math.imul(s ^ hostname.charCodeAt(i), 0x0100_0193);
    for (let i = 0; i < type.length; i++) s = Math.imul(s ^ (0x100 + type.charCodeAt(i)), 0x0100_0193);
    return [word(1) ^ this.#secret[0]!, word(5) ^ this.#secret[1]!, d, s];
  }
}
