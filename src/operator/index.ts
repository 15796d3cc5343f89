export * from './config/index.js';
export { addHealthRoutes, addMetricsRoute } from './health.js';
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
export { type Bind, OpsServer, type OpsServerOptions, parseBind } from './ops-server.js';
