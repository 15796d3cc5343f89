export { type DialNodeOptions, dialTcpRelay, dialWsRelay } from './dial.js';
export { FileStorage, FileStorageError, type FileStorageOptions, storageSecret } from './file-storage.js';
