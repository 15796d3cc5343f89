import { LoadError } from './errors.js';

/**
 * Reads the members of a JSON object one by one, with the path in every error; at the end, a member that nobody asked
 * for is an error too, so that a misspelt name is not silently a default.
 */
export class Fields {
  readonly #o: Readonly<Record<string, unknown>>;
  readonly #seen = new Set<string>();

  constructor(
    value: unknown,
    readonly path: string,
  ) {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw new LoadError('scenario', `${path === '' ? 'a scenario' : path} must be an object`);
    this.#o = value as Readonly<Record<string, unknown>>;
  }

  #at(name: string): string {
    return this.path === '' ? name : `${this.path}.${name}`;
  }

  fail(name: string, what: string): never {
    throw new LoadError('scenario', `${this.#at(name)} must be ${what}`);
  }

  has(name: string): boolean {
    return this.#o[name] !== undefined;
  }

  raw(name: string): unknown {
    this.#seen.add(name);
    return this.#o[name];
  }

  text(name: string, fallback?: string): string {
    const v = this.raw(name);
    if (v === undefined && fallback !== undefined) return fallback;
    if (typeof v !== 'string' || v === '') this.fail(name, 'a text');
    return v;
  }

  number(name: string, min: number, max: number, fallback?: number): number {
    const v = this.raw(name);
    if (v === undefined && fallback !== undefined) return fallback;
    if (typeof v !== 'number' || !(v >= min && v <= max)) this.fail(name, `a number from ${min} to ${max}`);
    return v;
  }

  whole(name: string, min: number, max: number, fallback?: number): number {
    const v = this.raw(name);
    if (v === undefined && fallback !== undefined) return fallback;
    if (typeof v !== 'number' || !Number.isInteger(v) || v < min || v > max)
      this.fail(name, `a whole number from ${min} to ${max}`);
    return v;
  }

  flag(name: string, fallback: boolean): boolean {
    const v = this.raw(name);
    if (v === undefined) return fallback;
    if (typeof v !== 'boolean') this.fail(name, 'true or false');
    return v;
  }

  one<T extends string>(name: string, choices: readonly T[], fallback?: T): T {
    const v = this.raw(name);
    if (v === undefined && fallback !== undefined) return fallback;
    const found = choices.find((c) => c === v);
    if (found === undefined) this.fail(name, `one of ${choices.join(', ')}`);
    return found;
  }

  list(name: string, max: number): readonly unknown[] {
    const v = this.raw(name);
    if (!Array.isArray(v) || v.length > max) this.fail(name, `a list of at most ${max}`);
    return v;
  }

  /** Throws for members that were not read. */
  done(): void {
    for (const name of Object.keys(this.#o))
      if (!this.#seen.has(name)) throw new LoadError('scenario', `${this.#at(name)} is not a known setting`);
  }
}
