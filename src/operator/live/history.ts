import { LIVE_SERIES, type LiveValues } from './series.js';

/** Seconds of history that a relay keeps for whoever opens the dashboard (docs/protocol/11 §12.5). */
export const liveHistorySeconds = 900;

/** The last minutes, one row a second, oldest first: columns so that a page can draw them as they come. */
export interface LiveColumns {
  /** Unix milliseconds of each row. */
  readonly atMs: readonly number[];
  /** By series, in the order of {@link LIVE_SERIES}. */
  readonly columns: readonly (readonly number[])[];
}

/** A ring of rows of fixed size: 900 × 27 numbers, whatever happens. */
export class LiveHistory {
  readonly #width = LIVE_SERIES.length + 1;
  readonly #rows: Float64Array;
  #next = 0;
  #length = 0;

  constructor(private readonly rowsMax: number = liveHistorySeconds) {
    this.#rows = new Float64Array(rowsMax * this.#width);
  }

  get length(): number {
    return this.#length;
  }

  push(atMs: number, values: LiveValues): void {
    const at = this.#next * this.#width;
    this.#rows[at] = atMs;
    LIVE_SERIES.forEach((name, i) => {
      this.#rows[at + 1 + i] = values[name];
    });
    this.#next = (this.#next + 1) % this.rowsMax;
    this.#length = Math.min(this.#length + 1, this.rowsMax);
  }

  /** Puts rows in front that are older than all that are here, as far as there is room. */
  before(older: LiveColumns): void {
    const now = this.columns();
    const first = now.atMs[0] ?? Number.POSITIVE_INFINITY;
    if (older.columns.length !== LIVE_SERIES.length) return;
    const rows = older.atMs.flatMap((atMs, r) =>
      atMs < first ? [[atMs, ...older.columns.map((c) => c[r] ?? 0)]] : [],
    );
    const own = now.atMs.map((atMs, r) => [atMs, ...now.columns.map((c) => c[r]!)]);
    const all = [...rows, ...own].slice(-this.rowsMax);
    for (const [i, row] of all.entries()) this.#rows.set(row, i * this.#width);
    this.#length = all.length;
    this.#next = all.length % this.rowsMax;
  }

  columns(): LiveColumns {
    const first = (this.#next - this.#length + this.rowsMax) % this.rowsMax;
    const column = (c: number): number[] =>
      Array.from(
        { length: this.#length },
        (_, i) => this.#rows[((first + i) % this.rowsMax) * this.#width + c]!,
      );
    return { atMs: column(0), columns: LIVE_SERIES.map((_, i) => column(i + 1)) };
  }
}
