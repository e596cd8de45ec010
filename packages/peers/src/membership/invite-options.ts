import { randomBytes } from 'node:crypto'
import { isPlainText } from './canonical-cbor.ts'
import type { Invite } from './certificate.ts'
import { serialBytes } from './certificate.ts'
import { InvalidMembershipOptionError } from './errors.ts'
import {
  defaultInviteMs,
  maxAddressChars,
  maxInviteMs,
  maxNameBytes,
  maxSiteBytes,
  maxTicketAddresses,
  maxUses,
} from './limits.ts'
import { admitRole, inviteRoles } from './roles.ts'

/** What an invite grants; everything may be left out. */
export interface InviteOptions {
  /** The site that joining hosts will be in; their own `--site` when absent. */
  readonly site?: string | undefined
  readonly roles?: readonly string[] | undefined
  /** Life of the ticket, and of memberships by it that nobody counter-signed, milliseconds; defaultInviteMs when absent. */
  readonly expiresMs?: number | undefined
  /** How many hosts may be counter-signed. */
  readonly uses?: number | undefined
}

/** Builds the invite that options ask for. Throws InvalidMembershipOptionError. */
export function toInvite(options: InviteOptions, key: Uint8Array, nowMs: number): Invite {
  if (options.site !== undefined) checkSite(options.site)
  const lifeMs = options.expiresMs ?? defaultInviteMs
  if (!Number.isSafeInteger(lifeMs) || lifeMs <= 0 || lifeMs > maxInviteMs) {
    throw new InvalidMembershipOptionError('an invite lives between 1 ms and ten years')
  }
  return {
    v: 1,
    serial: new Uint8Array(randomBytes(serialBytes)),
    key,
    from: nowMs,
    until: nowMs + lifeMs,
    roles: checkRoles(options.roles ?? []),
    site: options.site,
    uses: checkUses(options.uses),
  }
}

/** Builds the invite of the node that makes the mesh: role `admit`, no end. */
export function founderInvite(key: Uint8Array, nowMs: number): Invite {
  const serial = new Uint8Array(randomBytes(serialBytes))
  return { v: 1, serial, key, from: nowMs, roles: [admitRole] }
}

/** Checks a site name. Throws InvalidMembershipOptionError. */
export function checkSite(site: string): void {
  if (isPlainText(site, maxSiteBytes) && site === site.trim()) return
  throw new InvalidMembershipOptionError(`a site is plain text of 1 to ${maxSiteBytes} bytes`)
}

/** Checks a node name. Throws InvalidMembershipOptionError. */
export function checkName(name: string): void {
  if (isPlainText(name, maxNameBytes) && name === name.trim()) return
  throw new InvalidMembershipOptionError(`a name is plain text of 1 to ${maxNameBytes} bytes`)
}

/** Returns the addresses that fit a ticket, in order. */
export function checkAddresses(addresses: readonly string[]): readonly string[] {
  return addresses.filter((one) => isPlainText(one, maxAddressChars)).slice(0, maxTicketAddresses)
}

function checkRoles(roles: readonly string[]): string[] {
  for (const role of roles) {
    if (!inviteRoles.includes(role)) {
      throw new InvalidMembershipOptionError(
        `unknown role ${JSON.stringify(role)}; known: ${inviteRoles.join(', ')}`,
      )
    }
  }
  return [...new Set(roles)]
}

function checkUses(uses: number | undefined): number | undefined {
  if (uses === undefined || (Number.isInteger(uses) && uses >= 1 && uses <= maxUses)) return uses
  throw new InvalidMembershipOptionError(`uses is a whole number from 1 to ${maxUses}`)
}
