import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { askMesh, type MeshFlags, printJson } from '../mesh-command.ts'
import type { Surroundings } from '../settings.ts'

/** `modmesh rekey`: gives the node a new key, which counts from its next start on. */
export async function rekey(flags: MeshFlags, around: Surroundings): Promise<ExitCode> {
  const report = await askMesh<{ mesh: string | null }>(flags, around, { command: 'rekey' })
  if (flags.json) printJson('modmesh.rekey/1', report)
  else process.stdout.write('The new key counts when the node starts again: restart it now\n')
  return exitCodes.done
}
