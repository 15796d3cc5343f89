export { type DoctorReport, type Finding, reportOf, type Verdict } from './finding.js';
export { Greeter, type Greeting } from './greet.js';
export { otherFilesMax, thisMachine } from './machine.js';
export { DOCTOR_CHECKS, runDoctor, seedGreetings } from './run.js';
export { findRunning } from './running.js';
export type { Machine, PortUse, Running, SeedGreeting, Subject } from './subject.js';
