export * from './snapshot-file.js';
