import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { environmentName, METRICS, OpsServer, SETTINGS } from '../../src/operator/index.js';
import { startNode } from './support.js';

const root = join(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const dir = mkdtempSync(join(tmpdir(), 'starling-deploy-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const has = (tool: string): boolean => spawnSync(tool, ['--version']).error === undefined;

describe('the systemd unit', () => {
  const unit = read('deploy/systemd/starling-relay.service');

  it('holds what 11 §12.4 asks for', () => {
    for (const line of [
      'DynamicUser=yes',
      'StateDirectory=starling',
      'LoadCredential=wallet-password:/etc/starling/wallet-password',
      'LimitNOFILE=65535',
      'Restart=on-failure',
      'RestartPreventExitStatus=2 3',
      'NoNewPrivileges=yes',
      'ProtectSystem=strict',
    ])
      expect(unit).toMatch(new RegExp(`^${line}$`, 'm'));
    // Switches that the unit gives must be settings.
    const flags = [...unit.matchAll(/^ExecStart=.*$/gm)]
      .flatMap(([line]) => [...line.matchAll(/ --(\w+)/g)])
      .map((m) => m[1]!);
    expect(flags.length).toBeGreaterThan(3);
    for (const f of flags) expect([...SETTINGS.map((s) => s.key), 'config']).toContain(f);
    expect(unit).not.toMatch(/^MemoryDenyWriteExecute/m);
  });

  it.runIf(has('systemd-analyze'))('is accepted by systemd-analyze and scores well', () => {
    const path = join(dir, 'starling-relay.service');
    // The program need not be installed where this runs.
    writeFileSync(path, unit.replace('/usr/bin/starling', process.execPath));
    const verify = spawnSync('systemd-analyze', ['verify', path], { encoding: 'utf8' });
    const about = verify.stderr.split('\n').filter((l) => l.includes('starling'));
    expect([verify.status, about]).toEqual([0, []]);
    const security = spawnSync('systemd-analyze', ['security', '--offline=yes', '--threshold=20', path], {
      encoding: 'utf8',
    });
    expect([
      security.status,
      security.stdout.split('\n').filter((l) => l.includes('exposure')),
    ]).toMatchObject([0, [expect.stringMatching(/: 1\.\d OK/)]]);
  });
});

describe('the image and the compose file (no daemon runs them in the tests)', () => {
  const docker = read('deploy/Dockerfile');
  const compose = read('deploy/compose/compose.yml');
  it('name settings that exist, and files that are there', () => {
    const known = new Set(SETTINGS.map((s) => environmentName(s.key)));
    const used = [...`${docker}${compose}`.matchAll(/\b(IXIAN_[A-Z0-9_]+)\b/g)].map((m) => m[1]!);
    expect(used.length).toBeGreaterThan(8);
    for (const name of used) expect([name, known.has(name)]).toEqual([name, true]);
    for (const [, path] of compose.matchAll(/^ {6}- (\.[^:]+):/gm))
      expect([path, existsSync(join(root, 'deploy/compose', path!))]).toEqual([path, true]);
  });
  it('run without privileges, keep their data apart, and tell whether they live', () => {
    for (const line of ['USER node', 'VOLUME /data', 'FROM node:22-bookworm-slim AS build'])
      expect(docker).toContain(line);
    expect(docker).toMatch(/HEALTHCHECK[\s\S]+\/livez/);
    expect(docker.match(/^FROM /gm)?.length).toBe(2);
    expect(docker).not.toMatch(/PASSWORD=|COPY .*\.wal/);
    expect(compose.match(/^ {2}relay-\d:\n {4}<<:/gm)?.length).toBe(3);
    expect(compose).toContain('cap_drop: [ALL]');
    expect(read('.dockerignore')).toContain('**/*.wal');
  });
});

describe.runIf(has('promtool'))('Prometheus’s own tool accepts', () => {
  const check = (args: string[], input?: string): { status: number | null; text: string } => {
    const r = spawnSync('promtool', ['check', ...args], { encoding: 'utf8', input });
    return { status: r.status, text: r.stdout + r.stderr };
  };
  it('the alert rules and the configuration of the compose file', () => {
    const rules = check(['rules', join(root, 'docs/alerts/starling-relay.yml')]);
    expect([rules.status, rules.text]).toEqual([0, expect.stringMatching(/SUCCESS: \d+ rules found/)]);
    // Its rules lie where the container has them.
    const config = read('deploy/compose/prometheus.yml').replace('alerts/*', join(root, 'docs/alerts/*'));
    writeFileSync(join(dir, 'prometheus.yml'), config);
    expect(check(['config', join(dir, 'prometheus.yml')])).toMatchObject({ status: 0 });
  });
  it('the metrics page (11 §13.9)', async () => {
    const up = await startNode();
    const ops = await OpsServer.start(up.node, { bind: { host: '127.0.0.1', port: 0 } });
    const page = await (await fetch(`http://127.0.0.1:${ops.port}/metrics`)).text();
    await ops.stop();
    await up.stop();
    const { status, text } = check(['metrics'], page);
    expect([status, text]).toEqual([0, '']);
    expect(METRICS.length).toBeGreaterThan(40);
  });
});
