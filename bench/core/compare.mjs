// What moved against an earlier result, beyond the noise of both.

import { readFileSync } from 'node:fs';

/**
 * Reads an earlier result now, since the new one may be written over it.
 * @returns for the new tables one line per row that moved; ratios to the reference are compared, which differ less from
 *   day to day than rates
 */
export function comparison(file) {
  const before = JSON.parse(readFileSync(file, 'utf8'));
  return (tables) => compare(file, before, tables);
}

function compare(file, before, tables) {
  const lines = [`against ${file}: Node ${before.env.node}, commit ${before.env.commit}, ${before.env.date}`];
  for (const table of tables) {
    const old = before.tables.find((t) => t.key === table.key && t.title === table.title);
    if (old === undefined) {
      lines.push(`not in it: ${table.title}`);
      continue;
    }
    const noise = table.interval + old.interval;
    for (const row of table.rows) {
      const was = old.rows.find((r) => r.name === row.name);
      const moved = was === undefined ? 0 : row.ratio / was.ratio - 1;
      if (Math.abs(moved) > noise)
        lines.push(
          `moved ${moved > 0 ? '+' : ''}${(100 * moved).toFixed(1)} % (noise ${(100 * noise).toFixed(1)} %): ${row.name}, ${table.title}`,
        );
    }
  }
  if (lines.length === 1) lines.push('nothing moved beyond the noise');
  return lines;
}
