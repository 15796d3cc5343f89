import uPlot from 'uplot';
import type { LiveSeries, LiveStore } from '../../operator/live/index.js';
import { bytes, count, latency, rate } from '../../operator/live/index.js';
import { element } from '../common/dom.js';

interface Line {
  readonly label: string;
  readonly series: LiveSeries;
  /** The series only grows: its growth per second is drawn. */
  readonly perSecond?: boolean;
}

interface ChartSpec {
  readonly title: string;
  readonly lines: readonly Line[];
  format(value: number): string;
}

const CHARTS: readonly ChartSpec[] = [
  {
    title: 'Clients and relays',
    lines: [
      { label: 'clients', series: 'clients' },
      { label: 'relays', series: 'relays' },
      { label: 'before hello', series: 'greeting' },
    ],
    format: count,
  },
  {
    title: 'Messages per second',
    lines: [
      { label: 'forwarded', series: 'forwardedTotal', perSecond: true },
      { label: 'receiver offline', series: 'offlineTotal', perSecond: true },
      { label: 'refused', series: 'refusedTotal', perSecond: true },
    ],
    format: rate,
  },
  {
    title: 'Bytes per second',
    lines: [
      { label: 'in', series: 'bytesInTotal', perSecond: true },
      { label: 'out', series: 'bytesOutTotal', perSecond: true },
    ],
    format: bytes,
  },
  { title: 'Presences', lines: [{ label: 'stored', series: 'presences' }], format: count },
  {
    title: 'Signatures per second',
    lines: [
      { label: 'verified', series: 'verifiedTotal', perSecond: true },
      { label: 'made for hellos', series: 'signedTotal', perSecond: true },
    ],
    format: rate,
  },
  {
    title: 'Waiting',
    lines: [
      { label: 'frames to send', series: 'queueFrames' },
      { label: 'signatures to verify', series: 'verifyPending' },
    ],
    format: count,
  },
  {
    title: 'Drops and refusals per second',
    lines: [{ label: 'all reasons', series: 'droppedTotal', perSecond: true }],
    format: rate,
  },
  {
    title: 'Event-loop delay, p99',
    lines: [{ label: 'delay', series: 'loopDelaySeconds' }],
    format: latency,
  },
  {
    title: 'Memory',
    lines: [
      { label: 'resident', series: 'residentBytes' },
      { label: 'JavaScript heap', series: 'heapBytes' },
    ],
    format: bytes,
  },
];

const chartHeightPx = 150;
/** Colours that hold against both backgrounds, and differ in lightness too. */
const LIGHT = ['#1f6688', '#b45f06', '#7b2d8b'];
const DARK = ['#6cb6d9', '#e5ae5a', '#d79be0'];

/** Steps of an axis that counts things: none lies between two whole numbers. */
const WHOLE_STEPS = [1, 2, 5]
  .flatMap((n) => Array.from({ length: 9 }, (_, p) => n * 10 ** p))
  .sort((a, b) => a - b);

/** Time of day of a Unix second; the day would say nothing within a quarter of an hour. */
const clock = (seconds: number): string => new Date(1000 * seconds).toTimeString().slice(0, 5);

interface Drawn {
  readonly spec: ChartSpec;
  readonly place: HTMLElement;
  readonly values: readonly HTMLElement[];
  readonly plot: uPlot;
}

/** The charts of the page, drawn anew each second and when the window or the colours change. */
export class Charts {
  #drawn: Drawn[] = [];
  readonly #dark = matchMedia('(prefers-color-scheme: dark)');
  rangeSeconds = 300;

  constructor(
    private readonly place: HTMLElement,
    private readonly store: LiveStore,
  ) {
    this.#build();
    this.#dark.addEventListener('change', () => {
      this.#build();
      this.draw();
    });
    new ResizeObserver(() => this.#fit()).observe(place);
  }

  draw(): void {
    const { seconds } = this.store;
    const now = seconds.at(-1) ?? Date.now() / 1000;
    const first = seconds.findIndex((t) => t >= now - this.rangeSeconds);
    const cut = <T>(column: readonly T[]): T[] => column.slice(Math.max(0, first));
    for (const { spec, plot, values, place } of this.#drawn) {
      const columns = spec.lines.map((l) =>
        cut<number | null>(l.perSecond === true ? this.store.rates(l.series) : this.store.column(l.series)),
      );
      plot.setData([cut(seconds), ...columns], false);
      plot.batch(() => {
        plot.setScale('x', { min: now - this.rangeSeconds, max: now });
        const most = Math.max(0, ...columns.flat().map((v) => v ?? 0));
        plot.setScale('y', { min: 0, max: most === 0 ? 1 : most * 1.1 });
      });
      const texts = spec.lines.map((l, i) => {
        const text = spec.format(columns[i]!.at(-1) ?? 0);
        values[i]!.textContent = text;
        return `${l.label} ${text}`;
      });
      place.setAttribute('aria-label', `${spec.title}: ${texts.join(', ')}`);
    }
  }

  #fit(): void {
    for (const { plot, place } of this.#drawn) {
      const width = place.clientWidth;
      if (width > 0 && width !== plot.width) plot.setSize({ width, height: chartHeightPx });
    }
  }

  #build(): void {
    for (const d of this.#drawn) d.plot.destroy();
    const colours = this.#dark.matches ? DARK : LIGHT;
    const style = getComputedStyle(document.documentElement);
    const grid = style.getPropertyValue('--grid').trim();
    const soft = style.getPropertyValue('--soft').trim();
    this.place.replaceChildren();
    this.#drawn = CHARTS.map((spec) => {
      const values = spec.lines.map(() => element('b'));
      const legend = spec.lines.map((l, i) => {
        const swatch = element('i');
        swatch.style.background = colours[i]!;
        return element('li', {}, swatch, `${l.label} `, values[i]!);
      });
      const place = element('div', { role: 'img', 'aria-label': spec.title });
      this.place.append(
        element(
          'figure',
          { class: 'chart' },
          element('figcaption', {}, spec.title),
          element('ul', { class: 'legend' }, ...legend),
          place,
        ),
      );
      const axis = { stroke: soft, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1 } };
      const plot = new uPlot(
        {
          width: Math.max(200, place.clientWidth),
          height: chartHeightPx,
          legend: { show: false },
          cursor: { show: false },
          scales: { x: { time: true, auto: false }, y: { auto: false } },
          axes: [
            { ...axis, size: 28, values: (_u, splits) => splits.map(clock) },
            {
              ...axis,
              size: 72,
              ...(spec.format === count ? { incrs: WHOLE_STEPS } : {}),
              values: (_u, splits) => splits.map((v) => spec.format(v)),
            },
          ],
          series: [
            {},
            ...spec.lines.map((l, i) => ({
              label: l.label,
              stroke: colours[i]!,
              width: 1.75,
              points: { show: false },
            })),
          ],
        },
        [[], ...spec.lines.map(() => [])],
        place,
      );
      return { spec, place, values, plot };
    });
  }
}
