import { checkEngines } from './engines.js';
import { type DoctorReport, type Finding, fails, type Outcome, ok, reportOf, warning } from './finding.js';
import type { Greeter } from './greet.js';
import { checkClock, checkDisk, checkFiles } from './machine.js';
import { checkLedger, checkPorts, checkReachable } from './network.js';
import { checkDataFolder, checkLock, checkPassword, checkRunning, checkWalletFile } from './storage.js';
import type { SeedGreeting, Subject } from './subject.js';

interface Check {
  readonly name: string;
  readonly about: string;
  run(s: Subject): Outcome | readonly Outcome[] | Promise<Outcome | readonly Outcome[]>;
}

/** Every check, in the order of the report. */
export const DOCTOR_CHECKS: readonly Check[] = [
  { name: 'config', about: 'the configuration is valid', run: checkConfig },
  { name: 'relay', about: 'whether a relay runs, and is ready', run: checkRunning },
  { name: 'clock', about: 'the clock agrees with the ledger’s nodes', run: checkClock },
  { name: 'files', about: 'enough files may be opened for maxConnections', run: checkFiles },
  { name: 'disk', about: 'free space for headers and presences', run: checkDisk },
  { name: 'data', about: 'the data folder can be written', run: checkDataFolder },
  { name: 'lock', about: 'who holds the data folder', run: checkLock },
  { name: 'wallet', about: 'the wallet file is the owner’s alone', run: checkWalletFile },
  { name: 'password', about: 'the password opens the wallet', run: checkPassword },
  { name: 'ports', about: 'every port is free, or held by the running relay', run: checkPorts },
  { name: 'reachable', about: 'the advertised endpoint leads here', run: checkReachable },
  { name: 'ledger', about: 'ledger nodes answer', run: checkLedger },
  { name: 'engines', about: 'signatures and hashes are calculated right', run: checkEngines },
];

/** Seeds greeted at most: enough to compare clocks, little enough to be no burden. */
export const greetedSeedsMax = 8;
/** One check may take so long; a hanging disk must not hang the doctor. */
const checkTimeoutMs = 20_000;

function checkConfig(s: Subject): Outcome | Outcome[] {
  const { warnings } = s.config;
  if (warnings.length === 0) return ok('valid');
  return warnings.map((w) => warning(w, 'correct or remove that line'));
}

/** Greets every seed once, all at the same time, when first asked. */
export function seedGreetings(
  greeter: Greeter,
  hosts: readonly { readonly host: string; readonly wallet: Uint8Array | null }[],
): () => Promise<readonly SeedGreeting[]> {
  let asked: Promise<readonly SeedGreeting[]> | null = null;
  const ask = async (host: string, wallet: Uint8Array | null): Promise<SeedGreeting> => {
    const at = host.lastIndexOf(':');
    return { host, greeting: await greeter.greet(host.slice(0, at), Number(host.slice(at + 1)), wallet) };
  };
  return () => {
    asked ??= Promise.all(hosts.slice(0, greetedSeedsMax).map((h) => ask(h.host, h.wallet)));
    return asked;
  };
}

async function inTime(c: Check, s: Subject): Promise<readonly Outcome[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Outcome>((resolve) => {
    timer = setTimeout(
      () => resolve(fails(`no result within ${checkTimeoutMs / 1000} s`, 'see what hangs: disk or network')),
      checkTimeoutMs,
    );
  });
  try {
    const found = await Promise.race([Promise.resolve(c.run(s)), late]);
    return Array.isArray(found) ? (found as readonly Outcome[]) : [found as Outcome];
  } catch (e) {
    return [
      fails(`the check itself failed: ${e instanceof Error ? e.message : String(e)}`, 'tell the authors'),
    ];
  } finally {
    clearTimeout(timer);
  }
}

/** Runs every check; none of them changes anything that stays. Never rejects. */
export async function runDoctor(s: Subject): Promise<DoctorReport> {
  const findings: Finding[] = [];
  // In order: two of them open the same port for a moment.
  for (const c of DOCTOR_CHECKS) for (const o of await inTime(c, s)) findings.push({ check: c.name, ...o });
  return reportOf(findings);
}
