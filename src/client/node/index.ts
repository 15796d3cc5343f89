export { storageSecret } from '../storage-secret.js';
export { type DialNodeOptions, dialTcpRelay, dialWsRelay } from './dial.js';
export { FileStorage, FileStorageError, type FileStorageOptions } from './file-storage.js';
