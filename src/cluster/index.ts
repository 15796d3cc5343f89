export * from './bus.js';
export { type BusLimits, DEFAULT_BUS_LIMITS, spareDescriptors } from './limits.js';
export { MemoryHub } from './memory.js';
export { MeshBus, type MeshOptions } from './mesh.js';
export { ProcessBus, type ProcessBusOptions } from './process-bus.js';
