import { sha256 } from './bytes.ts'
import type { Invite, MemberClaim, SignedBody } from './certificate.ts'
import { signInvite, signMember } from './certificate.ts'
import type { Chain } from './chain.ts'
import { newSeed, publicKeyOf } from './ed25519.ts'
import { founderInvite } from './invite-options.ts'
import type { Proof } from './proof.ts'
import { lastOf } from './proof.ts'
import { adminRole, admitRole } from './roles.ts'
import { admissions } from './statement.ts'

/** Who signs: the holder of the root key, or a member that may admit, with its own chain. */
export type Authority =
  | { readonly kind: 'root'; readonly seed: Uint8Array }
  | { readonly kind: 'member'; readonly seed: Uint8Array; readonly chain: Uint8Array }

/** Makes the chain of a node that holds the root key: an administrator, without end. */
export function foundingChain(
  root: { readonly first: Uint8Array; readonly seed: Uint8Array },
  claim: Omit<MemberClaim, 'v'>,
  rotations: readonly SignedBody[],
): Chain {
  // The seed is forgotten after this one signature: nobody can join by the founder's invite.
  const seed = newSeed()
  const invite = signInvite(founderInvite(publicKeyOf(seed), claim.at), root.seed)
  const roles = [adminRole, admitRole]
  const admission = signAdmission(root.seed, invite, { peer: claim.peer, at: claim.at, roles })
  const member = signMember({ v: 1, ...claim }, seed)
  return { root: root.first, invite, member, admission, rotations }
}

/** Counter-signs a proven chain, with the roles that it has or, by the root, with others. */
export function counterSign(
  chain: Chain,
  proof: Proof,
  by: Authority,
  given: {
    readonly atMs: number
    readonly roles?: readonly string[] | undefined
    readonly rotations: readonly SignedBody[]
  },
): Chain {
  const isRoot = by.kind === 'root'
  const roles = isRoot ? differing(given.roles ?? proof.roles, proof.invite) : undefined
  const peer = lastOf(proof.peers)
  return {
    ...chain,
    // Who counter-signs vouches for the invite, too.
    issuer: undefined,
    admission: signAdmission(by.seed, chain.invite, { peer, at: given.atMs, roles }),
    by: isRoot ? undefined : by.chain,
    rotations: given.rotations,
  }
}

function signAdmission(
  seed: Uint8Array,
  invite: SignedBody,
  given: { readonly peer: Uint8Array; readonly at: number; readonly roles: string[] | undefined },
): SignedBody {
  return admissions.sign({ v: 1, invite: sha256(invite.body), ...given }, seed)
}

function differing(roles: readonly string[], invite: Invite): string[] | undefined {
  return roles.join() === invite.roles.join() ? undefined : [...roles]
}
