export { configDocs } from './docs.js';
export { type ConfigChange, setConfigValues } from './edit.js';
export { type FileEntry, parseConfigText } from './grammar.js';
export { nearest } from './nearest.js';
export {
  Config,
  ConfigError,
  type ConfigSources,
  type Origin,
  type Resolved,
  resolveConfig,
} from './resolve.js';
export { SECRET_MASK, sampleConfig, showConfig } from './sample.js';
export { environmentName, flagOf, SETTINGS, type Setting, type SettingKind } from './settings.js';
