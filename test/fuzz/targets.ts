import { scanPresencesJs } from '../../src/core/js/presence.js';
import { decodeVarIntsJs, scanFramesJs, scanKeepAlivesJs } from '../../src/core/js/scan.js';
import {
  AddressTextError,
  addressFromText,
  addressFromUncheckedText,
  decodeExtendedAddress,
  decodePrivateKey,
  decodePublicKey,
  decodeWalletFile,
  importPem,
  parseAddress,
  WalletError,
} from '../../src/identity/index.js';
import { readHeaderFile } from '../../src/ledger/header-storage.js';
import {
  decodeBlockSignature,
  decodeHeader,
  decodeNameEntry,
  decodePitProof,
  decodeTransaction,
  transactionId,
  verifyPitProof,
} from '../../src/ledger/index.js';
import { parseEndpoint, parseRelayInfo, protocolLine } from '../../src/link/index.js';
import { clientAddress } from '../../src/link/node/client-address.js';
import {
  decodeAcceptAdd0,
  decodeAcceptAdd2,
  decodeAppData,
  decodeAppProtocols,
  decodeKeys0,
  decodeKeys2,
  decodeReaction,
  decodeRequestAdd2,
  decodeSpixiMessage,
  decodeStoredStreamMessage,
  decodeStreamMessage,
  decodeTransactionRequest,
  decodeTransactionSend,
  decodeTransactionSendRequest,
  decodeTransactionSendResponse,
  envelopeOf,
  spixi1Decrypt,
  spixi2Decrypt,
} from '../../src/messages/index.js';
import { type Config, ConfigError, parseConfigText, resolveConfig } from '../../src/operator/config/index.js';
import {
  DifficultyError,
  decodeKeepAlive,
  decodePow,
  decodePresence,
  decodePresenceAddress,
  difficultyFromText,
  parseIpv4,
  parsePort,
  readKeepAlivePairs,
} from '../../src/presence/index.js';
import {
  Code,
  CuckooFilter,
  DecodeError,
  decodeAttachEvent,
  decodeBalance2,
  decodeBlockHeaders3,
  decodeBlockHeaders4,
  decodeBye,
  decodeDetachEvent,
  decodeGetBalance2,
  decodeGetBlockHeaders3,
  decodeGetBlockHeaders4,
  decodeGetKeepAlives,
  decodeGetNameRecord,
  decodeGetPIT2,
  decodeGetPresence2,
  decodeGetRandomPresences,
  decodeGetSectorNodes,
  decodeGetTransaction3,
  decodeGetTransactions2,
  decodeHello,
  decodeHelloData,
  decodeInventory2,
  decodeInventoryItem,
  decodeIxiNumber,
  decodeKeepAlivesChunk,
  decodeNameRecord,
  decodePitData2,
  decodeRejected,
  decodeSectorNodes,
  decodeTransactionsChunk3,
  FrameTooLarge,
  headersQuestionKey,
  NETWORKS,
  parseAmount,
  parseGuid,
  StreamParser,
  splitRelayAnswer,
} from '../../src/wire/index.js';
import { OWN_TARGETS } from './own-formats.js';
import { type Target, text, wire } from './target.js';

const aesKey = new Uint8Array(32).fill(1);
const chachaKey = new Uint8Array(32).fill(2);

/** Feeds a stream in two pieces, cut where its first byte says: splits must not matter. */
function parseStream(b: Uint8Array): unknown {
  const parse = (...pieces: Uint8Array[]): string[] => {
    const out: string[] = [];
    const p = new StreamParser();
    for (const piece of pieces)
      p.push(piece, {
        frame: (code, payload, ok) => out.push(`f${code}:${payload.length}:${ok}`),
        time: (ms) => out.push(`t${ms}`),
        byte: (x) => out.push(`b${x}`),
      });
    return out;
  };
  const cut = (b[0] ?? 0) % (b.length + 1);
  const whole = parse(b);
  const split = parse(b.subarray(0, cut), b.subarray(cut));
  if (whole.join() !== split.join()) throw new Error('a split changes what the stream says');
  return whole;
}

function resolve(s: string): Config {
  return resolveConfig({ file: { path: 'ixian.cfg', text: s }, environment: {}, flags: new Map() });
}

/** Every decoder that reads bytes or text from outside. */
export const TARGETS: readonly Target[] = [
  { name: 'stream', run: parseStream, throws: [FrameTooLarge] },
  wire('hello', decodeHello, Code.hello),
  wire('hello-data', decodeHelloData, Code.helloData),
  wire('bye', decodeBye, Code.bye),
  wire('rejected', decodeRejected, Code.rejected),
  wire('get-keep-alives', (b) => [decodeGetKeepAlives(b), readKeepAlivePairs(b)], Code.getKeepAlives),
  wire('keep-alives-chunk', decodeKeepAlivesChunk, Code.keepAlivesChunk),
  wire('get-sector-nodes', decodeGetSectorNodes, Code.getSectorNodes),
  wire('sector-nodes', decodeSectorNodes, Code.sectorNodes),
  wire('get-pit', decodeGetPIT2, Code.getPIT2),
  wire('pit-data-relay', (b) => [decodePitData2(b, 'relay'), splitRelayAnswer(b)], Code.pitData2),
  wire('pit-data-client', (b) => decodePitData2(b, 'client'), Code.pitData2),
  wire('get-balance', decodeGetBalance2, Code.getBalance2),
  wire('balance', decodeBalance2, Code.balance2),
  wire('get-presence', decodeGetPresence2, Code.getPresence2),
  wire('get-random-presences', decodeGetRandomPresences, Code.getRandomPresences),
  wire('attach-event', decodeAttachEvent, Code.attachEvent),
  wire('detach-event', decodeDetachEvent, Code.detachEvent),
  wire('get-name-record', decodeGetNameRecord, Code.getNameRecord),
  wire('name-record', decodeNameRecord, Code.nameRecord),
  wire('get-headers-3', decodeGetBlockHeaders3, Code.getBlockHeaders3),
  wire('headers-3', decodeBlockHeaders3, Code.blockHeaders3),
  wire('get-headers-4', (b) => [decodeGetBlockHeaders4(b), headersQuestionKey(b)], Code.getBlockHeaders4),
  wire('headers-4', decodeBlockHeaders4, Code.blockHeaders4),
  wire('get-transaction', decodeGetTransaction3, Code.getTransaction3),
  wire('get-transactions', decodeGetTransactions2, Code.getTransactions2),
  wire('chunk-relay', (b) => decodeTransactionsChunk3(b, 'relay'), Code.transactionsChunk3),
  wire('chunk-client', (b) => decodeTransactionsChunk3(b, 'client'), Code.transactionsChunk3),
  wire('inventory', decodeInventory2, Code.inventory2),
  wire('inventory-item', (b) => decodeInventoryItem(b)),
  wire('inventory-item-097', (b) => decodeInventoryItem(b, '0.9.7')),
  wire('cuckoo', (b) => CuckooFilter.decode(b).encode()),
  wire('ixi-number', (b) => decodeIxiNumber(b)),
  text('amount', parseAmount, [DecodeError]),
  text('guid', parseGuid, [DecodeError]),
  wire('public-key', decodePublicKey),
  wire('private-key', decodePrivateKey),
  wire('address', (b) => parseAddress(b)),
  wire('extended-address', decodeExtendedAddress),
  text('address-text', addressFromText, [AddressTextError, DecodeError]),
  text('address-unchecked', addressFromUncheckedText, [AddressTextError, DecodeError]),
  text('pem', (s) => importPem(s), [WalletError]),
  {
    name: 'wallet-file',
    run: (b) => decodeWalletFile(b, 'correct horse'),
    throws: [WalletError],
    slowMs: 3_000,
  },
  wire('pow', (b) => decodePow(b)),
  wire('presence-address', decodePresenceAddress),
  wire('presence', decodePresence, Code.updatePresence),
  wire('keep-alive', decodeKeepAlive, Code.keepAlivePresence),
  text('difficulty', difficultyFromText, [DifficultyError]),
  text('hostname', (s) => [parseIpv4(s), parsePort(s), parseEndpoint(s)]),
  wire('stream-message', decodeStreamMessage, Code.s2data),
  wire('stored-message', decodeStoredStreamMessage, Code.s2data),
  wire('envelope', envelopeOf, Code.s2data),
  wire('spixi-message', (b) => decodeSpixiMessage(b)),
  wire('spixi-message-097', (b) => decodeSpixiMessage(b, '0.9.7')),
  wire('request-add-2', decodeRequestAdd2),
  wire('accept-add-2', decodeAcceptAdd2),
  wire('accept-add-0', decodeAcceptAdd0),
  wire('keys-2', decodeKeys2),
  wire('keys-0', decodeKeys0),
  wire('reaction', decodeReaction),
  wire('app-data', decodeAppData),
  wire('app-protocols', decodeAppProtocols),
  wire('transaction-send', decodeTransactionSend),
  wire('transaction-request', decodeTransactionRequest),
  wire('transaction-send-request', decodeTransactionSendRequest),
  wire('transaction-send-response', decodeTransactionSendResponse),
  wire('spixi-1', (b) => spixi1Decrypt(b, { aesKey, chachaKey })),
  wire('spixi-2', (b) => spixi2Decrypt(b, { aesKey, chachaKey }, aesKey)),
  wire('header', (b) => decodeHeader(b, 'any')),
  wire('header-bits', (b) => decodeHeader(b, 'bits')),
  wire('block-signature', (b) => decodeBlockSignature(b)),
  wire('transaction', (b) => transactionId(decodeTransaction(b), NETWORKS.reg.lock), Code.transactionData2),
  wire('pit-proof', (b) => [decodePitProof(b), verifyPitProof(b, new Uint8Array(44), [])]),
  wire('name-entry', decodeNameEntry),
  { name: 'header-file', run: readHeaderFile, throws: [] },
  text('relay-info', parseRelayInfo, [DecodeError]),
  text('forwarded', (s) => clientAddress('10.0.0.1', s, 'forwarded', () => true)),
  text('forwarded-for', (s) => clientAddress('10.0.0.1', s, 'x-forwarded-for', () => true)),
  text('product-version', (s) => protocolLine(36, s)),
  text('config', (s) => [parseConfigText(s), resolve(s).warnings], [ConfigError]),
  { name: 'scan-frames', run: (b) => scanFramesJs(b, 5, true, 64), throws: [] },
  { name: 'scan-varints', run: (b) => decodeVarIntsJs(b, true, 64), throws: [] },
  { name: 'scan-keep-alives', run: (b) => scanKeepAlivesJs([b]), throws: [], code: Code.keepAlivePresence },
  { name: 'scan-presences', run: (b) => scanPresencesJs([b], 16), throws: [], code: Code.updatePresence },
  ...OWN_TARGETS,
];
