/** Message codes of a v6 frame (docs/protocol/03 §6). Gaps in the numbering are retired. */
export const Code = {
  hello: 0,
  helloData: 1,
  bye: 2,
  rejected: 3,
  getKeepAlives: 6,
  keepAlivesChunk: 7,
  transactionData2: 8,
  blockData2: 9,
  blockSignature2: 13,
  getBlockSignatures2: 14,
  getSignatures3: 15,
  signaturesChunk2: 17,
  getSectorNodes: 18,
  sectorNodes: 19,
  getPIT2: 21,
  pitData2: 22,
  updatePresence: 24,
  s2data: 26,
  s2failed: 27,
  s2signature: 28,
  getBalance2: 30,
  balance2: 31,
  keepAlivePresence: 34,
  getPresence2: 36,
  getUnappliedTransactions: 38,
  attachEvent: 40,
  detachEvent: 41,
  getNameRecord: 43,
  nameRecord: 44,
  getBlockHeaders3: 46,
  blockHeaders3: 47,
  getRandomPresences: 48,
  getBlockHeaders4: 49,
  blockHeaders4: 50,
  getWalletStateChunk: 51,
  walletStateChunk: 52,
  syncWalletState: 53,
  walletState: 54,
  getBlock3: 55,
  getTransactions2: 56,
  getTransaction3: 58,
  inventory2: 59,
  transactionsChunk3: 60,
} as const;

export type Code = (typeof Code)[keyof typeof Code];

/** Bye codes (03 §5.2). */
export const Bye = {
  blockInvalid: 100,
  bye: 200,
  expectingMaster: 400,
  deprecated: 501,
  incorrectNetworkType: 502,
  insufficientFunds: 599,
  incorrectIp: 600,
  notConnectable: 601,
  tooFarBehind: 602,
  authFailed: 603,
  addressMismatch: 604,
  rejected: 605,
  notReady: 700,
} as const;

export type Bye = (typeof Bye)[keyof typeof Bye];

/** The two lines of the protocol that are deployed side by side (docs/protocol/03, "Version skew"). */
export type ProtocolLine = '0.9.7' | '0.9.8';

/** Node types (03 §3.1). */
export type NodeType = 'M' | 'H' | 'R' | 'C' | 'W';

/** A network and what separates it from the others (02 §7, 03 §5.5). */
export interface Network {
  readonly name: 'main' | 'test' | 'reg';
  /** ASCII bytes prepended to most signed pre-images. */
  readonly lock: Uint8Array;
  /** The flag in hello: true on test and reg. */
  readonly testFlag: boolean;
  readonly dltPort: number;
  readonly relayPort: number;
}

const lock = (text: string): Uint8Array => new TextEncoder().encode(text);

export const NETWORKS: { readonly [K in Network['name']]: Network } = {
  main: { name: 'main', lock: lock('Ixian'), testFlag: false, dltPort: 10234, relayPort: 10235 },
  test: { name: 'test', lock: lock('IxiTest'), testFlag: true, dltPort: 11234, relayPort: 11235 },
  reg: { name: 'reg', lock: lock('IxiReg'), testFlag: true, dltPort: 11234, relayPort: 11235 },
};
