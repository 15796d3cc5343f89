/** One line of a chart. Points without a value are gaps. */
export interface Series {
  readonly name: string;
  readonly values: readonly (number | null)[];
}

export interface ChartOptions {
  readonly title: string;
  /** What the vertical axis shows, e.g. `ms`. */
  readonly unit: string;
  /** Positions on the horizontal axis, ascending. */
  readonly x: readonly number[];
  readonly xUnit: string;
  /** How a position on the horizontal axis is written; default the number. */
  readonly xText?: (x: number) => string;
  readonly series: readonly Series[];
  /** Powers of ten instead of equal steps: for latencies. */
  readonly log?: boolean;
  /** Part of the horizontal axis that is shaded: the steady window. */
  readonly shaded?: { readonly from: number; readonly to: number };
}

const width = 720;
const height = 240;
const left = 64;
const right = 12;
const top = 12;
const bottom = 34;
const ticksWanted = 5;
/** Class names of lines, in the order of the series: the page gives them colours for light and dark. */
const lineClasses = ['a', 'b', 'c', 'd', 'e', 'f'];

/** Text for HTML and SVG. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

/** A short number: 1.5k, 20M. */
export function shortNumber(n: number): string {
  const [scale, suffix] = Math.abs(n) >= 1e6 ? [1e6, 'M'] : Math.abs(n) >= 1e4 ? [1e3, 'k'] : [1, ''];
  return `${(n / scale).toLocaleString('en-US', { maximumSignificantDigits: 3 })}${suffix}`;
}

/** A step of 1, 2 or 5 times a power of ten, so that about five ticks fit. */
function stepOf(range: number): number {
  const rough = range / ticksWanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const factor = rough / power;
  return power * (factor > 5 ? 10 : factor > 2 ? 5 : factor > 1 ? 2 : 1);
}

interface Scale {
  readonly at: (v: number) => number;
  readonly ticks: readonly number[];
}

function linearScale(min: number, max: number, from: number, to: number): Scale {
  const span = max - min || 1;
  const step = stepOf(span);
  const ticks: number[] = [];
  for (let t = Math.ceil(min / step) * step; t <= max + step * 1e-9; t += step) ticks.push(t);
  return { at: (v) => from + ((v - min) / span) * (to - from), ticks };
}

function logScale(min: number, max: number, from: number, to: number): Scale {
  const low = Math.floor(Math.log10(min));
  const high = Math.max(low + 1, Math.ceil(Math.log10(max)));
  const ticks: number[] = [];
  for (let e = low; e <= high; e++) ticks.push(10 ** e);
  return { at: (v) => from + ((Math.log10(v) - low) / (high - low)) * (to - from), ticks };
}

/** SVG path of one series; a gap begins a new piece. */
function pathOf(values: readonly (number | null)[], x: readonly number[], xs: Scale, ys: Scale): string {
  let out = '';
  let down = false;
  values.forEach((v, i) => {
    if (v === null || !Number.isFinite(v)) {
      down = false;
      return;
    }
    out += `${down ? 'L' : 'M'}${xs.at(x[i]!).toFixed(1)} ${ys.at(v).toFixed(1)}`;
    down = true;
  });
  return out;
}

/** A line chart as an SVG element with a caption; empty text when there is nothing to draw. */
export function lineChart(o: ChartOptions): string {
  const usable = (v: number | null): v is number => v !== null && (o.log !== true || v > 0);
  const series = o.series.map((s) => ({ ...s, values: s.values.map((v) => (usable(v) ? v : null)) }));
  const all = series.flatMap((s) => s.values.filter((v): v is number => v !== null));
  if (all.length < 2 || o.x.length < 2) return '';
  const max = Math.max(...all);
  const ys =
    o.log === true
      ? logScale(Math.min(...all), max, height - bottom, top)
      : linearScale(0, max === 0 ? 1 : max * 1.05, height - bottom, top);
  const xs = linearScale(o.x[0]!, o.x.at(-1)!, left, width - right);
  const parts: string[] = [];
  if (o.shaded !== undefined) {
    const [from, to] = [xs.at(Math.max(o.shaded.from, o.x[0]!)), xs.at(Math.min(o.shaded.to, o.x.at(-1)!))];
    if (to > from)
      parts.push(
        `<rect class="window" x="${from.toFixed(1)}" y="${top}" width="${(to - from).toFixed(1)}" height="${height - top - bottom}"/>`,
      );
  }
  for (const t of ys.ticks) {
    const y = ys.at(t).toFixed(1);
    parts.push(
      `<line class="grid" x1="${left}" x2="${width - right}" y1="${y}" y2="${y}"/>`,
      `<text x="${left - 6}" y="${Number(y) + 4}" text-anchor="end">${shortNumber(t)}</text>`,
    );
  }
  for (const t of xs.ticks)
    parts.push(
      `<text x="${xs.at(t).toFixed(1)}" y="${height - bottom + 16}" text-anchor="middle">${escapeHtml((o.xText ?? shortNumber)(t))}</text>`,
    );
  parts.push(`<text x="${width - right}" y="${height - 4}" text-anchor="end">${escapeHtml(o.xUnit)}</text>`);
  series.forEach((s, i) => {
    parts.push(
      `<path class="line ${lineClasses[i % lineClasses.length]}" d="${pathOf(s.values, o.x, xs, ys)}"/>`,
    );
  });
  const legend = series
    .map((s, i) => `<span class="key ${lineClasses[i % lineClasses.length]}">${escapeHtml(s.name)}</span>`)
    .join(' ');
  return [
    `<figure><figcaption>${escapeHtml(o.title)} <small>${escapeHtml(o.unit)}</small> ${legend}</figcaption>`,
    `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeHtml(o.title)}">${parts.join('')}</svg></figure>`,
  ].join('\n');
}
