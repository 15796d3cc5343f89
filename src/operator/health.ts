import type { HttpRequest, HttpResponse, HttpServer } from '../link/node/index.js';
import { contentTypeOf, formatFor, renderMetrics } from './metrics/render.js';
import type { Check, RelayNode } from './node.js';

/** The answer to a probe: JSON with every check, or plain text with `?verbose=0`. */
export function probeAnswer(checks: Readonly<Record<string, Check>>, request: HttpRequest): HttpResponse {
  const ok = Object.values(checks).every((c) => c.ok);
  const status = ok ? 200 : 503;
  const text = ok ? 'ok' : 'fail';
  if (request.query.get('verbose') === '0')
    return { status, headers: { 'content-type': 'text/plain; charset=utf-8' }, body: text };
  return {
    status,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
    body: JSON.stringify({ status: text, checks }),
  };
}

/** Adds `/livez`, `/healthz`, `/startupz` and `/readyz` (docs/protocol/11 §12.1). */
export function addHealthRoutes(server: HttpServer, node: RelayNode): void {
  const probe = (path: string, checks: () => Record<string, Check>): void =>
    server.route('GET', path, (request) => probeAnswer(checks(), request));
  probe('/livez', () => node.liveChecks());
  probe('/healthz', () => node.liveChecks());
  probe('/startupz', () => node.startedChecks());
  probe('/readyz', () => node.readyChecks());
}

/** Adds `/metrics` in the format that the Accept header prefers (11 §12.2). */
export function addMetricsRoute(server: HttpServer, node: RelayNode): void {
  server.route('GET', '/metrics', async (request) => {
    const format = formatFor(request.header('accept'));
    const { counters, sampled } = await node.numbers();
    return {
      status: 200,
      headers: { 'content-type': contentTypeOf(format), 'cache-control': 'no-store' },
      body: renderMetrics(counters, sampled, format),
    };
  });
}
