import type { HttpServer } from '../link/node/index.js';
import { Page } from './pages.js';

/**
 * Where the messenger connects to: its own relay, every relay that its contacts are on, and their public documents. Which
 * those are is known only once they are looked up.
 */
const connectSources = "'self' ws: wss: http: https:";

/** Serves the messenger at `/app` (docs/app.md) on a relay's public port, and leads visitors of `/` there. */
export async function addAppRoutes(server: HttpServer): Promise<void> {
  const page = await Page.load('app', { connect: connectSources, wasm: true });
  for (const path of ['/app', '/app/'])
    server.route('GET', path, (request) => page.answer('index.html', request));
  for (const name of page.names)
    if (name !== 'index.html') server.route('GET', `/app/${name}`, (request) => page.answer(name, request));
  server.route('GET', '/', () => ({ status: 302, headers: { location: '/app' } }));
}
