import { isEqual, sha256 } from './bytes.ts'
import type { Invite, MemberClaim, SignedBody } from './certificate.ts'
import { isInviteSigned, isMemberSigned, parseInvite, parseMember } from './certificate.ts'
import type { Chain } from './chain.ts'
import { parseChain, refuseMalformed } from './chain.ts'
import { NotAMemberError } from './errors.ts'
import { maxSignerDepth } from './limits.ts'
import { publicKeyOfPeer } from './peer-key.ts'
import { mayAdmit, mayGive } from './roles.ts'
import type { Admission, Statement } from './statement.ts'
import { admissions, rotations, successions } from './statement.ts'

/** What the signatures of a chain prove; whether it counts now is another question (see judge). */
export interface Proof {
  readonly invite: Invite
  readonly claim: MemberClaim
  readonly admission: Admission | undefined
  /** The host's keys: the claimed one, then those it changed to. */
  readonly peers: readonly [Uint8Array, ...Uint8Array[]]
  readonly roles: readonly string[]
  /** Who vouches: the root key of that number, or a member. */
  readonly voucher:
    | { readonly kind: 'root'; readonly index: number }
    | { readonly kind: 'member'; readonly proof: Proof }
}

/**
 * Checks every signature of a chain, from the mesh's root keys down. Says nothing of times, nor of
 * revocations. Throws NotAMemberError.
 */
export function proveChain(chain: Chain, roots: readonly Uint8Array[], depth = 0): Proof {
  const [first] = roots
  // Before any signature: a stranger cannot make us spend time on his keys.
  if (first === undefined || !isEqual(chain.root, first)) {
    throw new NotAMemberError('other-mesh', 'the peer belongs to another mesh')
  }
  const known = extendRoots(roots, chain.rotations ?? [])
  const voucher = proveVoucher(chain, known, depth)
  const invite = refuseMalformed(() => parseInvite(chain.invite.body))
  const claim = proveClaim(chain, invite)
  const peers = proveSuccessions(claim.peer, chain.successions ?? [])
  const admission = chain.admission && proveAdmission(chain.admission, chain.invite, peers)
  const isByRoot = voucher.kind === 'root'
  if (!isByRoot) checkGiven(voucher.proof, invite, chain, known)
  const roles = (isByRoot ? admission?.roles : undefined) ?? invite.roles
  return { invite, claim, admission, peers, roles, voucher }
}

/** Adds the roots that signed rotations lead to. Throws NotAMemberError when one leads elsewhere. */
export function extendRoots(
  roots: readonly Uint8Array[],
  headers: readonly SignedBody[],
): readonly Uint8Array[] {
  const known = [...roots]
  for (const header of headers) {
    const { old, next } = refuseMalformed(() => rotations.parse(header.body))
    if (known.some((root) => isEqual(root, next))) continue
    const last = known.at(-1)
    if (last === undefined || !isEqual(last, old) || !rotations.isSigned(header, last)) {
      throw new NotAMemberError('bad-signature', 'the peer follows another change of the root key')
    }
    known.push(next)
  }
  return known
}

/** Returns the peer that a chain names last; nothing of it is checked. Throws NotAMemberError. */
export function namedPeer({ member, successions: list = [] }: Chain): Uint8Array {
  const last = list.at(-1)
  return refuseMalformed(() =>
    last === undefined ? parseMember(member.body).peer : successions.parse(last.body).next,
  )
}

function proveVoucher(chain: Chain, roots: readonly Uint8Array[], depth: number): Proof['voucher'] {
  const { admission, invite } = chain
  const signer = admission === undefined ? chain.issuer : chain.by
  const isSigned = (key: Uint8Array): boolean =>
    admission === undefined ? isInviteSigned(invite, key) : admissions.isSigned(admission, key)
  if (signer === undefined) {
    // The newest first: that is the one which is used.
    const index = roots.findLastIndex(isSigned)
    if (index >= 0) return { kind: 'root', index }
    const what = admission === undefined ? 'invite' : 'counter-signature'
    throw new NotAMemberError('bad-signature', `the ${what} is not signed by the root of the mesh`)
  }
  const proof = proveSigner(signer, roots, depth)
  const key = publicKeyOfPeer(lastOf(proof.peers))
  if (key === undefined || !isSigned(key)) {
    throw new NotAMemberError('bad-signature', 'the membership is not signed by who vouches for it')
  }
  return { kind: 'member', proof }
}

function proveSigner(bytes: Uint8Array, roots: readonly Uint8Array[], depth: number): Proof {
  if (depth >= maxSignerDepth) {
    throw new NotAMemberError('malformed', 'the chain has too many links')
  }
  const proof = proveChain(parseChain(bytes), roots, depth + 1)
  if (mayAdmit(proof.roles)) return proof
  throw new NotAMemberError('bad-signature', 'a member without the role to admit signed')
}

function proveClaim(chain: Chain, invite: Invite): MemberClaim {
  if (!isMemberSigned(chain.member, invite.key)) {
    throw new NotAMemberError('bad-signature', 'the membership is not signed by its invite')
  }
  const claim = refuseMalformed(() => parseMember(chain.member.body))
  if (invite.site !== undefined && invite.site !== claim.site) {
    throw new NotAMemberError('malformed', 'the membership names another site than its invite')
  }
  return claim
}

function proveSuccessions(first: Uint8Array, list: readonly SignedBody[]): Proof['peers'] {
  const peers: [Uint8Array, ...Uint8Array[]] = [first]
  for (const signed of list) {
    const body = refuseMalformed(() => successions.parse(signed.body))
    const old = lastOf(peers)
    if (!isEqual(body.peer, old) || !isSignedByPeer(successions, signed, old)) {
      throw new NotAMemberError('bad-signature', 'a change of key is not signed by the old key')
    }
    peers.push(body.next)
  }
  return peers
}

function proveAdmission(signed: SignedBody, invite: SignedBody, peers: Proof['peers']): Admission {
  const admission = refuseMalformed(() => admissions.parse(signed.body))
  if (!isEqual(admission.invite, sha256(invite.body))) {
    throw new NotAMemberError('malformed', 'the counter-signature is for another invite')
  }
  if (!peers.some((peer) => isEqual(peer, admission.peer))) {
    throw new NotAMemberError('wrong-peer', 'the counter-signature is for another peer')
  }
  return admission
}

/** Nobody hands on more than he has. What the root itself gave may be counter-signed by anybody who admits. */
function checkGiven(
  signer: Proof,
  invite: Invite,
  chain: Chain,
  roots: readonly Uint8Array[],
): void {
  if (mayGive(signer.roles, invite.roles)) return
  const isRoots = roots.some((root) => isInviteSigned(chain.invite, root))
  if (chain.admission !== undefined && isRoots) return
  throw new NotAMemberError('bad-signature', 'the invite gives roles that its signer has not')
}

/** Tells whether a statement is signed by the key inside a peer id. */
export function isSignedByPeer<T>(
  kind: Statement<T>,
  signed: SignedBody,
  peer: Uint8Array,
): boolean {
  const key = publicKeyOfPeer(peer)
  return key !== undefined && kind.isSigned(signed, key)
}

/** Counts the members that vouch for one another between a host and the root. */
export function depthOf({ voucher }: Proof): number {
  return voucher.kind === 'root' ? 0 : 1 + depthOf(voucher.proof)
}

/** Returns the key that a host has now. */
export function lastOf(peers: Proof['peers']): Uint8Array {
  return peers.at(-1) ?? peers[0]
}
