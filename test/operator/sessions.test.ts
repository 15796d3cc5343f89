import { describe, expect, it } from 'vitest';
import { ApiSessions, cookieValue, sessionIdleMs, sessionsMax } from '../../src/operator/api/sessions.js';

describe('logins of pages', () => {
  it('a token stands for its user until it is closed, and no other token does', () => {
    const s = new ApiSessions(() => 0);
    const token = s.open('joe');
    expect(s.userOf(token)).toBe('joe');
    expect(s.userOf(`${token}x`)).toBeNull();
    expect(s.userOf('')).toBeNull();
    expect(s.userOf(null)).toBeNull();
    s.close(token);
    expect(s.userOf(token)).toBeNull();
  });

  it('use keeps a login, idleness ends it', () => {
    let now = 0;
    const s = new ApiSessions(() => now);
    const token = s.open('joe');
    now = sessionIdleMs;
    expect(s.userOf(token)).toBe('joe');
    now = 2 * sessionIdleMs;
    expect(s.userOf(token)).toBe('joe');
    now = 3 * sessionIdleMs + 1;
    expect(s.userOf(token)).toBeNull();
    expect(s.size).toBe(0);
  });

  it('keeps a bounded number: the one unused for longest goes', () => {
    const s = new ApiSessions(() => 0);
    const first = s.open('first');
    const second = s.open('second');
    for (let i = 2; i < sessionsMax; i++) s.open('joe');
    expect(s.userOf(first)).toBe('first');
    s.open('one too many');
    expect(s.size).toBe(sessionsMax);
    expect(s.userOf(second)).toBeNull();
    expect(s.userOf(first)).toBe('first');
  });

  it('ends the logins of users that are no more', () => {
    const s = new ApiSessions(() => 0);
    const [joe, ann] = [s.open('joe'), s.open('ann')];
    s.keepOnly((user) => user === 'ann');
    expect([s.userOf(joe), s.userOf(ann)]).toEqual([null, 'ann']);
  });

  it('reads one cookie among others', () => {
    expect(cookieValue('a=1; starling_session=tok; b=2', 'starling_session')).toBe('tok');
    expect(cookieValue('xstarling_session=no', 'starling_session')).toBeNull();
    expect(cookieValue('', 'starling_session')).toBeNull();
  });
});
