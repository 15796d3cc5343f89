import type { Counters } from '../counters/index.js';
import { type ChangeableLimits, LIMIT_SETTINGS, LIMITS, type RelayControl } from '../relay/index.js';
import type { Config } from './config/index.js';

/** What a reload did. */
export interface ReloadResult {
  readonly ok: boolean;
  /** Keys that changed and are in force now. */
  readonly changed: readonly string[];
  /** Keys that changed and need a restart. */
  readonly restart: readonly string[];
  /** Why nothing was applied, null when all is well. */
  readonly error: string | null;
}

/** A part of the program that follows reloadable settings: everything that can fail happens in `prepare`. */
export interface ReloadPart {
  /** Settings it follows. */
  readonly keys: readonly string[];
  /** Reads and validates; the returned call puts the values in force and cannot fail. */
  prepare(config: Config): () => void;
}

export interface ReloaderOptions {
  readonly counters: Counters;
  /** Reads flags, environment and file again. Throws ConfigError for what cannot be used. */
  read(): Config;
  readonly parts: readonly ReloadPart[];
  nowMs?(): number;
}

/** Applies the configuration again, all or nothing, without a connection noticing (docs/protocol/11 §12.4). */
export class Reloader {
  constructor(
    private current: Config,
    private readonly options: ReloaderOptions,
  ) {}

  /** The configuration in force. */
  get config(): Config {
    return this.current;
  }

  reload(): ReloadResult {
    const result = this.#reload();
    const label = { result: result.ok ? 'ok' : 'failed' };
    const { counters } = this.options;
    counters.counter('ixian_config_reloads_total', '', label).add();
    counters
      .gauge('ixian_config_last_reload_timestamp_seconds', '', label)
      .set(Math.floor((this.options.nowMs?.() ?? Date.now()) / 1000));
    return result;
  }

  #reload(): ReloadResult {
    let next: Config;
    let commits: (() => void)[];
    try {
      next = this.options.read();
      commits = this.options.parts.map((p) => p.prepare(next));
    } catch (e) {
      return { ok: false, changed: [], restart: [], error: e instanceof Error ? e.message : String(e) };
    }
    for (const commit of commits) commit();
    const followed = new Set(this.options.parts.flatMap((p) => p.keys));
    const differing = next
      .all()
      .filter(({ setting, values }) => !sameValues(values, this.current.list(setting.key)))
      .map((r) => r.setting);
    this.current = next;
    return {
      ok: true,
      changed: differing.filter((s) => s.reloadable === true && followed.has(s.key)).map((s) => s.key),
      restart: differing.filter((s) => s.reloadable !== true || !followed.has(s.key)).map((s) => s.key),
      error: null,
    };
  }
}

const sameValues = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((v, i) => v === b[i]);

/** Value of a limit's setting; a process of several has its share of some. */
export type LimitValue = (config: Config, key: string) => number;

const wholeOf: LimitValue = (config, key) => config.whole(key);

/** All limits that the configuration names, by their name in the relay. */
export function limitsOf(config: Config, value: LimitValue = wholeOf): ChangeableLimits {
  return Object.fromEntries(
    LIMIT_SETTINGS.map(([key, name]) => [name, value(config, key)]),
  ) as unknown as ChangeableLimits;
}

/** Limits of the relay by the configuration; those that need a restart are left as they are. */
export function limitsPart(control: () => RelayControl, value: LimitValue = wholeOf): ReloadPart {
  const live = LIMITS.filter((l) => l.setting !== undefined && l.reloadable === true);
  const names = new Set(live.map((l) => l.name));
  return {
    keys: live.map((l) => l.setting!.key),
    prepare: (config) => {
      const all = Object.entries(limitsOf(config, value));
      const limits = Object.fromEntries(all.filter(([name]) => names.has(name)));
      return () => void control().setLimits(limits);
    },
  };
}
