import * as v from 'valibot'
import { hex, isEqual, sha256 } from './bytes.ts'
import { decodeFields, encodeFields, exactBytes, someBytes } from './canonical-cbor.ts'
import type { SignedBody } from './certificate.ts'
import { parseChain } from './chain.ts'
import { signatureBytes } from './ed25519.ts'
import { InvalidRecordError } from './errors.ts'
import { judgeSigner } from './judge.ts'
import {
  keptBytes,
  maxBodyBytes,
  maxChainBytes,
  maxKnownMembers,
  maxRecordBytes,
  recordIdBytes,
} from './limits.ts'
import type { MeshView } from './mesh-view.ts'
import type { Proof } from './proof.ts'
import { isSignedByPeer, lastOf, proveChain } from './proof.ts'
import { mayAdmit, mayRevoke } from './roles.ts'
import type {
  Departure,
  Exhaustion,
  Revocation,
  Rotation,
  Statement,
  Succession,
} from './statement.ts'
import { departures, exhaustions, revocations, rotations, successions } from './statement.ts'

/** A signed sentence that members keep and pass on, and who said it. */
export type LedgerFact =
  | { readonly kind: 'revoke'; readonly body: Revocation }
  | { readonly kind: 'rotate'; readonly body: Rotation }
  | { readonly kind: 'leave'; readonly body: Departure }
  | { readonly kind: 'succeed'; readonly body: Succession }
  | { readonly kind: 'spend'; readonly body: Exhaustion }

/** A record as it is kept and sent. */
export interface LedgerRecord {
  /** Hex of the first bytes of the SHA-256 of `bytes`. */
  readonly id: string
  readonly bytes: Uint8Array
  readonly fact: LedgerFact
  readonly signed: SignedBody
  /** Chain of the member that signed; absent: the root did. */
  readonly by: Uint8Array | undefined
  /** Members that a rotation takes along; absent where only its header is known. */
  readonly keep: Uint8Array | undefined
}

/** Who signed a record: a root key by its number, or a member by its peer id in hex. */
export type Signer =
  | { readonly kind: 'root'; readonly index: number }
  | { readonly kind: 'member'; readonly peer: string }

const statements: {
  readonly revoke: Statement<Revocation>
  readonly rotate: Statement<Rotation>
  readonly leave: Statement<Departure>
  readonly succeed: Statement<Succession>
  readonly spend: Statement<Exhaustion>
} = {
  revoke: revocations,
  rotate: rotations,
  leave: departures,
  succeed: successions,
  spend: exhaustions,
}

const recordSchema = v.looseObject({
  v: v.literal(1),
  kind: v.picklist(['revoke', 'rotate', 'leave', 'succeed', 'spend']),
  body: someBytes(maxBodyBytes),
  signature: exactBytes(signatureBytes),
  by: v.optional(someBytes(maxChainBytes)),
  keep: v.optional(
    v.pipe(
      v.instance(Uint8Array),
      v.check(({ byteLength }) => byteLength <= maxKnownMembers * keptBytes),
      v.check(({ byteLength }) => byteLength % keptBytes === 0),
    ),
  ),
})

/** Writes a record. */
export function formatRecord(
  kind: LedgerFact['kind'],
  signed: SignedBody,
  extra: { readonly by?: Uint8Array | undefined; readonly keep?: Uint8Array | undefined } = {},
): Uint8Array {
  return encodeFields({ v: 1, kind, ...signed, ...extra })
}

/** Returns the id of a record, in hex. */
export function recordId(bytes: Uint8Array): string {
  return hex(sha256(bytes).subarray(0, recordIdBytes))
}

/** Reads a record without checking who signed it. Throws InvalidRecordError. */
export function parseRecord(bytes: Uint8Array): LedgerRecord {
  if (bytes.byteLength > maxRecordBytes) throw new InvalidRecordError('the record is too large')
  try {
    const { kind, body, signature, by, keep } = v.parse(recordSchema, decodeFields(bytes))
    const fact = { kind, body: statements[kind].parse(body) } as LedgerFact
    return { id: recordId(bytes), bytes, fact, signed: { body, signature }, by, keep }
  } catch (cause) {
    throw new InvalidRecordError('the record cannot be read', { cause })
  }
}

/**
 * Checks that a record is signed by somebody who may say such a thing. Throws InvalidRecordError, or
 * NotAMemberError when the signer is none any more.
 */
export function checkRecord(record: LedgerRecord, view: MeshView): Signer {
  const { fact } = record
  switch (fact.kind) {
    case 'rotate':
      return checkRotation(record, fact.body, view)
    case 'revoke':
      return checkAuthority(record, revocations, { view, may: mayRevoke, atMs: fact.body.at })
    case 'spend':
      return checkAuthority(record, exhaustions, { view, may: mayAdmit, atMs: fact.body.at })
    case 'leave': {
      const proof = checkOwnWord(record, departures, view)
      if (isEqual(proof.invite.serial, fact.body.invite)) return signerOf(proof)
      throw new InvalidRecordError('the record names another invite than its signer’s')
    }
    case 'succeed':
      return signerOf(checkOwnWord(record, successions, view))
  }
}

function checkRotation(
  { signed, keep }: LedgerRecord,
  body: Rotation,
  { roots }: MeshView,
): Signer {
  const last = roots.at(-1)
  const index = roots.length - 1
  if (last === undefined || !isEqual(last, body.old) || body.seq !== roots.length) {
    throw new InvalidRecordError('the record changes another root key than ours')
  }
  if (!rotations.isSigned(signed, last)) throw notSigned()
  if (keep === undefined || !isEqual(sha256(keep), body.keep)) {
    throw new InvalidRecordError('the list of kept members is not the signed one')
  }
  return { kind: 'root', index }
}

function checkAuthority<T>(
  { signed, by }: LedgerRecord,
  kind: Statement<T>,
  rule: {
    readonly view: MeshView
    readonly may: (roles: readonly string[]) => boolean
    readonly atMs: number
  },
): Signer {
  const { view, may, atMs } = rule
  const last = view.roots.at(-1)
  if (by === undefined) {
    // A former root's word may be a thief's: who has the new one says it again.
    if (last === undefined || !kind.isSigned(signed, last)) throw notSigned()
    return { kind: 'root', index: view.roots.length - 1 }
  }
  const proof = proveChain(parseChain(by), view.roots)
  judgeSigner(proof, view, atMs)
  if (!may(proof.roles)) throw new InvalidRecordError('its signer lacks the role')
  if (!isSignedByPeer(kind, signed, lastOf(proof.peers))) throw notSigned()
  return signerOf(proof)
}

/** Only who was counter-signed: else everybody with a ticket could make records without end. */
function checkOwnWord<T extends { readonly peer: Uint8Array; readonly at: number }>(
  record: LedgerRecord,
  kind: Statement<T>,
  view: MeshView,
): Proof {
  const { signed, by } = record
  if (by === undefined) throw notSigned()
  const proof = proveChain(parseChain(by), view.roots)
  const { peer, at } = kind.parse(signed.body)
  judgeSigner(proof, view, at)
  if (proof.admission === undefined) throw new InvalidRecordError('its signer is provisional')
  const own = lastOf(proof.peers)
  if (!isEqual(own, peer) || !isSignedByPeer(kind, signed, own)) throw notSigned()
  return proof
}

function signerOf(proof: Proof): Signer {
  return { kind: 'member', peer: hex(lastOf(proof.peers)) }
}

function notSigned(): InvalidRecordError {
  return new InvalidRecordError('the record is not signed by who may say this')
}
