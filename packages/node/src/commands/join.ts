import { type ExitCode, exitCodes } from '../exit-codes.ts'
import type { JoinReport } from '../mesh-answers.ts'
import { askMesh, type MeshFlags, printJson } from '../mesh-command.ts'
import { printableName } from '../printable.ts'
import { readSecret } from '../read-secret.ts'
import type { Surroundings } from '../settings.ts'

/** `modmesh join`: the running node joins a mesh; 20 when it could not reach a member yet. */
export async function join(
  flags: MeshFlags & { readonly file?: string | undefined },
  around: Surroundings,
): Promise<ExitCode> {
  const variable = around.env.MODMESH_JOIN
  const ticket = await readSecret({
    name: 'ticket',
    prefix: 'modmesh1',
    file: flags.file,
    variable,
  })
  const report = await askMesh<JoinReport>(flags, around, { command: 'join', ticket })
  const isAlone = report.connected.length === 0
  if (flags.json) printJson('modmesh.join/1', report)
  else process.stdout.write(asText(report))
  return isAlone ? exitCodes.degraded : exitCodes.done
}

function asText({ mesh, site, connected }: JoinReport): string {
  const place = `In mesh ${mesh}, site ${printableName(site)}`
  if (connected.length > 0)
    return `${place}, connected to ${connected.map(printableName).join(', ')}\n`
  return (
    `${place}; no member answers yet. The node keeps trying.\n` +
    'Why, if it stays so: modmesh status; in the log of the node: "a peer refuses this node"\n'
  )
}
