import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  configDocs,
  DOCTOR_CHECKS,
  environmentName,
  LIVE_SERIES,
  SETTINGS,
} from '../../src/operator/index.js';

const root = join(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
/** Lines of a table whose first cell is a code word. */
const rowNames = (text: string): string[] => [...text.matchAll(/^\| `(\w+)` \|/gm)].map((m) => m[1]!);
const section = (text: string, title: string): string => {
  const at = text.indexOf(`\n## ${title}`);
  expect([title, at >= 0]).toEqual([title, true]);
  const end = text.indexOf('\n## ', at + 4);
  return text.slice(at, end < 0 ? undefined : end);
};

it('docs/config.md is made from the settings (renew with vitest run -u)', async () => {
  await expect(configDocs()).toMatchFileSnapshot(join(root, 'docs/config.md'));
});

describe('docs/operate.md', () => {
  const text = read('docs/operate.md');
  it('explains every alert, and no other', () => {
    const alerts = readdirSync(join(root, 'docs/alerts')).flatMap((f) =>
      [...read(`docs/alerts/${f}`).matchAll(/^\s*- alert: (\w+)$/gm)].map((m) => m[1]!),
    );
    expect(alerts.length).toBeGreaterThan(10);
    expect(rowNames(section(text, 'Alerts')).sort()).toEqual(alerts.sort());
  });
  it('explains every check of the doctor, and every readiness check', () => {
    expect(rowNames(section(text, 'When something is wrong'))).toEqual(DOCTOR_CHECKS.map((c) => c.name));
    const node = read('src/operator/node.ts');
    const ready = node.slice(node.indexOf('  readyChecks()'), node.indexOf('  /** 0 warm-up'));
    const names = [...ready.matchAll(/checks\.(\w+) =/g)].map((m) => m[1]!);
    expect(rowNames(section(text, 'Not ready')).sort()).toEqual([...names, 'started', 'accepting'].sort());
  });
  it('names every exit code', () => {
    const codes = [...read('src/cli/exit.ts').matchAll(/^ {2}\w+: (\d),$/gm)].map((m) => m[1]!);
    const shown = [...section(text, 'Exit codes').matchAll(/^\| (\d) \|/gm)].map((m) => m[1]!);
    expect(shown).toEqual(codes);
  });
});

it('docs/migrate-from-s2.md maps every key and switch of the specification (11 §1.2)', () => {
  const spec = read('docs/protocol/11-operator-surface.md');
  const options = spec.slice(spec.indexOf('### 1.2'), spec.indexOf('The S2 help text'));
  const keys = [...options.matchAll(/^\| [^|]*\| ([^|]+)\|/gm)].flatMap((m) =>
    [...m[1]!.matchAll(/`(\w+)`/g)].map((x) => x[1]!),
  );
  expect(keys.length).toBeGreaterThan(22);
  const text = read('docs/migrate-from-s2.md');
  const known = new Set(SETTINGS.flatMap((s) => [s.key, s.testKey ?? s.key]));
  for (const key of keys) {
    expect([key, text.includes(`\`${key}\``)]).toEqual([key, true]);
    expect([key, known.has(key)]).toEqual([key, true]);
  }
});

it('docs/dashboard.md lists the series of the live feed', () => {
  const text = read('docs/dashboard.md');
  for (const s of LIVE_SERIES) expect([s, text.includes(`\`${s}\``)]).toEqual([s, true]);
});

it('settings, variables and files that the pages name exist', () => {
  const variables = new Set(
    SETTINGS.flatMap((s) => [environmentName(s.key), `${environmentName(s.key)}_FILE`]),
  );
  for (const page of ['operate.md', 'migrate-from-s2.md', 'dashboard.md', 'config.md']) {
    const text = read(`docs/${page}`);
    for (const [name] of text.matchAll(/\bIXIAN_[A-Z0-9_]+\b/g))
      expect([page, name, variables.has(name)]).toEqual([page, name, true]);
    // Pages of a topic that is written elsewhere may come later.
    for (const [, target] of text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g))
      if (!LATER.includes(target!))
        expect([page, target, existsSync(join(root, 'docs', target!))]).toEqual([page, target, true]);
  }
});

const LATER = ['cluster.md', 'limits.md', 'app.md', 'resumption.md'];
