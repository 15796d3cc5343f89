export { poolGivesWay, poolThreads } from './give-way.js';
export {
  openVerifier,
  type Verifier,
  type VerifierChoice,
  type VerifierOptions,
  type VerifierPlace,
} from './verifier.js';
export {
  createVerifyPool,
  defaultVerifyThreads,
  poolQueueItemsMax,
  threadEngineOf,
  type VerifyPool,
  type VerifyPoolOptions,
  type VerifyPoolStats,
} from './verify-pool.js';
export * from './wallet-storage.js';
