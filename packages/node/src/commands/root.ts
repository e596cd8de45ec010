import { type ExitCode, exitCodes } from '../exit-codes.ts'
import type { MemberLine } from '../mesh-answers.ts'
import { askMesh, type MeshFlags, printJson } from '../mesh-command.ts'
import { printableName } from '../printable.ts'
import { readSecret } from '../read-secret.ts'
import type { Surroundings } from '../settings.ts'

/** `modmesh root export`: the root key alone on stdout; the rest on stderr. */
export async function exportRoot(flags: MeshFlags, around: Surroundings): Promise<ExitCode> {
  const report = await askMesh<{ mesh: string; key: string }>(flags, around, {
    command: 'root-export',
  })
  if (flags.json) printJson('modmesh.root-export/1', report)
  else {
    process.stderr.write(
      `The root key of mesh ${report.mesh}: whoever has it rules the mesh. Keep it off the network.\n` +
        'To use it: modmesh root import FILE\n',
    )
    process.stdout.write(`${report.key}\n`)
  }
  return exitCodes.done
}

/** `modmesh root import`: makes the running node an administrator that holds the root key. */
export async function importRoot(
  flags: MeshFlags & { readonly file?: string | undefined },
  around: Surroundings,
): Promise<ExitCode> {
  const key = await readSecret({ name: 'root key', prefix: 'modmesh-root-', file: flags.file })
  const report = await askMesh<{ mesh: string }>(flags, around, { command: 'root-import', key })
  if (flags.json) printJson('modmesh.root-import/1', report)
  else process.stdout.write(`This node holds the root key of mesh ${report.mesh} now\n`)
  return exitCodes.done
}

/** `modmesh root grant`: makes a member an administrator. */
export async function grantRoot(
  flags: MeshFlags & { readonly target: string },
  around: Surroundings,
): Promise<ExitCode> {
  const { target } = flags
  const member = await askMesh<MemberLine>(flags, around, { command: 'root-grant', target })
  if (flags.json) printJson('modmesh.root-grant/1', { member })
  else {
    const when = member.connected ? '' : ', once it is connected'
    process.stdout.write(
      `${printableName(member.name)} (${member.peer}) may invite, counter-sign and revoke${when}\n`,
    )
  }
  return exitCodes.done
}

/** `modmesh root rotate`: changes the root key of the mesh. */
export async function rotateRoot(flags: MeshFlags, around: Surroundings): Promise<ExitCode> {
  const report = await askMesh<{ mesh: string; kept: number }>(flags, around, {
    command: 'root-rotate',
  })
  if (flags.json) printJson('modmesh.root-rotate/1', report)
  else {
    process.stdout.write(
      `Mesh ${report.mesh} has a new root key, on this node. Members that stay: ${report.kept}, with this node.\n` +
        'Tickets given out before admit nobody any more. Keep a copy: modmesh root export\n',
    )
  }
  return exitCodes.done
}
