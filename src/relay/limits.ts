import type { LimitSpec } from './limit-spec.js';

const MIB = 1024 * 1024;
const NO_LIMIT = 0;
const capacity = 'ixian_connections_rejected_total{direction="in",reason="capacity"}';
const rateLimited = 'ixian_connections_rejected_total{direction="in",reason="rate_limited"}';
const quota = (scope: string, kind: string): string =>
  `ixian_quota_exceeded_total{kind="${kind}",scope="${scope}"}`;
const slowed = 'nothing: it is read more slowly, so that its own window fills';
const unanswered = 'no answer; the connection stays';
const undelivered = 'the error message of 07 §9.3 for each message';

/** A rate and how much of it may come at once; a rate of 0 switches the pair off. */
function rate(
  key: string,
  perSecond: number,
  burst: number,
  unit: string,
  spec: Pick<LimitSpec, 'bounds' | 'why' | 'sees' | 'counter'>,
): readonly [LimitSpec, LimitSpec] {
  const min = NO_LIMIT;
  return [
    {
      ...spec,
      value: perSecond,
      unit: `${unit}/s`,
      bounds: `${spec.bounds}, averaged; 0 for no limit`,
      setting: { key: `${key}PerSecond`, min, max: 1_000_000_000 },
      reloadable: true,
    },
    {
      ...spec,
      value: burst,
      unit,
      bounds: `${spec.bounds}, at once above the average`,
      why: 'a client that comes back has much to say in its first second',
      setting: { key: `${key}Burst`, min: 1, max: 4_000_000_000 },
      reloadable: true,
    },
  ];
}

const [bytesPerSecond, bytesBurst] = rate('bytes', 16 * MIB, 32 * MIB, 'bytes', {
  bounds: 'bytes read from one connection',
  why: 'more than any chat or file transfer of a client; one sender must not take the relay’s whole wire',
  sees: slowed,
  counter: quota('connection', 'bytes'),
});
const [messagesPerSecond, messagesBurst] = rate('messages', 1_000, 5_000, 'messages', {
  bounds: 'stream messages one connection may send',
  why: 'what the reference moves per connection (03 §2.6)',
  sees: undelivered,
  counter: quota('connection', 'messages'),
});
const [requestsPerSecond, requestsBurst] = rate('requests', 100, 1_000, 'tokens', {
  bounds:
    'cost of other requests of one connection (lookups 1, presences and subscriptions 2, a subscription 1 more per KiB, lists 5)',
  why: 'a client asks a handful of questions a minute',
  sees: unanswered,
  counter: quota('connection', 'requests'),
});
const [serverRequestsPerSecond, serverRequestsBurst] = rate('serverRequests', 10_000, 50_000, 'tokens', {
  bounds: 'the same for ledger nodes and relays',
  why: 'a relay of the sector hands on the keep-alives of all its clients (06 §8)',
  sees: unanswered,
  counter: quota('connection', 'requests'),
});
const [walletBytesPerSecond, walletBytesBurst] = rate('walletBytes', 32 * MIB, 64 * MIB, 'bytes', {
  bounds: 'bytes read from all connections of one wallet',
  why: 'more connections must not mean more of the relay',
  sees: slowed,
  counter: quota('wallet', 'bytes'),
});
const [walletMessagesPerSecond, walletMessagesBurst] = rate('walletMessages', 2_000, 10_000, 'messages', {
  bounds: 'stream messages of all connections of one wallet',
  why: 'two devices at full speed',
  sees: undelivered,
  counter: quota('wallet', 'messages'),
});
const [walletRequestsPerSecond, walletRequestsBurst] = rate('walletRequests', 200, 2_000, 'tokens', {
  bounds: 'cost of other requests of all connections of one wallet',
  why: 'two devices at full speed',
  sees: unanswered,
  counter: quota('wallet', 'requests'),
});
const [prefixBytesPerSecond, prefixBytesBurst] = rate('prefixBytes', 125_000_000, 250_000_000, 'bytes', {
  bounds: 'bytes read from all connections of one source prefix',
  why: 'a gigabit line; thousands of clients may share an address',
  sees: slowed,
  counter: quota('prefix', 'bytes'),
});
const [prefixMessagesPerSecond, prefixMessagesBurst] = rate('prefixMessages', 20_000, 100_000, 'messages', {
  bounds: 'stream messages of all connections of one source prefix',
  why: 'less than half of what a relay forwards on one core',
  sees: undelivered,
  counter: quota('prefix', 'messages'),
});
const [prefixRequestsPerSecond, prefixRequestsBurst] = rate('prefixRequests', 20_000, 100_000, 'tokens', {
  bounds: 'cost of other requests of all connections of one source prefix',
  why: 'a relay of the sector at full rate beside a prefix full of clients that all come back at once',
  sees: unanswered,
  counter: quota('prefix', 'requests'),
});
const [prefixConnectsPerSecond, prefixConnectsBurst] = rate('prefixConnects', 2_000, 10_000, 'connections', {
  bounds: 'new connections of one source prefix',
  why: '03 §4.1: a limit by subnet instead of a pause; ten thousand clients behind one address may all come back',
  sees: 'the end of the connection, without a word',
  counter: rateLimited,
});
const [sourceOffencesPerSecond, sourceOffencesBurst] = rate('sourceOffences', 1, 20, 'connections', {
  bounds:
    'connections of one source address (of 64 bits of IPv6) that are ended because no peer says such a thing before its hello: bytes that begin nothing, more of them than a hello has, or a frame beyond its cap; beyond it nothing from there is taken',
  why: 'ending a connection without reading it costs a tenth of reading it; who shares an address with a flood comes in again within seconds after its end',
  sees: 'the end of the connection, without a word',
  counter: rateLimited,
});
const [transactionsPerSecond, transactionsBurst] = rate('transactions', 1, 5, 'transactions', {
  bounds: 'transactions one connection may submit',
  why: '10 §9.1: a payment is a rare event',
  sees: unanswered,
  counter: 'ixian_transactions_relayed_total{result="rate_limit"}',
});

/** Limits of the relay room that an operator may change, by their name in the code. */
export const RELAY_LIMITS = {
  connectionsMax: {
    value: 16_000,
    unit: 'connections',
    bounds: 'inbound connections of any kind at once',
    why: 'bounded by file descriptors, not by a number of the protocol (the reference has 1000 + 1000, 03 §4.1)',
    sees: 'bye 605, “Too many connections”',
    counter: capacity,
    setting: { key: 'maxConnections', min: 1, max: 1_000_000 },
    reloadable: true,
  },
  clientsMax: {
    value: 15_000,
    unit: 'connections',
    bounds: 'client connections at once',
    why: 'leaves room for ledger nodes and relays (03 §3.5 step 11)',
    sees: 'bye 605 instead of helloData',
    counter: 'ixian_connections_rejected_total{direction="in",reason="605"}',
    setting: { key: 'maxClients', min: 1, max: 1_000_000 },
    reloadable: true,
  },
  ledgerInboundMax: {
    value: 200,
    unit: 'connections',
    bounds: 'ledger nodes that dial this relay',
    why: '03 §3.5 step 10; nobody but ledger nodes may take these places',
    sees: 'bye 605 instead of helloData',
    counter: 'ixian_connections_rejected_total{direction="in",reason="605"}',
    setting: { key: 'maxLedgerInbound', min: 1, max: 100_000 },
    reloadable: true,
  },
  preHelloConnectionsMax: {
    value: 12_000,
    unit: 'connections',
    bounds: 'connections that have not completed their hello',
    why: 'all clients of a relay come back at once after a cut, and yet half-open floods must leave places; they leave after 10 s',
    sees: 'bye 700, which says when to come back; without a word where 1,000 are being told',
    counter: capacity,
    setting: { key: 'maxPreHello', min: 1, max: 1_000_000 },
    reloadable: true,
  },
  preHelloPerSourceMax: {
    value: 1_000,
    unit: 'connections',
    bounds: 'of those, from one source address',
    why: 'one host must not take all places',
    sees: 'the end of the connection, without a word',
    counter: rateLimited,
    setting: { key: 'maxPreHelloPerSource', min: 1, max: 1_000_000 },
    reloadable: true,
  },
  connectionsPerSourcePercent: {
    value: 50,
    unit: '%',
    bounds: 'part of all connections that one source address may hold; 100 for no limit',
    why: 'a carrier’s gateway may bring thousands of clients (03 §4.1), but not keep everybody else out',
    sees: 'bye 605, “Too many connections from your address”',
    counter: rateLimited,
    setting: { key: 'maxPercentPerSource', min: 1, max: 100 },
    reloadable: true,
  },
  connectionsPerPrefixPercent: {
    value: 75,
    unit: '%',
    bounds: 'part of all connections that one source prefix may hold; 100 for no limit',
    why: 'as above for whoever has a whole subnet',
    sees: 'bye 605, “Too many connections from your network”',
    counter: rateLimited,
    setting: { key: 'maxPercentPerPrefix', min: 1, max: 100 },
    reloadable: true,
  },
  prefixBitsIpv4: {
    value: 24,
    unit: 'bits',
    bounds: 'leading bits that make IPv4 addresses one source prefix',
    why: 'the smallest block that is routed on its own',
    sees: 'nothing by itself',
    counter: null,
    setting: { key: 'prefixBitsIpv4', min: 8, max: 32 },
  },
  prefixBitsIpv6: {
    value: 48,
    unit: 'bits',
    bounds: 'leading bits that make IPv6 addresses one source prefix',
    why: 'what one site is given; a single host has 2^64 addresses',
    sees: 'nothing by itself',
    counter: null,
    setting: { key: 'prefixBitsIpv6', min: 16, max: 128 },
  },
  prefixConnectsPerSecond,
  prefixConnectsBurst,
  sourceOffencesPerSecond,
  sourceOffencesBurst,
  bytesPerSecond,
  bytesBurst,
  messagesPerSecond,
  messagesBurst,
  unprovenMessagesPerSecond: {
    value: 20,
    unit: 'messages/s',
    bounds: 'stream messages of a connection that did not prove its wallet’s key, averaged',
    why: '07 §9.1: it may be anybody',
    sees: undelivered,
    counter: quota('connection', 'messages'),
    setting: { key: 'unprovenMessagesPerSecond', min: NO_LIMIT, max: 1_000_000_000 },
    reloadable: true,
  },
  requestsPerSecond,
  requestsBurst,
  serverRequestsPerSecond,
  serverRequestsBurst,
  walletBytesPerSecond,
  walletBytesBurst,
  walletMessagesPerSecond,
  walletMessagesBurst,
  walletRequestsPerSecond,
  walletRequestsBurst,
  prefixBytesPerSecond,
  prefixBytesBurst,
  prefixMessagesPerSecond,
  prefixMessagesBurst,
  prefixRequestsPerSecond,
  prefixRequestsBurst,
  transactionsPerSecond,
  transactionsBurst,
  messageBytesMax: {
    value: 2 * MIB,
    unit: 'bytes',
    bounds: 'largest stream message that is forwarded',
    why: '07 §3.8: avatars and file packets of about 100 kB must pass',
    sees: 'nothing: the message is dropped',
    counter: 'ixian_relay_dropped_total{reason="too_large"}',
    setting: { key: 'maxMessageBytes', min: 1024, max: 50_000_000 },
    reloadable: true,
  },
  queueBytesTotalMax: {
    value: 512 * MIB,
    unit: 'bytes',
    bounds: 'bytes that wait for all receivers together',
    why: 'thousands of slow receivers within their own bounds must not add up to the machine’s memory',
    sees: 'senders get the error message of 07 §9.3; control messages still pass',
    counter: 'ixian_queue_dropped_total{queue,reason="total_bytes"}',
    setting: { key: 'maxQueueBytesTotal', min: 1_048_576, max: 1_000_000_000_000 },
    reloadable: true,
  },
  receiveBytesTotalMax: {
    value: 512 * MIB,
    unit: 'bytes',
    bounds: 'bytes held for frames that have not arrived whole, all connections together',
    why: 'whoever begins large frames and does not end them must not fill the memory',
    sees: 'the end of the connection that asks for more and holds more than 64 KiB',
    counter: 'ixian_connections_closed_total{direction,reason="receive_memory"}',
    setting: { key: 'maxReceiveBytesTotal', min: 1_048_576, max: 1_000_000_000_000 },
    reloadable: true,
  },
  subscriptionBytesTotalMax: {
    value: 256 * MIB,
    unit: 'bytes',
    bounds: 'event filters of all connections together, with the index that finds who watches a wallet',
    why: 'four filters of 64 KiB on every connection would be 4 GiB',
    sees: 'nothing: the filter is not attached (04 §1.2)',
    counter: 'ixian_subscription_requests_total{result="memory"}',
    setting: { key: 'maxSubscriptionBytesTotal', min: 65_536, max: 1_000_000_000_000 },
    reloadable: true,
  },
  presencesMax: {
    value: 1_000_000,
    unit: 'presences',
    bounds: 'presences (endpoints) kept at once',
    why: 'the whole network today, many times over',
    sees: 'nothing: those nearest to expiry go, clients first, relays and ledger nodes last, the own one never',
    counter: 'ixian_presence_evictions_total{type,reason="count"}',
    setting: { key: 'maxPresences', min: 1_000, max: 100_000_000 },
    reloadable: true,
  },
  presenceBytesMax: {
    value: 1_536 * MIB,
    unit: 'bytes',
    bounds: 'memory of the presence store',
    why: 'a million presences of 1,150 bytes need 1,290 MB; unusually large ones must not need more',
    sees: 'as above',
    counter: 'ixian_presence_evictions_total{type,reason="bytes"}',
    setting: { key: 'maxPresenceBytes', min: 1_048_576, max: 1_000_000_000_000 },
    reloadable: true,
  },
  ledgerRequestsMax: {
    value: 16_384,
    unit: 'requests',
    bounds: 'requests to the ledger open at once, all clients together',
    why: '09 §13 remedy 3',
    sees: 'the oldest open request gets no answer',
    counter: 'ixian_ledger_requests_total{result="evicted"}',
    setting: { key: 'maxLedgerRequests', min: 1, max: 1_000_000 },
    reloadable: true,
  },
  ledgerRequestsPerClientMax: {
    value: 64,
    unit: 'requests',
    bounds: 'of those, of one connection',
    why: 'a wallet that follows its payments has a few open',
    sees: unanswered,
    counter: 'ixian_ledger_requests_total{result="client_limit"}',
    setting: { key: 'maxLedgerRequestsPerClient', min: 1, max: 100_000 },
    reloadable: true,
  },
} as const satisfies Readonly<Record<string, LimitSpec>>;

/** What an operator may change in the relay room, unit last; see {@link RELAY_LIMITS} for the reasons. */
export type RelayLimits = { -readonly [K in keyof typeof RELAY_LIMITS]: number };

export const DEFAULT_RELAY_LIMITS: Readonly<RelayLimits> = Object.fromEntries(
  Object.entries(RELAY_LIMITS).map(([name, spec]) => [name, spec.value]),
) as RelayLimits;

/** Seconds a forwarded ledger request waits for its answer (09 §13). */
export const ledgerRequestSeconds = 30;
/** The same for block headers: a batch of 250 with transactions takes a busy master that long. */
export const headerRequestSeconds = 120;
/** After this long without an answer a second ledger node is asked, after twice as long a third. */
export const ledgerRetryMs = 3_000;
/**
 * An open question that a client repeats goes to ledger nodes again unless it went to one this short a time ago:
 * whoever repeats it has reason to, and one message a second per question is all it costs.
 */
export const ledgerRepeatMs = 1_000;
/** Largest transaction the ledger takes (10 §9.1). */
export const transactionBytesMax = 512_000;
/** Largest client request passed to the ledger (09 §13 remedy 3); header requests carry a filter. */
export const ledgerRequestBytesMax = 4_096;
export const headerRequestBytesMax = 65_536;
/** Answers to balances are served again for this long: a client polls every 2.5 s while unknown. */
export const balanceCacheMs = 5_000;
/** Own sector answers may come from the own tree for this long after a ledger node refreshed it (06 §6.2). */
export const sectorCacheMs = 30_000;
/** A client whose sector question must go to the ledger is answered from the own tree after this long. */
export const sectorAnswerMs = 3_000;
/** Prefixes remembered as answered or asked: a bounded LRU, since clients choose them. */
export const sectorPrefixesMax = 4_096;
/** Sector questions put to the ledger per second, averaged and at once: clients may name any prefix. */
export const sectorAsksPerSecond = 20;
export const sectorAsksBurst = 100;
/** Relays a client's keep-alive is offered to: the window that contains every asker's six (06 §8). */
export const sectorCopies = 8;
/** Same (wallet, device) not offered again sooner (06 §8 rule 5). */
export const offerIntervalSeconds = 50;
/** Largest number of sector nodes answered, and the smallest the selection takes (06 §6). */
export const sectorNodesMax = 20;
export const sectorNodesMin = 2;
