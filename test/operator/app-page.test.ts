import { afterEach, describe, expect, it } from 'vitest';
import { createHttpServer, type HttpServer } from '../../src/link/node/index.js';
import { addAppRoutes } from '../../src/operator/index.js';

let server: HttpServer | null = null;
afterEach(async () => {
  await server?.close();
  server = null;
});

describe.each(['uws', 'node'] as const)('the messenger’s page, engine %s', (prefer) => {
  const start = async (): Promise<string> => {
    server = await createHttpServer({ prefer });
    await addAppRoutes(server);
    return `http://127.0.0.1:${(await server.listen({ host: '127.0.0.1', port: 0 })).port}`;
  };

  it('comes with a policy that runs nothing but its own files', async () => {
    const base = await start();
    const page = await fetch(`${base}/app`);
    expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
    const policy = (page.headers.get('content-security-policy') ?? '').split('; ');
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self' 'wasm-unsafe-eval'");
    expect(policy).toContain("style-src 'self'");
    expect(policy).toContain("connect-src 'self' ws: wss: http: https:");
    expect(policy).toContain("frame-ancestors 'none'");
    const html = await page.text();
    // No inline script or style, nothing of another host.
    expect(html).not.toMatch(/<script(?![^>]* src="\/app\/)|<style|\son\w+=|style="|https?:\/\//);
    for (const [, name] of html.matchAll(/(?:src|href)="\/app\/([^"]+)"/g)) {
      const file = await fetch(`${base}/app/${name}`);
      expect([name, file.status]).toEqual([name, 200]);
      const again = await fetch(`${base}/app/${name}`, {
        headers: { 'if-none-match': file.headers.get('etag') ?? '' },
      });
      expect(again.status).toBe(304);
    }
  });

  it('is where visitors of / are led, and nothing else is served', async () => {
    const base = await start();
    const root = await fetch(base, { redirect: 'manual' });
    expect([root.status, root.headers.get('location')]).toEqual([302, '/app']);
    for (const path of ['/app/nothing.js', '/app/%2e%2e/package.json', '/app/..%2fpage.ts', '/page.js'])
      expect([path, (await fetch(base + path)).status]).toEqual([path, 404]);
    expect((await fetch(`${base}/app`, { method: 'POST' })).status).toBe(405);
  });
});
