export * from './relays.js';
export * from './select.js';
export * from './tree.js';
