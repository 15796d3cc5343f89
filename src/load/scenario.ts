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

export type Activity = MessagesActivity;

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
  readonly groups: readonly Group[];
}

function parseMessages(f: Fields): MessagesActivity {
  const to = f.one('to', ['pair', 'first', 'random'] as const, 'pair');
  const rate = f.raw('perSecond');
  return {
    do: 'messages',
    to,
    senders: f.whole('senders', 1, clientsMax, 100),
    contacts: f.whole('contacts', 1, 64, 3),
    bothWays: f.flag('bothWays', false),
    perSecond: rate === 'max' ? 'max' : f.number('perSecond', 0.001, perSecondMax),
    arrivals: f.one('arrivals', ['even', 'poisson'] as const, 'even'),
    bytes: f.whole('bytes', messageBytesMin, messageBytesMax, 512),
  };
}

const ACTIVITIES: Readonly<Record<Activity['do'], (f: Fields) => Activity>> = {
  messages: parseMessages,
};

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
    groups: groups.map(parseGroup),
  };
  f.done();
  if (groups.length === 0) throw new LoadError('scenario', 'groups must hold at least one group');
  const clients = scenario.groups.reduce((n, g) => n + g.clients, 0);
  if (clients > clientsMax)
    throw new LoadError('scenario', `the groups have ${clients} clients together, at most ${clientsMax}`);
  return scenario;
}
