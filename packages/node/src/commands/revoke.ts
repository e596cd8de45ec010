import { type ExitCode, exitCodes } from '../exit-codes.ts'
import type { RevokeReport } from '../mesh-answers.ts'
import { askMesh, type MeshFlags, printJson } from '../mesh-command.ts'
import { printableName } from '../printable.ts'
import type { Surroundings } from '../settings.ts'

/** `modmesh revoke`: ends a member or an invite, for good. */
export async function revoke(
  flags: MeshFlags & { readonly target: string; readonly why?: string },
  around: Surroundings,
): Promise<ExitCode> {
  const { target, why } = flags
  const report = await askMesh<RevokeReport>(flags, around, { command: 'revoke', target, why })
  if (flags.json) printJson('modmesh.revoke/1', report)
  else process.stdout.write(asText(report))
  return exitCodes.done
}

function asText({ peer, name, invite }: RevokeReport): string {
  const short = invite?.slice(0, 8)
  if (peer === null)
    return `Invite ${short}: nobody joins by it any more; who was counter-signed stays\n`
  const who = name === null ? peer : `${printableName(name)} (${peer})`
  const closed =
    short === undefined ? '' : `; the invite ${short} that it came by takes no new hosts`
  return `Revoked ${who}${closed}\n`
}
