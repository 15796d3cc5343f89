/** Exit codes of the `starling` command (docs/protocol/11 §12.4). */
export const Exit = {
  ok: 0,
  failed: 1,
  /** Wrong configuration or wrong use of the command line. */
  configuration: 2,
  wallet: 3,
  portInUse: 4,
  dataFolder: 5,
} as const;

export type Exit = (typeof Exit)[keyof typeof Exit];

/** An error that a person can act on: its message is shown without a stack, its code ends the process. */
export class CliError extends Error {
  override readonly name = 'CliError';
  constructor(
    message: string,
    readonly exitCode: number = Exit.failed,
    /** What to do about it, shown on a line of its own. */
    readonly hint = '',
  ) {
    super(message);
  }
}

/** Wrong use of the command line. */
export function usageError(message: string, hint = ''): CliError {
  return new CliError(message, Exit.configuration, hint);
}
