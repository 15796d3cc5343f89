import {
  type Config,
  DOCTOR_CHECKS,
  type DoctorReport,
  type Finding,
  reportOf,
  runDoctor,
} from '../operator/index.js';
import { parseArgs, renderHelp } from './args.js';
import { subjectOf } from './doctor-subject.js';
import { CliError, Exit, usageError } from './exit.js';
import { RELAY_FLAGS, relayConfig } from './relay.js';
import { checkApi } from './relay-api.js';
import { bansOf } from './relay-serve.js';
import { type Output, paint, processOutput } from './terminal.js';

function help(): string {
  const width = Math.max(...DOCTOR_CHECKS.map((c) => c.name.length));
  return renderHelp({
    usage: 'starling doctor [SWITCHES OF starling relay] [--json]',
    about: [
      'Looks for what would keep a relay from starting, from being found, or from staying up, and says what to do',
      'about each. Works beside a running relay and without one; changes nothing. Exit code 1 when a check fails.',
      '',
      ...DOCTOR_CHECKS.map((c) => `  ${c.name.padEnd(width)}  ${c.about}`),
    ].join('\n'),
    flags: RELAY_FLAGS,
  });
}

const WORD = { ok: 'ok', warning: 'warning', fails: 'fails' } as const;
const COLOUR = { ok: 'green', warning: 'yellow', fails: 'red' } as const;

/** One line per finding, and below those that are not well what to do. */
export function doctorText(report: DoctorReport, o: Output): string {
  const width = Math.max(...report.findings.map((f) => f.check.length));
  const lines: string[] = [];
  for (const f of report.findings) {
    const word = paint(o, COLOUR[f.verdict], WORD[f.verdict].padEnd(7));
    lines.push(`${word}  ${f.check.padEnd(width)}  ${f.found}`);
    if (f.todo !== '') lines.push(`${' '.repeat(9 + width)}  → ${f.todo}`);
  }
  const count = (v: Finding['verdict']): number => report.findings.filter((f) => f.verdict === v).length;
  lines.push('', `${count('ok')} ok, ${count('warning')} warnings, ${count('fails')} fail`);
  return `${lines.join('\n')}\n`;
}

/** A configuration that cannot be used is a finding, and the only one: what else to look at stands in it. */
function badConfig(e: unknown): DoctorReport {
  if (!(e instanceof CliError) || e.exitCode !== Exit.configuration) throw e;
  const todo = e.hint === '' ? 'correct it; starling config check tells when it is right' : e.hint;
  return reportOf([{ check: 'config', verdict: 'fails', found: e.message, todo }]);
}

async function examine(read: () => Config): Promise<DoctorReport> {
  let subject: Awaited<ReturnType<typeof subjectOf>>;
  try {
    const c = read();
    checkApi(c);
    bansOf(c);
    subject = await subjectOf(c);
  } catch (e) {
    return badConfig(e);
  }
  try {
    return await runDoctor(subject);
  } finally {
    await subject.greeter.close();
  }
}

/** `starling doctor` (docs/operate.md). */
export async function run(args: readonly string[], o: Output = processOutput()): Promise<number> {
  const a = parseArgs(args, RELAY_FLAGS);
  if (a.has('help')) {
    o.out(help());
    return Exit.ok;
  }
  if (a.positionals.length > 0) throw usageError(`unexpected argument ${a.positionals[0]}`);
  const report = await examine(() => relayConfig(a));
  o.out(a.has('json') ? `${JSON.stringify(report)}\n` : doctorText(report, o));
  return report.ok ? Exit.ok : Exit.failed;
}
