import { selfTest } from '../../src/cli/doctor-inside.js';
import {
  ApiAccess,
  type ApiBackend,
  ApiServer,
  type ApiServerOptions,
  type AuditEntry,
  Bans,
  Drain,
  EventLog,
  levelsFrom,
  parseAllowList,
  parseApiUser,
  type ReloadResult,
  resolveConfig,
} from '../../src/operator/index.js';
import type { RelayOptions } from '../../src/relay/index.js';
import { engine, signerOf } from '../link/support.js';
import { startNode } from './support.js';

export interface ApiOver {
  readonly users?: readonly string[];
  readonly allow?: readonly string[];
  readonly relay?: Partial<RelayOptions>;
  readonly server?: Partial<ApiServerOptions>;
  readonly reload?: () => ReloadResult;
  readonly dataDir?: string;
}

/** A relay with the operator's API on a free port of loopback. */
export async function startApi(over: ApiOver = {}) {
  const up = await startNode(over.relay);
  const audits: AuditEntry[] = [];
  const ended: string[] = [];
  const drain = new Drain(up.relay);
  const config = resolveConfig({
    flags: new Map(),
    environment: {},
    file: { path: 'ixian.cfg', text: 'networkType = regtest\naddApiUser = joe:hunter2\nstandalone = 1' },
  });
  const bans = await Bans.open(up.relay, over.dataDir ?? null, []);
  const backend: ApiBackend = {
    node: up.node,
    relay: up.relay,
    signer: await signerOf('w0'),
    engine: await engine(),
    bans,
    drain,
    log: new EventLog({ format: 'json', levels: levelsFrom('info'), write: () => undefined }),
    walletPath: null,
    config: () => config,
    startDrain: () => void drain.start({ graceSeconds: 100, seconds: 100, minClients: 0 }),
    reload: over.reload ?? (() => ({ ok: true, changed: ['maxClients'], restart: [], error: null })),
    selfTest: () => selfTest(config, up.node, up.relay),
    shutdown: (why) => void ended.push(why),
  };
  const server = await ApiServer.start(backend, {
    bind: { host: 'localhost', port: 0 },
    access: new ApiAccess((over.users ?? []).map(parseApiUser), parseAllowList(over.allow ?? [])),
    compat: '0.9.8',
    httpEngine: 'node',
    audit: (e) => void audits.push(e),
    ...over.server,
  });
  const base = `http://127.0.0.1:${server.port}`;
  return {
    ...up,
    backend,
    server,
    base,
    audits,
    ended,
    ask: async (
      path: string,
      init: RequestInit = {},
    ): Promise<{ status: number; text: string; headers: Headers }> => {
      const r = await fetch(base + path, init);
      return { status: r.status, text: await r.text(), headers: r.headers };
    },
    stop: async (): Promise<void> => {
      drain.cancel();
      await server.stop();
      await bans.close();
      await up.stop();
    },
  };
}

export type Api = Awaited<ReturnType<typeof startApi>>;
