import { hex, isEqual } from './bytes.ts'
import type { Member } from './chain.ts'
import { parseChain } from './chain.ts'
import { NotAMemberError } from './errors.ts'
import { clockSkewMs } from './limits.ts'
import type { MeshView } from './mesh-view.ts'
import type { Proof } from './proof.ts'
import { lastOf, namedPeer, proveChain } from './proof.ts'
import { adminRole } from './roles.ts'

/** Whose chain is expected. */
export interface Expected {
  readonly view: MeshView
  readonly peerId: string
  readonly peer: Uint8Array
}

/**
 * Checks a chain that `peerId` showed against what we know of our mesh, link by link, and returns
 * who it is. `peerId` must be proven by the security handshake. Throws NotAMemberError.
 */
export function verifyChain(bytes: Uint8Array, expected: Expected, nowMs: number): Member {
  const chain = parseChain(bytes)
  // Chains are no secret: a stranger's copy of one must not cost us its signatures.
  if (
    isEqual(chain.root, expected.view.roots[0] ?? chain.root) &&
    !isEqual(namedPeer(chain), expected.peer)
  ) {
    throw new NotAMemberError('wrong-peer', 'the peer showed the membership of another peer')
  }
  const proof = proveChain(chain, expected.view.roots)
  judge(proof, expected.view, nowMs)
  return toMember(expected.peerId, proof, bytes)
}

/** Decides whether what a chain proves counts at a time. Throws NotAMemberError. */
export function judge(proof: Proof, view: MeshView, nowMs: number): void {
  judgeStanding(proof, view, nowMs)
  for (const peer of proof.peers) {
    if (view.leftMs(peer, proof.invite.serial) !== undefined) {
      throw new NotAMemberError('revoked', 'the peer left the mesh; it needs a new ticket')
    }
  }
  const successor = view.successor(lastOf(proof.peers))
  if (successor !== undefined) {
    throw new NotAMemberError('revoked', 'the peer has another key now')
  }
}

/** Judges a member that signed something at a time: it may have left or changed its key since. */
export function judgeSigner(proof: Proof, view: MeshView, atMs: number): void {
  judgeStanding(proof, view, atMs)
  const last = lastOf(proof.peers)
  const ends = [view.leftMs(last, proof.invite.serial), view.successor(last)?.atMs]
  if (ends.some((endMs) => endMs !== undefined && atMs > endMs)) {
    throw new NotAMemberError('revoked', 'a member that had left vouches for the peer')
  }
}

function judgeStanding(proof: Proof, view: MeshView, atMs: number): void {
  // First: of several reasons this is the one that people should hear.
  checkRevocations(proof, view)
  checkVoucher(proof, view)
  checkTimes(proof, atMs)
  checkInvite(proof, view)
}

function checkVoucher({ voucher, peers, admission, invite }: Proof, view: MeshView): void {
  if (voucher.kind === 'member') {
    judgeSigner(voucher.proof, view, admission?.at ?? invite.from)
  } else if (!peers.some((peer) => view.isKept(peer, voucher.index))) {
    throw new NotAMemberError(
      'old-root',
      'the root key of the mesh was changed without this peer; it needs a new ticket',
    )
  }
}

function checkTimes({ invite, admission }: Proof, nowMs: number): void {
  // Who counter-signed saw the invite good: a clock that is wrong puts no such member out.
  if (admission === undefined && nowMs + clockSkewMs < invite.from) {
    throw new NotAMemberError('not-yet-valid', 'the invite is not valid yet; compare the clocks')
  }
  const { until } = invite
  if (until === undefined) return
  // A counter-signature outlives the invite; it must have been given while the invite was good.
  const isOver = admission === undefined ? nowMs >= until : admission.at >= until + clockSkewMs
  if (!isOver) return
  throw new NotAMemberError('expired', `the membership expired at ${new Date(until).toISOString()}`)
}

function checkRevocations(proof: Proof, view: MeshView): void {
  const { peers } = proof
  for (const [at, peer] of peers.entries()) {
    const revocation = view.revocation(peer)
    // Administrators cannot revoke one another: only the root can.
    if (revocation === 'by-root' || (revocation !== undefined && !isAdministrator(proof))) {
      throw new NotAMemberError('revoked', 'the peer was revoked')
    }
    const next = peers[at + 1]
    const successor = view.successor(peer)
    if (next !== undefined && successor !== undefined && !isEqual(successor.next, next)) {
      throw new NotAMemberError('revoked', 'the peer’s key was changed to another one')
    }
  }
}

function checkInvite({ invite, admission }: Proof, view: MeshView): void {
  const closedMs = view.closedMs(invite.serial)
  if (closedMs !== undefined && (admission === undefined || admission.at > closedMs)) {
    throw new NotAMemberError('revoked', 'the invite that the peer came by was revoked')
  }
  if (admission === undefined && view.isSpent(invite.serial)) {
    throw new NotAMemberError('used-up', 'the invite that the peer came by is used up')
  }
}

function isAdministrator({ admission, roles, voucher }: Proof): boolean {
  return admission !== undefined && voucher.kind === 'root' && roles.includes(adminRole)
}

/** Builds the member that a proof describes. */
export function toMember(peerId: string, proof: Proof, chain: Uint8Array): Member {
  const { invite, claim, admission } = proof
  return {
    peerId,
    name: claim.name,
    site: claim.site,
    roles: proof.roles,
    expiresMs: admission === undefined ? invite.until : undefined,
    issuedMs: claim.at,
    admittedMs: admission?.at,
    rank: rankOf(proof),
    invite: hex(invite.serial),
    uses: invite.uses,
    origin: hex(claim.peer),
    chain,
  }
}

function rankOf({ admission, voucher }: Proof): number {
  if (admission === undefined) return 0
  return voucher.kind === 'root' ? rootRank(voucher.index) : memberRank
}

/** The rank of who is counter-signed by a member. */
export const memberRank = 1

/** The rank of who is counter-signed by the root key of that number. */
export function rootRank(index: number): number {
  return index + 2
}
