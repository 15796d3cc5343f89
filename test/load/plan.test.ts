import { describe, expect, it } from 'vitest';
import { type GeneratorPlan, nicenessOf, partOf } from '../../src/load/plan.js';
import { parseScenario } from '../../src/load/scenario.js';

const group = (clients: number, niceness?: number) => ({
  clients,
  ...(niceness === undefined ? {} : { niceness }),
});

const planOf = (
  groups: unknown[],
  processes: number,
  processIndex: number,
  groupsApart = true,
): GeneratorPlan => ({
  scenario: parseScenario({ name: 'x', groupsApart, groups }),
  host: '127.0.0.1',
  port: 1,
  wsPort: 2,
  network: 'reg',
  line: '0.9.8',
  seed: 'x',
  run: 1,
  processIndex,
  processes,
  pacing: 'timer',
  verifyServer: false,
});

describe('groups apart', () => {
  it('lie whole in one process each', () => {
    const groups = [group(5), group(7), group(9)];
    const parts = [0, 1].map((process) => {
      const plan = planOf(groups, 2, process);
      return plan.scenario.groups.map((g, i) => partOf(g, i, plan).to);
    });
    expect(parts).toEqual([
      [5, 0, 9],
      [0, 7, 0],
    ]);
  });

  it('give way as far as every group of their process does', () => {
    const groups = [group(1, 5), group(1), group(1, 7), group(1, 3)];
    const at = (processes: number): number[] =>
      Array.from({ length: processes }, (_, i) => nicenessOf(planOf(groups, processes, i)));
    expect(at(4)).toEqual([5, 0, 7, 3]);
    expect(at(2)).toEqual([5, 0]);
    expect(at(1)).toEqual([0]);
    expect(at(6)).toEqual([5, 0, 7, 3, 0, 0]);
  });

  it('only they do: a process with a part of every group is as any other', () => {
    expect(nicenessOf(planOf([group(4, 5), group(4, 5)], 2, 0, false))).toBe(0);
  });

  it.each([-1, 20, 1.5, '5'])('a niceness of %s is refused', (niceness) => {
    const groups = [{ clients: 1, niceness }];
    expect(() => parseScenario({ name: 'x', groups })).toThrow('groups[0].niceness');
  });
});
