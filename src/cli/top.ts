import { readFile } from 'node:fs/promises';
import { Unpackr } from 'msgpackr';
import { WebSocket } from 'ws';
import { type LiveMessage, LiveStore } from '../operator/live/index.js';
import { type FlagSpec, parseArgs, renderHelp } from './args.js';
import { CliError, Exit, usageError } from './exit.js';
import { type Output, processOutput } from './terminal.js';
import { topScreen } from './top-screen.js';
import { askSecret } from './wallet-open.js';

const FLAGS: readonly FlagSpec[] = [
  { name: 'url', value: 'URL', help: 'the relay’s API (default http://127.0.0.1:8001/)' },
  { name: 'user', short: 'u', value: 'NAME', help: 'user of the API, where it has users' },
  { name: 'passwordfile', value: 'PATH', help: 'file with the user’s password; asked for without it' },
  { name: 'once', help: 'print one screen and exit' },
  { name: 'json', help: 'print every message of the feed as one JSON line' },
];

/** How long the first message may take. */
const firstMessageMs = 10_000;
const retryMs = 1_000;

interface Options {
  readonly url: URL;
  readonly authorization: string;
  readonly once: boolean;
  readonly json: boolean;
}

async function optionsOf(args: readonly string[]): Promise<Options | null> {
  const a = parseArgs(args, FLAGS);
  if (a.has('help')) return null;
  if (a.positionals.length > 0) throw usageError(`unexpected argument ${a.positionals[0]}`);
  let url: URL;
  try {
    url = new URL(a.get('url') ?? 'http://127.0.0.1:8001/');
  } catch {
    throw usageError('--url must be a URL like http://127.0.0.1:8001/');
  }
  if (!/^https?:$/.test(url.protocol)) throw usageError('--url must begin with http:// or https://');
  const user = a.get('user');
  let authorization = '';
  if (user !== undefined) {
    const file = a.get('passwordfile');
    const password =
      file === undefined
        ? await askSecret(`Password of ${user}: `)
        : (await readFile(file, 'utf8')).replace(/\r?\n$/, '');
    authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  }
  return { url, authorization, once: a.has('once'), json: a.has('json') };
}

/** Logs in and returns the cookie, '' where the API has no users. */
async function login(o: Options): Promise<string> {
  let answer: Response;
  try {
    answer = await fetch(new URL('/v1/login', o.url), {
      method: 'POST',
      headers: o.authorization === '' ? {} : { authorization: o.authorization },
    });
  } catch (e) {
    const cause = (e as { cause?: { message?: string } }).cause?.message ?? (e as Error).message;
    throw new CliError(
      `no relay answers at ${o.url.origin}: ${cause}`,
      Exit.failed,
      'name its API with --url',
    );
  }
  if (answer.status === 401)
    throw new CliError(
      o.authorization === '' ? 'the relay wants a login' : 'user or password is wrong',
      Exit.failed,
      'name a user with --user',
    );
  if (!answer.ok)
    throw new CliError(
      `${o.url.origin} refused: ${answer.status} ${(await answer.text()).trim()}`,
      Exit.failed,
    );
  return (answer.headers.get('set-cookie') ?? '').split(';')[0]!;
}

/** Opens the feed; resolves when it ends. Rejects when the relay refuses it. */
function watch(o: Options, cookie: string, onMessage: (m: LiveMessage) => boolean): Promise<'done' | 'lost'> {
  return new Promise((resolve, reject) => {
    const at = new URL('/v1/live', o.url);
    at.protocol = o.url.protocol === 'https:' ? 'wss:' : 'ws:';
    const socket = new WebSocket(at, {
      headers: cookie === '' ? {} : { cookie },
      handshakeTimeout: firstMessageMs,
    });
    const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true });
    let done = false;
    socket.on('message', (data) => {
      if (done || onMessage(unpackr.unpack(data as Buffer) as LiveMessage)) return;
      done = true;
      socket.terminate();
    });
    socket.on('unexpected-response', (_request, response) => {
      reject(new CliError(`${at.origin} refused the feed: ${response.statusCode ?? 0}`, Exit.failed));
      response.destroy();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(done ? 'done' : 'lost'));
  });
}

/** `starling top`: the dashboard in a terminal. */
export async function run(args: readonly string[], out: Output = processOutput()): Promise<number> {
  const o = await optionsOf(args);
  if (o === null) {
    out.out(
      renderHelp({
        usage: 'starling top [SWITCHES]',
        about: 'Shows a running relay live: clients, messages, drops, queues, peers. Ctrl-C ends it.',
        flags: FLAGS,
      }),
    );
    return Exit.ok;
  }
  const store = new LiveStore();
  const full = process.stdout.isTTY === true && !o.json && !o.once;
  const draw = (): void => {
    const size = { width: process.stdout.columns ?? 120, height: process.stdout.rows ?? 60 };
    // Home, then each line cleared to its end: no flicker.
    out.out(`\u001b[H${topScreen(store, size, out).replaceAll('\n', '\u001b[K\n')}\u001b[K\u001b[J`);
  };
  if (full) {
    out.out('\u001b[?1049h\u001b[?25l');
    const leave = (): void => {
      out.out('\u001b[?25h\u001b[?1049l');
      process.exit(Exit.ok);
    };
    process.on('SIGINT', leave);
    process.on('SIGTERM', leave);
    process.stdout.on('resize', draw);
  }
  try {
    for (;;) {
      const cookie = await login(o);
      const end = await watch(o, cookie, (m) => {
        store.take(m);
        if (o.json) out.out(`${JSON.stringify(m)}\n`);
        else if (full && m.kind !== 'hello') draw();
        if (!o.once || m.kind !== 'detail') return true;
        if (!o.json)
          out.out(`${topScreen(store, { width: process.stdout.columns ?? 120, height: 200 }, out)}\n`);
        return false;
      });
      if (end === 'done') return Exit.ok;
      if (!full) throw new CliError('the relay ended the feed', Exit.failed);
      await new Promise((resolve) => setTimeout(resolve, retryMs));
    }
  } finally {
    if (full) out.out('\u001b[?25h\u001b[?1049l');
  }
}
