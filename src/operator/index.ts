export {
  ApiAccess,
  type ApiUser,
  hashPassword,
  hostAllowed,
  isForeign,
  parseAllowList,
  parseApiUser,
  type Role,
} from './api/auth.js';
export type { ApiBackend } from './api/backend.js';
export { type Ban, Bans } from './api/bans.js';
export { apiDocs } from './api/docs.js';
export { type ApiCompat, RpcCode } from './api/envelope.js';
export { LEDGER_METHODS, METHODS, type Method } from './api/methods.js';
export { openApiDocument } from './api/openapi.js';
export { misfits, type Schema } from './api/schema.js';
export {
  type ApiBind,
  ApiServer,
  type ApiServerOptions,
  type AuditEntry,
  bindIsLoopback,
  parseApiBind,
} from './api/server.js';
export { V1_ROUTES } from './api/v1.js';
export type { V1Route } from './api/v1-route.js';
export { addAppRoutes } from './app-page.js';
export { ClusterOperator, type ClusterTotals } from './cluster.js';
export * from './config/index.js';
export * from './doctor/index.js';
export {
  awayMax,
  Drain,
  type DrainOptions,
  type DrainState,
  moveClients,
  spreadByes,
  stopGracefully,
} from './drain.js';
export { addHealthRoutes, addMetricsRoute } from './health.js';
export { limitsDocument } from './limits-doc.js';
export { LiveFeed, type LiveFormat, liveViewersMax } from './live/feed.js';
export {
  LIVE_SERIES,
  type LiveDetail,
  type LiveDrop,
  type LiveHello,
  type LiveMessage,
  type LivePeer,
  type LiveRelay,
  type LiveSeries,
  LiveStore,
  type LiveTick,
  type LiveValues,
} from './live/index.js';
export { DataFolderLock, DataFolderLocked, lockHolder } from './lock.js';
export {
  EventLog,
  formatted,
  isLogLevel,
  LOG_LEVELS,
  type LogFormat,
  type LogLevel,
  type LogOptions,
  levelsFrom,
  levelsOfBits,
  logLinesBurst,
  type ModuleLevels,
  moduleLevels,
  shortAddress,
} from './log.js';
export { LOG_EVENTS, LOG_MODULES, type LogEvent, type LogModule } from './log-events.js';
export { LOG_FILE, LogFile, type LogFileOptions } from './log-file.js';
export { measuredEngine } from './measured-engine.js';
export * from './metrics/names.js';
export {
  contentTypeOf,
  formatFor,
  type MetricsFormat,
  renderMetrics,
  type Sampled,
} from './metrics/render.js';
export { RuntimeMonitor } from './metrics/runtime.js';
export { type Check, CORE_COMPAT, type NodeFacts, type ReadyTerms, RelayNode } from './node.js';
export { type Accepted, type Bind, OpsServer, type OpsServerOptions, parseBind } from './ops-server.js';
export { Page, type PageName, type PageOptions } from './pages.js';
export { limitsOf, limitsPart, Reloader, type ReloadPart, type ReloadResult } from './reload.js';
export { replaceFile } from './replace-file.js';
export { UpdateCheck, type UpdateState } from './update-check.js';
