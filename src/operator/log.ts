import { type Logger, pino } from 'pino';
import type { Counters } from '../counters/index.js';
import type { RelayLog } from '../relay/index.js';
import { LOG_MODULES, type LogModule, logModuleOf } from './log-events.js';

/** Levels from loud to grave. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Bits of the reference's `logVerbosity` (docs/protocol/11 §1.2): trace 1, info 2, warn 4, error 8. */
const VERBOSITY_BITS: Readonly<Record<LogLevel, number>> = { trace: 1, debug: 1, info: 2, warn: 4, error: 8 };

/** Lines of one event per second, averaged and at once: a flood must neither fill disks nor cost a core. */
export const logLinesPerSecond = 10;
export const logLinesBurst = 100;

export type LogFormat = 'json' | 'text' | 'legacy';

export interface LogOptions {
  /** `json`: one JSON object per line. `text`: for people. `legacy`: lines as the reference writes them. */
  readonly format: LogFormat;
  readonly levels: ReadonlySet<LogLevel>;
  /** Of modules that do not follow `levels`. */
  readonly modules?: ModuleLevels;
  /** Colours in `text`. */
  readonly colour?: boolean;
  /** Peers' addresses as they are instead of shortened. */
  readonly fullAddresses?: boolean;
  readonly counters?: Counters;
  write(line: string): void;
  /** Opens the log's file anew. */
  reopen?(): void;
  nowMs?(): number;
}

/** Lines kept in memory for the dashboard. */
export const logRecentMax = 200;

/** The levels that `logVerbosity` bits switch on. */
export function levelsOfBits(bits: number): ReadonlySet<LogLevel> {
  return new Set(LOG_LEVELS.filter((l) => (bits & VERBOSITY_BITS[l]) !== 0));
}

/** The levels at and above one. */
export function levelsFrom(level: LogLevel): ReadonlySet<LogLevel> {
  return new Set(LOG_LEVELS.slice(LOG_LEVELS.indexOf(level)));
}

export type ModuleLevels = ReadonlyMap<LogModule, ReadonlySet<LogLevel>>;

/** Reads `peers=debug` and the like. @throws RangeError for an unknown module or level */
export function moduleLevels(entries: readonly string[]): ModuleLevels {
  return new Map(
    entries.map((entry) => {
      const [name = '', level = ''] = entry.split('=').map((t) => t.trim().toLowerCase());
      const mod = LOG_MODULES.find((m) => m === name);
      if (mod === undefined) throw new RangeError(`${entry}: modules are ${LOG_MODULES.join(', ')}`);
      if (!isLogLevel(level)) throw new RangeError(`${entry}: levels are ${LOG_LEVELS.join(', ')}`);
      return [mod, levelsFrom(level)];
    }),
  );
}

export function isLogLevel(text: string): text is LogLevel {
  return (LOG_LEVELS as readonly string[]).includes(text);
}

/** `203.0.113.7:1234` → `203.0.x.x`, `2001:db8:1::2` → `2001:db8:x`; a wallet keeps its first 8 characters. */
export function shortAddress(text: string): string {
  const v4 = /^(\d+\.\d+)\.\d+\.\d+/.exec(text);
  if (v4 !== null) return `${v4[1]}.x.x`;
  if (text.includes('::') || text.split(':').length > 2)
    return `${text.replace(/^\[/, '').split(':').slice(0, 2).join(':')}:x`;
  return text.length > 20 ? `${text.slice(0, 8)}…` : text;
}

type Fields = Parameters<RelayLog>[2];

/**
 * The log of a relay: structured lines through pino, each kind of event limited on its own. What was left out is
 * counted and told with the next line of that event.
 */
export class EventLog {
  readonly #pino: Logger;
  readonly #o: LogOptions;
  readonly #recent: string[] = [];
  readonly #buckets = new Map<string, { tokens: number; atMs: number; suppressed: number }>();
  #levels: ReadonlySet<LogLevel>;
  #modules: ModuleLevels;

  constructor(options: LogOptions) {
    this.#o = options;
    this.#levels = options.levels;
    this.#modules = options.modules ?? new Map();
    const line = (text: string): void => {
      this.#recent.push(text.trimEnd());
      if (this.#recent.length > logRecentMax) this.#recent.shift();
      options.write(formatted(text, options.format, options.colour === true));
    };
    this.#pino = pino(
      {
        base: null,
        level: 'trace',
        messageKey: 'event',
        timestamp: pino.stdTimeFunctions.isoTime,
        formatters: { level: (label) => ({ level: label }) },
      },
      { write: line },
    );
  }

  get levels(): ReadonlySet<LogLevel> {
    return this.#levels;
  }

  /** The last lines as JSON, oldest first. */
  get recent(): readonly string[] {
    return [...this.#recent];
  }

  /** For programs that move log files away (docs/protocol/11 §12.3): called on SIGHUP. */
  reopen(): void {
    this.#o.reopen?.();
  }

  setLevels(levels: ReadonlySet<LogLevel>): void {
    this.#levels = levels;
  }

  /** Modules that have levels of their own from now on. */
  setModules(modules: ModuleLevels): void {
    this.#modules = modules;
  }

  /** Writes one event. Fields must hold no secrets. */
  readonly log = (level: LogLevel, event: string, fields: Fields = {}): void => {
    const mod = logModuleOf(event);
    if (!((mod === null ? undefined : this.#modules.get(mod)) ?? this.#levels).has(level)) return;
    const suppressed = this.#take(event);
    if (suppressed === null) return;
    const out: Record<string, unknown> = mod === null ? { ...fields } : { mod, ...fields };
    if (this.#o.fullAddresses !== true && typeof out.peer === 'string') out.peer = shortAddress(out.peer);
    if (suppressed > 0) out.suppressed = suppressed;
    this.#pino[level](out, event);
  };

  /** Null: over the limit. Otherwise how many lines were left out since the last one. */
  #take(event: string): number | null {
    const now = this.#o.nowMs?.() ?? Date.now();
    let b = this.#buckets.get(event);
    if (b === undefined) {
      b = { tokens: logLinesBurst, atMs: now, suppressed: 0 };
      this.#buckets.set(event, b);
    }
    const elapsed = Math.max(0, now - b.atMs);
    b.tokens = Math.min(logLinesBurst, b.tokens + (elapsed * logLinesPerSecond) / 1000);
    b.atMs = now;
    if (b.tokens < 1) {
      b.suppressed++;
      this.#o.counters?.counter('ixian_log_suppressed_total', '', { event }).add();
      return null;
    }
    b.tokens--;
    const { suppressed } = b;
    b.suppressed = 0;
    return suppressed;
  }
}

const COLOURS: Readonly<Record<string, string>> = {
  trace: '\u001b[2m',
  debug: '\u001b[2m',
  info: '\u001b[32m',
  warn: '\u001b[33m',
  error: '\u001b[31m',
};

/** A JSON line in the form asked for. */
export function formatted(json: string, format: LogFormat, colour: boolean): string {
  if (format === 'json') return json;
  return format === 'text' ? pretty(json, colour) : legacy(json);
}

function fieldsText(fields: Readonly<Record<string, unknown>>): string {
  return Object.entries(fields)
    .filter(([k]) => k !== 'mod') // for programs: the event's name says it to people
    .map(([k, v]) => {
      const text = typeof v === 'string' ? v : JSON.stringify(v);
      return ` ${k}=${/[\s"=]/.test(text) ? JSON.stringify(text) : text}`;
    })
    .join('');
}

/** One JSON line as a line for people: time, level, event, then `key=value`. */
function pretty(json: string, colour: boolean): string {
  const { time, level, event, ...rest } = JSON.parse(json) as Record<string, unknown>;
  const name = String(level).padEnd(5);
  const shown = colour ? `${COLOURS[String(level)] ?? ''}${name}\u001b[0m` : name;
  return `${String(time)} ${shown} ${String(event)}${fieldsText(rest)}\n`;
}

/** The reference's line, `MM-dd HH:mm:ss.ffff|severity|threadId: text` in local time (11 §8). */
function legacy(json: string): string {
  const { time, level, event, ...rest } = JSON.parse(json) as Record<string, unknown>;
  const t = new Date(String(time));
  const two = (n: number): string => String(n).padStart(2, '0');
  const date = `${two(t.getMonth() + 1)}-${two(t.getDate())}`;
  const clock = `${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())}`;
  const severity = level === 'debug' ? 'trace' : String(level);
  return `${date} ${clock}.${String(t.getMilliseconds() * 10).padStart(4, '0')}|${severity}|1: ${String(event)}${fieldsText(rest)}\n`;
}
