import type { LiveDetail, LiveDrop, LivePeer, LiveStore, LiveTick } from '../../operator/live/index.js';
import { bytes, count, duration, latency, rate, shortAddress } from '../../operator/live/index.js';
import { element, table } from '../common/dom.js';

interface Tile {
  readonly name: string;
  readonly value: string;
  readonly note?: string;
}

function tilesOf(store: LiveStore): Tile[] {
  const { hello, tick } = store;
  const limit = hello?.limits.clientsMax;
  const v = (name: Parameters<LiveStore['value']>[0]): number => store.value(name);
  const lag = Math.max(0, v('networkHeight') - v('height'));
  return [
    {
      name: 'Clients',
      value: count(v('clients')),
      ...(limit === undefined ? {} : { note: `of ${count(limit)} at most` }),
    },
    {
      name: 'Messages per second',
      value: rate(store.rate('forwardedTotal')),
      note: `${count(v('forwardedTotal'))} in all`,
    },
    { name: 'Presences', value: count(v('presences')), note: `${count(v('sessions'))} sessions` },
    {
      name: 'Bytes per second',
      value: bytes(store.rate('bytesInTotal') + store.rate('bytesOutTotal')),
      note: `${bytes(store.rate('bytesInTotal'))} in, ${bytes(store.rate('bytesOutTotal'))} out`,
    },
    {
      name: 'Drops per second',
      value: rate(store.rate('droppedTotal')),
      note: `${count(v('droppedTotal'))} in all`,
    },
    { name: 'Waiting to be sent', value: bytes(v('queueBytes')), note: `${count(v('queueFrames'))} frames` },
    {
      name: 'Signatures verified per second',
      value: rate(store.rate('verifiedTotal')),
      note: `${count(v('verifyPending'))} waiting`,
    },
    {
      name: 'Processor',
      value: `${(100 * store.rate('cpuSecondsTotal')).toFixed(0)} %`,
      note: `of one core; loop delay ${latency(v('loopDelaySeconds'))}`,
    },
    { name: 'Memory', value: bytes(v('residentBytes')) },
    {
      name: 'Header',
      value: count(v('height')),
      note: lag === 0 ? `${duration(v('headerAgeSeconds'))} old` : `${count(lag)} behind the network`,
    },
    {
      name: 'Running for',
      value: hello === null || tick === null ? '–' : duration((tick.atMs - hello.startedMs) / 1000),
    },
  ];
}

export function tilesView(store: LiveStore): HTMLElement {
  const tiles = tilesOf(store).map((t) =>
    element(
      'div',
      {},
      element('dt', {}, t.name),
      element('dd', {}, t.value, ...(t.note === undefined ? [] : [element('small', {}, t.note)])),
    ),
  );
  return element('div', { class: 'tiles', role: 'presentation' }, ...tiles);
}

const CHECK_NAMES: Readonly<Record<string, string>> = {
  started: 'started',
  accepting: 'takes newcomers',
  ownKeepAlive: 'own keep-alive, seconds old',
  masters: 'ledger nodes connected',
  headerAgeSeconds: 'last header, seconds old',
  blocksBehind: 'blocks behind the network',
};

export function checksView(tick: LiveTick): HTMLElement {
  return table(
    'Readiness checks',
    Object.entries(tick.checks),
    [
      { head: 'Check', cell: ([name]) => CHECK_NAMES[name] ?? name },
      {
        head: 'State',
        cell: ([, c]) => element('span', { class: c.ok ? 'good-text' : 'bad-text' }, c.ok ? 'ok' : 'fails'),
      },
      { head: 'Found', number: true, cell: ([, c]) => String(c.value) },
      { head: 'Wanted', number: true, cell: ([, c]) => String(c.want) },
    ],
    'No checks yet.',
  );
}

export function dropsView(drops: readonly LiveDrop[]): HTMLElement {
  return table<LiveDrop>(
    'Drops',
    [...drops].sort((a, b) => b.total - a.total),
    [
      { head: 'What', cell: (d) => d.counter.replaceAll('_', ' ') },
      { head: 'Reason', cell: (d) => d.reason.replaceAll('_', ' ') || '–' },
      { head: 'Total', number: true, cell: (d) => count(d.total) },
    ],
    'Nothing was dropped or refused since the start.',
  );
}

const KINDS: Readonly<Record<string, string>> = {
  M: 'ledger node',
  H: 'ledger node',
  R: 'relay',
  C: 'client',
};

export function peersView(detail: LiveDetail, nowMs: number): HTMLElement {
  return table<LivePeer>(
    'Connections to servers',
    detail.peers,
    [
      {
        head: 'Kind',
        cell: (p) => `${KINDS[p.type] ?? p.type}${p.role === 'inbound' ? ', came' : ', dialled'}`,
      },
      { head: 'Endpoint', cell: (p) => p.remote },
      { head: 'Version', cell: (p) => p.version },
      { head: 'Height', number: true, cell: (p) => (p.height === 0 ? '–' : count(p.height)) },
      { head: 'Since', number: true, cell: (p) => duration((nowMs - p.sinceMs) / 1000) },
      { head: 'Moved', number: true, cell: (p) => bytes(p.bytes) },
    ],
    'None connected. Without a ledger (standalone) that is as it should be.',
  );
}

/** What may be done to a connection; null where the reader may not. */
export interface PeerActions {
  disconnect(peer: LivePeer): void;
  ban(peer: LivePeer): void;
}

function actionButton(text: string, key: string, label: string, run: () => void): HTMLElement {
  const button = element('button', { type: 'button', 'data-key': key, 'aria-label': label }, text);
  button.addEventListener('click', run);
  return button;
}

export function busiestView(detail: LiveDetail, nowMs: number, actions: PeerActions | null): HTMLElement {
  return table<LivePeer>(
    'Connections of clients',
    detail.busiest,
    [
      { head: 'Wallet', cell: (p) => element('code', { title: p.address }, shortAddress(p.address)) },
      { head: 'From', cell: (p) => p.remote },
      { head: 'Over', cell: (p) => p.transport },
      { head: 'Version', cell: (p) => p.version },
      { head: 'Since', number: true, cell: (p) => duration((nowMs - p.sinceMs) / 1000) },
      { head: 'Messages', number: true, cell: (p) => count(p.messages) },
      { head: 'Moved', number: true, cell: (p) => bytes(p.bytes) },
      { head: 'Waiting', number: true, cell: (p) => bytes(p.queuedBytes) },
      ...(actions === null
        ? []
        : [
            {
              head: 'Actions',
              cell: (p: LivePeer) =>
                element(
                  'span',
                  {},
                  actionButton(
                    'Disconnect',
                    `disconnect ${p.id}`,
                    `Disconnect ${shortAddress(p.address)}`,
                    () => actions.disconnect(p),
                  ),
                  ' ',
                  actionButton('Ban', `ban ${p.id}`, `Ban ${shortAddress(p.address)}`, () => actions.ban(p)),
                ),
            },
          ]),
    ],
    'No client moved anything in the last seconds.',
  );
}

type Ban = LiveDetail['bans'][number];

export function bansView(detail: LiveDetail, unban: ((target: string) => void) | null): HTMLElement {
  return table<Ban>(
    'Who is banned',
    detail.bans,
    [
      { head: 'Who', cell: (b) => element('code', {}, b.target) },
      { head: 'Reason', cell: (b) => b.reason || '–' },
      {
        head: 'Until',
        cell: (b) => (b.expires === null ? 'for ever' : new Date(1000 * b.expires).toLocaleString()),
      },
      ...(unban === null
        ? []
        : [
            {
              head: 'Actions',
              cell: (b: Ban) =>
                actionButton('Lift', `lift ${b.target}`, `Lift the ban of ${b.target}`, () =>
                  unban(b.target),
                ),
            },
          ]),
    ],
    'Nobody is banned.',
  );
}

/** Name and value of everything in an object, e.g. limits. */
export function pairsView(label: string, object: Readonly<Record<string, unknown>>): HTMLElement {
  return table(
    label,
    Object.entries(object),
    [
      { head: 'Name', cell: ([name]) => element('code', {}, name) },
      { head: 'Value', cell: ([, value]) => (typeof value === 'string' ? value : JSON.stringify(value)) },
    ],
    'Nothing to show.',
  );
}

/** The log's last lines: level and text, newest last. */
export function logView(lines: readonly string[]): HTMLElement {
  const shown = lines.map((line) => {
    try {
      const { time, level, event, ...rest } = JSON.parse(line) as Record<string, unknown>;
      const fields = Object.entries(rest).map(
        ([k, v]) => `${k}=${typeof v === 'string' ? v : JSON.stringify(v)}`,
      );
      const clock = String(time).slice(11, 19);
      return element(
        'div',
        { class: String(level) },
        `${clock} ${String(level).padEnd(5)} ${String(event)} ${fields.join(' ')}`,
      );
    } catch {
      return element('div', {}, line);
    }
  });
  return element('div', {}, ...(shown.length === 0 ? ['No lines yet.'] : shown));
}
