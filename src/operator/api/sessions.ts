import { createHash, randomBytes } from 'node:crypto';

/** Name of the cookie that the dashboard's page holds. */
export const sessionCookie = 'starling_session';
/** A page that nobody used for so long is logged out. */
export const sessionIdleMs = 12 * 60 * 60 * 1000;
/** Logins kept at once; the one unused for longest goes. */
export const sessionsMax = 256;

interface Session {
  readonly user: string;
  usedMs: number;
}

const digestOf = (token: string): string => createHash('sha256').update(token).digest('base64url');

/** The value of one cookie in a Cookie header, null when absent. */
export function cookieValue(header: string, name: string): string | null {
  for (const part of header.split(';')) {
    const eq = part.indexOf('=');
    if (eq > 0 && part.slice(0, eq).trim() === name) return part.slice(eq + 1).trim();
  }
  return null;
}

/**
 * Logins of pages. Tokens are random and kept as digests only: a lookup by digest tells nothing by its time, and
 * memory that leaks lets nobody in.
 */
export class ApiSessions {
  readonly #sessions = new Map<string, Session>();

  constructor(private readonly nowMs: () => number = Date.now) {}

  get size(): number {
    return this.#sessions.size;
  }

  /** A new token for a user who has shown their password. */
  open(user: string): string {
    const token = randomBytes(32).toString('base64url');
    this.#sessions.set(digestOf(token), { user, usedMs: this.nowMs() });
    while (this.#sessions.size > sessionsMax) this.#sessions.delete(this.#sessions.keys().next().value!);
    return token;
  }

  /** Whose token it is, null for none. Using it keeps it. */
  userOf(token: string | null): string | null {
    if (token === null) return null;
    const key = digestOf(token);
    const session = this.#sessions.get(key);
    if (session === undefined) return null;
    this.#sessions.delete(key);
    if (this.nowMs() - session.usedMs > sessionIdleMs) return null;
    session.usedMs = this.nowMs();
    this.#sessions.set(key, session);
    return session.user;
  }

  close(token: string | null): void {
    if (token !== null) this.#sessions.delete(digestOf(token));
  }

  /** Ends the logins of users that are no more, or whose password changed. */
  keepOnly(keeps: (user: string) => boolean): void {
    for (const [key, s] of this.#sessions) if (!keeps(s.user)) this.#sessions.delete(key);
  }
}
