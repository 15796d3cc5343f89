export {
  chooseVerifyEngine,
  type EngineChoice,
  type EngineChoiceOptions,
  threadEngineNames,
  type WhyChosen,
} from './choose.js';
export { createVerifyEngine, EngineUnavailable, verifyEngineNames } from './create.js';
export { EngineClosed, type VerifyEngine, type VerifyEngineName, type VerifyItem } from './engine.js';
export {
  type EngineCost,
  type MeasureClock,
  measureBudgetMs,
  measureEngines,
  measureItems,
  systemMeasureClock,
} from './measure.js';
export { VerifyBusy, VerifyFailed } from './refusals.js';
export { passesSelfTest } from './self-test.js';
