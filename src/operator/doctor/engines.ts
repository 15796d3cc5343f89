import { createHash } from 'node:crypto';
import { sha3_512 } from '../../core/index.js';
import {
  EngineUnavailable,
  passesSelfTest,
  type VerifyEngineName,
  verifyEngineNames,
} from '../../identity/index.js';
import { bytesEqual } from '../../wire/index.js';
import { fails, type Outcome, ok } from './finding.js';
import type { Subject } from './subject.js';

/** SHA3-512 of `abc` (NIST FIPS 202 examples). */
const ABC =
  'b751850b1a57168a5693cd924b6b096e08f621827444f70d884f5d0240d2712e10e116e9192af3c91a7ec57647e3934057340b4cf408d5a56592f8274eec53f0';
/** Around one and two blocks of 72 bytes, and long enough for the other road (docs/core.md). */
const lengths = [0, 1, 71, 72, 73, 143, 144, 145, 4_096, 100_000];

const todo = 'this machine or runtime miscalculates: test memory and processor, update Node';

/** SHA3-512 by the core, against a known answer and against the runtime's own. */
function hashProblem(): string | null {
  if (Buffer.from(sha3_512(Buffer.from('abc'))).toString('hex') !== ABC)
    return 'SHA3-512 of a known text is wrong';
  for (const n of lengths) {
    const data = Uint8Array.from({ length: n }, (_, i) => i * 7 + n);
    if (!bytesEqual(sha3_512(data), createHash('sha3-512').update(data).digest()))
      return `SHA3-512 of ${n} bytes differs from the runtime’s`;
  }
  return null;
}

/** Every engine that runs here must tell good signatures from bad ones; the one that is set must run. */
export async function checkEngines(s: Subject): Promise<Outcome> {
  const set = (s.config.text('verifyEngine') ?? 'auto').toLowerCase();
  const good: VerifyEngineName[] = [];
  const bad: VerifyEngineName[] = [];
  for (const name of verifyEngineNames)
    try {
      const engine = await s.machine.engine(name);
      (await passesSelfTest(engine)) ? good.push(name) : bad.push(name);
      await engine.close();
    } catch (e) {
      if (!(e instanceof EngineUnavailable)) throw e;
      if (e.reason === 'self-test') bad.push(name);
    }
  if (bad.length > 0) return fails(`self-test failed: ${bad.join(', ')}`, todo);
  const hash = hashProblem();
  if (hash !== null) return fails(hash, todo);
  if (set !== 'auto' && !good.some((name) => name === set))
    return fails(`verifyEngine ${set} does not run here`, `set auto or one of ${good.join(', ')}`);
  return ok(`RSA by ${good.join(', ')} and SHA3-512 pass their tests`);
}
