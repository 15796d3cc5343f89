import { describe, expect, it } from 'vitest';
import { CliError } from '../../src/cli/exit.js';
import type { Output } from '../../src/cli/terminal.js';
import { run } from '../../src/cli/top.js';
import { sparkline, topScreen } from '../../src/cli/top-screen.js';
import { ApiServer } from '../../src/operator/api/server.js';
import {
  ApiAccess,
  LIVE_SERIES,
  LiveFeed,
  LiveStore,
  parseAllowList,
  parseApiUser,
} from '../../src/operator/index.js';
import { startApi } from '../operator/api-support.js';

const plain: Output = { out: () => undefined, err: () => undefined, colour: false, live: false };
const size = { width: 100, height: 50 };

describe('top', () => {
  it('draws the last values as blocks, scaled to the largest', () => {
    expect(sparkline([0, 1, 2, 4, 8], 5)).toBe('▁▂▃▅█');
    expect(sparkline([1, 2], 4)).toBe('  ▅█');
    expect(sparkline([0, 0], 2)).toBe('▁▁');
    expect(sparkline([null, 5], 2)).toBe('▁█');
    expect(sparkline([9, 9, 0, 1], 2)).toBe('▁█');
  });

  it('shows a fixture of 100,000 clients within the terminal’s size', () => {
    const store = new LiveStore();
    const at = (i: number): number => 1_700_000_000_000 + 1000 * i;
    const values = (i: number): number[] =>
      LIVE_SERIES.map((name) => (name === 'clients' ? 100_000 : name === 'forwardedTotal' ? 30_000 * i : 1));
    const rows = Array.from({ length: 900 }, (_, i) => values(i));
    store.take({
      kind: 'hello',
      version: '1.2.3',
      network: 'main',
      address: '4U8fggs2MPB85J7P',
      startedMs: at(0),
      series: LIVE_SERIES,
      history: {
        atMs: rows.map((_, i) => at(i)),
        columns: LIVE_SERIES.map((_, c) => rows.map((r) => r[c]!)),
      },
      limits: { clientsMax: 120_000 },
    });
    store.take({
      kind: 'tick',
      atMs: at(900),
      values: values(900),
      endpoint: '203.0.113.7:10235',
      phase: 'running',
      draining: false,
      checks: { masters: { ok: false, value: 0, want: 1 } },
      drops: [{ counter: 'messages_dropped', reason: 'rate_limit', total: 17 }],
    });
    const screen = topScreen(store, size, plain);
    expect(screen).toContain('not ready: masters 0');
    expect(screen).toMatch(/clients +100,000 █+/);
    expect(screen).toMatch(/forwarded +30,000\/s █+/);
    expect(screen).toMatch(/messages dropped +rate_limit +17/);
    expect(screen).toContain('up 15 min');
    for (const line of screen.split('\n')) expect([...line].length).toBeLessThanOrEqual(size.width);
    expect(topScreen(store, { width: 60, height: 8 }, plain).split('\n').length).toBe(7);
  });

  it('prints one screen or JSON of a running relay, and says what is wrong otherwise', async () => {
    const api = await startApi();
    const live = new LiveFeed(api.backend);
    const access = new ApiAccess([], parseAllowList([]));
    const server = await ApiServer.start(api.backend, {
      bind: { host: 'localhost', port: 0 },
      access,
      compat: '0.9.8',
      httpEngine: 'node',
      live,
      audit: () => undefined,
    });
    const url = `http://127.0.0.1:${server.port}/`;
    let text = '';
    const o: Output = { ...plain, out: (t) => (text += t) };
    try {
      expect(await run(['--once', '--url', url], o)).toBe(0);
      expect(text).toContain('drops since the start');
      text = '';
      expect(await run(['--once', '--json', '--url', url], o)).toBe(0);
      const kinds = text
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as { kind: string }).kind);
      expect(kinds).toEqual(['hello', 'tick', 'detail']);
      access.replace([parseApiUser('joe:secret')], parseAllowList([]));
      await expect(run(['--once', '--url', url], o)).rejects.toThrow('the relay wants a login');
      await expect(run(['--once', '--url', 'ftp://x/'], o)).rejects.toBeInstanceOf(CliError);
    } finally {
      live.close();
      await server.stop();
      await api.stop();
    }
    await expect(run(['--once', '--url', url], o)).rejects.toThrow('no relay answers');
  });
});
