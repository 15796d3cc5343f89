import type { LiveDetail, LiveHello, LiveMessage, LiveTick } from './messages.js';
import type { LiveSeries } from './series.js';

/** Seconds kept: what the relay keeps too. */
const keptSeconds = 900;
/** Rates are averaged over this long: single seconds jump too much to be read. */
const rateSeconds = 5;

/** What the page knows: the last messages, and the series as columns that grow. */
export class LiveStore {
  hello: LiveHello | null = null;
  tick: LiveTick | null = null;
  detail: LiveDetail | null = null;
  #atSeconds: number[] = [];
  #columns = new Map<LiveSeries, number[]>();

  take(message: LiveMessage): void {
    if (message.kind === 'hello') {
      this.hello = message;
      this.#atSeconds = message.history.atMs.map((t) => t / 1000);
      this.#columns = new Map(message.series.map((name, i) => [name, [...message.history.columns[i]!]]));
    } else if (message.kind === 'detail') this.detail = message;
    else this.#add(message);
  }

  #add(tick: LiveTick): void {
    this.tick = tick;
    const last = this.#atSeconds.at(-1) ?? 0;
    // The first tick after hello is the last row of its history.
    if (this.hello === null || tick.atMs / 1000 <= last) return;
    this.#atSeconds.push(tick.atMs / 1000);
    this.hello.series.forEach((name, i) => {
      this.#columns.get(name)!.push(tick.values[i]!);
    });
    while (this.#atSeconds.length > keptSeconds) {
      this.#atSeconds.shift();
      for (const column of this.#columns.values()) column.shift();
    }
  }

  /** Unix seconds of the rows. */
  get seconds(): readonly number[] {
    return this.#atSeconds;
  }

  column(name: LiveSeries): readonly number[] {
    return this.#columns.get(name) ?? [];
  }

  /** The latest value, 0 before there is any. */
  value(name: LiveSeries): number {
    return this.column(name).at(-1) ?? 0;
  }

  /** Growth per second of a series that only grows, averaged over the seconds before each row. */
  rates(name: LiveSeries): (number | null)[] {
    const column = this.column(name);
    return column.map((value, i) => {
      let from = i;
      while (from > 0 && this.#atSeconds[i]! - this.#atSeconds[from]! < rateSeconds) from--;
      const seconds = this.#atSeconds[i]! - this.#atSeconds[from]!;
      const grown = value - column[from]!;
      // A restart begins at 0 again.
      return seconds <= 0 || grown < 0 ? null : grown / seconds;
    });
  }

  rate(name: LiveSeries): number {
    return this.rates(name).at(-1) ?? 0;
  }
}
