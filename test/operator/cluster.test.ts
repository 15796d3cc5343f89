import { afterEach, describe, expect, it } from 'vitest';
import { PastProcesses, pastProcessesMax } from '../../src/operator/cluster-numbers.js';
import { ClusterOperator, LIVE_SERIES, type LiveValues, RelayNode } from '../../src/operator/index.js';
import { LiveHistory } from '../../src/operator/live/history.js';
import { type LiveSample, mergeLive } from '../../src/operator/live/merge.js';
import { sampleLive } from '../../src/operator/live/sample.js';
import { Code } from '../../src/wire/index.js';
import { clientAt, got, message, type Stage, stage, stopStages, told } from '../cluster/support.js';
import { until } from '../relay/support.js';
import { FACTS } from './support.js';

const nodes: RelayNode[] = [];
afterEach(async () => {
  await stopStages();
  for (const n of nodes.splice(0)) n.close();
});

const values = (over: Partial<LiveValues>): LiveValues =>
  ({ ...Object.fromEntries(LIVE_SERIES.map((n) => [n, 0])), ...over }) as LiveValues;
const sample = (over: Partial<LiveValues>, drops: LiveSample['drops'] = []): LiveSample => ({
  values: values(over),
  drops,
});

/** The operator's side of each process of a stage. */
function operate(
  s: Stage,
  process: number,
): { node: RelayNode; operator: ClusterOperator; cancelled: number[] } {
  const node = new RelayNode(FACTS, s.counters[process]!);
  nodes.push(node);
  node.attach(s.relays[process]!);
  const cancelled: number[] = [];
  const operator = new ClusterOperator(s.buses[process]!, node, s.relays[process]!, {
    parentSamples: () => [],
    setLevel: () => undefined,
    cancelDrain: () => void cancelled.push(process),
    drainCancelled: () => undefined,
    rereadBans: () => undefined,
  });
  return { node, operator, cancelled };
}

const forwarded = async (node: RelayNode): Promise<number> =>
  (await node.gather!()).counters
    .samples()
    .filter((x) => x.name === 'ixian_relay_messages_total' && x.labels.result === 'forwarded')
    .reduce((sum, x) => sum + ('value' in x.metric ? x.metric.value : 0), 0);

describe('an operator of several processes', () => {
  it('sees the clients, messages and drops of all, on every feed and in every list', async () => {
    const s = await stage(2);
    const [one, two] = [operate(s, 0), operate(s, 1)];
    const a = await clientAt(s, 0, 'w1');
    const b = await clientAt(s, 1, 'w2');
    await told(s, 2);
    a.link.send(Code.s2data, await message('w1', 'w2', 1));
    b.link.send(Code.s2data, await message('w2', 'w3', 2));
    await until('both', () => got(a) + got(b) === 2);
    const seen = (x: typeof one): LiveSample => x.operator.live(sampleLive(x.node));
    seen(one);
    seen(two);
    await new Promise((r) => setTimeout(r, 20));
    for (const x of [one, two]) {
      const { values: v, drops } = seen(x);
      expect([v.clients, v.sessions, v.receivedTotal, v.forwardedTotal, v.offlineTotal]).toEqual([
        2, 2, 2, 1, 1,
      ]);
      expect(drops).toContainEqual({ counter: 'messages_dropped', reason: 'not_connected', total: 1 });
      expect((await x.operator.totals()).clients).toBe(2);
      expect((await x.operator.remotes()).filter(([role]) => role === 'inbound').length).toBe(2);
      expect(await forwarded(x.node)).toBe(1);
    }
    const others = await one.operator.others(10);
    expect(others.busiest.map((p) => p.id)).toEqual(s.relays[1]!.control.clientIds());
    one.operator.tell({ cancelDrain: true, disconnect: 'all go' });
    await until('gone', () => b.closed !== null);
    expect([a.closed, two.cancelled]).toEqual([null, [1]]);
  });

  it('goes on counting what an ended process had counted, also for processes that come later', async () => {
    const s = await stage(2);
    const [one, two] = [operate(s, 0), operate(s, 1)];
    const a = await clientAt(s, 1, 'w1');
    const b = await clientAt(s, 1, 'w2');
    await told(s, 2);
    a.link.send(Code.s2data, await message('w1', 'w2', 1));
    await until('there', () => got(b) === 1);
    two.operator.live(sampleLive(two.node));
    two.operator.leave();
    await new Promise((r) => setTimeout(r, 20));
    // Both still there: nothing counts twice.
    expect(await forwarded(one.node)).toBe(1);
    expect(one.operator.live(sampleLive(one.node)).values.forwardedTotal).toBe(1);
    await s.relays[1]!.stop();
    await s.buses[1]!.close();
    await until('gone', () => s.buses[0]!.members.length === 0);
    expect(await forwarded(one.node)).toBe(1);
    const v = one.operator.live(sampleLive(one.node)).values;
    expect([v.forwardedTotal, v.clients]).toEqual([1, 0]);
    s.buses.splice(1, 1);
    s.relays.splice(1, 1);
    s.counters.splice(1, 1);
    await s.add();
    const three = operate(s, 1);
    await three.operator.join();
    await three.operator.join();
    expect(await forwarded(three.node)).toBe(1);
    one.operator.leave();
    await new Promise((r) => setTimeout(r, 20));
    expect(await forwarded(three.node)).toBe(1);
  });

  it('a new process has the minutes before from those that were there', async () => {
    const s = await stage(2);
    const [one, two] = [operate(s, 0), operate(s, 1)];
    expect((await two.operator.history())?.atMs).toEqual([]);
    const kept = new LiveHistory();
    for (let i = 1; i <= 3; i++) kept.push(i * 1000, values({ clients: i }));
    one.operator.keepHistory(() => kept.columns());
    const young = new LiveHistory();
    young.push(2_500, values({ clients: 9 }));
    young.before((await two.operator.history())!);
    expect([young.columns().atMs, young.columns().columns[0]]).toEqual([
      [1000, 2000, 2500],
      [1, 2, 9],
    ]);
  });
});

describe('numbers of several processes', () => {
  it('add up, or are of the slowest, or of the one that shows them', () => {
    const own = sample({ clients: 1, presences: 5, loopDelaySeconds: 0.1, forwardedTotal: 10 });
    const other = sample({ clients: 2, presences: 6, loopDelaySeconds: 0.2, forwardedTotal: 20 });
    const past = sample({ clients: 7, loopDelaySeconds: 9, forwardedTotal: 100 });
    expect(mergeLive(own, [], [])).toBe(own);
    expect(mergeLive(own, [other], [past]).values).toMatchObject({
      clients: 3,
      presences: 5,
      loopDelaySeconds: 0.2,
      forwardedTotal: 130,
    });
  });
  it('of ended processes are kept apart up to a bound, and together beyond it, each once', () => {
    const past = new PastProcesses();
    const end = (n: number) => ({
      samples: [
        { name: 'x_total', help: '', kind: 'counter', labels: {}, value: n },
        { name: 'x', help: '', kind: 'gauge', labels: {}, value: n },
      ] as const,
      live: sample({ forwardedTotal: n }, [{ counter: 'c', reason: 'r', total: n }]),
    });
    for (let i = 1; i <= 2 * pastProcessesMax; i++) {
      past.add(`w${i}`, end(1));
      past.add(`w${i}`, end(1));
    }
    const all = [...past.all.values()];
    expect(all.length).toBe(pastProcessesMax + 1);
    const total = (of: (e: (typeof all)[number]) => number): number => all.reduce((n, e) => n + of(e), 0);
    expect(total((e) => e.samples.reduce((n, x) => n + (x.value ?? 0), 0))).toBe(2 * pastProcessesMax);
    expect(total((e) => e.live.values.forwardedTotal)).toBe(2 * pastProcessesMax);
    expect(total((e) => e.live.drops.reduce((n, d) => n + d.total, 0))).toBe(2 * pastProcessesMax);
  });
});

describe('a history', () => {
  it('takes older rows in front, as far as there is room, and goes on in order', () => {
    const h = new LiveHistory(4);
    h.push(10, values({}));
    h.push(11, values({}));
    const older = new LiveHistory(8);
    for (let i = 1; i <= 8; i++) older.push(i, values({ clients: i }));
    h.before(older.columns());
    expect(h.columns().atMs).toEqual([7, 8, 10, 11]);
    h.push(12, values({}));
    expect(h.columns().atMs).toEqual([8, 10, 11, 12]);
    h.before({ atMs: [1], columns: [] });
    expect(h.length).toBe(4);
  });
});
