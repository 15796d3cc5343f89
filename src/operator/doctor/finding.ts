/** `warning`: it works, but something should be looked at. `fails`: it does not, or will not for long. */
export type Verdict = 'ok' | 'warning' | 'fails';

/** What one check found. */
export interface Finding {
  /** Name of the check, stable. */
  readonly check: string;
  readonly verdict: Verdict;
  readonly found: string;
  /** What to do about it, '' when all is well. */
  readonly todo: string;
}

/** A finding before it bears the name of its check. */
export type Outcome = Omit<Finding, 'check'>;

export const ok = (found: string): Outcome => ({ verdict: 'ok', found, todo: '' });
export const warning = (found: string, todo: string): Outcome => ({ verdict: 'warning', found, todo });
export const fails = (found: string, todo: string): Outcome => ({ verdict: 'fails', found, todo });

/** All findings of one run. */
export interface DoctorReport {
  /** False when any check fails; warnings do not count. */
  readonly ok: boolean;
  readonly findings: readonly Finding[];
}

export function reportOf(findings: readonly Finding[]): DoctorReport {
  return { ok: findings.every((f) => f.verdict !== 'fails'), findings };
}
