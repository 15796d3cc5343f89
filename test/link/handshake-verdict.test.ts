import { beforeAll, describe, expect, it } from 'vitest';
import type { VerifyEngine, VerifyItem } from '../../src/identity/index.js';
import { type HandshakePolicy, judgeHello, protocolLine, type Verdict } from '../../src/link/index.js';
import { encodeHello, type Hello, NETWORKS } from '../../src/wire/index.js';
import { IP, judge, judgeServer, OWN, refused } from './judges.js';
import { engine, signedHello, signerOf } from './support.js';

let verifier: VerifyEngine;
let wallet: Uint8Array;
beforeAll(async () => {
  verifier = await engine();
  wallet = (await signerOf('w0')).address;
});

const PORT = 10235;
const sides = [['server', judge] as const, ['client', judgeServer] as const];

/** RSA operations that a judgement costs. */
async function operations(run: () => Promise<Verdict>): Promise<number> {
  const before = verifier.operations;
  await run();
  return verifier.operations - before;
}

const claimedOf = (v: Verdict): unknown => (v.kind === 'ignore' ? null : v.claimed);
const textOf = (v: Verdict): string => (v.kind === 'refuse' ? v.text : '');

describe.each(sides)('03 §3.5, limits of fields on the side of the %s', (side, run) => {
  it('03 §3.5 step 1: version 6 is new enough', async () => {
    expect((await run(await signedHello('w0', { version: 6 }))).kind).toBe('accept');
  });

  it('03 §3.5 step 2: 70 bytes are not too many, and then fail as a key in the address field', async () => {
    for (const [length, step] of [
      [48, 14],
      [49, 6],
      [70, 6],
      [71, 2],
    ] as const) {
      const address = new Uint8Array(length).fill(1);
      expect(refused(await run(await signedHello('w0', { address })))).toMatchObject({ step });
    }
  });

  it('03 §3.5 step 5: the flag told is the one of the peer, either way', async () => {
    const over = { network: NETWORKS.test };
    const v =
      side === 'server'
        ? await judge(await signedHello('w0'), {}, over)
        : await judgeServer(await signedHello('w0'), {}, over);
    expect(refused(v)).toEqual({ step: 5, bye: 502, data: 'False' });
  });

  it('03 §3.5 step 5: another network is told before an address that is a key', async () => {
    const address = new Uint8Array(60).fill(1);
    expect(refused(await run(await signedHello('w0', { address, testFlag: true })))).toMatchObject({
      step: 5,
    });
  });

  it('03 §3.5 step 6: an address that is a key is told before the key is looked at', async () => {
    const over = { address: new Uint8Array(60).fill(1), publicKey: new Uint8Array(528).fill(7) };
    expect(refused(await run(await signedHello('w0', over)))).toMatchObject({ step: 6, bye: 603 });
  });

  it.each([33, 36, 45, 48])('03 §3.5 step 6: %i bytes in the field of the key are an address', async (n) => {
    const publicKey = new Uint8Array(n).fill(1);
    expect(refused(await run(await signedHello('w0', { publicKey })))).toMatchObject({ step: 6, bye: 603 });
  });

  it('03 §3.5 step 14: a port out of range is malformed, not an old version', async () => {
    expect(refused(await run({ ...(await signedHello('w0')), port: 2 ** 31 }))).toEqual({
      step: 14,
      bye: 501,
      data: '',
    });
  });

  it('03 §3.5 step 14: a signature or device id too long is told by its own rule', async () => {
    const hello = await signedHello('w0');
    expect(refused(await run({ ...hello, signature: new Uint8Array(5000) }))).toMatchObject({ step: 14 });
    expect(refused(await run({ ...hello, deviceId: new Uint8Array(33) }))).toMatchObject({ step: 4 });
  });

  it('03 §3.5 step 7: who is not on the list passes', async () => {
    const policy: HandshakePolicy = { blacklisted: () => false };
    expect((await run(await signedHello('w0'), policy)).kind).toBe('accept');
  });
});

describe.each(sides)('03 §3.5, what is believed at the end on the side of the %s', (_side, run) => {
  const nothing = { port: 0, nodeType: null, hostname: null };

  it('03 §3.5 step 6: before the key is bound nothing, not even the port', async () => {
    const otherWallet = (await signerOf('w1')).address;
    for (const over of [{ version: 5 }, { testFlag: true }, { address: otherWallet }, { publicKey: wallet }])
      expect(claimedOf(await run(await signedHello('w0', over)))).toEqual(nothing);
  });

  it('03 §3.5 step 7: the port, once the key is bound', async () => {
    const v = await run(await signedHello('w0'), { blacklisted: () => true });
    expect(claimedOf(v)).toEqual({ ...nothing, port: PORT });
  });

  it('03 §3.5 step 8: the port, while the signature does not verify', async () => {
    const v = await run(await signedHello('w0', { nodeType: 'R', endpoint: 'x' }));
    expect(claimedOf(v)).toEqual({ ...nothing, port: PORT });
  });

  it("03 §3.5 step 8': type and endpoint of an accepted peer; no endpoint of a client", async () => {
    expect(claimedOf(await run(await signedHello('w0', { nodeType: 'R' })))).toEqual({
      port: PORT,
      nodeType: 'R',
      hostname: `${IP}:${PORT}`,
    });
    expect(claimedOf(await run(await signedHello('w0')))).toEqual({
      port: PORT,
      nodeType: 'C',
      hostname: '',
    });
  });

  it('tells people what is wrong in words', async () => {
    for (const over of [
      { version: 5 },
      { address: new Uint8Array(71) },
      { productVersion: 'x'.repeat(21) },
      { deviceId: new Uint8Array(33) },
      { testFlag: true },
      { address: new Uint8Array(60) },
      { publicKey: wallet },
      { address: (await signerOf('w1')).address },
      { address: new Uint8Array(40) },
      { nodeType: 'R', endpoint: 'x' },
    ])
      expect(textOf(await run(await signedHello('w0', over)))).toMatch(/^\S.{8,}/);
    const listed = await run(await signedHello('w0'), { blacklisted: () => true });
    expect(textOf(listed)).toBe('Blacklisted');
  });
});

describe('03 §3.5, the accepted peer', () => {
  it('everything it said, and what was found out', async () => {
    const hello = await signedHello('w0', { nodeType: 'R', deviceId: Uint8Array.of(9, 8) });
    const v = await judge(hello, {}, { timeDifferenceSeconds: -3 });
    expect(v).toEqual({
      kind: 'accept',
      challenge: 77,
      claimed: { port: PORT, nodeType: 'R', hostname: `${IP}:${PORT}` },
      peer: {
        address: wallet,
        publicKey: hello.publicKey,
        nodeType: 'R',
        productVersion: 'test-1.0',
        deviceId: Uint8Array.of(9, 8),
        port: PORT,
        timestamp: hello.timestamp,
        observedIp: IP,
        hostname: `${IP}:${PORT}`,
        verified: 'signature',
        signedEndpoint: `${IP}:${PORT}`,
        line: '0.9.8',
        lastBlock: null,
        reportedEndpoint: null,
        timeDifferenceSeconds: -3,
      },
    });
  });

  it('a server with its tip; an unknown checksum is empty', async () => {
    const checksum = new Uint8Array(64).fill(3);
    const hello = await signedHello('w0', { nodeType: 'M' });
    const v = await judgeServer(hello, {}, { lastBlock: 7, lastBlockChecksum: checksum });
    expect(v).toMatchObject({
      challenge: 77,
      peer: {
        hostname: `${IP}:${PORT}`,
        lastBlock: { number: 7, checksum, version: 12 },
        timeDifferenceSeconds: 0,
      },
    });
    const young = await judgeServer(hello, {}, { lastBlock: 0, lastBlockChecksum: null });
    expect(young.kind === 'accept' && young.peer.lastBlock?.checksum).toEqual(new Uint8Array(0));
  });

  it('needs no policy', async () => {
    const payload = encodeHello(await signedHello('w0', { endpoint: '' }));
    const v = await judgeHello(payload, {
      network: NETWORKS.main,
      observedIp: IP,
      ownEndpoint: '',
      engine: verifier,
    });
    expect(v).toMatchObject({ kind: 'accept', peer: { verified: 'signature', signedEndpoint: '' } });
  });

  it("03 §3.5 step 8': without a policy a signature that verifies nowhere counts as elsewhere", async () => {
    const context = { network: NETWORKS.main, observedIp: IP, engine: verifier };
    const client = encodeHello(await signedHello('w0', { endpoint: 'x' }));
    expect(await judgeHello(client, { ...context, ownEndpoint: '' })).toMatchObject({
      kind: 'accept',
      peer: { verified: 'none', signedEndpoint: null },
    });
    const relay = encodeHello(await signedHello('w0', { endpoint: 'x', nodeType: 'R' }));
    expect(refused(await judgeHello(relay, { ...context, ownEndpoint: '' }))).toMatchObject({ step: 8 });
  });

  it('a failing engine is no verdict', async () => {
    const broken: VerifyEngine = {
      name: 'native',
      operations: 0,
      verify: (_: readonly VerifyItem[]) => Promise.reject(new Error('gone')),
      close: () => Promise.resolve(),
    };
    const hello = await signedHello('w0', { nodeType: 'R' });
    await expect(judge(hello, {}, { engine: broken })).rejects.toThrow('gone');
  });
});

describe('03 §3.5, endpoints a signature is tried with', () => {
  const unproven = (over: Partial<Hello> = {}) => signedHello('w0', { ...over, endpoint: 'x' });

  it("03 §3.5 step 8': own endpoint, the one observed, none: three operations", async () => {
    const hello = await unproven();
    expect(await operations(() => judge(hello))).toBe(3);
  });

  it("03 §3.5 step 8': the own endpoint only with the same port", async () => {
    const hello = await unproven({ port: 10236 });
    expect(await operations(() => judge(hello))).toBe(2);
  });

  it("03 §3.5 step 8': endpoints of other relays only with the same port, each once", async () => {
    const hello = await unproven();
    const relayEndpoints = (port: number): string[] => [
      `198.51.100.7:${port + 1}`,
      OWN,
      `${IP}:${port}`,
      `198.51.100.7:${port}`,
    ];
    expect(await operations(() => judge(hello, { relayEndpoints }))).toBe(4);
  });

  it("03 §3.5 step 8': the likeliest comes first, and the first that verifies ends the search", async () => {
    const own = await signedHello('w0', { endpoint: OWN });
    expect(await operations(() => judge(own))).toBe(1);
    const observed = await signedHello('w0');
    expect(await operations(() => judge(observed))).toBe(2);
  });

  it("03 §3.5 step 8': with port 0 only what was signed before there was a primary relay", async () => {
    const v = await judge(await signedHello('w0', { port: 0, endpoint: '' }));
    expect(v).toMatchObject({ peer: { verified: 'signature', signedEndpoint: '' } });
  });

  it("03 §3.5 step 8': as many as the limit says", async () => {
    const hello = await unproven();
    expect(await operations(() => judge(hello, {}, { candidatesMax: 2 }))).toBe(2);
    expect(await operations(() => judge(hello, {}, { candidatesMax: 3 }))).toBe(3);
  });

  it('03 §3.5 step 8: a server may be known by another endpoint than the one seen', async () => {
    const hello = await signedHello('w0', { nodeType: 'R', endpoint: '198.51.100.9:10235' });
    const expectedEndpoints = ['198.51.100.9:10235'];
    expect(await judgeServer(hello, { expectedEndpoints })).toMatchObject({
      peer: { signedEndpoint: '198.51.100.9:10235' },
    });
    const seen = await signedHello('w0', { nodeType: 'R' });
    expect(await operations(() => judgeServer(seen, { expectedEndpoints }))).toBe(1);
  });
});

describe('03 §3.5, admission', () => {
  const limits = { mastersMax: 0, clientsMax: 0, masters: () => 5, clients: () => 5 };

  it('03 §3.5 step 10: only M and H count towards the masters, only C towards the clients', async () => {
    for (const nodeType of ['R', 'W', 'X'])
      expect((await judge(await signedHello('w0', { nodeType }), { limits })).kind).toBe('accept');
    const noClients = { ...limits, clients: () => -1 };
    expect((await judge(await signedHello('w0'), { limits: noClients })).kind).toBe('accept');
    const noMasters = { ...limits, masters: () => -1 };
    expect((await judge(await signedHello('w0', { nodeType: 'M' }), { limits: noMasters })).kind).toBe(
      'accept',
    );
  });

  it('03 §3.5 step 11: the limit is looked at once, before the signature', async () => {
    let looked = 0;
    const counted = { ...limits, clients: () => (looked++ === 0 ? -1 : 5) };
    expect((await judge(await signedHello('w0'), { limits: counted })).kind).toBe('accept');
    expect(looked).toBe(1);
  });

  it('03 §3.5 step 12: H as M, nobody else, and not when the balance suffices', async () => {
    const asked: Uint8Array[] = [];
    const poor = (answer: string | null): HandshakePolicy => ({
      insufficientBalance: (address) => {
        asked.push(address);
        return Promise.resolve(answer);
      },
    });
    expect(refused(await judge(await signedHello('w0', { nodeType: 'H' }), poor('1.0')))).toMatchObject({
      step: 12,
    });
    expect((await judge(await signedHello('w0', { nodeType: 'M' }), poor(null))).kind).toBe('accept');
    expect(asked).toEqual([wallet, wallet]);
    for (const nodeType of ['R', 'C', 'W']) await judge(await signedHello('w0', { nodeType }), poor('1.0'));
    expect(asked).toHaveLength(2);
  });

  it('03 §3.5 step 13: who can be reached is accepted', async () => {
    const policy: HandshakePolicy = { probe: () => Promise.resolve(true) };
    for (const nodeType of ['M', 'R'])
      expect((await judge(await signedHello('w0', { nodeType }), policy)).kind).toBe('accept');
  });

  it('03 §3.5 step 13: limit before balance before probe, and none of them before the signature', async () => {
    const all: HandshakePolicy = {
      limits,
      insufficientBalance: () => Promise.resolve('0'),
      probe: () => Promise.resolve(false),
    };
    const { limits: _l, ...noLimits } = all;
    const { insufficientBalance: _b, ...onlyProbe } = noLimits;
    const claimed = { port: PORT, nodeType: 'M', hostname: `${IP}:${PORT}` };
    const hello = await signedHello('w0', { nodeType: 'M' });
    for (const [policy, step, text] of [
      [all, 10, 'Too many master nodes connected'],
      [noLimits, 12, 'Insufficient funds'],
      [onlyProbe, 13, `${IP}:${PORT} is not reachable`],
    ] as const)
      expect(await judge(hello, policy)).toMatchObject({ step, text, claimed });
    const forged = await signedHello('w0', { nodeType: 'M', endpoint: 'x' });
    expect(refused(await judge(forged, all))).toMatchObject({ step: 8 });
    expect(await judge(await signedHello('w0'), all)).toMatchObject({
      step: 11,
      text: 'Too many clients connected',
      claimed: { port: PORT, nodeType: 'C', hostname: '' },
    });
  });
});

describe('03 §3.5, the follow-ups of the dialling side', () => {
  it('03 §3.5 step 9: wallet before type before height, with what is believed by then', async () => {
    const policy: HandshakePolicy = {
      expectedWallet: (await signerOf('w1')).address,
      acceptsServerType: () => false,
      tooFarBehind: () => 9,
    };
    const { expectedWallet: _w, ...noWallet } = policy;
    const { acceptsServerType: _t, ...onlyHeight } = noWallet;
    const hello = await signedHello('w0', { nodeType: 'R' });
    const claimed = { port: PORT, nodeType: 'R', hostname: `${IP}:${PORT}` };
    for (const [p, step, text] of [
      [policy, 9, 'Another wallet was expected'],
      [noWallet, 'type', 'Expecting a master'],
      [onlyHeight, 'height', 'Your node is too far behind'],
    ] as const)
      expect(await judgeServer(hello, p)).toMatchObject({ step, text, claimed });
    const forged = await signedHello('w0', { nodeType: 'R', endpoint: 'x' });
    expect(refused(await judgeServer(forged, policy))).toMatchObject({ step: 8 });
  });

  it('tells the policy the tip and the type', async () => {
    const seen: unknown[] = [];
    const policy: HandshakePolicy = {
      expectedWallet: null,
      acceptsServerType: (t) => seen.push(t) > 0,
      tooFarBehind: (tip, type) => {
        seen.push([tip.number, tip.version, type]);
        return null;
      },
    };
    expect((await judgeServer(await signedHello('w0', { nodeType: 'H' }), policy)).kind).toBe('accept');
    expect(seen).toEqual(['H', [100, 12, 'H']]);
  });
});

describe('protocol line by product', () => {
  it.each([
    ['xs2c-0.9.0', '0.9.7'],
    ['xs2c-0.9.3', '0.9.7'],
    ['xs2c-0.9.4', '0.9.8'],
    ['xs2c-0.9.31', '0.9.8'],
    ['xs2c-0.8.1', '0.9.8'],
    ['xdc-0.9.0', '0.9.7'],
    ['xdc-0.9.7i', '0.9.7'],
    ['xdc-0.9.8', '0.9.8'],
    ['xdc-0.9.70', '0.9.8'],
    ['my-xdc-0.9.7', '0.9.8'],
  ])('%s: %s', (product, line) => {
    for (const length of [33, 45]) expect(protocolLine(length, product)).toBe(line);
  });

  it('an address with checksum is the old line whatever the product', () => {
    for (const length of [36, 48]) expect(protocolLine(length, 'xs2c-0.9.9')).toBe('0.9.7');
  });
});
