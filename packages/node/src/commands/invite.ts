import * as v from 'valibot'
import { formatDuration, parseDuration } from '../duration.ts'
import { UsageError } from '../errors.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import type { Invitation } from '../mesh-answers.ts'
import { askMesh, type MeshFlags, printJson } from '../mesh-command.ts'
import { nameValue } from '../option-values.ts'
import type { Surroundings } from '../settings.ts'

type InviteFlags = MeshFlags & {
  readonly site?: string
  readonly roles?: string
  readonly expires?: string
  readonly uses?: string
}

/** `modmesh invite`: the ticket alone on stdout, so that it can be piped; the rest on stderr. */
export async function invite(flags: InviteFlags, around: Surroundings): Promise<ExitCode> {
  if (flags.site !== undefined && !v.is(nameValue, flags.site)) {
    throw new UsageError('--site: it takes 1 to 64 letters, digits, dots, dashes and underscores')
  }
  const invitation = await askMesh<Invitation>(flags, around, {
    command: 'invite',
    site: flags.site,
    roles: flags.roles === undefined ? undefined : readRoles(flags.roles),
    expiresMs: flags.expires === undefined ? undefined : parseDuration('--expires', flags.expires),
    uses: flags.uses === undefined ? undefined : readUses(flags.uses),
  })
  if (flags.json) {
    printJson('modmesh.invite/1', invitation)
    return exitCodes.done
  }
  process.stderr.write(explain(invitation))
  process.stdout.write(`${invitation.ticket}\n`)
  return exitCodes.done
}

function explain({ mesh, invite: serial, expiresAt, uses, roles }: Invitation): string {
  const left = formatDuration(Date.parse(expiresAt) - Date.now())
  const hosts = uses === null ? '' : ` and ${uses === 1 ? 'one host' : `${uses} hosts`}`
  const also = roles.length === 0 ? '' : `, with the roles ${roles.join(', ')}`
  return (
    `Ticket for mesh ${mesh}, good for ${left}${hosts}${also}; keep it secret. On the other host:\n` +
    '  modmesh start --join FILE      or: MODMESH_JOIN=<ticket> modmesh start\n' +
    `To take it back: modmesh revoke ${serial.slice(0, 8)}\n`
  )
}

function readRoles(text: string): string[] {
  return text
    .split(',')
    .map((role) => role.trim())
    .filter((role) => role !== '')
}

function readUses(text: string): number {
  const uses = Number(text)
  if (Array.from(text).every((c) => c >= '0' && c <= '9') && uses >= 1) return uses
  throw new UsageError(
    `--uses: ${JSON.stringify(text)} is not allowed; it takes a number of hosts, 1 or more`,
  )
}
