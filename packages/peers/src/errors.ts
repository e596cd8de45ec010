/** Bytes that are not our protocol, or beyond its limits: the sender is to blame. */
export class ProtocolError extends Error {
  readonly code = 'PROTOCOL'
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'ProtocolError'
  }
}

/** The session ended before the answer; nobody's fault. */
export class SessionClosedError extends Error {
  readonly code = 'SESSION_CLOSED'
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'SessionClosedError'
  }
}

/** A peer speaks no version of the control protocol that we speak; nobody's fault. */
export class NoCommonVersionError extends Error {
  readonly code = 'NO_COMMON_VERSION'
  /** What the peer speaks. */
  readonly versions: readonly number[]
  constructor(versions: readonly number[]) {
    super(`peer speaks control versions ${versions.join(', ')} only`)
    this.name = 'NoCommonVersionError'
    this.versions = versions
  }
}

/** A peer answered that it cannot or will not answer now, or not in time. */
export class QueryFailedError extends Error {
  readonly code = 'QUERY_FAILED'
  readonly reason: 'busy' | 'unsupported' | 'failed' | 'timeout'
  constructor(reason: QueryFailedError['reason']) {
    super(`query not answered: ${reason}`)
    this.name = 'QueryFailedError'
    this.reason = reason
  }
}

/** it-length-prefixed and libp2p export no classes for these; their names are the contract. */
const lengthErrors: ReadonlySet<string> = new Set([
  'InvalidMessageLengthError',
  'InvalidDataLengthError',
  'InvalidDataLengthLengthError',
])

/** Whether an error says that the peer's bytes break the protocol. */
export function isProtocolFault(error: unknown): boolean {
  return error instanceof ProtocolError || (error instanceof Error && lengthErrors.has(error.name))
}
