import { createServer } from 'node:net';
import { expect, it } from 'vitest';
import { freePort, isFreePort } from '../../src/cli/devnet/free-port.js';

const HOST = '127.0.0.1';

it('gives ports that are free, each only once, and none that the system gives out by itself', async () => {
  const ports = await Promise.all(Array.from({ length: 200 }, () => freePort(HOST)));
  expect(new Set(ports).size).toBe(200);
  expect(Math.min(...ports)).toBeGreaterThan(1_023);
  expect(Math.max(...ports)).toBeLessThan(32_768);
  expect(await isFreePort(HOST, ports[0]!)).toBe(true);
});

it('a port that somebody has is not free, and a host of another machine an error', async () => {
  const port = await freePort(HOST);
  const server = createServer();
  await new Promise<void>((r) => server.listen(port, HOST, r));
  expect(await isFreePort(HOST, port)).toBe(false);
  await new Promise((r) => server.close(r));
  expect(await isFreePort(HOST, port)).toBe(true);
  await expect(freePort('192.0.2.1')).rejects.toMatchObject({ code: 'EADDRNOTAVAIL' });
});
