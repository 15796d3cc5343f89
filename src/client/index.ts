/**
 * The client SDK: find and reach people and devices by their address alone. Portable; what depends on the
 * runtime comes from `client/node` (TCP, WebSocket, file storage) or `client/web` (WebSocket, IndexedDB).
 *
 * @example The first message (run as it stands by test/client/readme-example.test.ts)
 * ```ts
 * import { StarlingClient } from 'starling-relay/client';
 * import { dialTcpRelay, FileStorage } from 'starling-relay/client/node';
 *
 * const client = await StarlingClient.open({
 *   wallet, // private key or signer
 *   network,
 *   relays: [{ host: relay }],
 *   storage: await FileStorage.open(folder),
 *   dial: dialTcpRelay(),
 * });
 * client.on('message', (m) => console.log(`${m.address}: ${m.text}`));
 * client.on('delivered', (d) => console.log(`${d.id} arrived after ${d.ms} ms`));
 * await client.start();
 * await client.addContact(friend);
 * await client.send(friend, 'Hello from Starling');
 * ```
 *
 * @packageDocumentation
 */
export { clientProductVersion, StarlingClient } from './client.js';
export * from './events.js';
export { sectorRelaysAsked } from './lookup.js';
export { RelayUnreachable } from './relay-connection.js';
export type { KnownRelay } from './relay-pool.js';
export * from './storage.js';
export { storageSecret } from './storage-secret.js';
export * from './types.js';
export { type WsDialOptions, wsDialler, wsTargetOf } from './ws-dial.js';
