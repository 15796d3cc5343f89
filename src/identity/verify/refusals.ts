/**
 * A verify engine with a bounded queue did not take the items: nothing was spent on them and nothing is said about
 * their signatures. Try again later, or refuse whoever asked.
 */
export class VerifyBusy extends Error {
  override readonly name = 'VerifyBusy';
  constructor(readonly itemsMax: number) {
    super(`the verify queue is full (${itemsMax} items)`);
  }
}

/** No verdict was reached although the items were taken, e.g. because threads died with them. Says nothing of the signatures. */
export class VerifyFailed extends Error {
  override readonly name = 'VerifyFailed';
  constructor(message: string) {
    super(message);
  }
}
