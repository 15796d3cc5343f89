export { addressRanges, clientAddress, type ForwardedHeader } from './client-address.js';
export { type CreateHttpServerOptions, createHttpServer } from './http.js';
export * from './http-server.js';
export { addIxianRoutes, type IxianRoutes } from './ixian-routes.js';
export * from './probe.js';
export { httpBodyBytesMax, plainAnswer } from './router.js';
export {
  adoptTcp,
  DialError,
  type DialTcpOptions,
  dialTcp,
  type ListenTcpOptions,
  listenTcp,
  resetTcp,
} from './tcp.js';
export { turnReadBytes } from './tcp-reads.js';
export { dialNodeWs } from './ws-client.js';
