import * as v from 'valibot'
import type { Fields } from './canonical-cbor.ts'
import { decodeFields, encodeFields, exactBytes, plainText, someBytes } from './canonical-cbor.ts'
import type { SignedBody } from './certificate.ts'
import { serialBytes } from './certificate.ts'
import { isSignedBy, keyBytes, signBody } from './ed25519.ts'
import {
  maxBodyBytes,
  maxModuleTextBytes,
  maxPeerIdBytes,
  maxReasonBytes,
  maxRoleBytes,
  maxRoles,
  secretBytes,
} from './limits.ts'

/** Bytes of a SHA-256. */
const hashBytes = 32

/** One kind of signed sentence: its domain keeps a signature from passing for another kind. */
export interface Statement<T> {
  sign(body: T, seed: Uint8Array): SignedBody
  isSigned(signed: SignedBody, publicKey: Uint8Array): boolean
  /** Throws on any other shape. */
  parse(body: Uint8Array): T
}

/** A member's counter-signature. Times are milliseconds since 1970, by the signer's clock. */
export interface Admission {
  readonly v: 1
  readonly peer: Uint8Array
  /** SHA-256 of the body of the invite that the member came by. */
  readonly invite: Uint8Array
  /** When the signer first saw the member. */
  readonly at: number
  /** Instead of the invite's; counts in the root's own admissions only. */
  readonly roles?: string[] | undefined
}

/** A host's old key names its new one. */
export interface Succession {
  readonly v: 1
  readonly peer: Uint8Array
  readonly next: Uint8Array
  readonly at: number
}

/** The old root names the new one, and by a hash whom it takes along. */
export interface Rotation {
  readonly v: 1
  /** Counts up from 1. */
  readonly seq: number
  readonly old: Uint8Array
  readonly next: Uint8Array
  readonly at: number
  /** SHA-256 of the list of kept members. */
  readonly keep: Uint8Array
}

/** Ends a member, closes an invite, or both. */
export interface Revocation {
  readonly v: 1
  readonly at: number
  readonly peer?: Uint8Array | undefined
  /** Serial: only who was counter-signed by then stays. */
  readonly invite?: Uint8Array | undefined
  readonly why?: string | undefined
}

/** A member ends its own membership by one invite. */
export interface Departure {
  readonly v: 1
  readonly at: number
  readonly peer: Uint8Array
  /** Serial. */
  readonly invite: Uint8Array
}

/** A counter-signer says that an invite's uses are spent. */
export interface Exhaustion {
  readonly v: 1
  readonly at: number
  /** Serial. */
  readonly invite: Uint8Array
}

/** A publisher says what a private module version is. */
export interface Publication {
  readonly v: 1
  /** The first root key of the mesh that it is said in. */
  readonly mesh: Uint8Array
  readonly peer: Uint8Array
  readonly path: string
  readonly version: string
  /** The SHA-256 in the h1 of the zip. */
  readonly zip: Uint8Array
  /** The SHA-256 in the h1 of the go.mod. */
  readonly mod: Uint8Array
  readonly at: number
}

/** A member makes the secret under which private modules are announced. */
export interface Keying {
  readonly v: 1
  /** The first root key of the mesh. */
  readonly mesh: Uint8Array
  readonly peer: Uint8Array
  /** Whose going was known: see endingsOf. Another one ends the secret. */
  readonly endings: Uint8Array
  readonly secret: Uint8Array
  readonly at: number
}

const timeMs = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const peer = someBytes(maxPeerIdBytes)
const serial = exactBytes(serialBytes)
const roles = v.pipe(v.array(plainText(maxRoleBytes)), v.maxLength(maxRoles))
const one = v.literal(1)

/** See Admission. */
export const admissions: Statement<Admission> = statement(
  'modmesh admission 1\n',
  v.looseObject({
    v: one,
    peer,
    invite: exactBytes(hashBytes),
    at: timeMs,
    roles: v.optional(roles),
  }),
)

/** See Succession. */
export const successions: Statement<Succession> = statement(
  'modmesh succession 1\n',
  v.looseObject({ v: one, peer, next: peer, at: timeMs }),
)

/** See Rotation. */
export const rotations: Statement<Rotation> = statement(
  'modmesh rotation 1\n',
  v.looseObject({
    v: one,
    seq: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
    old: exactBytes(keyBytes),
    next: exactBytes(keyBytes),
    at: timeMs,
    keep: exactBytes(hashBytes),
  }),
)

/** See Revocation. */
export const revocations: Statement<Revocation> = statement(
  'modmesh revocation 1\n',
  v.pipe(
    v.looseObject({
      v: one,
      at: timeMs,
      peer: v.optional(peer),
      invite: v.optional(serial),
      why: v.optional(plainText(maxReasonBytes)),
    }),
    v.check((body) => body.peer !== undefined || body.invite !== undefined),
  ),
)

/** See Departure. */
export const departures: Statement<Departure> = statement(
  'modmesh departure 1\n',
  v.looseObject({ v: one, at: timeMs, peer, invite: serial }),
)

/** See Exhaustion. */
export const exhaustions: Statement<Exhaustion> = statement(
  'modmesh exhaustion 1\n',
  v.looseObject({ v: one, at: timeMs, invite: serial }),
)

/** See Publication. */
export const publications: Statement<Publication> = statement(
  'modmesh private module 1\n',
  v.looseObject({
    v: one,
    mesh: exactBytes(keyBytes),
    peer,
    path: plainText(maxModuleTextBytes),
    version: plainText(maxModuleTextBytes),
    zip: exactBytes(hashBytes),
    mod: exactBytes(hashBytes),
    at: timeMs,
  }),
)

/** See Keying. */
export const keyings: Statement<Keying> = statement(
  'modmesh private names 1\n',
  v.looseObject({
    v: one,
    mesh: exactBytes(keyBytes),
    peer,
    endings: exactBytes(hashBytes),
    secret: exactBytes(secretBytes),
    at: timeMs,
  }),
)

function statement<T>(domain: string, schema: v.GenericSchema<unknown, T>): Statement<T> {
  return {
    sign(value, seed) {
      const body = encodeFields(v.parse(schema, value) as Fields)
      if (body.byteLength > maxBodyBytes) throw new RangeError('the statement is too large')
      return { body, signature: signBody(domain, body, seed) }
    },
    isSigned: ({ body, signature }, key) => isSignedBy(domain, body, signature, key),
    parse: (body) => v.parse(schema, decodeFields(body)),
  }
}
