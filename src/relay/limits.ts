/**
 * Every limit of the relay room, unit last, with the reason behind its default. `RelayLimits` is what an
 * operator may change; the constants below are rules of the protocol.
 */
export interface RelayLimits {
  /** Inbound connections in all (03 §4.1: the reference's 1000 + 1000; ours is bounded by descriptors). */
  connectionsMax: number;
  /** Inbound connections of type C that completed their hello. */
  clientsMax: number;
  /** Inbound connections of type M or H. */
  ledgerInboundMax: number;
  /** Connections that have not completed their hello: what half-open floods may hold. */
  preHelloConnectionsMax: number;
  /** Of those, per source address: one host must not take all places. */
  preHelloPerSourceMax: number;
  /** Bytes of one stream message (07 §3.8: avatars and file packets of about 100 kB must pass). */
  messageBytesMax: number;
  /** Wallet or device changes kept in the presence store. */
  presencesMax: number;
  /** Requests to the ledger open at once, all clients together (09 §13 remedy 3). */
  ledgerRequestsMax: number;
  /** The same per client connection. */
  ledgerRequestsPerClientMax: number;
  /** Requests a connection may make per second, averaged (lookups, presences, subscriptions). */
  requestsPerSecond: number;
  /** Requests a connection may make at once above the average. */
  requestsBurst: number;
  /** Stream messages a connection may send per second, averaged. */
  messagesPerSecond: number;
  /** Stream messages a connection may send at once above the average. */
  messagesBurst: number;
  /** The same for connections that did not prove their wallet's key. */
  unprovenMessagesPerSecond: number;
  /** Transactions a connection may submit per second, averaged (10 §9.1). */
  transactionsPerSecond: number;
  /** Transactions a connection may submit at once above the average (10 §9.1). */
  transactionsBurst: number;
}

export const DEFAULT_RELAY_LIMITS: RelayLimits = {
  connectionsMax: 16_000,
  clientsMax: 15_000,
  ledgerInboundMax: 200,
  preHelloConnectionsMax: 4_000,
  preHelloPerSourceMax: 1_000,
  messageBytesMax: 2 * 1024 * 1024,
  presencesMax: 1_000_000,
  ledgerRequestsMax: 16_384,
  ledgerRequestsPerClientMax: 64,
  requestsPerSecond: 100,
  requestsBurst: 1_000,
  messagesPerSecond: 1_000,
  messagesBurst: 5_000,
  unprovenMessagesPerSecond: 20,
  transactionsPerSecond: 1,
  transactionsBurst: 5,
};

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
