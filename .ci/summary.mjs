// Adds up the suites and steps of a run and prints `N passed, N failed` last; exit 1 when anything failed.
//
//   node .ci/summary.mjs REPORTS

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const folder = process.argv[2];
const steps = readFileSync(join(folder, 'steps.txt'), 'utf8')
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => line.split('\t'));

let passed = 0;
let failed = 0;
let skipped = 0;
console.log('\n=== summary');
for (const [name, code] of steps) {
  const path = join(folder, `${name}.json`);
  const tests = { passed: 0, failed: 0, skipped: 0 };
  if (existsSync(path)) {
    const report = JSON.parse(readFileSync(path, 'utf8'));
    tests.passed = report.numPassedTests;
    tests.failed = report.numFailedTests;
    tests.skipped = report.numPendingTests + report.numTodoTests;
  } else if (code === '0') tests.passed = 1;
  // A suite that could not even start, or was stopped, has no failed test of its own.
  if (code !== '0' && tests.failed === 0) tests.failed = 1;
  passed += tests.passed;
  failed += tests.failed;
  skipped += tests.skipped;
  const extra = tests.skipped > 0 ? `, ${tests.skipped} skipped` : '';
  console.log(`${name.padEnd(18)} ${tests.passed} passed, ${tests.failed} failed${extra}`);
  if (existsSync(path) && tests.failed > 0) {
    const report = JSON.parse(readFileSync(path, 'utf8'));
    for (const file of report.testResults)
      for (const t of file.assertionResults) if (t.status === 'failed') console.log(`  FAILED ${t.fullName}`);
  }
}
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
process.exitCode = failed === 0 ? 0 : 1;
