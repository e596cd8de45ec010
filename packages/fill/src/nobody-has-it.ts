/** Neither a peer nor the remote store has what was asked for. */
export class NobodyHasItError extends Error {
  readonly code = 'NOBODY_HAS_IT'
  constructor() {
    super('no peer has it')
    this.name = 'NobodyHasItError'
  }
}
