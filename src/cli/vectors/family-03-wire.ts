import { createServer, type Socket } from 'node:net';
import { addressText, sectorPrefix } from '../../identity/index.js';
import { priorityOf } from '../../link/index.js';
import { probe } from '../../link/node/index.js';
import {
  decodeStreamMessage,
  encodeRelayError,
  encodeStreamMessage,
  signStreamMessage,
  streamMessage,
  streamMessageChecksum,
} from '../../messages/index.js';
import { PublicEndpoint } from '../../relay/index.js';
import {
  Bye,
  ByteWriter,
  Code,
  concatBytes,
  decodeBye,
  decodeRejected,
  encodeBalance2,
  encodeBye,
  encodeFrame,
  encodeGetBalance2,
  encodeGetBlockHeaders3,
  encodeGetBlockHeaders4,
  encodeGetNameRecord,
  encodeGetPIT2,
  encodeGetPresence2,
  encodeGetRandomPresences,
  encodeGetSectorNodes,
  encodeGetTransaction3,
  encodeGetTransactions2,
  encodeNameRecord,
  encodeRejected,
  encodeTimeRecord,
  encodeTimeRecords,
  FRAME_HEADER_BYTES,
  FrameTooLarge,
  judgeLength,
  readFrameHeader,
  StreamParser,
  TIME_RECORD_BYTES,
  TIME_RECORD_START,
  timeDifferenceSeconds,
  toHex,
  transactionIdsPerMessageMax,
  writeFrameHeader,
} from '../../wire/index.js';
import type { Answer, Family, Json, JsonObject, Outcome, VectorCase, VectorContext } from './case.js';
import { compareOut } from './case.js';
import { helloBuild, helloDataBuild, helloDataClient, helloServer, signerOf } from './handshake-cases.js';
import {
  answer,
  attempt,
  big,
  bytes,
  bytesList,
  hex32,
  int,
  list,
  num,
  optionalBytes,
  refusalLike,
  text,
} from './wire-fields.js';

type Result = Answer | Outcome | Promise<Answer | Outcome>;
type Runner = (c: VectorCase, ctx: VectorContext) => Result;

const fromUtf8 = (b: Uint8Array): string => new TextDecoder('utf-8', { ignoreBOM: true }).decode(b);

function frameOf(c: VectorCase): Answer {
  const code = num(c.in, 'code');
  if (c.in.payload !== undefined) return { out: { frame: toHex(encodeFrame(code, bytes(c.in, 'payload'))) } };
  const payload = new Uint8Array(num(c.in, 'payloadLength'));
  const header = new Uint8Array(FRAME_HEADER_BYTES);
  const written = attempt(() => writeFrameHeader(header, 0, code, payload));
  if ('value' in written) return { out: { header: toHex(header) } };
  // The 0.9.7 builder returns nothing where the later one throws; both mean that no frame goes out.
  return c.line === '0.9.7' ? { out: { frame: null } } : { refused: written.refused.message };
}

function headerOf(c: VectorCase): Answer {
  const h = readFrameHeader(bytes(c.in, 'header'));
  const refused = h === null || judgeLength(h) !== 'ok';
  if (refused) return c.strict === undefined ? { out: { accepted: false } } : { refused: 'header rejected' };
  const { code, length, crc } = h;
  // v5 headers carry another checksum; a v6 header has none of that kind.
  return {
    out: { accepted: true, code, length: String(length), checksum: hex32(crc), legacyChecksum: null },
  };
}

function streamOf(c: VectorCase): Outcome {
  const frames: JsonObject[] = [];
  const parser = new StreamParser();
  let error: Error | null = null;
  try {
    parser.push(bytes(c.in, 'bytes'), {
      frame: (code, payload, crcValid, crc) => {
        frames.push({ code, payload: toHex(payload), headerCrc: hex32(crc), crcValid });
      },
      time: () => {},
      byte: () => {},
    });
  } catch (e) {
    if (!(e instanceof FrameTooLarge)) throw e;
    error = e;
  }
  const out: JsonObject = {
    frames,
    timeSyncSamples: parser.timeRecords,
    error: error === null ? null : refusalLike(c.out.error),
  };
  if (c.strict === undefined) return verdict(compareOut(c.out, out));
  // Two kinds of marks (README §6): the connection is closed, or frames inside a rejected header are found too.
  if (c.strict.accept === false)
    return verdict(error !== null && frames.length === 0 ? null : { path: 'stream', detail: 'not closed' });
  const wanted = c.out.frames as readonly JsonObject[];
  const kept = frames.filter((f) => wanted.some((w) => w.payload === f.payload && w.code === f.code));
  return verdict(compareOut(c.out, { ...out, frames: kept }));
}

const verdict = (m: { path: string; detail: string } | null): Outcome =>
  m === null ? { kind: 'passed' } : { kind: 'failed', detail: `${m.path}: ${m.detail}` };

function byeOf(c: VectorCase): Answer {
  const known = Object.entries(Bye).find(([name]) => name === c.in.name);
  const payload = encodeBye({
    code: known?.[1] ?? num(c.in, 'byeCode'),
    text: fromUtf8(bytes(c.in, 'textUtf8')),
    data: fromUtf8(bytes(c.in, 'dataUtf8')),
  });
  const back = decodeBye(payload);
  if (back.code !== num(c.in, 'byeCode')) return { refused: `bye ${String(c.in.name)} is not ${back.code}` };
  return {
    out: {
      code: Code.bye,
      payload: toHex(payload),
      frame: toHex(encodeFrame(Code.bye, payload)),
      sendQueue: priorityOf(Code.bye),
    },
  };
}

/** Own public IP before every case of the group: that of the `forced` one (README §3). */
const OWN_IP = '203.0.113.9';

function incorrectIp(c: VectorCase, ctx: VectorContext): Answer | Outcome {
  const bye = decodeBye(bytes(c.in, 'payload'));
  const own = new PublicEndpoint(c.in.forced === true ? OWN_IP : null, OWN_IP, 10235);
  // A client has no public endpoint to correct: nobody connects to it.
  if (bye.code === Bye.incorrectIp && c.in.type !== 'C') own.vote('198.51.100.1', bye.data);
  if (c.strict === undefined) return { out: { publicIpAfter: own.ip } };
  // One voice changes nothing (03 §5.4, strict): the address must be the one it was in the forced case.
  const before = text(ctx.find('03-wire.json', 'bye/incorrect-ip-forced').out, 'publicIpAfter');
  return own.ip === before ? { refused: 'one voice is not enough' } : { out: { publicIpAfter: own.ip } };
}

/** How long the listener waits for the end of a probe that has arrived. */
const probeDrainMs = 2_000;

async function connectivity(c: VectorCase): Promise<Answer> {
  if (c.in.endpoint !== undefined) return { out: { reachable: await probe(text(c.in, 'endpoint')) } };
  const chunks: Uint8Array[] = [];
  const closed: Promise<void>[] = [];
  const server = createServer((s: Socket) => {
    s.on('data', (d: Uint8Array) => chunks.push(new Uint8Array(d)));
    s.on('error', () => {});
    closed.push(new Promise((resolve) => s.once('close', () => resolve())));
    s.once('end', () => s.end());
    s.setTimeout(probeDrainMs, () => s.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const at = server.address();
  const port = at !== null && typeof at === 'object' ? at.port : 0;
  const reachable = await probe(`127.0.0.1:${port}`);
  await Promise.all(closed);
  server.close();
  return { out: { reachable, bytesReceived: toHex(concatBytes(...chunks)) } };
}

function timeSync(c: VectorCase): Answer {
  if (c.in.samplesMs !== undefined) {
    const samples = list(c.in, 'samplesMs').map(Number);
    return { out: { seconds: String(timeDifferenceSeconds(samples)) } };
  }
  if (c.in.milliseconds !== undefined)
    return { out: { bytes: toHex(encodeTimeRecord(big(c.in, 'milliseconds'))) } };
  const second = int(c.in, 'networkTimeSeconds');
  const sent = encodeTimeRecords(second * 1000);
  const records: { lead: number; ms: bigint }[] = [];
  for (let i = 0; i < sent.length; i += TIME_RECORD_BYTES) {
    const ms = new DataView(sent.buffer, sent.byteOffset + i + 1, 8).getBigInt64(0, true);
    records.push({ lead: sent[i]!, ms });
  }
  return {
    out: {
      bytes: sent.length,
      records: records.length,
      leadBytesAll02: records.every((r) => r.lead === TIME_RECORD_START),
      valuesWithinThatSecond: records.every((r) => r.ms / 1000n === BigInt(second)),
    },
  };
}

function rejectedParse(c: VectorCase): Answer {
  return answer(() => {
    const m = decodeRejected(bytes(c.in, 'payload'));
    return { reason: m.reason, data: toHex(m.transactionId ?? new Uint8Array(0)) };
  });
}

type Message = readonly [code: number, payload: Uint8Array];

/** A single byte in place of an empty payload, which no receiver delivers (03 §2.3). */
const ONE_ZERO_BYTE = new Uint8Array(1);

const filterQuestion = (c: VectorCase) => ({
  from: int(c.in, 'from'),
  count: int(c.in, 'count'),
  filter: bytes(c.in, 'filter'),
});

/** Ids as given, or the list that a case describes in words. */
function transactionIds(c: VectorCase): Uint8Array[] {
  if (c.in.txids !== 'little-endian u32 0..500') return bytesList(c.in, 'txids');
  return Array.from({ length: 501 }, (_, i) => new ByteWriter(4).u32(i).bytes());
}

function getTransactions2(c: VectorCase): Message[] {
  const all = transactionIds(c);
  const out: Message[] = [];
  for (let i = 0; i < all.length; i += transactionIdsPerMessageMax) {
    const part = all.slice(i, i + transactionIdsPerMessageMax);
    const payload = encodeGetTransactions2({ id: int(c.in, 'block'), transactionIds: part });
    out.push([Code.getTransactions2, payload]);
  }
  return out;
}

async function s2data(c: VectorCase, ctx: VectorContext): Promise<Message[]> {
  const sender = bytes(c.in, 'sender');
  const m = streamMessage({
    version: num(c.in, 'version'),
    id: bytes(c.in, 'id'),
    type: num(c.in, 'type'),
    encryptionType: num(c.in, 'encryption'),
    sender,
    recipient: bytes(c.in, 'recipient'),
    data: bytes(c.in, 'data'),
    timestamp: big(c.in, 'timestamp'),
  });
  if (toHex(streamMessageChecksum(m)) !== c.in.checksum) throw new TypeError('in.checksum differs');
  if (c.in.signed !== true) return [[Code.s2data, encodeStreamMessage(m)]];
  const wallet = ctx.cases('wallets.json').find((w) => JSON.stringify(w.out).includes(addressText(sender)));
  if (wallet === undefined) throw new TypeError('no wallet of that sender');
  const signed = await signStreamMessage(m, await signerOf(ctx, wallet.name));
  return [[Code.s2data, encodeStreamMessage(signed)]];
}

function errorShape(c: VectorCase): Answer {
  const payload = encodeRelayError({
    failedId: bytes(c.in, 'data'),
    failedRecipient: bytes(c.in, 'sender'),
    failedSender: bytes(c.in, 'recipient'),
    timestamp: 1767225600,
  });
  const m = decodeStreamMessage(payload);
  return {
    out: {
      code: Code.s2data,
      version: m.version,
      type: m.type,
      encryption: m.encryptionType,
      idLength: m.id.length,
      sender: toHex(m.sender ?? new Uint8Array(0)),
      recipient: toHex(m.recipient ?? new Uint8Array(0)),
      data: toHex(m.data ?? new Uint8Array(0)),
      signature: m.signature === null ? null : toHex(m.signature),
      requireRcvConfirmation: m.requireRcvConfirmation,
      length: payload.length,
    },
  };
}

/** One builder per message code, by the second part of the case name up to a further `-`. */
const builders: {
  readonly [name: string]: (c: VectorCase, ctx: VectorContext) => Message[] | Promise<Message[]>;
} = {
  rejected: (c) => [
    [
      Code.rejected,
      encodeRejected({ reason: num(c.in, 'reason'), transactionId: optionalBytes(c.in, 'txid') }),
    ],
  ],
  getPresence2: (c) => [[Code.getPresence2, encodeGetPresence2(bytes(c.in, 'address'))]],
  getTransaction3: (c) => [
    [
      Code.getTransaction3,
      encodeGetTransaction3({ transactionId: bytes(c.in, 'txid'), block: int(c.in, 'block') }),
    ],
  ],
  getTransactions2,
  getNameRecord: (c) => [
    [
      Code.getNameRecord,
      encodeGetNameRecord({ name: bytes(c.in, 'name'), record: optionalBytes(c.in, 'record') }),
    ],
  ],
  nameRecord: (c) => [
    [Code.nameRecord, encodeNameRecord({ name: bytes(c.in, 'name'), records: bytesList(c.in, 'records') })],
  ],
  getSectorNodes: (c) => [
    [
      Code.getSectorNodes,
      encodeGetSectorNodes({ prefix: sectorPrefix(bytes(c.in, 'address')), max: num(c.in, 'max') }),
    ],
  ],
  getRandomPresences: (c) => [[Code.getRandomPresences, encodeGetRandomPresences(text(c.in, 'type'))]],
  getBalance2: (c) => [[Code.getBalance2, encodeGetBalance2(bytes(c.in, 'address'))]],
  balance2: (c) => [
    [
      Code.balance2,
      encodeBalance2({
        address: bytes(c.in, 'address'),
        balance: big(c.in, 'units'),
        height: int(c.in, 'height'),
        blockChecksum: optionalBytes(c.in, 'blockChecksum'),
      }),
    ],
  ],
  getBlockHeaders4: (c) => [
    [
      Code.getBlockHeaders4,
      encodeGetBlockHeaders4({
        ...filterQuestion(c),
        ...(c.in.mode === undefined ? {} : { mode: num(c.in, 'mode') }),
      }),
    ],
  ],
  getPIT2: (c) => [
    [Code.getPIT2, encodeGetPIT2({ block: int(c.in, 'block'), filter: bytes(c.in, 'filter') })],
  ],
  getBlockHeaders3: (c) => [
    [Code.getBlockHeaders3, encodeGetBlockHeaders3({ from: int(c.in, 'from'), count: int(c.in, 'count') })],
  ],
  s2data,
  transactionData2: (c) => [[Code.transactionData2, bytes(c.in, 'transaction')]],
  syncWalletState: () => [[Code.syncWalletState, ONE_ZERO_BYTE]],
};

async function payloadOf(c: VectorCase, ctx: VectorContext): Promise<Answer> {
  const name = c.name.split('/')[1]!.split('-')[0]!;
  const build = builders[name];
  if (build === undefined) return { uncovered: `no builder for ${name}` };
  const messages = (await build(c, ctx)).map(([code, payload]): Json => {
    // A frame around it must be possible, whatever is in it.
    encodeFrame(code, payload);
    return { code, payload: toHex(payload), sendQueue: priorityOf(code) };
  });
  // `built` tells how the reference's bytes were made (README §3), not what they are.
  return { out: { messages }, ignore: ['built'] };
}

const runners: readonly (readonly [prefix: string, run: Runner])[] = [
  ['frame/', frameOf],
  ['header/', headerOf],
  ['stream/', streamOf],
  ['bye/incorrect-ip-', incorrectIp],
  ['bye/', byeOf],
  ['connectivity-probe/', connectivity],
  ['hello/build/', helloBuild],
  ['helloData/build/', helloDataBuild],
  ['hello/server/', helloServer],
  ['helloData/client/', helloDataClient],
  ['payload/s2data-error-shape', errorShape],
  ['payload/', payloadOf],
  ['rejected/parse/', rejectedParse],
  ['timesync/', timeSync],
];

/** Frames, the byte stream, the handshake and payloads (docs/protocol/03). */
export const family03: Family = {
  name: '03-wire',
  files: ['03-wire.json'],
  run(c, ctx) {
    const runner = runners.find(([prefix]) => c.name.startsWith(prefix));
    return runner === undefined ? { uncovered: 'unknown group' } : runner[1](c, ctx);
  },
};
