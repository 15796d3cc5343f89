export * from './contact.js';
export * from './encryption.js';
export * from './envelope.js';
export * from './handshake.js';
export { requestContactLegacy } from './handshake-legacy.js';
export * from './incoming.js';
export * from './key-agreement.js';
export * from './offline-push.js';
export * from './outgoing.js';
export * from './outgoing-queue.js';
export * from './payloads/index.js';
export * from './relay-error.js';
export {
  closeSecureConnection,
  openingAgeSecondsMax,
  openSecureConnection,
} from './secure-connection.js';
export * from './spixi-message.js';
export * from './stream-message.js';
export {
  glareWaitHigherSeconds,
  glareWaitLowerSeconds,
  type HandshakeContext,
  type HandshakeEffect,
  type HandshakeOutcome,
  type LocalProfile,
  ReservedId,
} from './turn.js';
