import * as v from 'valibot'
import { decodeFields, encodeFields, exactBytes, plainText, someBytes } from './canonical-cbor.ts'
import { isSignedBy, keyBytes, signatureBytes, signBody } from './ed25519.ts'
import {
  maxBodyBytes,
  maxNameBytes,
  maxPeerIdBytes,
  maxRoleBytes,
  maxRoles,
  maxSiteBytes,
  maxUses,
} from './limits.ts'

/** Bytes of an invite's random serial number. */
export const serialBytes = 16

const inviteDomain = 'modmesh invite 1\n'
const memberDomain = 'modmesh member 1\n'

/** The exact bytes that were signed, and the signature. Unknown fields inside stay signed over. */
export interface SignedBody {
  readonly body: Uint8Array
  readonly signature: Uint8Array
}

/** Accepts the two byte strings of a signed body. */
export const signedBodySchema: v.GenericSchema<unknown, [Uint8Array, Uint8Array]> = v.strictTuple([
  someBytes(maxBodyBytes),
  exactBytes(signatureBytes),
])

const timeMs = v.pipe(v.number(), v.safeInteger(), v.minValue(0))

const inviteSchema = v.looseObject({
  v: v.literal(1),
  serial: exactBytes(serialBytes),
  key: exactBytes(keyBytes),
  from: timeMs,
  until: v.optional(timeMs),
  roles: v.pipe(v.array(plainText(maxRoleBytes)), v.maxLength(maxRoles)),
  site: v.optional(plainText(maxSiteBytes)),
  uses: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(maxUses))),
})

const memberSchema = v.looseObject({
  v: v.literal(1),
  peer: someBytes(maxPeerIdBytes),
  name: plainText(maxNameBytes),
  site: plainText(maxSiteBytes),
  at: timeMs,
})

/** What the root, or a member that may admit, lets the holder of an invite key sign. Times are milliseconds since 1970. */
export interface Invite {
  readonly v: 1
  readonly serial: Uint8Array
  readonly key: Uint8Array
  readonly from: number
  /** Absent: for ever. */
  readonly until?: number | undefined
  readonly roles: string[]
  readonly site?: string | undefined
  readonly uses?: number | undefined
}

/** What the invite key says of one host. */
export interface MemberClaim {
  readonly v: 1
  /** The bytes of its libp2p peer id. */
  readonly peer: Uint8Array
  readonly name: string
  readonly site: string
  readonly at: number
}

/** Signs an invite with the seed of the root or of a member that may admit. */
export function signInvite(invite: Invite, issuerSeed: Uint8Array): SignedBody {
  const body = encodeFields(v.parse(inviteSchema, invite))
  return { body, signature: signBody(inviteDomain, body, issuerSeed) }
}

/** Signs a member's claim with the invite seed. */
export function signMember(claim: MemberClaim, inviteSeed: Uint8Array): SignedBody {
  const body = encodeFields(v.parse(memberSchema, claim))
  return { body, signature: signBody(memberDomain, body, inviteSeed) }
}

/** Tells whether the owner of a public key signed an invite. */
export function isInviteSigned(signed: SignedBody, issuer: Uint8Array): boolean {
  return isSignedBy(inviteDomain, signed.body, signed.signature, issuer)
}

/** Tells whether an invite key signed a member's claim. */
export function isMemberSigned(signed: SignedBody, inviteKey: Uint8Array): boolean {
  return isSignedBy(memberDomain, signed.body, signed.signature, inviteKey)
}

/** Reads an invite's body. Throws on any other shape. */
export function parseInvite(body: Uint8Array): Invite {
  return v.parse(inviteSchema, decodeFields(body))
}

/** Reads a member's body. Throws on any other shape. */
export function parseMember(body: Uint8Array): MemberClaim {
  return v.parse(memberSchema, decodeFields(body))
}
