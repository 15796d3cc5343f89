export * from './bytes.js';
export * from './codes.js';
export * from './errors.js';
export * from './reader.js';
export * from './writer.js';
