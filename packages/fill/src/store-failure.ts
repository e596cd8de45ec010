/** Our own disk failed: no other source can help, and nobody is to blame. */
export class StoreFailure extends Error {
  readonly code = 'STORE_FAILURE'
  constructor(cause: unknown) {
    super('the store failed', { cause })
    this.name = 'StoreFailure'
  }
}
