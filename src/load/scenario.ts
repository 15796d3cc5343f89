import { LoadError } from './errors.js';
import { Fields } from './fields.js';
import { messageBytesMax, messageBytesMin } from './message.js';
import type { TransportKind } from './socket.js';

/** Clients of a whole test: what one machine's loopback addresses and memory can carry. */
export const clientsMax = 200_000;
/** Identities whose presences are kept alive without a connection of their own. */
export const walletsMax = 2_000_000;
export const perSecondMax = 2_000_000;
export const secondsMax = 7 * 24 * 3600;
const groupsMax = 32;
const activitiesMax = 16;

/** Messages between the clients of a group. */
export interface MessagesActivity {
  readonly do: 'messages';
  /**
   * `pair`: every even client sends to the next odd one. `first`: `senders` clients send to the one before them.
   * `random`: everybody sends to `contacts` others, drawn once.
   */
  readonly to: 'pair' | 'first' | 'random';
  /** For `first`: clients that send to one. */
  readonly senders: number;
  /** For `random`: to how many others a client sends. */
  readonly contacts: number;
  /** For `pair`: the odd ones answer with messages of their own. */
  readonly bothWays: boolean;
  /**
   * Messages a second of the whole group, open loop: due whatever became of the last one. Or `max`: every sender
   * always has a message ready and is stopped by back-pressure alone.
   */
  readonly perSecond: number | 'max';
  readonly arrivals: 'even' | 'poisson';
  /** Bytes of the whole StreamMessage, the payload of an s2data frame. */
  readonly bytes: number;
}

/** Keep-alives of wallets that have no connection of their own, as one relay gets them from others. */
export interface KeepAlivesActivity {
  readonly do: 'keepAlives';
  /** Wallets of the whole group; their presences are brought to the relay first. */
  readonly wallets: number;
  /** Keep-alives a second of the whole group, open loop. */
  readonly perSecond: number;
  /** Presences a second while they are brought. */
  readonly fillPerSecond: number;
  /** Of the keep-alives, those that are watched until the relay answers with them, a second. */
  readonly watchPerSecond: number;
  /** Place that the claims name; empty for the target itself. */
  readonly hostname: string;
}

/** Questions to the relay. */
export interface LookupsActivity {
  readonly do: 'lookups';
  /** `presence` of one of `wallets` (brought to the relay first), or the relays of one's `sector`. */
  readonly what: 'presence' | 'sector';
  /** Wallets of its own, or the first of those that the scenario's first keep-alives activity brings and renews. */
  readonly of: 'own' | 'keepAlives';
  readonly wallets: number;
  /** Questions a second of the whole group, open loop; `max`: always `open` of them on every connection. */
  readonly perSecond: number | 'max';
  readonly open: number;
  readonly fillPerSecond: number;
}

/** Clients that leave and come back. */
export interface ChurnActivity {
  readonly do: 'churn';
  /** Departures a second of the whole group; `max`: everybody leaves as soon as the handshake is complete. */
  readonly perSecond: number | 'max';
  /** With a bye, without a word, or one after the other. */
  readonly how: 'bye' | 'cut' | 'mixed';
}

/** All connections of the group are cut at once. */
export interface StormActivity {
  readonly do: 'storm';
  /** Seconds after the load begins. */
  readonly atSeconds: number;
}

/** Receivers (every second client) that stop reading again and again. */
export interface StallActivity {
  readonly do: 'stall';
  /** Part of the receivers that does, 0…1. */
  readonly share: number;
  readonly stallSeconds: number;
  /** From the beginning of one stall to that of the next. */
  readonly everySeconds: number;
}

/** Hostile connections beside the group's clients. */
export interface GarbageActivity {
  readonly do: 'garbage';
  readonly connections: number;
  /** Say nothing, a byte a second, announce 50 MB and wait, or random bytes at full speed. */
  readonly how: 'silent' | 'drip' | 'announce' | 'random';
}

export type Activity =
  | MessagesActivity
  | KeepAlivesActivity
  | LookupsActivity
  | ChurnActivity
  | StormActivity
  | StallActivity
  | GarbageActivity;

/** Clients of one kind and what they do. */
export interface Group {
  readonly name: string;
  readonly clients: number;
  readonly transport: TransportKind;
  /** Connections begun a second, of the whole group. */
  readonly connectPerSecond: number;
  /** Connections that may be on their way at once, of the whole group. */
  readonly connectAtOnce: number;
  /** Seconds from connect to helloData; an attempt that takes longer is given up. */
  readonly attemptSeconds: number;
  /** Come back when the relay ends the connection. */
  readonly reconnect: boolean;
  /** Clients per source address in 127.0.0.0/8, where the target is on loopback; 0 leaves all on one address. */
  readonly clientsPerSource: number;
  /** Of the generator process that runs the group alone (`groupsApart`): work that nobody times gives way to what is. */
  readonly niceness: number;
  readonly activities: readonly Activity[];
}

/** A load test: who connects, what they do, for how long. */
export interface Scenario {
  readonly name: string;
  readonly about: string;
  /** Load before anything is measured. */
  readonly warmUpSeconds: number;
  /** The steady window: what figures are taken from. */
  readonly windowSeconds: number;
  /** Longest time for the last messages to arrive; what is missing then counts as lost. Ends early when nothing is. */
  readonly drainSeconds: number;
  /** Seconds after which the test begins with whoever is connected. */
  readonly connectSeconds: number;
  /** Each group in one generator process of its own, as far as there are; else each process has a part of every group. */
  readonly groupsApart: boolean;
  readonly groups: readonly Group[];
}

/** A rate, or `max`. */
function rateOf(f: Fields): number | 'max' {
  return f.raw('perSecond') === 'max' ? 'max' : f.number('perSecond', 0.001, perSecondMax);
}

function parseMessages(f: Fields): MessagesActivity {
  const to = f.one('to', ['pair', 'first', 'random'] as const, 'pair');
  return {
    do: 'messages',
    to,
    senders: f.whole('senders', 1, clientsMax, 100),
    contacts: f.whole('contacts', 1, 64, 3),
    bothWays: f.flag('bothWays', false),
    perSecond: rateOf(f),
    arrivals: f.one('arrivals', ['even', 'poisson'] as const, 'even'),
    bytes: f.whole('bytes', messageBytesMin, messageBytesMax, 512),
  };
}

function parseKeepAlives(f: Fields): KeepAlivesActivity {
  const perSecond = f.number('perSecond', 0.001, perSecondMax);
  const wallets = f.whole('wallets', 1, walletsMax);
  // A claim must be newer than the last one by a second, and a wallet's turn comes after wallets / perSecond.
  if (wallets < 2 * perSecond) f.fail('wallets', `at least ${Math.ceil(2 * perSecond)}, twice perSecond`);
  return {
    do: 'keepAlives',
    wallets,
    perSecond,
    fillPerSecond: f.number('fillPerSecond', 1, perSecondMax, 2_000),
    watchPerSecond: f.number('watchPerSecond', 0.001, 10_000, 20),
    hostname: f.has('hostname') ? f.text('hostname') : '',
  };
}

function parseLookups(f: Fields): LookupsActivity {
  return {
    do: 'lookups',
    what: f.one('what', ['presence', 'sector'] as const, 'presence'),
    of: f.one('of', ['own', 'keepAlives'] as const, 'own'),
    wallets: f.whole('wallets', 1, walletsMax, 1_000),
    perSecond: rateOf(f),
    open: f.whole('open', 1, 10_000, 32),
    fillPerSecond: f.number('fillPerSecond', 1, perSecondMax, 2_000),
  };
}

function parseChurn(f: Fields): ChurnActivity {
  return {
    do: 'churn',
    perSecond: rateOf(f),
    how: f.one('how', ['bye', 'cut', 'mixed'] as const, 'mixed'),
  };
}

function parseStorm(f: Fields): StormActivity {
  return { do: 'storm', atSeconds: f.number('atSeconds', 0, secondsMax, 1) };
}

function parseStall(f: Fields): StallActivity {
  const stallSeconds = f.number('stallSeconds', 0.1, secondsMax);
  const everySeconds = f.number('everySeconds', 0.1, secondsMax, stallSeconds * 2);
  if (everySeconds <= stallSeconds) f.fail('everySeconds', 'longer than stallSeconds');
  return { do: 'stall', share: f.number('share', 0, 1), stallSeconds, everySeconds };
}

function parseGarbage(f: Fields): GarbageActivity {
  return {
    do: 'garbage',
    connections: f.whole('connections', 1, 20_000),
    how: f.one('how', ['silent', 'drip', 'announce', 'random'] as const),
  };
}

const ACTIVITIES: Readonly<Record<Activity['do'], (f: Fields) => Activity>> = {
  messages: parseMessages,
  keepAlives: parseKeepAlives,
  lookups: parseLookups,
  churn: parseChurn,
  storm: parseStorm,
  stall: parseStall,
  garbage: parseGarbage,
};

/** Wallets without connections that an activity needs identities for. */
export function walletsOf(a: Activity): number {
  return a.do === 'keepAlives' || (a.do === 'lookups' && a.of === 'own') ? a.wallets : 0;
}

/** Wallets numbered one after the other. */
export interface WalletRange {
  readonly first: number;
  readonly size: number;
}

/** The wallets of the first keep-alives activity, numbered behind the clients and the wallets before it; null: none. */
export function renewedWallets(groups: readonly Group[]): WalletRange | null {
  let first = groups.reduce((n, g) => n + g.clients, 0);
  for (const a of groups.flatMap((g) => g.activities)) {
    if (a.do === 'keepAlives') return { first, size: a.wallets };
    first += walletsOf(a);
  }
  return null;
}

function checkRenewed(groups: readonly Group[]): void {
  const renewed = renewedWallets(groups)?.size ?? 0;
  for (const [i, g] of groups.entries())
    for (const [k, a] of g.activities.entries())
      if (a.do === 'lookups' && a.of === 'keepAlives' && a.wallets > renewed)
        throw new LoadError(
          'scenario',
          `groups[${i}].activities[${k}].wallets: keep-alives renew ${renewed} wallets, fewer than ${a.wallets}`,
        );
}

function parseActivity(value: unknown, path: string): Activity {
  const f = new Fields(value, path);
  const kind = f.one('do', Object.keys(ACTIVITIES) as Activity['do'][]);
  const activity = ACTIVITIES[kind](f);
  f.done();
  return activity;
}

/** Clients that only make sense together, so that one process must hold them all. */
export function unitOf(g: Group): number {
  let unit = 1;
  for (const a of g.activities) {
    if (a.do !== 'messages') continue;
    const own = a.to === 'first' ? a.senders + 1 : 2;
    unit = Math.max(unit, own);
  }
  return unit;
}

function parseGroup(value: unknown, index: number): Group {
  const path = `groups[${index}]`;
  const f = new Fields(value, path);
  const group: Group = {
    name: f.text('name', `group${index + 1}`),
    clients: f.whole('clients', 1, clientsMax),
    transport: f.one('transport', ['tcp', 'ws'] as const, 'tcp'),
    connectPerSecond: f.number('connectPerSecond', 0.1, 100_000, 200),
    connectAtOnce: f.whole('connectAtOnce', 1, 100_000, 100),
    attemptSeconds: f.number('attemptSeconds', 0.1, 3600, 10),
    reconnect: f.flag('reconnect', true),
    clientsPerSource: f.whole('clientsPerSource', 0, 28_000, 900),
    niceness: f.whole('niceness', 0, 19, 0),
    activities: (f.has('activities') ? f.list('activities', activitiesMax) : []).map((a, i) =>
      parseActivity(a, `${path}.activities[${i}]`),
    ),
  };
  f.raw('activities');
  f.done();
  const unit = unitOf(group);
  if (group.clients % unit !== 0)
    throw new LoadError('scenario', `${path}.clients must be a multiple of ${unit}, what its messages need`);
  return group;
}

/**
 * Reads a scenario from parsed JSON; docs/load.md describes the format. Unknown settings are refused.
 *
 * @throws LoadError of kind `scenario`, naming the setting.
 */
export function parseScenario(value: unknown): Scenario {
  const f = new Fields(value, '');
  const groups = f.list('groups', groupsMax);
  const scenario: Scenario = {
    name: f.text('name'),
    about: f.text('about', 'No description.'),
    warmUpSeconds: f.number('warmUpSeconds', 0, secondsMax, 2),
    windowSeconds: f.number('windowSeconds', 0.1, secondsMax, 10),
    drainSeconds: f.number('drainSeconds', 0, 3600, 30),
    connectSeconds: f.number('connectSeconds', 1, secondsMax, 120),
    groupsApart: f.flag('groupsApart', false),
    groups: groups.map(parseGroup),
  };
  f.done();
  checkRenewed(scenario.groups);
  const nice = scenario.groups.findIndex((g) => g.niceness > 0);
  if (nice >= 0 && !scenario.groupsApart)
    throw new LoadError('scenario', `groups[${nice}].niceness needs groupsApart`);
  if (groups.length === 0) throw new LoadError('scenario', 'groups must hold at least one group');
  const clients = scenario.groups.reduce((n, g) => n + g.clients, 0);
  if (clients > clientsMax)
    throw new LoadError('scenario', `the groups have ${clients} clients together, at most ${clientsMax}`);
  return scenario;
}
