export * from './limits.js';
export * from './link.js';
export * from './transport.js';
export * from './types.js';
