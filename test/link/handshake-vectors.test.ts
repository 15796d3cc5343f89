import { describe, expect, it } from 'vitest';
import { addressFromText } from '../../src/identity/index.js';
import { answerHello, judgeHello, judgeHelloData, type Verdict } from '../../src/link/index.js';
import { bytesEqual, decodeBye, fromHex, NETWORKS } from '../../src/wire/index.js';
import { engine, selfInfo, systemClock, vectorFile } from './support.js';

interface Case {
  readonly name: string;
  readonly line: string;
  readonly in: {
    readonly payload?: string;
    readonly observedIp?: string;
    readonly ownChallenge?: number;
    readonly expectedWallet?: string | null;
    readonly blacklisted?: string;
    readonly blacklistedWallet?: string;
    readonly blockKnown?: boolean;
  };
  readonly out: {
    readonly accepted: boolean;
    readonly sent: { readonly code: number; readonly byeCode?: number; readonly data?: string }[];
  };
  readonly strict?: { readonly accept?: boolean; readonly verified?: boolean };
}

const cases = vectorFile<{ cases: Case[] }>('03-wire.json').cases;

/** Cases that need a listening socket, a second hello or a full house are run on links elsewhere. */
const plain = cases.filter((c) => c.in.payload !== undefined && !/second-hello/.test(c.name));

async function run(c: Case): Promise<{ verdict: Verdict; sent: unknown[] }> {
  const observedIp = c.in.observedIp ?? '203.0.113.7';
  const self = await selfInfo(systemClock, {
    wallet: 'w5',
    network: NETWORKS.main,
    ...(c.in.blockKnown === false ? { tip: () => null } : {}),
  });
  const blackWallet = c.in.blacklistedWallet === undefined ? null : addressFromText(c.in.blacklistedWallet);
  const limited = /limit$/.test(c.name);
  const policy = {
    blacklisted: (address: Uint8Array, endpoint: string) =>
      endpoint === c.in.blacklisted || (blackWallet !== null && bytesEqual(address, blackWallet)),
    probe: (endpoint: string) => Promise.resolve(!/:[01]$/.test(endpoint)),
    ...(limited ? { limits: { mastersMax: 0, clientsMax: 0, masters: () => 0, clients: () => 1 } } : {}),
    ...(c.in.expectedWallet === undefined || c.in.expectedWallet === null
      ? {}
      : { expectedWallet: addressFromText(c.in.expectedWallet) }),
  };
  const base = { network: NETWORKS.main, observedIp, engine: await engine(), policy };
  const payload = fromHex(c.in.payload!);
  const server = c.name.startsWith('hello/');
  const verdict = server
    ? await judgeHello(payload, { ...base, ownEndpoint: '' })
    : await judgeHelloData(payload, { ...base, challenge: c.in.ownChallenge! });
  if (verdict.kind === 'refuse')
    return { verdict, sent: [{ code: 2, byeCode: verdict.bye, data: verdict.data }] };
  if (verdict.kind === 'ignore' || !server) return { verdict, sent: [] };
  const terms = { deadlineMs: Number.MAX_SAFE_INTEGER, abandoned: () => false };
  const answer = await answerHello(self, verdict.peer, verdict.challenge, terms);
  if (answer.code === 1) return { verdict, sent: [{ code: 1 }] };
  const { code: byeCode, data } = decodeBye(answer.payload);
  return { verdict, sent: [{ code: 2, byeCode, data }] };
}

describe.each(['hello/server/', 'helloData/client/'])('vectors %s', (prefix) => {
  it.each(plain.filter((c) => c.name.startsWith(prefix)).map((c) => [c.name, c] as const))(
    '%s',
    async (_n, c) => {
      const { verdict, sent } = await run(c);
      expect(verdict.kind === 'accept').toBe(c.strict?.accept ?? c.out.accepted);
      if (c.strict?.verified !== undefined)
        expect(verdict.kind === 'accept' && verdict.peer.verified !== 'none').toBe(c.strict.verified);
      if (c.strict?.accept === false) {
        expect(sent).toMatchObject([{ code: 2 }]);
        return;
      }
      expect(sent).toMatchObject(
        c.out.sent.map((s) =>
          s.code === 2 ? { code: 2, byeCode: s.byeCode, data: s.data } : { code: s.code },
        ),
      );
    },
  );
});
