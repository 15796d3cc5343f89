import { beforeAll, describe, expect, it } from 'vitest';
import { addressWithChecksum, type VerifyEngine } from '../../src/identity/index.js';
import { type HandshakePolicy, protocolLine } from '../../src/link/index.js';
import { encodeHello, type Hello, NETWORKS } from '../../src/wire/index.js';
import { IP, judge, judgeServer, refused } from './judges.js';
import { engine, signedHello, signerOf } from './support.js';

let verifier: VerifyEngine;
let wallet: Uint8Array;
let otherWallet: Uint8Array;
beforeAll(async () => {
  verifier = await engine();
  wallet = (await signerOf('w0')).address;
  otherWallet = (await signerOf('w1')).address;
});

describe('accepted', () => {
  it('a client: bound to its key, signature over what we observe', async () => {
    const v = await judge(await signedHello('w0'));
    expect(v).toMatchObject({
      kind: 'accept',
      challenge: 77,
      peer: {
        nodeType: 'C',
        port: 10235,
        observedIp: IP,
        hostname: '',
        verified: 'signature',
        line: '0.9.8',
      },
    });
    expect(v.kind === 'accept' && v.peer.address).toEqual(wallet);
  });

  it.each(['M', 'H', 'R', 'W', 'X'])('a peer of type %s with its signed endpoint', async (nodeType) => {
    const v = await judge(await signedHello('w0', { nodeType }));
    expect(v).toMatchObject({ kind: 'accept', peer: { hostname: `${IP}:10235`, verified: 'signature' } });
  });

  it.each(['M', 'H', 'R', 'C', 'W'])('a server of type %s', async (nodeType) => {
    const v = await judgeServer(await signedHello('w0', { nodeType }));
    expect(v).toMatchObject({
      kind: 'accept',
      peer: { nodeType, reportedEndpoint: '192.0.2.9:0', lastBlock: { number: 100, version: 12 } },
    });
  });

  it('an address with checksum, which names the old line', async () => {
    const v = await judge(await signedHello('w0', { address: addressWithChecksum(wallet) }));
    expect(v).toMatchObject({ kind: 'accept', peer: { line: '0.9.7' } });
    expect(v.kind === 'accept' && v.peer.address).toEqual(wallet);
  });

  it('any later protocol version, port and timestamp of a client', async () => {
    const hello = await signedHello('w0', { version: 9, port: -5, timestamp: -7, endpoint: '' });
    expect(await judge(hello)).toMatchObject({ kind: 'accept', peer: { port: -5, timestamp: -7 } });
  });
});

describe.each([['server', judge] as const, ['client', judgeServer] as const])(
  '03 §3.5 on the side of the %s',
  (side, run) => {
    it('03 §3.5 step 0: an established connection ignores another hello', async () => {
      const hello = await signedHello('w0', { nodeType: 'R' });
      const v =
        side === 'server'
          ? await judge(hello, {}, { established: true })
          : await judgeServer(hello, {}, { established: true });
      expect(v).toEqual({ kind: 'ignore' });
    });

    it('03 §3.5 step 1: a protocol version below 6 is refused with 501 and "6"', async () => {
      expect(refused(await run(await signedHello('w0', { version: 5 })))).toEqual({
        step: 1,
        bye: 501,
        data: '6',
      });
    });

    it('03 §3.5 step 2: an address of more than 70 bytes is refused with 605', async () => {
      expect(refused(await run(await signedHello('w0', { address: new Uint8Array(71) })))).toEqual({
        step: 2,
        bye: 605,
        data: '',
      });
    });

    it('03 §3.5 step 3: a product version of more than 20 characters is refused with 605', async () => {
      expect(refused(await run(await signedHello('w0', { productVersion: 'x'.repeat(21) })))).toEqual({
        step: 3,
        bye: 605,
        data: '',
      });
      expect((await run(await signedHello('w0', { productVersion: 'é'.repeat(20) }))).kind).toBe('accept');
    });

    it('03 §3.5 step 4: a device id of more than 32 bytes is refused with 605', async () => {
      expect(refused(await run(await signedHello('w0', { deviceId: new Uint8Array(33) })))).toEqual({
        step: 4,
        bye: 605,
        data: '',
      });
      expect((await run(await signedHello('w0', { deviceId: new Uint8Array(32) }))).kind).toBe('accept');
    });

    it('03 §3.5 step 5: another network flag is refused with 502 and the flag of the peer', async () => {
      expect(refused(await run(await signedHello('w0', { testFlag: true })))).toEqual({
        step: 5,
        bye: 502,
        data: 'True',
      });
    });

    it('03 §3.5 step 6: an address that is not of the key is refused with 603', async () => {
      expect(refused(await run(await signedHello('w0', { address: otherWallet })))).toEqual({
        step: 6,
        bye: 603,
        data: '',
      });
    });

    it('03 §3.5 step 6: the victim’s address in place of the key is refused with 603', async () => {
      expect(refused(await run(await signedHello('w0', { publicKey: wallet })))).toEqual({
        step: 6,
        bye: 603,
        data: '',
      });
    });

    it('03 §3.5 step 6: address lengths that the reference takes for a key are refused with 603', async () => {
      expect(refused(await run(await signedHello('w0', { address: new Uint8Array(60).fill(1) })))).toEqual({
        step: 6,
        bye: 603,
        data: '',
      });
    });

    it('03 §3.5 step 7: a blacklisted wallet or endpoint is refused with 605, before any RSA', async () => {
      const hello = await signedHello('w0', { nodeType: 'R' });
      const seen: [Uint8Array, string][] = [];
      const before = verifier.operations;
      const v = await run(hello, {
        blacklisted: (address, endpoint) => {
          seen.push([address, endpoint]);
          return true;
        },
      });
      expect(refused(v)).toEqual({ step: 7, bye: 605, data: '' });
      expect(seen).toEqual([[wallet, `${IP}:10235`]]);
      expect(verifier.operations).toBe(before);
    });

    it.each(['M', 'H', 'R', 'W', 'X'])(
      '03 §3.5 step 8: type %s whose signature does not verify is refused with 600 and the IP seen',
      async (nodeType) => {
        const hello = await signedHello('w0', { nodeType, endpoint: '203.0.113.8:10235' });
        expect(refused(await run(hello))).toEqual({ step: 8, bye: 600, data: IP });
      },
    );

    it.each([
      ['another challenge', { signedChallenge: 78 }],
      ['another network lock', { lock: NETWORKS.test.lock }],
      ['another port', { endpoint: `${IP}:10236` }],
      ['no endpoint', { endpoint: '' }],
      ['nothing', { signature: new Uint8Array(512) }],
    ])('03 §3.5 step 8: a relay that signed over %s is refused with 600', async (_what, over) => {
      expect(refused(await run(await signedHello('w0', { nodeType: 'R', ...over })))).toEqual({
        step: 8,
        bye: 600,
        data: IP,
      });
    });

    it("03 §3.5 step 8': a client whose signature does not verify is accepted, unproven", async () => {
      const v = await run(await signedHello('w0', { signature: new Uint8Array(512).fill(1) }));
      expect(v).toMatchObject({
        kind: 'accept',
        peer: { verified: 'none', signedEndpoint: null, hostname: '' },
      });
    });

    it('03 §3.5 step 14: whatever does not decode is refused with 501 and no data', async () => {
      const good = await signedHello('w0');
      const bad: Partial<Hello>[] = [
        { address: new Uint8Array(0) },
        { address: new Uint8Array(40).fill(1) },
        { address: Uint8Array.of(3, ...wallet.subarray(1)) },
        { address: addressWithChecksum(wallet).map((b, i) => (i === 47 ? b ^ 1 : b)) },
        { publicKey: new Uint8Array(0) },
        { publicKey: new Uint8Array(528).fill(7) },
        { publicKey: new Uint8Array(1024).fill(1) },
      ];
      for (const over of bad)
        expect(refused(await run({ ...good, ...over })), JSON.stringify(Object.keys(over))).toEqual({
          step: 14,
          bye: 501,
          data: '',
        });
    });

    it('03 §3.5 step 14: a malformed field is found before the network flag, as in the reference', async () => {
      const hello = await signedHello('w0', { address: new Uint8Array(40).fill(1), testFlag: true });
      expect(refused(await run(hello))).toMatchObject({ step: 14 });
    });
  },
);

describe('03 §3.5, accepting side only', () => {
  it('03 §3.5 step 1: a version that needs more than 31 bits is refused', async () => {
    const payload = encodeHello(await signedHello('w0'));
    const wide = new Uint8Array([0xfe, 6, 0, 0, 0, 1, 0, 0, 0, ...payload.subarray(1)]);
    expect(refused(await judge(wide))).toMatchObject({ bye: 501 });
  });

  it("03 §3.5 step 8': the endpoints a client may have signed over are tried", async () => {
    const relayEndpoints = (port: number): string[] => [`198.51.100.77:${port}`];
    for (const endpoint of ['', `${IP}:10235`, '198.51.100.1:10235', '198.51.100.77:10235']) {
      const v = await judge(await signedHello('w0', { endpoint }), { relayEndpoints });
      expect(v).toMatchObject({ kind: 'accept', peer: { verified: 'signature', signedEndpoint: endpoint } });
    }
    const v = await judge(await signedHello('w0', { endpoint: '198.51.100.78:10235' }), { relayEndpoints });
    expect(v).toMatchObject({ kind: 'accept', peer: { verified: 'none' } });
  });

  it("03 §3.5 step 8': port 0 leaves the empty endpoint alone, one RSA operation", async () => {
    const before = verifier.operations;
    const v = await judge(await signedHello('w0', { port: 0, endpoint: 'x' }));
    expect(v).toMatchObject({ peer: { verified: 'none' } });
    expect(verifier.operations - before).toBe(1);
  });

  it("03 §3.5 step 8': candidates are capped, each costs an RSA operation", async () => {
    const many = Array.from({ length: 100 }, (_, i) => `198.51.100.${i}:10235`);
    const before = verifier.operations;
    await judge(await signedHello('w0', { endpoint: 'x' }), { relayEndpoints: () => many });
    expect(verifier.operations - before).toBe(8);
  });

  it("03 §3.5 step 8': a policy refuses unverified clients outright, with 600", async () => {
    const hello = await signedHello('w0', { endpoint: 'x' });
    expect(refused(await judge(hello, { unverifiedClients: 'refuse' }))).toEqual({
      step: "8'",
      bye: 600,
      data: IP,
    });
    expect((await judge(await signedHello('w0'), { unverifiedClients: 'refuse' })).kind).toBe('accept');
  });

  it.each(['M', 'H'])(
    '03 §3.5 step 10: one %s beyond the limit of masters is refused with 605',
    async (nodeType) => {
      const limits = { mastersMax: 2, clientsMax: 0, masters: () => 2, clients: () => 99 };
      expect(refused(await judge(await signedHello('w0', { nodeType }), { limits }))).toEqual({
        step: 10,
        bye: 605,
        data: '',
      });
      const room = { ...limits, masters: () => 1 };
      expect((await judge(await signedHello('w0', { nodeType }), { limits: room })).kind).toBe('accept');
    },
  );

  it('03 §3.5 step 11: a client beyond the limit of connections is refused with 605, others are not', async () => {
    const limits = { mastersMax: 0, clientsMax: 5, masters: () => -1, clients: () => 6 };
    const before = verifier.operations;
    expect(refused(await judge(await signedHello('w0'), { limits }))).toEqual({
      step: 11,
      bye: 605,
      data: '',
    });
    expect(verifier.operations).toBe(before);
    const full = { ...limits, clients: () => 5 };
    expect((await judge(await signedHello('w0'), { limits: full })).kind).toBe('accept');
    expect((await judge(await signedHello('w0', { nodeType: 'R' }), { limits })).kind).toBe('accept');
  });

  it('03 §3.5 step 12: a master below the minimum balance is refused with 599 and its balance', async () => {
    const policy: HandshakePolicy = { insufficientBalance: () => Promise.resolve('12.00000000') };
    expect(refused(await judge(await signedHello('w0', { nodeType: 'M' }), policy))).toEqual({
      step: 12,
      bye: 599,
      data: '12.00000000',
    });
    expect((await judge(await signedHello('w0', { nodeType: 'R' }), policy)).kind).toBe('accept');
  });

  it.each(['M', 'H', 'R'])(
    '03 §3.5 step 13: a %s that cannot be reached is refused with 601',
    async (nodeType) => {
      const probed: string[] = [];
      const policy: HandshakePolicy = {
        probe: (endpoint) => {
          probed.push(endpoint);
          return Promise.resolve(false);
        },
      };
      expect(refused(await judge(await signedHello('w0', { nodeType }), policy))).toEqual({
        step: 13,
        bye: 601,
        data: '',
      });
      expect(probed).toEqual([`${IP}:10235`]);
    },
  );

  it.each(['C', 'W', 'X'])('03 §3.5 step 13: type %s is not probed', async (nodeType) => {
    const policy: HandshakePolicy = { probe: () => Promise.resolve(false) };
    expect((await judge(await signedHello('w0', { nodeType }), policy)).kind).toBe('accept');
  });

  it('03 §3.5 step 14: a missing or negative challenge is refused with 501', async () => {
    const payload = encodeHello(await signedHello('w0'));
    for (const bytes of [
      payload.subarray(0, payload.length - 1),
      new Uint8Array([...payload.subarray(0, -1), 0xf8, 1, 0]),
    ])
      expect(refused(await judge(bytes))).toEqual({ step: 14, bye: 501, data: '' });
  });

  it('03 §3.5 step 14: every truncation is refused with 501, none crashes', async () => {
    const payload = encodeHello(await signedHello('w0'));
    for (let n = 0; n < payload.length; n += n < 120 ? 1 : 37)
      expect(refused(await judge(payload.subarray(0, n))), `${n} bytes`).toMatchObject({
        bye: 501,
        data: '',
      });
  });
});

describe('03 §3.5, dialling side only', () => {
  it.each(['M', 'H', 'R', 'C', 'W'])(
    '03 §3.5 step 9: another wallet than expected is refused with 604, type %s',
    async (nodeType) => {
      const hello = await signedHello('w0', { nodeType });
      expect(refused(await judgeServer(hello, { expectedWallet: otherWallet }))).toEqual({
        step: 9,
        bye: 604,
        data: '',
      });
      expect((await judgeServer(hello, { expectedWallet: wallet })).kind).toBe('accept');
    },
  );

  it('an unwanted type of server is refused with 400, after everything else', async () => {
    const policy: HandshakePolicy = { acceptsServerType: (t) => 'MHR'.includes(t) };
    expect(refused(await judgeServer(await signedHello('w0'), policy))).toEqual({
      step: 'type',
      bye: 400,
      data: '',
    });
    expect((await judgeServer(await signedHello('w0', { nodeType: 'H' }), policy)).kind).toBe('accept');
  });

  it('a server too far behind is refused with 602 and the height known', async () => {
    const policy: HandshakePolicy = { tooFarBehind: (tip) => (tip.number + 10 < 500 ? 500 : null) };
    const hello = await signedHello('w0', { nodeType: 'M' });
    expect(refused(await judgeServer(hello, policy, { lastBlock: 489 }))).toEqual({
      step: 'height',
      bye: 602,
      data: '500',
    });
    expect((await judgeServer(hello, policy, { lastBlock: 490 })).kind).toBe('accept');
  });

  it('a browser checks helloData against the endpoint of the presence it dialled', async () => {
    const hello = await signedHello('w0', { nodeType: 'R', endpoint: '198.51.100.9:10235' });
    const policy: HandshakePolicy = { expectedEndpoints: ['198.51.100.9:10235'] };
    expect(await judgeServer(hello, policy, { observedIp: '' })).toMatchObject({
      kind: 'accept',
      peer: { verified: 'signature', signedEndpoint: '198.51.100.9:10235' },
    });
    const other: HandshakePolicy = { expectedEndpoints: ['198.51.100.8:10235'] };
    expect(refused(await judgeServer(hello, other, { observedIp: '' }))).toEqual({
      step: 8,
      bye: 600,
      data: '',
    });
    const before = verifier.operations;
    expect(refused(await judgeServer(hello, {}, { observedIp: '' }))).toMatchObject({ step: 8 });
    expect(verifier.operations).toBe(before); // nothing to compare with, nothing to compute
  });
});

describe('protocol line', () => {
  it.each([
    [48, 'xs2c-0.9.3b', '0.9.7'],
    [36, 'anything', '0.9.7'],
    [45, 'xs2c-0.9.3b', '0.9.7'],
    [45, 'xdc-0.9.7', '0.9.7'],
    [45, 'qxc-0.9.1b', '0.9.8'],
    [45, 'xdc-0.9.8g-r', '0.9.8'],
    [33, 'starling-0.1.0', '0.9.8'],
  ])('%d address bytes and %s: %s', (length, product, line) => {
    expect(protocolLine(length, product)).toBe(line);
  });
});
