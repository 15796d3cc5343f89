import { afterEach, expect, it } from 'vitest';
import { systemClock } from '../../src/clock/index.js';
import { Coordinator } from '../../src/coordinator/index.js';
import { Counters } from '../../src/counters/index.js';
import { Link } from '../../src/link/index.js';
import { dialTcp } from '../../src/link/node/tcp.js';
import { Bye, Code, encodeBye, encodeFrame, encodeGetBalance2, NETWORKS } from '../../src/wire/index.js';
import { sharedEngine, until, wallet } from './support.js';

let c: Coordinator;
afterEach(() => c.stop());

async function started(): Promise<Coordinator> {
  c = new Coordinator({ network: NETWORKS.reg, signer: await wallet('alice'), engine: await sharedEngine() });
  await c.start();
  return c;
}

it('serves a relay over TCP', async () => {
  await started();
  const signer = await wallet('bob');
  const got: number[] = [];
  const transport = await dialTcp({ host: '127.0.0.1', port: c.port, timeoutMs: 2000 });
  const link = new Link(transport, {
    direction: 'out',
    self: {
      network: NETWORKS.reg,
      nodeType: 'R',
      address: signer.address,
      publicKey: signer.publicKey,
      productVersion: 'xs2c-0.9.3b',
      deviceId: Uint8Array.of(1),
      publicEndpoint: () => ({ ip: '127.0.0.1', port: 4711 }),
      networkTimeMs: () => Date.now(),
      tip: () => null,
      sign: (r) => signer.sign(r.message),
    },
    clock: systemClock,
    engine: await sharedEngine(),
    counters: new Counters(),
    handlers: { onMessage: (_, code) => void got.push(code) },
  });
  await until(() => link.isOpen, 'handshake');
  link.send(Code.getBalance2, encodeGetBalance2(signer.address));
  await until(() => got.includes(Code.balance2), 'balance');
  expect(got).toContain(Code.getPresence2);
  link.bye(Bye.bye);
  await until(() => c.peers === 0, 'gone');
});

it('row 1: lives through a connectivity probe: one byte 00 and a bye', async () => {
  await started();
  const transport = await dialTcp({ host: '127.0.0.1', port: c.port, timeoutMs: 2000 });
  let ended = false;
  transport.start({ data: () => undefined, drain: () => undefined, close: () => (ended = true) });
  transport.write(Uint8Array.of(0));
  transport.write(encodeFrame(Code.bye, encodeBye({ code: Bye.bye, text: 'Test OK', data: '' })));
  await until(() => ended, 'closed');
  expect(c.peers).toBe(0);
  expect(c.port).toBeGreaterThan(0);
});

it('says when its port is taken, and leaves nothing behind', async () => {
  await started();
  const second = new Coordinator({
    network: NETWORKS.reg,
    signer: await wallet('alice'),
    engine: await sharedEngine(),
    port: c.port,
  });
  await expect(second.start()).rejects.toThrow('EADDRINUSE');
  expect(second.port).toBe(0);
});
