import type { Family } from './case.js';
import { family01 } from './family-01-encoding.js';
import { family02 } from './family-02-identity.js';
import { family03 } from './family-03-wire.js';
import { family04 } from './family-04-events.js';
import { family05 } from './family-05-presence.js';
import { family06 } from './family-06-sectors.js';
import { family07 } from './family-07-streaming.js';
import { family08 } from './family-08-communication.js';
import { family09 } from './family-09-dlt.js';
import { family10 } from './family-10-transactions.js';

/** Every family that this implementation answers. */
export const FAMILIES: readonly Family[] = [
  family01,
  family02,
  family03,
  family04,
  family05,
  family06,
  family07,
  family08,
  family09,
  family10,
];
