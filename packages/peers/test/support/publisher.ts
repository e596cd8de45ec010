import type { PeerId } from '@modmesh/fill'
import type { Member } from '../../src/membership/chain.ts'
import { PrivateStanding } from '../../src/private/private-standing.ts'
import { type MemberNode, meet, memberNode } from './member-node.ts'

/** A member without a network, and what it may do about private modules. */
export interface PrivateMember extends MemberNode {
  readonly standing: PrivateStanding
  /** Members that it is connected to. */
  readonly connected: Map<PeerId, Member>
}

/** Makes a mesh; its founder is an administrator. */
export async function founder(): Promise<PrivateMember> {
  const node = await memberNode({ name: 'root' })
  await node.membership.invite({}, [])
  return withStanding(node)
}

/** Joins with a ticket of `root` for these roles, and is counter-signed unless `isProvisional`. */
export async function joined(
  root: PrivateMember,
  name: string,
  roles: readonly string[],
  init: { readonly isProvisional?: true; readonly expiresMs?: number } = {},
): Promise<PrivateMember> {
  const { isProvisional, expiresMs } = init
  const ticket = await root.membership.invite({ roles: [...roles], expiresMs }, [])
  const clock = { ms: root.clock.ms }
  const member = await memberNode({ name, ticket }, { clock })
  if (isProvisional !== true) await meet(root, member)
  return withStanding(member)
}

/** Connects both, as the gate would: each proves to the other who it is. */
export function connect(a: PrivateMember, b: PrivateMember): void {
  const show = (of: PrivateMember, at: PrivateMember): void => {
    const chain = of.membership.chain() ?? new Uint8Array()
    at.connected.set(of.peerId, at.membership.verify(chain, of.peerId))
  }
  show(a, b)
  show(b, a)
}

function withStanding(node: MemberNode): PrivateMember {
  const connected = new Map<PeerId, Member>()
  const { membership, identity } = node
  const standing = new PrivateStanding(
    { membership, member: (peer) => connected.get(peer) },
    { privateKey: identity.privateKey },
  )
  return { ...node, standing, connected }
}
