/** Why a chain was refused. Codes are part of the gate's wire format (docs/protocols/membership.md). */
export type RefusalReason =
  | 'malformed'
  | 'too-large'
  | 'version'
  | 'other-mesh'
  | 'bad-signature'
  | 'wrong-peer'
  | 'not-yet-valid'
  | 'expired'
  | 'no-mesh'
  | 'revoked'
  | 'used-up'
  | 'old-root'

/** Tells that a peer did not prove membership of our mesh. Nothing of it may be believed. */
export class NotAMemberError extends Error {
  readonly code = 'NOT_A_MEMBER'
  override readonly name = 'NotAMemberError'
  readonly reason: RefusalReason

  constructor(reason: RefusalReason, message: string, options?: ErrorOptions) {
    super(message, options)
    this.reason = reason
  }
}

/** Why a ticket was refused. */
export type TicketProblem =
  | 'not-a-ticket'
  | 'version'
  | 'too-long'
  | 'truncated'
  | 'damaged'
  | 'malformed'
  | 'bad-signature'
  | 'expired'

/** Tells that a text is no usable ticket. The message never repeats the ticket: it is a secret. */
export class InvalidTicketError extends Error {
  readonly code = 'INVALID_TICKET'
  override readonly name = 'InvalidTicketError'
  readonly problem: TicketProblem

  constructor(problem: TicketProblem, message: string, options?: ErrorOptions) {
    super(message, options)
    this.problem = problem
  }
}

/** Tells that this node may not do what was asked, such as inviting without the root key. */
export class NotAllowedError extends Error {
  readonly code = 'NOT_ALLOWED'
  override readonly name = 'NotAllowedError'
}

/** Tells that a node of one mesh was given a ticket of another. */
export class OtherMeshError extends Error {
  readonly code = 'OTHER_MESH'
  override readonly name = 'OtherMeshError'
}

/** Tells that an option of an invite, a name or a site cannot be used. */
export class InvalidMembershipOptionError extends Error {
  readonly code = 'INVALID_MEMBERSHIP_OPTION'
  override readonly name = 'InvalidMembershipOptionError'
}

/** Tells that the stored membership cannot be read or belongs to another identity. It is never replaced in silence. */
export class MembershipStateError extends Error {
  readonly code = 'MEMBERSHIP_STATE'
  override readonly name = 'MembershipStateError'
}

/** Tells that a record of the ledger is not what its signer may say. It is neither kept nor passed on. */
export class InvalidRecordError extends Error {
  readonly code = 'INVALID_RECORD'
  override readonly name = 'InvalidRecordError'
}

/** Tells that a text is no usable root key. The message never repeats it: it is a secret. */
export class InvalidRootKeyError extends Error {
  readonly code = 'INVALID_ROOT_KEY'
  override readonly name = 'InvalidRootKeyError'
}

/** Tells that a name fits no member and no invite that this node knows, or several. */
export class UnknownMemberError extends Error {
  readonly code = 'UNKNOWN_MEMBER'
  override readonly name = 'UnknownMemberError'
}
