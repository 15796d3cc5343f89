export { DevChain, DevChainError } from './chain.js';
export { Coordinator } from './coordinator.js';
export {
  BLOCK_INTERVAL_MS,
  type CoordinatorEvent,
  type CoordinatorOptions,
  EXPIRY_MS,
  KEEP_ALIVE_MS,
} from './options.js';
export { DEV_BLOCK_VERSION, nextBlock } from './recipe.js';
