import { createHash, createHmac, randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { addressRanges } from '../../link/node/index.js';
import { ApiSessions, cookieValue, sessionCookie } from './sessions.js';

/** What a user may do. */
export type Role = 'viewer' | 'operator' | 'wallet';
const ROLES: readonly Role[] = ['viewer', 'operator', 'wallet'];

export interface ApiUser {
  readonly name: string;
  /** Clear text, or `scrypt:…` as {@link hashPassword} makes it. */
  readonly password: string;
  readonly roles: ReadonlySet<Role>;
}

const HASH = /^scrypt\.(\d{2})\.(\d{1,2})\.(\d{1,2})\.([\w-]+)\.([\w-]+)$/;
/** 2^15 rounds of 8 blocks: about 50 ms and 32 MB per guess. */
const cost = { ln: 15, r: 8, p: 1 };
const hashBytes = 32;

function derive(
  password: string,
  salt: Uint8Array,
  c: { ln: number; r: number; p: number },
): Promise<Uint8Array> {
  const N = 2 ** c.ln;
  return new Promise((resolve, reject) => {
    scrypt(password, salt, hashBytes, { N, r: c.r, p: c.p, maxmem: 256 * N * c.r }, (e, key) =>
      e === null ? resolve(key) : reject(e),
    );
  });
}

/** A password for `addApiUser` that cannot be read back: `scrypt.15.8.1.<salt>.<hash>`. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  const key = await derive(password, salt, cost);
  const text = (b: Uint8Array): string => Buffer.from(b).toString('base64url');
  return `scrypt.${cost.ln}.${cost.r}.${cost.p}.${text(salt)}.${text(key)}`;
}

/** Compares in a time that does not tell where two texts differ. */
function sameText(a: string, b: string): boolean {
  const digest = (t: string): Uint8Array => createHash('sha256').update(t).digest();
  return timingSafeEqual(digest(a), digest(b));
}

async function matches(given: string, stored: string): Promise<boolean> {
  const m = HASH.exec(stored);
  if (m === null) return sameText(given, stored);
  const c = { ln: Number(m[1]), r: Number(m[2]), p: Number(m[3]) };
  const key = await derive(given, Buffer.from(m[4]!, 'base64url'), c);
  const want = Buffer.from(m[5]!, 'base64url');
  return want.length === key.length && timingSafeEqual(key, want);
}

/**
 * Reads `name:password[:role]`; a last part that names no roles belongs to the password. Several roles are joined
 * by `+`; without any the user has all of them, as every user of the reference does (docs/protocol/11 §12.6).
 *
 * @throws RangeError for an entry without a name or password, or with a hash that asks for too much work
 */
export function parseApiUser(entry: string): ApiUser {
  const colon = entry.indexOf(':');
  const name = entry.slice(0, Math.max(0, colon));
  let password = entry.slice(colon + 1);
  let roles: readonly Role[] = ROLES;
  const last = password.lastIndexOf(':');
  const named = last < 0 ? [] : password.slice(last + 1).split('+');
  if (named.length > 0 && named.every((r) => (ROLES as readonly string[]).includes(r))) {
    roles = named as Role[];
    password = password.slice(0, last);
  }
  if (name === '' || password === '') throw new RangeError('addApiUser must be user:password');
  const m = HASH.exec(password);
  if (m !== null && (Number(m[1]) > 20 || Number(m[2]) > 32 || Number(m[3]) > 16))
    throw new RangeError('addApiUser: the hash asks for too much work');
  return { name, password, roles: new Set(roles) };
}

/** Addresses that may use the API; nothing or `*` = everybody. @throws RangeError for what is no range */
export function parseAllowList(entries: readonly string[]): (ip: string) => boolean {
  if (entries.length === 0 || entries.includes('*')) return () => true;
  return addressRanges(entries);
}

/** Wrong logins at once and per second from one address, and how many addresses are remembered. */
const failuresBurst = 10;
const failuresPerSecond = 0.2;
const failuresRememberedMax = 4_096;
/** Logins that succeeded, remembered so that a hash is not computed per request. */
const successesRememberedMax = 64;

export type LoginResult =
  | { readonly kind: 'ok'; readonly user: string; readonly roles: ReadonlySet<Role> }
  | { readonly kind: 'refused' }
  | { readonly kind: 'limited' };

const everyone: LoginResult = { kind: 'ok', user: '', roles: new Set(ROLES) };

/** Who may use the API: addresses and users, replaced as a whole by a reload. */
export class ApiAccess {
  #users: ReadonlyMap<string, ApiUser> = new Map();
  #allows: (ip: string) => boolean = () => true;
  readonly #failures = new Map<string, { tokens: number; atMs: number }>();
  /** Keyed digests of what succeeded: the passwords themselves are not kept. */
  readonly #key = randomBytes(32);
  readonly #known = new Map<string, string>();
  readonly #sessions: ApiSessions;

  constructor(
    users: readonly ApiUser[],
    allows: (ip: string) => boolean,
    private readonly nowMs: () => number = Date.now,
  ) {
    this.#sessions = new ApiSessions(nowMs);
    this.replace(users, allows);
  }

  replace(users: readonly ApiUser[], allows: (ip: string) => boolean): void {
    const before = this.#users;
    this.#users = new Map(users.map((u) => [u.name, u]));
    this.#allows = allows;
    this.#known.clear();
    // Who is gone, or has another password now, is logged out everywhere.
    this.#sessions.keepOnly((name) => {
      const user = this.#users.get(name);
      return user !== undefined && user.password === before.get(name)?.password;
    });
  }

  get hasUsers(): boolean {
    return this.#users.size > 0;
  }

  allows(ip: string): boolean {
    return this.#allows(ip);
  }

  /** Checks an Authorization header. Without users everybody is let in. */
  async login(header: string, ip: string): Promise<LoginResult> {
    if (!this.hasUsers) return everyone;
    const bucket = this.#bucket(ip);
    if (bucket.tokens < 1) return { kind: 'limited' };
    if (header === '') return { kind: 'refused' };
    const user = await this.#check(header);
    if (user === null) {
      bucket.tokens--;
      return { kind: 'refused' };
    }
    return { kind: 'ok', user: user.name, roles: user.roles };
  }

  /** The login that a page's cookie stands for, null without one. */
  session(cookies: string): LoginResult | null {
    if (!this.hasUsers) return everyone;
    const name = this.#sessions.userOf(cookieValue(cookies, sessionCookie));
    const user = name === null ? undefined : this.#users.get(name);
    return user === undefined ? null : { kind: 'ok', user: user.name, roles: user.roles };
  }

  /**
   * A `Set-Cookie` value that logs this user's page in: for this host alone, out of reach of scripts and other pages,
   * and of anybody on the way where it is `secure`.
   */
  openSession(user: string, secure = false): string {
    const only = secure ? '; Secure' : '';
    return `${sessionCookie}=${this.#sessions.open(user)}; Path=/; HttpOnly; SameSite=Strict${only}`;
  }

  /** Ends a page's login; the `Set-Cookie` value that removes the cookie. */
  closeSession(cookies: string): string {
    this.#sessions.close(cookieValue(cookies, sessionCookie));
    return `${sessionCookie}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0`;
  }

  async #check(header: string): Promise<ApiUser | null> {
    const m = /^basic\s+([A-Za-z0-9+/=_-]+)\s*$/i.exec(header);
    if (m === null) return null;
    const digest = createHmac('sha256', this.#key).update(m[1]!).digest('hex');
    const before = this.#users.get(this.#known.get(digest) ?? '');
    if (before !== undefined) return before;
    const text = Buffer.from(m[1]!, 'base64').toString('utf8');
    const colon = text.indexOf(':');
    if (colon < 0) return null;
    const user = this.#users.get(text.slice(0, colon));
    // An unknown name costs as much as a wrong password: names must not be found out by the clock.
    const stored = user?.password ?? [...this.#users.values()][0]!.password;
    if (!(await matches(text.slice(colon + 1), stored)) || user === undefined) return null;
    this.#known.set(digest, user.name);
    if (this.#known.size > successesRememberedMax) this.#known.delete(this.#known.keys().next().value!);
    return user;
  }

  #bucket(ip: string): { tokens: number; atMs: number } {
    const now = this.nowMs();
    const b = this.#failures.get(ip) ?? { tokens: failuresBurst, atMs: now };
    b.tokens = Math.min(failuresBurst, b.tokens + (Math.max(0, now - b.atMs) * failuresPerSecond) / 1000);
    b.atMs = now;
    this.#failures.delete(ip);
    this.#failures.set(ip, b);
    if (this.#failures.size > failuresRememberedMax)
      this.#failures.delete(this.#failures.keys().next().value!);
    return b;
  }
}

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]', '::1']);

/** Host names of a bind; `+`, `*` and any-addresses stand for every one. */
export function isLoopbackHost(host: string): boolean {
  return LOOPBACK.has(host.toLowerCase()) || /^127\./.test(host);
}

const ANY = new Set(['+', '*', '0.0.0.0', '[::]', '::']);

/**
 * Whether a Host header may be answered: on loopback only its own names (a page whose name was pointed at this
 * machine must get nothing), otherwise the bound name.
 */
export function hostAllowed(header: string, bound: string): boolean {
  const host = header.replace(/:\d+$/, '').toLowerCase();
  if (isLoopbackHost(bound)) return isLoopbackHost(host);
  return ANY.has(bound) || host === bound.toLowerCase();
}

/** Whether a browser on another page sent this: such a call must change nothing. */
export function isForeign(origin: string, fetchSite: string, host: string): boolean {
  if (fetchSite === 'cross-site' || fetchSite === 'same-site') return true;
  if (origin === '') return false;
  try {
    return new URL(origin).host !== host;
  } catch {
    return true;
  }
}
