import { PrivateStanding } from '../../src/private/private-standing.ts'
import { type MemberNode, meet, memberNode } from './member-node.ts'

/** A member that is connected to nobody, and what it may do about private modules. */
export interface PrivateMember extends MemberNode {
  readonly standing: PrivateStanding
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

function withStanding(node: MemberNode): PrivateMember {
  const { membership, identity } = node
  const standing = new PrivateStanding(
    { membership, member: () => undefined },
    { privateKey: identity.privateKey },
  )
  return { ...node, standing }
}
