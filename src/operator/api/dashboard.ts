import type { HttpRequest, HttpResponse, HttpServer, UpgradeRequest } from '../../link/node/index.js';
import { plainAnswer } from '../../link/node/index.js';
import type { LiveFeed } from '../live/feed.js';
import { Page } from '../pages.js';
import type { Gate, Guarded } from './server.js';

/** A viewer sends nothing; this only bounds what it could. */
const viewerMessageBytesMax = 1_024;

/**
 * The dashboard's page at `/` and its feed at `/v1/live` (msgpack, or JSON with `?format=json`). The page itself
 * shows nothing: everything in it comes through calls and the feed, behind the login.
 */
export async function addDashboardRoutes(
  server: HttpServer,
  gate: Gate,
  live: LiveFeed,
  rpc: Guarded,
): Promise<void> {
  const page = await Page.load('dashboard');
  const file =
    (name: string) =>
    (request: HttpRequest): HttpResponse =>
      gate.refusal(request) ?? page.answer(name, request);
  for (const name of page.names) {
    if (name === 'index.html') continue;
    server.route('GET', `/dashboard/${name}`, file(name));
  }
  server.route('GET', '/', file('index.html'));
  // The reference's calls are posted to `/`, which is no page for them.
  server.route('POST', '/', gate.guard(null, null, rpc), { bodyBytesMax: 2 * 1024 * 1024 });

  server.websocket('/v1/live', {
    messageBytesMax: viewerMessageBytesMax,
    refuse: (request: UpgradeRequest): HttpResponse | null => {
      const refused = gate.refusal(request);
      if (refused !== null) return refused;
      // A page elsewhere could open a socket here with the operator's cookie: no answer is readable without this.
      if (gate.foreign(request)) return plainAnswer(403, 'foreign origin');
      const login = gate.access.session(request.header('cookie'));
      if (login?.kind !== 'ok') return plainAnswer(401, 'log in first: POST /v1/login');
      if (!login.roles.has('viewer')) return plainAnswer(403, 'role viewer is needed');
      if (!live.hasRoom) return { ...plainAnswer(503, 'too many viewers'), headers: { 'retry-after': '10' } };
      return null;
    },
    onConnection: (transport, request) =>
      live.add(transport, request.query.get('format') === 'json' ? 'json' : 'msgpack'),
  });
}
