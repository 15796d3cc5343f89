import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { afterEach, describe, expect, it } from 'vitest';

type Event = { readonly event: string } & Record<string, unknown>;
interface Loads extends Event {
  readonly loads: Record<string, number>;
  readonly leader: string;
  readonly pids: Record<string, number>;
  readonly counted: readonly (readonly [string, string, number])[];
}

/** A supervisor over echo workers in a process of its own, with `files` descriptors for each. */
class Parent {
  readonly events: Event[] = [];
  readonly #child: ChildProcess;
  #seen = 0;

  constructor(options: Record<string, unknown>, files = 0) {
    const script = new URL('./cluster/echo-parent.mjs', import.meta.url).pathname;
    const limit = files === 0 ? '' : `ulimit -n ${files}; `;
    this.#child = spawn(
      'bash',
      ['-c', `${limit}exec "$0" "$@"`, process.execPath, script, JSON.stringify(options)],
      {
        stdio: ['pipe', 'pipe', 'inherit'],
      },
    );
    createInterface({ input: this.#child.stdout! }).on('line', (line) => {
      this.events.push(JSON.parse(line) as Event);
    });
  }

  async next(event: string): Promise<Event> {
    const end = Date.now() + 15_000;
    for (;;) {
      const i = this.events.findIndex((e, at) => at >= this.#seen && e.event === event);
      if (i >= 0) {
        this.#seen = i + 1;
        return this.events[i]!;
      }
      if (Date.now() > end) throw new Error(`no ${event} in ${JSON.stringify(this.events)}`);
      await new Promise((r) => setTimeout(r, 5));
    }
  }

  say(line: string): void {
    this.#child.stdin!.write(`${line}\n`);
  }

  async loads(): Promise<Loads> {
    this.say('loads');
    return (await this.next('loads')) as Loads;
  }

  async ports(): Promise<{ tcp: number; ws: number; api: number }> {
    return (await this.next('started')).ports as { tcp: number; ws: number; api: number };
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    this.say('stop');
    await new Promise((r) => this.#child.once('exit', r));
  }
}

/** A client with everything it was told. */
class Client {
  text = '';
  closed = false;
  connected = false;
  error = '';
  readonly socket: Socket;
  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1' });
    this.socket.on('connect', () => {
      this.connected = true;
    });
    this.socket.on('data', (d) => {
      this.text += d.toString();
    });
    this.socket.on('error', (e) => {
      this.error = e.message;
    });
    this.socket.on('close', () => {
      this.closed = true;
    });
  }
  get worker(): string {
    return this.text.split(' ')[0]!;
  }
}

async function until(what: string, probe: () => boolean | Promise<boolean>, ms = 15_000): Promise<void> {
  const end = Date.now() + ms;
  while (!(await probe())) {
    if (Date.now() > end) throw new Error(`not in time: ${what}`);
    await new Promise((r) => setTimeout(r, 10));
  }
}

const parents: Parent[] = [];
const clients: Client[] = [];
function parent(options: Record<string, unknown>, files = 0): Parent {
  const p = new Parent(options, files);
  parents.push(p);
  return p;
}
function client(port: number): Client {
  const c = new Client(port);
  clients.push(c);
  return c;
}
afterEach(async () => {
  for (const c of clients.splice(0)) c.socket.destroy();
  for (const p of parents.splice(0)) await p.stop();
});

const perWorker = (all: readonly Client[]): Record<string, number> => {
  const n: Record<string, number> = {};
  for (const c of all) n[c.worker] = (n[c.worker] ?? 0) + 1;
  return n;
};

describe('hand-over between processes', () => {
  it('1,000 at once: none lost, workers even within 10 %, what they write comes back', async () => {
    const p = parent({ processes: 3 });
    const { tcp, ws } = await p.ports();
    const all = Array.from({ length: 1_000 }, (_, i) => client(i % 2 === 0 ? tcp : ws));
    for (const c of all) c.socket.write('hello');
    await until('all greeted', () => all.every((c) => c.text.endsWith('hello')));
    expect(all.filter((c) => c.closed || c.error !== '')).toEqual([]);
    const counts = Object.values(perWorker(all));
    expect(counts.length).toBe(3);
    for (const n of counts) expect(Math.abs(n - 1_000 / 3)).toBeLessThan(33);
    expect(all.filter((c) => c.text.includes(' ws\n')).length).toBe(500);
    for (const c of all.slice(0, 400)) c.socket.destroy();
    await until('closed ones are no load', async () => {
      const { loads } = await p.loads();
      return Object.values(loads).reduce((a, b) => a + b, 0) === 600;
    });
  });

  it('with descriptors for few, everybody waits in the kernel and is served: nobody is accepted and lost', async () => {
    // 300 for each process: 256 to spare, so the parent holds a handful and a worker takes a handful.
    const p = parent({ processes: 2 }, 330);
    const { tcp } = await p.ports();
    let served = 0;
    const lost: string[] = [];
    const one = async (): Promise<void> => {
      const c = new Client(tcp);
      c.socket.write('x');
      await until('served', () => c.text.endsWith('x') || c.closed);
      if (c.text.endsWith('x')) served++;
      else lost.push(c.error);
      c.socket.destroy();
    };
    await Promise.all(Array.from({ length: 400 }, one));
    expect([served, lost]).toEqual([400, []]);
    const { counted } = await p.loads();
    expect(
      counted.find(([n, l]) => n === 'ixian_accept_pauses_total' && l === 'tcp paused')?.[2],
    ).toBeGreaterThan(0);
    expect(counted.some(([, l]) => l === 'tcp no_spare')).toBe(false);
  });

  it('when all workers are full, who comes next is told so', async () => {
    const p = parent({ processes: 2, waitMs: 500, start: { capacity: 3 } });
    const { tcp } = await p.ports();
    const in6 = Array.from({ length: 6 }, () => client(tcp));
    await until('six are in', () => in6.every((c) => c.text !== ''));
    const late = client(tcp);
    await until('told', () => late.closed);
    expect(late.text).toBe('full\n');
    in6[0]!.socket.destroy();
    const next = client(tcp);
    await until('a place became free', () => next.text !== '');
    expect(next.worker).toMatch(/^w/);
  }, 30_000);
});

describe('a worker without descriptors', () => {
  it('loses nobody: what it cannot receive another one takes', async () => {
    const p = parent({ processes: 2 });
    const { tcp } = await p.ports();
    const { pids } = await p.loads();
    // As many as it has open, so that the next handle cannot be received there.
    const open = readdirSync(`/proc/${pids.w1}/fd`).length;
    execFileSync('prlimit', ['--pid', String(pids.w1), `--nofile=${open}:${open}`]);
    const all = Array.from({ length: 40 }, () => client(tcp));
    await until('all served', () => all.every((c) => c.text !== ''));
    expect(all.filter((c) => c.closed || c.error !== '')).toEqual([]);
    expect(perWorker(all).w2).toBeGreaterThan(35);
    const { counted } = await p.loads();
    expect(counted.find(([n, l]) => n === 'ixian_handovers_total' && l === 'declined')?.[2]).toBeGreaterThan(
      0,
    );
  });
});

describe('supervision', () => {
  it('a killed worker is replaced, its place taken by others meanwhile, another leads', async () => {
    const p = parent({ processes: 2 });
    const { tcp, api } = await p.ports();
    const before = await p.loads();
    expect(before.leader).toBe('w1');
    const a = client(api);
    await until('the leader answers', () => a.text === 'w1 api\n');
    process.kill(before.pids.w1!, 'SIGKILL');
    const during = Array.from({ length: 50 }, () => client(tcp));
    const toLeader = client(api);
    await until('all served', () => [...during, toLeader].every((c) => c.text !== ''));
    expect(during.every((c) => !c.closed)).toBe(true);
    expect(toLeader.text).toBe('w2 api\n');
    await until('replaced', async () => Object.keys((await p.loads()).pids).join() === 'w2,w3');
    expect((await p.loads()).counted).toContainEqual(['ixian_worker_restarts_total', 'signal', 1]);
  });

  it('an upgrade replaces all, one by one, and every newcomer is served', async () => {
    const p = parent({ processes: 2 });
    const { tcp } = await p.ports();
    p.say('upgrade');
    const all: Client[] = [];
    while (!p.events.some((e) => e.event === 'upgrade_ended')) {
      all.push(client(tcp));
      await new Promise((r) => setTimeout(r, 5));
    }
    await until('all served', () => all.every((c) => c.text !== ''));
    const { pids, leader } = await p.loads();
    expect(Object.keys(pids)).toEqual(['w3', 'w4']);
    expect(leader).toBe('w3');
    expect(all.filter((c) => c.error !== '')).toEqual([]);
  });

  it('an upgrade whose new worker does not start leaves all as it is', async () => {
    const p = parent({ processes: 2, start: { failWith: 'w3' } });
    await p.ports();
    p.say('upgrade');
    expect((await p.next('upgrade_failed')).text).toBe('no luck');
    await until('two are left', async () => Object.keys((await p.loads()).pids).join() === 'w1,w2');
  });

  it('a first worker that cannot start ends it all with its code; a stop leaves no socket behind', async () => {
    const bad = parent({ processes: 2, start: { failWith: 'w1' } });
    expect(await bad.next('failed')).toMatchObject({ code: 7, text: 'no luck' });
    const p = parent({ processes: 2 });
    await p.ports();
    p.say('drain');
    await p.next('drained');
    const { pids } = await p.loads();
    await p.stop();
    for (const pid of Object.values(pids)) expect(existsSync(`/proc/${pid}`)).toBe(false);
  });
});
