import type { LinkLimits } from '../link/index.js';
import type { Limit, LimitSpec } from './limit-spec.js';
import { RELAY_LIMITS, type RelayLimits } from './limits.js';
import { FIXED_LIMITS } from './limits-fixed.js';
import { LINK_LIMITS } from './limits-link.js';

/** Limits of a link that an operator may change. */
export type LinkLimitName = keyof typeof LINK_LIMITS & keyof LinkLimits;

/** Every limit that can be changed while the relay runs, by name. */
export type ChangeableLimits = RelayLimits & { -readonly [K in LinkLimitName]: number };

/** Whether that limit belongs to the links and not to the relay. */
export function isLinkLimit(name: keyof ChangeableLimits): name is LinkLimitName {
  return Object.hasOwn(LINK_LIMITS, name);
}

/** The changeable ones of a link's limits. */
export function linkPart(limits: Readonly<LinkLimits>): Record<LinkLimitName, number> {
  const names = Object.keys(LINK_LIMITS) as LinkLimitName[];
  return Object.fromEntries(names.map((n) => [n, limits[n]])) as Record<LinkLimitName, number>;
}

const group = (name: string, specs: Readonly<Record<string, LimitSpec>>): Limit[] =>
  Object.entries(specs).map(([key, spec]) => ({ ...spec, name: key, group: name }));

/**
 * Every limit of a relay: the source of the settings, of docs/limits.md and of the test that each one is
 * exceeded somewhere.
 */
export const LIMITS: readonly Limit[] = [
  ...group('Connections, rates and memory', RELAY_LIMITS),
  ...group('One connection', LINK_LIMITS),
  ...Object.entries(FIXED_LIMITS).flatMap(([name, specs]) => group(name, specs)),
];

/** Settings that are limits: key of the setting and name of the limit. */
export const LIMIT_SETTINGS: readonly (readonly [key: string, name: keyof ChangeableLimits])[] =
  LIMITS.flatMap((l) =>
    l.setting === undefined ? [] : [[l.setting.key, l.name as keyof ChangeableLimits] as const],
  );
