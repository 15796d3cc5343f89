import { type Output, paint, table } from '../terminal.js';
import { byFamily, type CaseResult, tally } from './run.js';

const totals = (results: readonly CaseResult[]): string => {
  const t = tally(results);
  return `${t.passed} passed, ${t.failed} failed, ${t.uncovered} not covered, ${t.skipped} skipped`;
};

/** The table by family, every failure and uncovered case, and the totals as last line. */
export function renderReport(o: Output, results: readonly CaseResult[]): string {
  const rows = [...byFamily(results)].map(([family, list]) => {
    const t = tally(list);
    return [family, t.passed, t.failed, t.uncovered, t.skipped] as const;
  });
  const out = [table(['family', 'passed', 'failed', 'not covered', 'skipped'], rows)];
  for (const r of results) {
    if (r.outcome.kind !== 'failed' && r.outcome.kind !== 'uncovered') continue;
    const word = r.outcome.kind === 'failed' ? 'FAILED' : 'NOT COVERED';
    out.push(`${paint(o, 'red', word)} ${r.family} ${r.name} [${r.line}]: ${r.outcome.detail}\n`);
  }
  out.push(`${totals(results)}\n`);
  return out.join(out.length > 2 ? '\n' : '');
}

/** The same for scripts: totals, by family, and every case that neither passed nor was skipped. */
export function jsonReport(results: readonly CaseResult[]): string {
  const families = [...byFamily(results)].map(([family, list]) => ({ family, ...tally(list) }));
  const problems = results
    .filter((r) => r.outcome.kind === 'failed' || r.outcome.kind === 'uncovered')
    .map(({ outcome, ...id }) => ({
      ...id,
      outcome: outcome.kind,
      detail: 'detail' in outcome ? outcome.detail : '',
    }));
  return `${JSON.stringify({ totals: tally(results), families, problems })}\n`;
}
