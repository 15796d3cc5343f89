export { chunkTime } from './chunk-time.js';
export * from './handshake.js';
export * from './hello-build.js';
export * from './inventory-batch.js';
export { walletKeyOf } from './kept-peer.js';
export * from './limits.js';
export * from './link.js';
export { numberLinksFor } from './link-ids.js';
export * from './link-memory.js';
export { resumeAnswerMs } from './link-resumption.js';
export * from './memory.js';
export { notReadyText, retryAfterOf, retryData } from './not-ready.js';
export * from './refuse.js';
export * from './relay-info.js';
export {
  type HeldTicket,
  type IssuedTicket,
  type RedeemedTicket,
  type TicketIssuer,
  TicketRefusal,
  type TicketStore,
} from './resumption.js';
export { crowdedBytes, priorityOf } from './send-queue.js';
export * from './subscriptions.js';
export * from './time.js';
export * from './transport.js';
export * from './types.js';
export * from './ws-client.js';
