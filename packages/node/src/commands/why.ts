import { askNode } from '../control-socket/client.ts'
import { UsageError } from '../errors.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { printJson } from '../mesh-command.ts'
import { type FlagTexts, readDirOption } from '../read-options.ts'
import type { Surroundings } from '../settings.ts'
import type { WhyReport } from '../why-report.ts'
import { formatWhy } from '../why-text.ts'

/** A node under full load still answers in this time. Milliseconds. */
const answerTimeoutMs = 10_000

/** `modmesh why PATH@VERSION`: how it was answered and would be now; 1 when it is not held and nobody asked for it. */
export async function why(
  flags: FlagTexts & { readonly json?: true; readonly module: string },
  around: Surroundings,
): Promise<ExitCode> {
  const { module } = flags
  if (!module.includes('@')) {
    throw new UsageError(`${JSON.stringify(module)} is not allowed; it takes PATH@VERSION`)
  }
  const dir = await readDirOption(flags, around)
  const signal = AbortSignal.timeout(answerTimeoutMs)
  const report = (await askNode(dir, { command: 'why', module }, { signal })) as WhyReport
  if (flags.json) printJson('modmesh.why/1', report)
  else process.stdout.write(`${formatWhy(report, Date.now()).join('\n')}\n`)
  return report.held === null && report.trace === null ? exitCodes.failed : exitCodes.done
}
