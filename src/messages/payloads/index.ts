export * from './application.js';
export * from './contact.js';
export * from './transaction.js';
