export * from './wallet-storage.js';
