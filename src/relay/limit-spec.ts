/** The setting of a limit that an operator may change. */
export interface LimitSetting {
  /** Key in the configuration file. */
  readonly key: string;
  readonly min: number;
  readonly max: number;
}

/** One limit: the single source of its value, its setting, its line in docs/limits.md and its test. */
export interface LimitSpec {
  readonly value: number;
  /** As the settings show it: bytes, ms, 1/s, connections … */
  readonly unit: string;
  /** What is bounded, as a phrase. */
  readonly bounds: string;
  /** Why it is there and why it is so much. */
  readonly why: string;
  /** What a peer notices that goes beyond. */
  readonly sees: string;
  /** Metric that counts it, as shown at /metrics; null where the sender's own message is simply not decoded. */
  readonly counter: string | null;
  readonly setting?: LimitSetting;
  /** A reload changes it in the running relay, open connections included. */
  readonly reloadable?: true;
}

/** A limit with its name. */
export interface Limit extends LimitSpec {
  readonly name: string;
  /** Heading it stands under in docs/limits.md. */
  readonly group: string;
}
