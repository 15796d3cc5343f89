import type { Counter, Counters, Histogram, Labels, Sample } from '../../counters/index.js';
import { METRICS, type MetricKind, type MetricSpec, RENAMED } from './names.js';

/** A value read when `/metrics` is asked for. */
export interface Sampled {
  readonly name: string;
  readonly labels?: Labels;
  readonly value: number;
}

/** The two text formats of `/metrics`. */
export type MetricsFormat = 'prometheus' | 'openmetrics';

const TYPES: Readonly<Record<MetricsFormat, string>> = {
  prometheus: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
};

/** The format that an Accept header prefers: OpenMetrics only where it is named and not refused. */
export function formatFor(accept: string): MetricsFormat {
  let open = 0;
  let plain = 0;
  for (const part of accept.split(',')) {
    const [type = '', ...parameters] = part.split(';').map((p) => p.trim().toLowerCase());
    const q = parameters.find((p) => p.startsWith('q='));
    const weight = q === undefined ? 1 : Number(q.slice(2)) || 0;
    if (type === 'application/openmetrics-text') open = Math.max(open, weight);
    else if (type === 'text/plain') plain = Math.max(plain, weight);
  }
  return open > 0 && open >= plain ? 'openmetrics' : 'prometheus';
}

export const contentTypeOf = (format: MetricsFormat): string => TYPES[format];

const escapeHelp = (t: string): string => t.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
const escapeLabel = (t: string): string => escapeHelp(t).replaceAll('"', '\\"');

function labelText(labels: Labels, more = ''): string {
  const parts = Object.entries(labels).map(([k, v]) => `${k}="${escapeLabel(v)}"`);
  if (more !== '') parts.push(more);
  return parts.length === 0 ? '' : `{${parts.join(',')}}`;
}

function numberText(n: number): string {
  if (n === Number.POSITIVE_INFINITY) return '+Inf';
  if (n === Number.NEGATIVE_INFINITY) return '-Inf';
  return Number.isNaN(n) ? 'NaN' : String(n);
}

/** Name and labels under which an inner sample is shown. */
function shown(s: Sample): { name: string; labels: Labels } {
  const r = RENAMED[s.name];
  if (r === undefined) return { name: s.name, labels: s.labels };
  const labels: Record<string, string> = { ...r.labels, ...s.labels };
  for (const [label, values] of Object.entries(r.values ?? {})) {
    const v = labels[label];
    if (v !== undefined) labels[label] = values[v] ?? v;
  }
  return { name: r.to, labels };
}

interface Series {
  readonly labels: Labels;
  value: number;
  readonly histogram: Histogram | null;
}

/**
 * The whole page: counters of the relay and values sampled for it, grouped by family in the order of
 * {@link METRICS}. Two inner counters that end in one series are added up. Sampled values replace counters of
 * the same family. A name that METRICS does not know is shown last: a page without it would help nobody, and a
 * test keeps it from being forgotten.
 */
export function renderMetrics(
  counters: Counters,
  sampled: readonly Sampled[],
  format: MetricsFormat,
): string {
  const families = new Map<string, Map<string, Series>>(METRICS.map((x) => [x.name, new Map()]));
  const unlisted: MetricSpec[] = [];
  const add = (
    name: string,
    labels: Labels,
    value: number,
    histogram: Histogram | null,
    kind: MetricKind,
  ): void => {
    let family = families.get(name);
    if (family === undefined) {
      family = new Map();
      families.set(name, family);
      unlisted.push({ name, kind, labels: Object.keys(labels), about: 'Not documented yet' });
    }
    const key = labelText(labels);
    const old = family.get(key);
    if (old === undefined) family.set(key, { labels, value, histogram });
    else old.value += value;
  };
  const sampledNames = new Set(sampled.map((s) => s.name));
  for (const s of counters.samples()) {
    const { name, labels } = shown(s);
    if (sampledNames.has(name)) continue;
    if (s.kind === 'histogram') add(name, labels, 0, s.metric as Histogram, s.kind);
    else add(name, labels, (s.metric as Counter).value, null, s.kind);
  }
  for (const s of sampled) add(s.name, s.labels ?? {}, s.value, null, 'gauge');
  const lines: string[] = [];
  for (const spec of [...METRICS, ...unlisted]) writeFamily(lines, spec, families.get(spec.name)!, format);
  if (format === 'openmetrics') lines.push('# EOF');
  return `${lines.join('\n')}\n`;
}

/** Unit suffixes that OpenMetrics wants named. */
const UNIT = /_(seconds|bytes)$/;

function writeFamily(
  lines: string[],
  spec: MetricSpec,
  series: ReadonlyMap<string, Series>,
  format: MetricsFormat,
): void {
  // A counter without labels is 0 before its first event; one with labels is unknown until then.
  if (series.size === 0 && (spec.kind !== 'counter' || spec.labels.length > 0)) return;
  const family =
    format === 'openmetrics' && spec.kind === 'counter' ? spec.name.replace(/_total$/, '') : spec.name;
  lines.push(`# HELP ${family} ${escapeHelp(spec.about)}`, `# TYPE ${family} ${spec.kind}`);
  const unit = UNIT.exec(family)?.[1];
  if (format === 'openmetrics' && unit !== undefined) lines.push(`# UNIT ${family} ${unit}`);
  if (series.size === 0) lines.push(`${spec.name} 0`);
  for (const s of series.values()) {
    if (s.histogram === null) lines.push(`${spec.name}${labelText(s.labels)} ${numberText(s.value)}`);
    else writeHistogram(lines, spec.name, s.labels, s.histogram, format);
  }
}

function writeHistogram(
  lines: string[],
  name: string,
  labels: Labels,
  h: Histogram,
  format: MetricsFormat,
): void {
  const bound = (n: number): string =>
    // OpenMetrics writes bounds as floats.
    format === 'openmetrics' && Number.isInteger(n) ? `${n}.0` : String(n);
  h.cumulative().forEach((count, i) => {
    const le = i < h.bounds.length ? bound(h.bounds[i]!) : '+Inf';
    lines.push(`${name}_bucket${labelText(labels, `le="${le}"`)} ${count}`);
  });
  lines.push(`${name}_sum${labelText(labels)} ${numberText(h.sum)}`);
  lines.push(`${name}_count${labelText(labels)} ${h.count}`);
}
