import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { askMesh, type MeshFlags, printJson } from '../mesh-command.ts'
import type { Surroundings } from '../settings.ts'

/** `modmesh leave`: the running node leaves its mesh and keeps what it holds. */
export async function leave(
  flags: MeshFlags & { readonly forgetRoot?: true },
  around: Surroundings,
): Promise<ExitCode> {
  const { forgetRoot } = flags
  const report = await askMesh<{ mesh: string | null }>(flags, around, {
    command: 'leave',
    forgetRoot,
  })
  if (flags.json) printJson('modmesh.leave/1', report)
  else {
    process.stdout.write(
      `Left mesh ${report.mesh}. Take its ticket out of MODMESH_JOIN and --join, if it is there\n`,
    )
  }
  return exitCodes.done
}
