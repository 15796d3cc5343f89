import type { Family } from './case.js';

/** Every family that this implementation answers. */
export const FAMILIES: readonly Family[] = [];
