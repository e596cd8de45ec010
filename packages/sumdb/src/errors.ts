/** The database has no such record or tile (404, 410). */
export class SumdbNotFoundError extends Error {
  readonly code = 'SUMDB_NOT_FOUND'
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'SumdbNotFoundError'
  }
}

/** The database could not be asked, or answered with an error of its own. */
export class SumdbUnavailableError extends Error {
  readonly code = 'SUMDB_UNAVAILABLE'
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'SumdbUnavailableError'
  }
}

/** Two signed heads that cannot be one log's. New trust stops; both notes are kept as evidence. */
export class SumdbForkError extends Error {
  readonly code = 'SUMDB_FORK'
  readonly ours: string
  readonly theirs: string
  constructor(message: string, notes: { readonly ours: string; readonly theirs: string }) {
    super(
      `${message}\nour signed tree head:\n${notes.ours}\ntheir signed tree head:\n${notes.theirs}`,
    )
    this.name = 'SumdbForkError'
    this.ours = notes.ours
    this.theirs = notes.theirs
  }
}

/** A note, record, tile or proof that does not verify: its sender is to blame. */
export class SumdbUntrustedError extends Error {
  readonly code = 'SUMDB_UNTRUSTED'
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'SumdbUntrustedError'
  }
}

/** Somebody else advanced the stored head: read it again and retry. */
export class HeadConflictError extends Error {
  readonly code = 'SUMDB_HEAD_CONFLICT'
  constructor() {
    super('the stored tree head has changed meanwhile')
    this.name = 'HeadConflictError'
  }
}

/** A text that should be a verifier key and is not. */
export class InvalidVerifierKeyError extends Error {
  readonly code = 'INVALID_VERIFIER_KEY'
  constructor(text: string, reason: string) {
    super(`invalid verifier key ${JSON.stringify(text.slice(0, 200))}: ${reason}`)
    this.name = 'InvalidVerifierKeyError'
  }
}

/** A GOSUMDB setting that cannot be understood. */
export class InvalidGosumdbError extends Error {
  readonly code = 'INVALID_GOSUMDB'
  constructor(text: string, reason: string, options?: ErrorOptions) {
    super(`invalid GOSUMDB ${JSON.stringify(text.slice(0, 200))}: ${reason}`, options)
    this.name = 'InvalidGosumdbError'
  }
}

/** True for the errors that say something about the database or an answer, and not about this host. */
export function tellsOfDatabase(error: unknown): boolean {
  return (
    error instanceof SumdbNotFoundError ||
    error instanceof SumdbUnavailableError ||
    error instanceof SumdbUntrustedError
  )
}
