export * from './encryption.js';
export * from './envelope.js';
export * from './key-agreement.js';
export * from './payloads/index.js';
export * from './relay-error.js';
export * from './spixi-message.js';
export * from './stream-message.js';
