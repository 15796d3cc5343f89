import { addressText } from '../identity/index.js';
import { type Config, type DoctorReport, type RelayNode, runDoctor } from '../operator/index.js';
import type { Relay } from '../relay/index.js';
import { subjectOf } from './doctor-subject.js';

/** The doctor's checks from inside a running relay (docs/protocol/11 §12.6, `/v1/selftest`). */
export async function selfTest(c: Config, node: RelayNode, relay: Relay): Promise<DoctorReport> {
  const s = relay.status();
  const checks = Object.entries(node.readyChecks());
  const subject = await subjectOf(c, {
    pid: process.pid,
    inside: true,
    notReady: checks.flatMap(([name, check]) => (check.ok ? [] : [name])),
    ledgerPeers: s.ledgerPeers,
    clockOffsetSeconds: s.unclampedTimeDifferenceSeconds,
    connectable: node.connectable,
    endpoint: s.endpoint,
    address: addressText(s.address),
  });
  try {
    return await runDoctor(subject);
  } finally {
    await subject.greeter.close();
  }
}
