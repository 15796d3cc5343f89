import { describe, expect, it } from 'vitest';
import { contactOf, printable } from '../../src/cli/client-chat.js';
import type { ContactView } from '../../src/client/index.js';

const contact = (address: string, nick: string | null): ContactView => ({
  address,
  nick,
  approved: true,
  requested: false,
  established: true,
  online: true,
  lastSeen: 0,
  unconfirmed: 0,
});

describe('the terminal chat', () => {
  it('shows nothing that a terminal would obey', () => {
    expect(printable('a\u001b[2Jb\u0007c\u009bd\re')).toBe('a·[2Jb·c·d·e');
    expect(printable('left\u202eright')).toBe('left·right');
    expect(printable('two\nlines\tand a tab')).toBe('two\n    lines  and a tab');
    for (const text of ['Grüße 你好 ✉', '👩\u200d👧']) expect(printable(text)).toBe(text);
  });

  it('finds a contact by nick or by the beginning of its address, never by guessing', () => {
    const all = [contact('4abcX', 'Ann'), contact('4abcY', 'Anton'), contact('9zz', null)];
    expect(contactOf(all, 'Ann')).toBe(all[0]);
    expect(contactOf(all, 'anto')).toBe(all[1]);
    expect(contactOf(all, '9')).toBe(all[2]);
    expect(contactOf(all, '4abc')).toBe('4abc may be 2 contacts');
    expect(contactOf(all, 'an')).toBe('an may be 2 contacts');
    expect(contactOf(all, 'Zoe')).toBe('nobody here is called Zoe');
  });
});
