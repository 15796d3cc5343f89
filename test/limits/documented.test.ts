import { describe, expect, it } from 'vitest';
import { limitsDocument, METRICS, SETTINGS } from '../../src/operator/index.js';
import { DEFAULT_RELAY_LIMITS, LIMITS } from '../../src/relay/index.js';

describe('the table of limits', () => {
  it('is what docs/limits.md says (renew with vitest -u)', async () => {
    await expect(limitsDocument()).toMatchFileSnapshot('../../docs/limits.md');
  });

  it('names metrics that exist, with labels that they have', () => {
    for (const l of LIMITS) {
      if (l.counter === null) continue;
      const [, name = '', labels = ''] = /^(\w+)(?:\{(.*)\})?$/.exec(l.counter) ?? [];
      const metric = METRICS.find((m) => m.name === name);
      expect(metric, `${l.name}: ${name}`).toBeDefined();
      for (const label of labels.split(',').filter((x) => x !== ''))
        expect(metric?.labels, `${l.name}: ${label}`).toContain(label.split('=')[0]);
    }
  });

  it('has each name and each setting once, with the default of the code', () => {
    expect(new Set(LIMITS.map((l) => l.name)).size).toBe(LIMITS.length);
    for (const l of LIMITS) {
      if (l.setting === undefined) continue;
      const settings = SETTINGS.filter((s) => s.key === l.setting?.key);
      expect(settings.map((s) => [s.key, s.default, s.reloadable === true])).toEqual([
        [l.setting.key, String(l.value), l.reloadable === true],
      ]);
    }
    for (const [name, value] of Object.entries(DEFAULT_RELAY_LIMITS))
      expect(LIMITS.find((l) => l.name === name)?.value).toBe(value);
  });
});
