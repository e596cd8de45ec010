import * as v from 'valibot'
import { decodeFields, encodeFields, exactBytes, someBytes } from './canonical-cbor.ts'
import type { SignedBody } from './certificate.ts'
import { signedBodySchema } from './certificate.ts'
import { keyBytes } from './ed25519.ts'
import { NotAMemberError } from './errors.ts'
import { maxChainBytes, maxRotations, maxSuccessions } from './limits.ts'

/** The site of a node that names none. */
export const defaultSite = 'default'

/** A verified member of our mesh. */
export interface Member {
  /** The libp2p peer id in text form. */
  readonly peerId: string
  readonly name: string
  readonly site: string
  readonly roles: readonly string[]
  /** When the membership ends, milliseconds since 1970, or undefined when never. */
  readonly expiresMs: number | undefined
  /** When the member signed its certificate, by its own clock. */
  readonly issuedMs: number
  /** When a counter-signer first saw it, or undefined while nobody did. */
  readonly admittedMs: number | undefined
  /** How much its voucher counts: 0 nobody's yet, 1 a member's, 2 the first root's, 3 the second's. */
  readonly rank: number
  /** Hex serial of the invite it came by. */
  readonly invite: string
  /** How many hosts may come by that invite, or undefined when any number. */
  readonly uses: number | undefined
  /** Hex of the key that it joined with, whatever key it has now. */
  readonly origin: string
  /** What it showed. */
  readonly chain: Uint8Array
}

/**
 * Everything a peer shows to prove membership: root key, invite and member claim, and what came
 * later. The first three are all that programs of the first version know.
 */
export interface Chain {
  /** The first root key of the mesh. */
  readonly root: Uint8Array
  readonly invite: SignedBody
  readonly member: SignedBody
  /** Chain of the member that signed the invite; absent: the root did, or there is an admission. */
  readonly issuer?: Uint8Array | undefined
  /** Counter-signature. */
  readonly admission?: SignedBody | undefined
  /** Chain of the member that counter-signed; absent: the root did. */
  readonly by?: Uint8Array | undefined
  /** Changes of the host's key since the claim, in order. */
  readonly successions?: readonly SignedBody[] | undefined
  /** Changes of the root, in order. */
  readonly rotations?: readonly SignedBody[] | undefined
}

const someChain = someBytes(maxChainBytes)

const chainSchema = v.looseObject({
  v: v.literal(1),
  root: exactBytes(keyBytes),
  invite: signedBodySchema,
  member: signedBodySchema,
  issuer: v.optional(someChain),
  admission: v.optional(signedBodySchema),
  by: v.optional(someChain),
  successions: v.optional(v.pipe(v.array(signedBodySchema), v.maxLength(maxSuccessions))),
  rotations: v.optional(v.pipe(v.array(signedBodySchema), v.maxLength(maxRotations))),
})

/** Encodes a chain for the wire. Throws RangeError when it would pass maxChainBytes. */
export function encodeChain(chain: Chain): Uint8Array {
  const bytes = encodeFields({
    v: 1,
    root: chain.root,
    invite: pair(chain.invite),
    member: pair(chain.member),
    issuer: chain.issuer,
    admission: chain.admission && pair(chain.admission),
    by: chain.by,
    successions: pairs(chain.successions),
    rotations: pairs(chain.rotations),
  })
  if (bytes.byteLength > maxChainBytes) throw new RangeError('the chain is too large')
  return bytes
}

/** Reads a chain without checking signatures. Throws NotAMemberError. */
export function parseChain(bytes: Uint8Array): Chain {
  if (bytes.byteLength > maxChainBytes) {
    throw new NotAMemberError('too-large', `the chain is larger than ${maxChainBytes} bytes`)
  }
  const fields = refuseMalformed(() => decodeFields(bytes))
  checkVersion(fields['v'])
  const chain = refuseMalformed(() => v.parse(chainSchema, fields))
  return {
    root: chain.root,
    invite: signedBody(chain.invite),
    member: signedBody(chain.member),
    issuer: chain.issuer,
    admission: chain.admission && signedBody(chain.admission),
    by: chain.by,
    successions: chain.successions?.map(signedBody),
    rotations: chain.rotations?.map(signedBody),
  }
}

/** Turns whatever a parser throws into NotAMemberError. */
export function refuseMalformed<T>(parse: () => T): T {
  try {
    return parse()
  } catch (cause) {
    throw new NotAMemberError('malformed', 'the peer showed no valid membership', { cause })
  }
}

function checkVersion(version: unknown): void {
  if (typeof version === 'number' && version > 1) {
    throw new NotAMemberError('version', 'the peer shows a newer kind of membership')
  }
}

function signedBody([body, signature]: readonly [Uint8Array, Uint8Array]): SignedBody {
  return { body, signature }
}

function pair({ body, signature }: SignedBody): [Uint8Array, Uint8Array] {
  return [body, signature]
}

function pairs(list: readonly SignedBody[] | undefined): [Uint8Array, Uint8Array][] | undefined {
  return list === undefined || list.length === 0 ? undefined : list.map(pair)
}
