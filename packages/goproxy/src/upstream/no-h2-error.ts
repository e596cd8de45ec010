/** A server chose another protocol than HTTP/2, which alone is wanted on this connection. */
export class NoH2Error extends Error {
  readonly code = 'NO_H2'
  constructor() {
    super('HTTP/2 is not offered')
    this.name = 'NoH2Error'
  }
}
