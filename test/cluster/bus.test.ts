import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type BusLimits, MemoryHub, type MeshBus, ProcessBus } from '../../src/cluster/index.js';
import { Counters } from '../../src/counters/index.js';

let folder: string;
let made = 0;
const buses: MeshBus[] = [];
const counters = new Map<string, Counters>();
const errors: unknown[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'starling-bus-'));
});
afterEach(async () => {
  for (const b of buses.splice(0)) await b.close();
  errors.length = 0;
});
afterAll(() => rm(folder, { recursive: true }));

const text = (s: string): Uint8Array => new TextEncoder().encode(s);
const read = (b: Uint8Array): string => new TextDecoder().decode(b);

async function until(what: string, probe: () => boolean): Promise<void> {
  const end = Date.now() + 5_000;
  while (!probe()) {
    if (Date.now() > end) throw new Error(`not in time: ${what}`);
    await new Promise((r) => setTimeout(r, 2));
  }
}

type Make = (n: number, limits?: Partial<BusLimits>) => Promise<MeshBus[]>;

const options = (self: string, limits: Partial<BusLimits>) => {
  const c = new Counters();
  counters.set(self, c);
  return { self, counters: c, limits, onError: (_topic: string, e: unknown) => void errors.push(e) };
};

const carriers: readonly [string, Make][] = [
  [
    'memory',
    async (n, limits = {}) => {
      const hub = new MemoryHub();
      return Array.from({ length: n }, () => hub.join(options(`m${made++}`, limits)));
    },
  ],
  [
    'process',
    async (n, limits = {}) => {
      const out: ProcessBus[] = [];
      for (let i = 0; i < n; i++) {
        const bus = await ProcessBus.open({ ...options(`p${made++}`, limits), folder });
        for (const other of out) expect(await bus.dial(other.self)).toBe(true);
        out.push(bus);
      }
      return out;
    },
  ],
];

describe.each(carriers)('bus over %s', (_name, make) => {
  async function mesh(n: number, limits?: Partial<BusLimits>): Promise<MeshBus[]> {
    const all = await make(n, limits);
    buses.push(...all);
    await until('all know all', () => all.every((b) => b.members.length === n - 1));
    return all;
  }

  it('carries messages in order, of any size, to one or to all others', async () => {
    const [a, b, c] = (await mesh(3)) as [MeshBus, MeshBus, MeshBus];
    const got: string[] = [];
    const sizes: number[] = [];
    for (const x of [b, c]) x.on('t', (from, p) => void got.push(`${x.self}<${from}:${read(p)}`));
    b.on('big', (_f, p) => void sizes.push(p.length + p.reduce((s, v) => s + v, 0)));
    a.on('t', () => expect.unreachable('a member does not hear itself'));
    for (let i = 0; i < 200; i++) expect(a.send(b.self, 't', text(`${i}`))).toBe(true);
    expect(a.publish('t', text('all'))).toBe(2);
    for (const n of [0, 1, 65_536, 3_000_000])
      expect(a.send(b.self, 'big', new Uint8Array(n).fill(1))).toBe(true);
    await until('arrived', () => sizes.length === 4 && got.length === 202);
    expect(sizes).toEqual([0, 2, 131_072, 6_000_000]);
    expect(got.filter((g) => g.startsWith(b.self))).toEqual([
      ...Array.from({ length: 200 }, (_, i) => `${b.self}<${a.self}:${i}`),
      `${b.self}<${a.self}:all`,
    ]);
    expect(a.send('nobody', 't', text('x'))).toBe(false);
  });

  it('refuses data to a member that is behind, says so, and takes it again later', async () => {
    const [a, b] = (await mesh(2, { dataBytesMax: 1_000 })) as [MeshBus, MeshBus];
    let got = 0;
    b.on('t', () => void got++);
    const sent = Array.from({ length: 20 }, () => a.send(b.self, 't', new Uint8Array(100)));
    expect(sent.filter((ok) => ok).length).toBeGreaterThanOrEqual(8);
    expect(sent.at(-1)).toBe(false);
    expect(a.send(b.self, 't', new Uint8Array(100), 'control')).toBe(true);
    await until('handled', () => a.waitingBytes === 0);
    expect(got).toBe(sent.filter((ok) => ok).length + 1);
    expect(a.send(b.self, 't', new Uint8Array(100))).toBe(true);
    const full = counters
      .get(a.self)!
      .counter('ixian_bus_messages_total', '', { kind: 'data', result: 'full' });
    expect(full.value).toBe(sent.filter((ok) => !ok).length);
  });

  it('cuts off who cannot keep up with control traffic, and tells what was lost', async () => {
    const [a, b] = (await mesh(2, { controlBytesMax: 10_000 })) as [MeshBus, MeshBus];
    const lost: number[] = [];
    const left: string[] = [];
    a.onLost('t', (to, p) => void lost.push(to === b.self ? p[0]! : -1));
    a.onMember({ left: (name) => void left.push(name) });
    for (let i = 0; i < 12; i++) a.send(b.self, 't', new Uint8Array(1_000).fill(i), 'control');
    expect(left).toEqual([b.self]);
    expect(lost).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    await until('the other side knows', () => b.members.length === 0);
  });

  it('answers requests; an error, a silence, an unknown topic, a leaver each say what they are', async () => {
    const [a, b] = (await mesh(2)) as [MeshBus, MeshBus];
    b.answer('double', async (_f, p) => {
      const n = Number(read(p));
      await new Promise((r) => setTimeout(r, 10 - n));
      return text(`${2 * n}`);
    });
    b.answer('bad', () => {
      throw new Error('no such thing');
    });
    b.answer('never', () => new Promise(() => undefined));
    const all = await Promise.all([1, 2, 3].map((n) => a.request(b.self, 'double', text(`${n}`))));
    expect(all.map(read)).toEqual(['2', '4', '6']);
    const problem = (p: Promise<unknown>) =>
      p.then(
        () => '',
        (e: Error) => e.message.split(':')[0],
      );
    expect(await problem(a.request(b.self, 'bad', text('')))).toBe('refused');
    expect(await problem(a.request(b.self, 'unknown', text('')))).toBe('refused');
    expect(await problem(a.request('nobody', 'double', text('')))).toBe('gone');
    expect(await problem(a.request(b.self, 'never', text(''), 20))).toBe('timeout');
    const open = problem(a.request(b.self, 'never', text('')));
    await b.close();
    expect(await open).toBe('gone');
  });

  it('a handler that throws ends nothing', async () => {
    const [a, b] = (await mesh(2)) as [MeshBus, MeshBus];
    let got = 0;
    b.on('t', () => {
      got++;
      throw new Error('bug');
    });
    a.send(b.self, 't', text('1'));
    a.send(b.self, 't', text('2'));
    await until('both', () => got === 2);
    expect(errors.map((e) => (e as Error).message)).toEqual(['bug', 'bug']);
    expect(b.members).toEqual([a.self]);
  });

  it('leaving hands over what was sent before', async () => {
    const [a, b] = (await mesh(2)) as [MeshBus, MeshBus];
    let got = 0;
    b.on('t', () => void got++);
    for (let i = 0; i < 100; i++) a.send(b.self, 't', new Uint8Array(10_000));
    await a.close();
    await until('all', () => got === 100 && b.members.length === 0);
  });
});

describe('bus between processes', () => {
  it('bytes that are no frames, a wrong version and a taken name end that connection alone', async () => {
    const bus = await ProcessBus.open({ ...options(`p${made++}`, {}), folder });
    buses.push(bus);
    const say = async (bytes: Uint8Array): Promise<void> => {
      const s = connect(join(folder, `${bus.self}.sock`));
      s.on('error', () => undefined);
      s.resume();
      s.write(bytes);
      await new Promise((r) => s.once('close', r));
    };
    await say(Uint8Array.of(255, 255, 255, 255, 1));
    await say(Uint8Array.of(3, 0, 0, 0, 9, 1, 1));
    await say(Uint8Array.of(3, 0, 0, 0, 0, 99, 65));
    await say(Uint8Array.of(2 + bus.self.length, 0, 0, 0, 0, 1, ...text(bus.self)));
    expect(bus.members).toEqual([]);
    const cuts = counters.get(bus.self)!;
    const n = (reason: string) => cuts.counter('ixian_bus_cuts_total', '', { reason }).value;
    expect([n('malformed'), n('version'), n('name')]).toEqual([2, 1, 1]);
  });
  it('who is not there cannot be dialled', async () => {
    const bus = await ProcessBus.open({ ...options(`p${made++}`, {}), folder });
    buses.push(bus);
    expect(await bus.dial('nobody', 2)).toBe(false);
  });
});
