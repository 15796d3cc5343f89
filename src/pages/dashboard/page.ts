import { LiveStore } from '../../operator/live/index.js';
import { byId, element, show } from '../common/dom.js';
import * as actions from './actions.js';
import { ApiError, call, type Session, session } from './api.js';
import { Charts } from './charts.js';
import {
  bansView,
  busiestView,
  checksView,
  dropsView,
  logView,
  type PeerActions,
  pairsView,
  peersView,
  tilesView,
} from './lists.js';
import { Live } from './live.js';
import { ringView } from './ring.js';

/** Minutes that can be shown; the relay keeps fifteen. */
const RANGES = [1, 5, 15];

/** The dashboard of a relay: everything it shows comes from `/v1/live`, everything it does goes through `/v1`. */
class Board {
  readonly #store = new LiveStore();
  readonly #charts: Charts;
  readonly #live: Live;
  readonly #may: boolean;
  #trouble: string | null = 'connecting';

  constructor(who: Session, loggedOut: () => void) {
    this.#may = who.roles.includes('operator');
    byId('board').hidden = false;
    byId('tools').hidden = false;
    byId('reload').hidden = !this.#may;
    byId('drain').hidden = !this.#may;
    byId('logout').hidden = who.user === '';
    byId('ban').hidden = !this.#may;
    this.#charts = new Charts(byId('charts'), this.#store);
    this.#ranges();
    this.#live = new Live(
      {
        message: (m) => {
          this.#store.take(m);
          if (m.kind === 'tick') this.#drawTick();
          if (m.kind === 'detail') this.#drawDetail();
        },
        state: (trouble) => {
          this.#trouble = trouble;
          this.#drawState();
        },
        loggedOut: () => {
          this.#close();
          loggedOut();
        },
      },
      async () => (await session()) !== null,
    );
    void this.#drawConfig();
  }

  #close(): void {
    this.#live.stop();
    byId('board').hidden = true;
    byId('tools').hidden = true;
  }

  #ranges(): void {
    const place = byId('range');
    for (const old of place.querySelectorAll('label')) old.remove();
    for (const minutes of RANGES) {
      const input = element('input', {
        type: 'radio',
        name: 'range',
        value: `${minutes}`,
      }) as HTMLInputElement;
      input.checked = minutes * 60 === this.#charts.rangeSeconds;
      input.addEventListener('change', () => {
        this.#charts.rangeSeconds = minutes * 60;
        this.#charts.draw();
      });
      place.append(element('label', {}, input, `${minutes} min`));
    }
  }

  #drawState(): void {
    const { tick } = this.#store;
    const pill = byId('state');
    const failing = Object.entries(tick?.checks ?? {}).filter(([, c]) => !c.ok);
    const [text, kind] =
      this.#trouble !== null
        ? [this.#trouble, 'bad']
        : tick === null
          ? ['connecting', 'warn']
          : tick.phase === 'stopping'
            ? ['stopping', 'warn']
            : tick.draining
              ? ['draining', 'warn']
              : failing.length > 0
                ? [`not ready: ${failing.map(([name]) => name).join(', ')}`, 'bad']
                : ['ready', 'good'];
    // Announced when it changes, not every second.
    if (pill.textContent !== text) pill.textContent = text;
    pill.className = `pill ${kind}`;
  }

  #drawTick(): void {
    const { hello, tick } = this.#store;
    if (hello === null || tick === null) return;
    this.#drawState();
    byId('identity').textContent =
      `${hello.address} · ${tick.endpoint || 'public endpoint not known yet'} · ${hello.network} network · ${hello.version}${tick.update === undefined ? '' : ` · version ${tick.update} is out`}`;
    byId('tiles').replaceChildren(...tilesView(this.#store).children);
    // Nobody sees what a hidden tab draws.
    if (!document.hidden) this.#charts.draw();
    show(byId('checks'), checksView(tick));
    show(byId('drops'), dropsView(tick.drops));
  }

  #drawDetail(): void {
    const { detail, tick } = this.#store;
    if (detail === null) return;
    const now = tick?.atMs ?? Date.now();
    const on: PeerActions = {
      disconnect: (p) => void actions.peerActions.disconnect(p),
      ban: (p) => void actions.peerActions.ban(p),
    };
    show(byId('ring'), ringView(detail));
    show(byId('peers'), peersView(detail, now));
    show(byId('busiest'), busiestView(detail, now, this.#may ? on : null));
    show(byId('bans'), bansView(detail, this.#may ? (target) => void actions.unban(target) : null));
    const log = byId('log');
    const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 4;
    show(log, logView(detail.log));
    if (atEnd) log.scrollTop = log.scrollHeight;
  }

  async #drawConfig(): Promise<void> {
    try {
      const config = await call<Record<string, unknown>>('GET', '/v1/config');
      show(byId('config'), pairsView('Configuration', config));
      const limits = await call<Record<string, unknown>>('GET', '/v1/limits');
      show(byId('limits'), pairsView('Limits', limits));
    } catch (e) {
      if (!(e instanceof ApiError)) throw e;
      byId('config').textContent = e.message;
    }
  }
}

function showLogin(): void {
  byId('login').hidden = false;
  byId('state').textContent = 'not logged in';
  byId('state').className = 'pill warn';
  byId('identity').textContent = '';
  byId('login').querySelector('input')?.focus();
}

async function start(): Promise<void> {
  const who = await session();
  if (who === null) showLogin();
  else new Board(who, showLogin);
}

byId<HTMLFormElement>('login').addEventListener('submit', (event) => {
  event.preventDefault();
  const form = event.currentTarget as HTMLFormElement;
  const data = new FormData(form);
  void (async () => {
    const error = byId('login-error');
    error.textContent = '';
    try {
      const who = await call<Session>('POST', '/v1/login', {
        user: data.get('user'),
        password: data.get('password'),
      });
      form.reset();
      form.hidden = true;
      new Board(who, showLogin);
      byId('main').focus();
    } catch (e) {
      if (!(e instanceof ApiError) && !(e instanceof TypeError)) throw e;
      const status = e instanceof ApiError ? e.status : 0;
      error.textContent =
        status === 401
          ? 'User or password is wrong.'
          : status === 429
            ? 'Too many wrong logins. Wait a minute.'
            : `The relay did not answer: ${e.message}`;
    }
  })();
});
byId('reload').addEventListener('click', () => void actions.reload());
byId('drain').addEventListener('click', () => void actions.drain());
byId('logout').addEventListener('click', () => void call('POST', '/v1/logout').then(() => location.reload()));
byId<HTMLFormElement>('ban').addEventListener('submit', (event) => {
  event.preventDefault();
  void actions.ban(event.currentTarget as HTMLFormElement);
});
start().catch((e: unknown) => {
  byId('state').textContent = `the relay does not answer: ${String(e)}`;
  byId('state').className = 'pill bad';
});
