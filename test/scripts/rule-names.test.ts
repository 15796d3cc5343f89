import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

/**
 * Each numbered rule of 05 §7 and §8 and of 03 §3.5 has a test named after it. This one holds the names: it
 * counts the rules in the specification and looks for each among the titles.
 */

const root = resolve(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

/** Where tests named after rules live. */
const files = ['test/presence', 'test/link'].flatMap((dir) =>
  readdirSync(join(root, dir))
    .filter((f) => f.endsWith('.test.ts'))
    .map((f) => `${dir}/${f}`),
);

/** Titles of `it(…)` and `it.each(…)(…)`: a string right behind the bracket of a call that is no `describe`. */
function titlesOf(source: string): string[] {
  const titles: string[] = [];
  for (const m of source.matchAll(/(\bit|\))\(\s*(['"`])((?:(?!\2)[^\\\n]|\\.)+)\2\s*,/g)) titles.push(m[3]!);
  return titles;
}

const titles = files.flatMap((f) => titlesOf(read(f)));
const tested = (name: string): boolean => titles.some((t) => t.startsWith(`${name}: `));

const presence = read('docs/protocol/05-presence.md');
const wire = read('docs/protocol/03-wire.md');

/** Text of a section, up to the next heading. */
function section(text: string, number: string): string {
  const start = text.search(new RegExp(`^### ${number.replace('.', '\\.')} `, 'm'));
  if (start < 0) throw new Error(`no section ${number}`);
  const body = text.slice(text.indexOf('\n', start));
  const end = body.search(/^##/m);
  return end < 0 ? body : body.slice(0, end);
}

/** Numbers of the rules of a section, however they are set: at the start of a line or of a sentence. */
const numbered = (text: string): number[] => [
  ...new Set([...text.matchAll(/(?:^|[ ])(\d+)\. (?=\S)/gm)].map((m) => Number(m[1]))),
];

describe('05 §7 and §8', () => {
  it.each([
    ['7.1', [1, 2, 3], ''],
    ['7.3', [1, 2, 3, 4], ''],
    ['7.4', [1, 2, 3], ''],
    ['8.2', [1, 2, 3, 4], 'A'],
    ['8.3', [1, 2, 3, 4, 5, 6], ''],
  ] as const)('every rule of section %s has its test', (number, rules, letter) => {
    expect(numbered(section(presence, number))).toEqual(rules);
    for (const n of rules)
      expect(titles, `${number} ${n}`).toSatisfy(() => tested(`05 §${number} rule ${letter}${n}`));
  });

  it.each(['05 §7.2', '05 §8.1', '05 §8.2 rule B', '05 §8.4', '05 §8.5'])(
    '%s, which has no numbers, has its test',
    (name) => {
      expect(tested(name)).toBe(true);
    },
  );

  /** What the paragraphs marked Strict ask for, by the words of the test. */
  it.each([
    ['7.1', 'four decimal parts without leading zeros'],
    ['7.1', 'one colon and a port of 1 to 65535'],
    ['7.4', 'the wallet must be the address of the key, before anything costs'],
    ['7.4', 'one broken or forged address among valid ones loses just itself'],
    ['8.1', 'one address per device, indexed by wallet and device'],
    ['8.1', 'of several addresses of one device the newest valid one stays'],
    ['8.1', 'two devices of the same type and second expire each at their own time'],
    ['8.1', 'at most 8 clients of a wallet, the oldest gives way'],
    ['8.1', 'at most 2 of type %s'],
    ['8.1', 'a full store gives up the oldest client outside its own sectors first'],
    ['8.2', 'a change of type into or out of R counts too'],
    ['8.2 rule B', 'unknown types are dropped before storing'],
    ['8.3', 'the order is replay, rate, proof of work, hostname, signature'],
    ['8.3', 'replayed, stale and future keep-alives never cost an RSA operation'],
    ['8.3', 'a signature that failed is not tried again'],
    ['8.3', 'accepted but not told when less than half an interval newer and the same'],
    ['8.3', 'no more than a bounded number waits for the engine'],
    ['8.3', 'an endpoint triggers a bounded number within 30 s'],
  ])('05 §%s strict: %s', (number, words) => {
    expect(titles).toContain(`05 §${number} strict: ${words}`);
  });
});

describe('03 §3.5', () => {
  const rows = [...section(wire, '3.5').matchAll(/^\| (\d+'?) \|/gm)].map((m) => m[1]!);

  it('the table has steps 0 to 14 and 8 prime', () => {
    expect(rows).toHaveLength(16);
  });

  it.each(rows)('step %s has its test', (step) => {
    expect(titles).toSatisfy(() => tested(`03 §3.5 step ${step}`));
  });
});

it('a title is what a test is called, not what a group is', () => {
  const source =
    "describe('05 §1 rule 1: a', () => {\n  it('b', f);\n  it.each([\n [1],\n ])(\n 'c’s %s', g);\n});";
  expect(titlesOf(source)).toEqual(['b', 'c’s %s']);
  expect(tested('05 §7.1 rule 4')).toBe(false);
});
