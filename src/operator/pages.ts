import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type HttpRequest, type HttpResponse, plainAnswer } from '../link/node/index.js';

/** Pages that the build made, each a folder with its files (scripts/build-pages.mjs). */
export type PageName = 'dashboard' | 'app';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.json': 'application/json',
  '.webmanifest': 'application/manifest+json',
};

interface PageFile {
  readonly body: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
  readonly etag: string;
}

/** No inline script, nothing from elsewhere, in nobody's frame. */
const securityHeaders = (connect: string, wasm: boolean): Readonly<Record<string, string>> => ({
  'content-security-policy': [
    "default-src 'none'",
    // Compiling WebAssembly is not running text as script.
    wasm ? "script-src 'self' 'wasm-unsafe-eval'" : "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data: blob:",
    `connect-src ${connect}`,
    "manifest-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
});

export interface PageOptions {
  /** Sources that the page's scripts may connect to, as Content-Security-Policy writes them; default the own host. */
  readonly connect?: string;
  /** Whether its scripts may compile WebAssembly; default not. */
  readonly wasm?: boolean;
}

/** A page's files in memory, answered with what a browser needs to keep them and to run nothing else. */
export class Page {
  private constructor(private readonly files: ReadonlyMap<string, PageFile>) {}

  /** Reads a built page. @throws Error when it was not built */
  static async load(name: PageName, options: PageOptions = {}): Promise<Page> {
    // From src/ and dist/ alike: both lie two levels below the package.
    const folder = fileURLToPath(new URL(`../../dist/pages/${name}/`, import.meta.url));
    const security = securityHeaders(options.connect ?? "'self'", options.wasm ?? false);
    const files = new Map<string, PageFile>();
    for (const file of await readdir(folder)) {
      const body = new Uint8Array(await readFile(join(folder, file)));
      const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
      files.set(file, {
        body,
        etag,
        headers: {
          ...security,
          'content-type': TYPES[extname(file)] ?? 'application/octet-stream',
          // Asked again each time, and then answered with 304: an upgraded relay shows its own page at once.
          'cache-control': 'no-cache',
          etag,
        },
      });
    }
    if (!files.has('index.html')) throw new Error(`page ${name} has no index.html`);
    return new Page(files);
  }

  get names(): readonly string[] {
    return [...this.files.keys()];
  }

  answer(file: string, request: Pick<HttpRequest, 'header'>): HttpResponse {
    const found = this.files.get(file);
    if (found === undefined) return plainAnswer(404, 'not found');
    if (request.header('if-none-match') === found.etag) return { status: 304, headers: found.headers };
    return { status: 200, headers: found.headers, body: found.body };
  }
}
