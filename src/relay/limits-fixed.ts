import {
  alwaysHeldBytes,
  crowdedBytes,
  subscriptionBucketsMax,
  subscriptionItemsMax,
  transportHighWaterBytes,
  transportLingerMs,
} from '../link/index.js';
import { turnReadBytes } from '../link/node/index.js';
import {
  addressesPerPacketMax,
  devicesMax,
  pendingSignaturesMax,
  presenceRequestSeconds,
  presenceRequestsPerEndpointMax,
} from '../presence/index.js';
import { Code, framePayloadBytesMax, payloadBytesMaxOf, preHelloPayloadBytesMax } from '../wire/index.js';
import { idleGroupsMax } from './groups.js';
import { announcedPerPeerMax } from './keep-alive-fetch.js';
import type { LimitSpec } from './limit-spec.js';
import {
  headerRequestBytesMax,
  ledgerRequestBytesMax,
  offerIntervalSeconds,
  sectorAsksBurst,
  sectorAsksPerSecond,
  sectorNodesMax,
  sectorPrefixesMax,
  transactionBytesMax,
} from './limits.js';
import { offendersMax } from './offenders.js';
import { pendingTransactionsMax, pendingTransactionsPerClientMax } from './pending-transactions.js';
import { keepAlivesPerChunkMax, pendingPerPeerMax } from './presence-handlers.js';
import { sectorWindowsMax } from './sector-answers.js';
import { brakeHeldPercentMax, brakeStallMs } from './sender-brake.js';

const unanswered = 'no answer; the connection stays';
const tooLarge = 'ixian_connections_closed_total{direction,reason="frame_too_large"}';
const cut = 'the end of the connection, without a word';

/** Limits that follow from the protocol or from how the relay is built, under their headings. */
export const FIXED_LIMITS: Readonly<Record<string, Readonly<Record<string, LimitSpec>>>> = {
  Frames: {
    framePayloadBytesMax: {
      value: framePayloadBytesMax,
      unit: 'bytes',
      bounds: 'payload that any frame may announce',
      why: '03 §2.1; nothing is reserved for what is only announced',
      sees: cut,
      counter: tooLarge,
    },
    preHelloPayloadBytesMax: {
      value: preHelloPayloadBytesMax,
      unit: 'bytes',
      bounds: 'payload of a frame before the hello is complete',
      why: 'an honest hello is about 6 kB at most (03 §2.3)',
      sees: cut,
      counter: tooLarge,
    },
    clientPayloadBytesMax: {
      value: Math.max(...Object.values(Code).map((code) => payloadBytesMaxOf(code, 'C'))),
      unit: 'bytes',
      bounds: 'payload of a client’s frame of any code; the table below has them all',
      why: 'each code has the bound of what may honestly stand in it (03 §2.3 Weakness)',
      sees: cut,
      counter: tooLarge,
    },
    keepAlivesPerChunkMax: {
      value: keepAlivesPerChunkMax,
      unit: 'keep-alives',
      bounds: 'keep-alives of one keepAlivesChunk that are looked at',
      why: '04 §6.2',
      sees: 'those behind are ignored',
      counter: null,
    },
    sectorNodesMax: {
      value: sectorNodesMax,
      unit: 'relays',
      bounds: 'relays in one answer to getSectorNodes',
      why: '06 §6',
      sees: 'fewer relays than asked for',
      counter: null,
    },
  },
  'Receivers and memory': {
    transportHighWaterBytes: {
      value: transportHighWaterBytes,
      unit: 'bytes',
      bounds: 'bytes in the transport above which frames wait in the queues',
      why: 'two full windows of a slow link',
      sees: 'nothing by itself',
      counter: null,
    },
    transportLingerMs: {
      value: transportLingerMs,
      unit: 'ms',
      bounds: 'time in which a bye and what is before it may still leave',
      why: '03 §2.5',
      sees: 'the end of the connection',
      counter: null,
    },
    turnReadBytes: {
      value: turnReadBytes,
      unit: 'bytes',
      bounds: 'what is read of a TCP connection before all others have had their turn',
      why: 'one buffer; a relay that is behind its senders would gather megabytes of each before anything leaves',
      sees: 'nothing',
      counter: null,
    },
    crowdedBytes: {
      value: crowdedBytes,
      unit: 'bytes',
      bounds:
        'what may wait for a receiver, and a quarter of each bound of its queue, until clients that send to it over TCP are not read for a while, down to half of it',
      why: 'several windows of a fast connection; a sender that waits loses nothing, one that fills the queue is refused',
      sees: 'its own window fills: writing takes longer',
      counter: 'ixian_relay_senders_held_total',
    },
    brakeStallMs: {
      value: brakeStallMs,
      unit: 'ms',
      bounds: 'how long senders are held while their receiver takes nothing',
      why: 'who has stalled must not hold up whom his senders talk to besides',
      sees: 'reading goes on; what does not fit into the queue is refused as ever',
      counter: 'ixian_relay_senders_held_total',
    },
    brakeHeldPercentMax: {
      value: brakeHeldPercentMax,
      unit: '%',
      bounds: 'share of `slowReceiverMs` for which senders are held for one receiver in that time',
      why: 'nobody is kept from all others he talks to, or taken for silent; a receiver that needs more is too slow',
      sees: 'reading goes on; what does not fit into the queue is refused as ever',
      counter: 'ixian_relay_senders_held_total',
    },
    alwaysHeldBytes: {
      value: alwaysHeldBytes,
      unit: 'bytes',
      bounds: 'frame that is taken, and part of a frame that is kept, however full the memory of all is',
      why: 'who is not the cause must not pay for it',
      sees: 'nothing',
      counter: null,
    },
    sectorWindowsMax: {
      value: sectorWindowsMax,
      unit: 'windows',
      bounds: 'parts of the relay tree whose presences are kept put together for answers about sectors',
      why: 'some 8 kB each; all are given up when there would be more, and with every change to a presence of a relay',
      sees: 'nothing',
      counter: null,
    },
    offendersMax: {
      value: offendersMax,
      unit: 'addresses',
      bounds: 'source addresses remembered for connections that no peer would make',
      why: 'each costs some 200 bytes; the one that offended first is forgotten',
      sees: 'nothing',
      counter: null,
    },
    idleGroupsMax: {
      value: idleGroupsMax,
      unit: 'groups',
      bounds: 'wallets, and source prefixes, without connections whose allowances are remembered',
      why: 'coming back must not refill them; the one that left first is forgotten',
      sees: 'nothing',
      counter: null,
    },
  },
  'Subscriptions (of one connection)': {
    subscriptionItemsMax: {
      value: subscriptionItemsMax,
      unit: 'items',
      bounds: 'items of the other filters beyond which no filter is attached',
      why: '04 §1.2',
      sees: unanswered,
      counter: 'ixian_subscription_requests_total{result="quota"}',
    },
    subscriptionBucketsMax: {
      value: subscriptionBucketsMax,
      unit: 'buckets',
      bounds: 'buckets of one filter',
      why: 'about 15,000 contacts in 64 KiB',
      sees: unanswered,
      counter: 'ixian_subscription_requests_total{result="filter"}',
    },
  },
  'Presences and sectors': {
    devicesPerWalletMax: {
      value: devicesMax.C,
      unit: 'devices',
      bounds: 'client devices kept of one wallet; 2 of any other type',
      why: '05 §8.1; the oldest gives way',
      sees: 'nothing',
      counter: null,
    },
    addressesPerPacketMax: {
      value: addressesPerPacketMax,
      unit: 'endpoints',
      bounds: 'endpoints of one presence whose signatures are looked at, newest first',
      why: 'each costs an RSA operation',
      sees: 'the rest is ignored',
      counter: null,
    },
    pendingPerPeerMax: {
      value: pendingPerPeerMax,
      unit: 'messages',
      bounds: 'keep-alives and presences of one connection in progress at once',
      why: 'one flooding peer must not fill the verify queue',
      sees: unanswered,
      counter: 'ixian_presence_handler_refusals_total{kind,result="peer_limit"}',
    },
    pendingSignaturesMax: {
      value: pendingSignaturesMax,
      unit: 'signatures',
      bounds: 'signatures that wait for the verify engine',
      why: 'more than a second of work would be late anyway',
      sees: unanswered,
      counter: 'ixian_presence_updates_total{kind,outcome="refused",reason="busy"}',
    },
    presenceRequestSeconds: {
      value: presenceRequestSeconds,
      unit: 's',
      bounds: 'time between two getPresence2 of this relay for one wallet to one peer',
      why: '05 §8.3: nobody signed what makes it ask',
      sees: 'nothing',
      counter: null,
    },
    presenceRequestsPerEndpointMax: {
      value: presenceRequestsPerEndpointMax,
      unit: 'requests',
      bounds: 'such requests to one peer in that time',
      why: 'what a relay needs that comes back with its clients',
      sees: 'nothing',
      counter: null,
    },
    announcedPerPeerMax: {
      value: announcedPerPeerMax,
      unit: 'items',
      bounds: 'announced keep-alives of one connection that wait to be fetched',
      why: 'one announcer must not fill the table',
      sees: 'nothing: it is not asked for more',
      counter: null,
    },
    offerIntervalSeconds: {
      value: offerIntervalSeconds,
      unit: 's',
      bounds: 'time between two offers of one device to the relays of its sector',
      why: '06 §8 rule 5',
      sees: 'nothing',
      counter: null,
    },
    sectorAsksPerSecond: {
      value: sectorAsksPerSecond,
      unit: '1/s',
      bounds: 'sector questions put to the ledger, averaged',
      why: 'clients may name any prefix',
      sees: 'an answer from the own tree',
      counter: null,
    },
    sectorAsksBurst: {
      value: sectorAsksBurst,
      unit: 'questions',
      bounds: 'the same, at once above the average',
      why: 'after a restart many sectors are unknown',
      sees: 'an answer from the own tree',
      counter: null,
    },
    sectorPrefixesMax: {
      value: sectorPrefixesMax,
      unit: 'prefixes',
      bounds: 'sector prefixes remembered as asked or answered',
      why: 'clients choose them; the oldest is forgotten',
      sees: 'nothing',
      counter: null,
    },
  },
  'Requests to the ledger': {
    ledgerRequestBytesMax: {
      value: ledgerRequestBytesMax,
      unit: 'bytes',
      bounds: 'request that is passed on',
      why: '09 §13 remedy 3',
      sees: unanswered,
      counter: 'ixian_ledger_requests_total{result="too_large"}',
    },
    headerRequestBytesMax: {
      value: headerRequestBytesMax,
      unit: 'bytes',
      bounds: 'the same for block headers, which carry a filter',
      why: '09 §13 remedy 3',
      sees: unanswered,
      counter: 'ixian_ledger_requests_total{result="too_large"}',
    },
    transactionBytesMax: {
      value: transactionBytesMax,
      unit: 'bytes',
      bounds: 'transaction that is passed on',
      why: '10 §9.1: what the ledger takes',
      sees: unanswered,
      counter: 'ixian_transactions_relayed_total{result="too_large"}',
    },
    pendingTransactionsPerClientMax: {
      value: pendingTransactionsPerClientMax,
      unit: 'transactions',
      bounds: 'transactions of one connection that are followed',
      why: '10 §9.1',
      sees: unanswered,
      counter: 'ixian_transactions_relayed_total{result="client_limit"}',
    },
    pendingTransactionsMax: {
      value: pendingTransactionsMax,
      unit: 'transactions',
      bounds: 'transactions followed, all clients together',
      why: '10 §9.1; the oldest is no longer followed',
      sees: 'no rejection, should one still come',
      counter: 'ixian_transactions_relayed_total{result="evicted"}',
    },
  },
};
