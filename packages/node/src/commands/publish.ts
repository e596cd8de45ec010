import { UsageError } from '../errors.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { askMesh, type MeshFlags, printJson } from '../mesh-command.ts'
import { escapeInvisible, printableName } from '../printable.ts'
import type { PublishReport } from '../publishing.ts'
import type { Surroundings } from '../settings.ts'

/** Milliseconds. */
const answerTimeoutMs = 15_000
/** For each version the other publishers are asked, and its go.mod is fetched where it is not held. Milliseconds. */
const eachTimeoutMs = 5_000

/** `modmesh publish`: signs private versions into the mesh; 1 when none was signed, 20 when not all were. */
export async function publish(
  flags: MeshFlags & { readonly names: readonly string[] },
  around: Surroundings,
): Promise<ExitCode> {
  const { names } = flags
  for (const name of names) checkName(name)
  const request = { command: 'publish', modules: [...names] } as const
  const timeoutMs = answerTimeoutMs + names.length * eachTimeoutMs
  const report = await askMesh<PublishReport>(flags, around, request, { timeoutMs })
  if (flags.json) printJson('modmesh.publish/1', report)
  else process.stdout.write(asText(report))
  for (const { module, reason } of report.failed) {
    const text = reason.split('\n').map(escapeInvisible).join('\n  ')
    process.stderr.write(`modmesh: ${printableName(module)}: ${text}\n`)
  }
  if (report.failed.length === 0) return exitCodes.done
  return report.published.length === 0 ? exitCodes.failed : exitCodes.degraded
}

function checkName(name: string): void {
  if (name.includes('@')) return
  throw new UsageError(`${JSON.stringify(name)} is not allowed; it takes PATH@VERSION`)
}

function asText({ published }: PublishReport): string {
  return published
    .map(({ module, zip, mod, publisher }) => {
      const by = `published ${printableName(module)} as ${printableName(publisher)}`
      return `${by}\n  zip    ${zip}\n  go.mod ${mod}\n`
    })
    .join('')
}
