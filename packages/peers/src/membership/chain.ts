import * as v from 'valibot'
import { decodeFields, encodeFields, exactBytes } from './canonical-cbor.ts'
import type { Invite, MemberClaim, SignedBody } from './certificate.ts'
import {
  isInviteSigned,
  isMemberSigned,
  parseInvite,
  parseMember,
  signedBodySchema,
} from './certificate.ts'
import { keyBytes } from './ed25519.ts'
import { NotAMemberError } from './errors.ts'
import { clockSkewMs, maxChainBytes } from './limits.ts'

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
  /** Hex serial of the invite it came by. */
  readonly invite: string
}

/** Root key, invite and member claim: everything a peer shows to prove membership. */
export interface Chain {
  readonly root: Uint8Array
  readonly invite: SignedBody
  readonly member: SignedBody
}

const chainSchema = v.looseObject({
  v: v.literal(1),
  root: exactBytes(keyBytes),
  invite: signedBodySchema,
  member: signedBodySchema,
})

/** Encodes a chain for the wire. Throws when it would pass maxChainBytes. */
export function encodeChain(chain: Chain): Uint8Array {
  const bytes = encodeFields({
    v: 1,
    root: chain.root,
    invite: [chain.invite.body, chain.invite.signature],
    member: [chain.member.body, chain.member.signature],
  })
  if (bytes.byteLength > maxChainBytes) throw new RangeError('the chain is too large')
  return bytes
}

/**
 * Checks a chain that `peerId` showed against our mesh's root key, link by link, and returns who it
 * is. `peerId` must be proven by the security handshake. Throws NotAMemberError.
 */
export function verifyChain(
  bytes: Uint8Array,
  expected: { readonly root: Uint8Array; readonly peerId: string; readonly peer: Uint8Array },
  nowMs: number,
): Member {
  const chain = parseChain(bytes)
  // Before any signature: a stranger cannot make us spend time on his keys.
  if (Buffer.compare(chain.root, expected.root) !== 0) {
    throw new NotAMemberError('other-mesh', 'the peer belongs to another mesh')
  }
  const { invite, claim } = verifyLinks(chain)
  if (Buffer.compare(claim.peer, expected.peer) !== 0) {
    throw new NotAMemberError('wrong-peer', 'the peer showed the membership of another peer')
  }
  checkTimes(invite, nowMs)
  return toMember(expected.peerId, invite, claim)
}

/** Reads a chain without checking signatures. Throws NotAMemberError. */
export function parseChain(bytes: Uint8Array): Chain {
  if (bytes.byteLength > maxChainBytes) {
    throw new NotAMemberError('too-large', `the chain is larger than ${maxChainBytes} bytes`)
  }
  const fields = refuse(() => decodeFields(bytes))
  checkVersion(fields['v'])
  const { root, invite, member } = refuse(() => v.parse(chainSchema, fields))
  return {
    root,
    invite: { body: invite[0], signature: invite[1] },
    member: { body: member[0], signature: member[1] },
  }
}

/** Checks both signatures of a chain and that invite and claim agree. Throws NotAMemberError. */
export function verifyLinks(chain: Chain): { invite: Invite; claim: MemberClaim } {
  if (!isInviteSigned(chain.invite, chain.root)) {
    throw new NotAMemberError('bad-signature', 'the invite is not signed by the root of the mesh')
  }
  const invite = refuse(() => parseInvite(chain.invite.body))
  if (!isMemberSigned(chain.member, invite.key)) {
    throw new NotAMemberError('bad-signature', 'the membership is not signed by its invite')
  }
  const claim = refuse(() => parseMember(chain.member.body))
  if (invite.site !== undefined && invite.site !== claim.site) {
    throw new NotAMemberError('malformed', 'the membership names another site than its invite')
  }
  return { invite, claim }
}

function checkTimes(invite: Invite, nowMs: number): void {
  if (nowMs + clockSkewMs < invite.from) {
    throw new NotAMemberError('not-yet-valid', 'the invite is not valid yet; compare the clocks')
  }
  if (invite.until !== undefined && nowMs >= invite.until) {
    throw new NotAMemberError(
      'expired',
      `the membership expired at ${new Date(invite.until).toISOString()}`,
    )
  }
}

/** Builds the member that a verified invite and claim describe. */
export function toMember(peerId: string, invite: Invite, claim: MemberClaim): Member {
  return {
    peerId,
    name: claim.name,
    site: claim.site,
    roles: invite.roles,
    expiresMs: invite.until,
    issuedMs: claim.at,
    invite: Buffer.from(invite.serial).toString('hex'),
  }
}

function checkVersion(version: unknown): void {
  if (typeof version === 'number' && version > 1) {
    throw new NotAMemberError('version', 'the peer shows a newer kind of membership')
  }
}

function refuse<T>(parse: () => T): T {
  try {
    return parse()
  } catch (cause) {
    throw new NotAMemberError('malformed', 'the peer showed no valid membership', { cause })
  }
}
