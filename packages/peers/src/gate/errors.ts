import type { RefusalReason } from '../membership/errors.ts'

/** Tells that the other side did not accept our membership. */
export class RefusedByPeerError extends Error {
  readonly code = 'REFUSED_BY_PEER'
  override readonly name = 'RefusedByPeerError'
  /** Why, in the peer's words; undefined for a reason of a later version. */
  readonly reason: RefusalReason | undefined

  constructor(reason: RefusalReason | undefined, options?: ErrorOptions) {
    super(`the peer refused our membership: ${reason ?? 'unknown reason'}`, options)
    this.reason = reason
  }
}

/** Tells that the exchange of chains did not end: silence, a cut connection or no answer in time. */
export class AdmissionCutError extends Error {
  readonly code = 'ADMISSION_CUT'
  override readonly name = 'AdmissionCutError'
}

/** Tells that an address led back to ourselves. */
export class SelfDialError extends Error {
  readonly code = 'SELF_DIAL'
  override readonly name = 'SelfDialError'
}
