export {
  createVerifyPool,
  poolEngineNames,
  poolQueueItemsMax,
  type VerifyPoolOptions,
} from './verify-pool.js';
export * from './wallet-storage.js';
