import type { HttpHandler, HttpMethod, HttpRequest, HttpResponse, RouteOptions } from './http-server.js';

/** Request bodies without an own limit: JSON calls are far smaller. */
export const httpBodyBytesMax = 64 * 1024;

interface Route {
  readonly path: string;
  readonly handlers: Map<HttpMethod, { readonly handler: HttpHandler; readonly options: RouteOptions }>;
}

/** A body-less answer with a short text. */
export function plainAnswer(status: number, text: string): HttpResponse {
  return { status, headers: { 'content-type': 'text/plain; charset=utf-8' }, body: `${text}\n` };
}

/** What is to be done for a request before its body is read. */
export interface Match {
  readonly bodyBytesMax: number;
  run(request: HttpRequest): Promise<HttpResponse>;
}

const METHODS: ReadonlySet<string> = new Set<HttpMethod>(['GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS']);

/** True for the methods the server knows. */
export function isHttpMethod(text: string): text is HttpMethod {
  return METHODS.has(text);
}

/** Routes shared by both servers, so that they cannot answer differently. */
export class Router {
  readonly #exact = new Map<string, Route>();
  readonly #prefixes: Route[] = [];

  constructor(readonly onError: (error: unknown, request: HttpRequest) => void) {}

  add(method: HttpMethod, path: string, handler: HttpHandler, options: RouteOptions): void {
    const wild = path.endsWith('/*');
    let route = wild ? this.#prefixes.find((r) => r.path === path.slice(0, -1)) : this.#exact.get(path);
    if (route === undefined) {
      route = { path: wild ? path.slice(0, -1) : path, handlers: new Map() };
      if (wild) this.#prefixes.push(route);
      else this.#exact.set(path, route);
      this.#prefixes.sort((a, b) => b.path.length - a.path.length);
    }
    route.handlers.set(method, { handler, options });
  }

  #find(path: string): Route | undefined {
    return (
      this.#exact.get(path) ?? this.#prefixes.find((r) => path.startsWith(r.path) || `${path}/` === r.path)
    );
  }

  /** The route of a request, or the answer that ends it. HEAD falls back to GET. */
  match(method: string, path: string): Match | HttpResponse {
    const route = this.#find(path);
    if (route === undefined) return plainAnswer(404, 'not found');
    const own = isHttpMethod(method) ? route.handlers.get(method) : undefined;
    const found = own ?? (method === 'HEAD' ? route.handlers.get('GET') : undefined);
    if (found === undefined) return this.#preflight(method, route);
    return {
      bodyBytesMax: found.options.bodyBytesMax ?? httpBodyBytesMax,
      run: async (request) => {
        let answer: HttpResponse;
        try {
          answer = await found.handler(request);
        } catch (error) {
          this.onError(error, request);
          answer = plainAnswer(500, 'internal error');
        }
        if (found.options.cors !== 'open') return answer;
        return { ...answer, headers: { ...answer.headers, 'access-control-allow-origin': '*' } };
      },
    };
  }

  #preflight(method: string, route: Route): HttpResponse {
    const allow = [...route.handlers.keys()].join(', ');
    const open = [...route.handlers.values()].some((h) => h.options.cors === 'open');
    if (method === 'OPTIONS' && open)
      return {
        status: 204,
        headers: {
          'access-control-allow-origin': '*',
          'access-control-allow-methods': allow,
          'access-control-allow-headers': 'content-type',
          'access-control-max-age': '86400',
        },
      };
    return { ...plainAnswer(405, 'method not allowed'), headers: { allow } };
  }
}

/** True when {@link Router.match} answered at once. */
export function isAnswer(m: Match | HttpResponse): m is HttpResponse {
  return 'status' in m;
}
