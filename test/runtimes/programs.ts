/** Runs suite.ts in one runtime after the other: a folder with the package in node_modules, and a program per runtime. */
import { execFile, spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename, extname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { chromium } from 'playwright-core';
import type { Report as CoreReport, Vectors } from './suite.js';
import type { VerifyReport } from './verify.js';

const execute = promisify(execFile);
const RUN_MS_MAX = 120_000;
export const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const CHROMIUM_FLAGS = ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'];

/** Names under which the core may be imported, and the identity room that goes with it. */
const IDENTITY_OF = {
  'starling-core': 'starling-client/identity',
  'starling-relay/core': 'starling-relay/identity',
} as const;
export type PackageName = keyof typeof IDENTITY_OF;

/** Both halves of the suite. */
export interface Report extends CoreReport {
  readonly verify: VerifyReport;
}

const CORE_REPORTING = `import { runSuite } from './suite.mjs';
import { vectors } from './vectors.mjs';
`;
const REPORTING = `${CORE_REPORTING}import { runVerifySuite } from './verify.mjs';
const run = async () => ({ ...(await runSuite(vectors)), verify: await runVerifySuite(vectors) });
`;

/**
 * Writes the suite, which imports the packages under those names, and the programs that run it into the folder.
 * `core.mjs` is the page of the core alone, `unbundled.mjs` the page whose second half was bundled: node-forge is
 * CommonJS, which no page loads as it is.
 */
export async function writePrograms(folder: string, vectors: Vectors, name: PackageName): Promise<void> {
  const names: Readonly<Record<string, string>> = {
    'starling-relay/core': name,
    'starling-relay/identity': IDENTITY_OF[name],
  };
  await build({
    entryPoints: [resolve(import.meta.dirname, 'suite.ts'), resolve(import.meta.dirname, 'verify.ts')],
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    format: 'esm',
    platform: 'neutral',
    target: 'es2023',
    plugins: [
      {
        name: 'import-by-name',
        setup: ({ onResolve }) =>
          onResolve({ filter: /^starling-relay\// }, ({ path }) => ({ path: names[path]!, external: true })),
      },
    ],
  });
  const put = (file: string, text: string): void => writeFileSync(join(folder, file), text);
  put('vectors.mjs', `export const vectors = ${JSON.stringify(vectors)};\n`);
  put('main.mjs', `${REPORTING}console.log(JSON.stringify(await run()));\n`);
  put('without.mjs', `delete globalThis.WebAssembly;\nawait import('./main.mjs');\n`);
  put('page.mjs', `${REPORTING}globalThis.report = await run();\n`);
  put('core.mjs', `${CORE_REPORTING}globalThis.report = await runSuite(vectors);\n`);
  put(
    'unbundled.mjs',
    `${REPORTING.replace('verify.mjs', 'bundle-verify.mjs/verify.js')}globalThis.report = await run();\n`,
  );
  put('worker.mjs', `${REPORTING}export default { fetch: async () => Response.json(await run()) };\n`);
}

/** A command whose last line of output is the report. */
export async function inProcess(
  folder: string,
  program: string,
  args: readonly string[],
  file = 'main.mjs',
): Promise<Report> {
  const { stdout } = await execute(program, [...args, file], {
    cwd: folder,
    timeout: RUN_MS_MAX,
    maxBuffer: 1 << 24,
  });
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as Report;
}

/** A bundle as an app for that runtime makes it; the files it consists of. */
export async function bundled(
  folder: string,
  entry: string,
  conditions: readonly string[],
): Promise<readonly string[]> {
  const outdir = join(folder, `bundle-${[entry, ...conditions].join('-')}`);
  const { metafile } = await build({
    entryPoints: [join(folder, entry)],
    outdir,
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2023',
    conditions: [...conditions],
    loader: { '.wasm': 'copy' },
    assetNames: '[name]',
    metafile: true,
    absWorkingDir: folder,
  });
  return Object.keys(metafile.outputs).map((path) => resolve(folder, path));
}

/** workerd's configuration for modules of one worker, answering on a free port. */
export function workerdConfig(files: readonly string[]): string {
  const modules = files.map((path) => {
    const name = basename(path);
    return `(name = "${name}", ${name.endsWith('.wasm') ? 'wasm' : 'esModule'} = embed "${name}")`;
  });
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .worker)],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
const worker :Workerd.Worker = (
  modules = [
    ${modules.join(',\n    ')}
  ],
  compatibilityDate = "2026-04-01",
);
`;
}

/** Serves the worker of a configuration on a free port, fetches its page once, ends it; the answer's text. */
export async function fetchFromWorkerd(program: string, folder: string, config: string): Promise<string> {
  // Its control channel says which port it got.
  const child = spawn(program, ['serve', config, '--socket-addr=http=127.0.0.1:0', '--control-fd=3'], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
  });
  let complaints = '';
  child.stderr!.on('data', (data: Buffer) => {
    complaints += data.toString();
  });
  const ended = new Promise<void>((done) => child.once('close', () => done()));
  try {
    const port = await new Promise<number>((found, failed) => {
      const lines = createInterface(child.stdio[3] as NodeJS.ReadableStream);
      lines.on('line', (line) => {
        const event = JSON.parse(line) as { event: string; port?: number };
        if (event.event === 'listen') found(event.port!);
      });
      child.once('error', failed);
      void ended.then(() => failed(new Error(`workerd ended: ${complaints}`)));
    });
    const answer = await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(RUN_MS_MAX) });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`workerd: ${answer.status} ${text} ${complaints}`);
    return text;
  } finally {
    child.kill();
    await ended;
  }
}

/** The suite as a worker; with the condition, or as a bundler makes it that does not know workerd. */
export async function inWorkerd(
  folder: string,
  program: string,
  conditions: readonly string[],
): Promise<Report> {
  const files = await bundled(folder, 'worker.mjs', conditions);
  const place = join(folder, `workerd-${conditions.join('-')}`);
  mkdirSync(place, { recursive: true });
  for (const path of files) copyFileSync(path, join(place, basename(path)));
  // The worker's main module is the first.
  const sorted = files.toSorted((a, b) => Number(a.endsWith('.wasm')) - Number(b.endsWith('.wasm')));
  writeFileSync(join(place, 'config.capnp'), workerdConfig(sorted));
  return JSON.parse(await fetchFromWorkerd(program, place, 'config.capnp')) as Report;
}

const MEDIA_TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
};

/** What a page is served with. */
interface PageOptions {
  /** Of the root; other paths are files of the folder. */
  readonly html?: string;
  /** The page to open; default the root. */
  readonly path?: string;
  /** Content-Security-Policy. */
  readonly policy?: string;
}

/** Opens a page in Chromium over files of the folder, and waits until `expression` gives something. */
export async function inPage<T>(folder: string, expression: string, options: PageOptions): Promise<T> {
  const server = createServer((request, response) => {
    const path = new URL(request.url!, 'http://localhost').pathname;
    const type = path === '/' ? MEDIA_TYPES['.html'] : MEDIA_TYPES[extname(path)];
    const headers: Record<string, string> = { 'content-type': type ?? 'text/plain' };
    if (options.policy !== undefined) headers['content-security-policy'] = options.policy;
    try {
      // URL normalises `..` away, so nothing outside the folder is reachable.
      const body = path === '/' ? options.html : readFileSync(join(folder, path));
      response.writeHead(200, headers).end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_FLAGS });
  try {
    const page = await browser.newPage();
    const errors: string[] = [];
    page.on('pageerror', (e) => errors.push(e.message));
    const { port } = server.address() as AddressInfo;
    await page.goto(`http://127.0.0.1:${port}${options.path ?? '/'}`);
    // By evaluation and not in the page: a policy may forbid the page to evaluate.
    for (let waited = 0; waited < RUN_MS_MAX; waited += 50) {
      const value = await page.evaluate<T | null>(expression);
      if (value !== null) return value;
      await new Promise((done) => setTimeout(done, 50));
    }
    throw new Error(`nothing came; the page said: ${errors.join('; ')}`);
  } finally {
    await browser.close();
    server.close();
  }
}
