/** Why a load test could not be run: wrong scenario, refused target, nobody could connect. */
export type LoadErrorKind = 'scenario' | 'target' | 'limits' | 'connect' | 'process';

/** An error that the person who starts a load test can act on. */
export class LoadError extends Error {
  override readonly name = 'LoadError';
  constructor(
    readonly kind: LoadErrorKind,
    message: string,
  ) {
    super(message);
  }
}
