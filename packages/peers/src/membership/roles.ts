/** May invite others and counter-sign memberships. */
export const admitRole = 'admit'
/** May also revoke. Only the root gives it, by its own admission. */
export const adminRole = 'admin'
/** May state the hash of a private module. */
const publisherRole = 'publisher'
/** Is given private modules, where the mesh shares them. */
const privateRole = 'private'

/** The roles that an invite can give. */
export const inviteRoles: readonly string[] = [admitRole, publisherRole, privateRole]

/** Whether somebody with these roles may invite and counter-sign. */
export function mayAdmit(roles: readonly string[]): boolean {
  return roles.includes(admitRole) || roles.includes(adminRole)
}

/** Whether the word of somebody with these roles counts for a private module. Who gives a role has it. */
export function mayPublish(roles: readonly string[]): boolean {
  return roles.includes(publisherRole) || roles.includes(adminRole)
}

/** Whether somebody with these roles may be given private modules: publishers, too. */
export function mayHavePrivate(roles: readonly string[]): boolean {
  return roles.includes(privateRole) || mayPublish(roles)
}

/** Whether somebody with these roles may revoke. */
export function mayRevoke(roles: readonly string[]): boolean {
  return roles.includes(adminRole)
}

/** Whether a member with the roles `own` may give the roles `given`: nobody gives more than he has. */
export function mayGive(own: readonly string[], given: readonly string[]): boolean {
  if (given.includes(adminRole)) return false
  return own.includes(adminRole) || given.every((role) => own.includes(role))
}
