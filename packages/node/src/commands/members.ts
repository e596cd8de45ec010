import { formatDuration } from '../duration.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import type { MemberLine, MembersReport } from '../mesh-answers.ts'
import { askMesh, type MeshFlags, printJson } from '../mesh-command.ts'
import { printableName } from '../printable.ts'
import type { Surroundings } from '../settings.ts'

const heading = ['NAME', 'SITE', 'STANDING', 'ROLES', 'SEEN', 'INVITE', 'PEER ID']

/** `modmesh members`: who belongs to the mesh, as far as this node knows. */
export async function members(flags: MeshFlags, around: Surroundings): Promise<ExitCode> {
  const report = await askMesh<MembersReport>(flags, around, { command: 'members' })
  if (flags.json) printJson('modmesh.members/1', report)
  else process.stdout.write(asText(report, Date.now()))
  return exitCodes.done
}

function asText({ mesh, members: list }: MembersReport, nowMs: number): string {
  if (mesh === null) return 'This node is in no mesh. To make one: modmesh invite\n'
  const rows = [heading, ...list.map((member) => row(member, nowMs))]
  const widths = heading.map((_, at) => Math.max(...rows.map((cells) => cells[at]?.length ?? 0)))
  const lines = rows.map((cells) =>
    cells
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd(),
  )
  return `${lines.join('\n')}\n`
}

function row(member: MemberLine, nowMs: number): string[] {
  const { name, site, standing, roles, invite, peer } = member
  return [
    printableName(name),
    printableName(site),
    standing,
    roles.length === 0 ? '-' : roles.map(printableName).join(','),
    seen(member, nowMs),
    invite.slice(0, 8),
    peer,
  ]
}

function seen({ self, connected, lastSeenAt }: MemberLine, nowMs: number): string {
  if (self) return 'this node'
  if (connected) return 'connected'
  if (lastSeenAt === null) return 'not here'
  return `${formatDuration(nowMs - Date.parse(lastSeenAt))} ago`
}
