import {
  type HandshakePolicy,
  type HelloContext,
  type HelloDataContext,
  judgeHello,
  judgeHelloData,
  type Verdict,
} from '../../src/link/index.js';
import { encodeHello, encodeHelloData, type Hello, type HelloData, NETWORKS } from '../../src/wire/index.js';
import { engine } from './support.js';

/** Source address of every peer judged here. */
export const IP = '203.0.113.7';
/** Public endpoint of the judging server. */
export const OWN = '198.51.100.1:10235';

/** A server that sees the peer at {@link IP}. */
export async function judge(
  hello: Hello | Uint8Array,
  policy: HandshakePolicy = {},
  over: Partial<HelloContext> = {},
): Promise<Verdict> {
  const payload = hello instanceof Uint8Array ? hello : encodeHello(hello);
  return judgeHello(payload, {
    network: NETWORKS.main,
    observedIp: IP,
    ownEndpoint: OWN,
    engine: await engine(),
    policy,
    ...over,
  });
}

/** A client that dialled {@link IP} with the challenge of this hello, answered with helloData made of it. */
export async function judgeServer(
  hello: Hello,
  policy: HandshakePolicy = {},
  over: Partial<HelloDataContext> & Partial<Pick<HelloData, 'lastBlock' | 'lastBlockChecksum'>> = {},
): Promise<Verdict> {
  const { challenge, ...common } = hello;
  const { lastBlock = 100, lastBlockChecksum = new Uint8Array(64).fill(1), ...context } = over;
  const payload = encodeHelloData({
    ...common,
    lastBlock,
    lastBlockChecksum,
    lastBlockVersion: 12,
    yourAddress: '192.0.2.9:0',
  });
  return judgeHelloData(payload, {
    network: NETWORKS.main,
    observedIp: IP,
    challenge,
    engine: await engine(),
    policy,
    ...context,
  });
}

/** What a refusal tells the peer, with the rule behind it; the kind of any other verdict. */
export const refused = (v: Verdict): unknown =>
  v.kind === 'refuse' ? { step: v.step, bye: v.bye, data: v.data } : v.kind;
