/** The decoder without generated code, which the package exports without types of its own. */
declare module 'msgpackr/index-no-eval' {
  export { Unpackr } from 'msgpackr';
}
