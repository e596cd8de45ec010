import { askNode } from '../control-socket/client.ts'
import { hideArguments } from '../engine.ts'
import { NodeNotRunningError, UsageError } from '../errors.ts'
import type { ExitCode } from '../exit-codes.ts'
import { flagName, optionNames } from '../options.ts'
import { platformsOf } from '../prefetch/platforms.ts'
import { type PrefetchReport, prefetchExitCode } from '../prefetch/prefetch-report.ts'
import { type PrefetchRequest, packFiles } from '../prefetch/prefetch-request.ts'
import { formatPrefetch } from '../prefetch/prefetch-text.ts'
import { readProjectFiles } from '../prefetch/project-files.ts'
import { showPrefetch } from '../prefetch/show-prefetch.ts'
import { type FlagTexts, readDirOption } from '../read-options.ts'
import type { Surroundings } from '../settings.ts'

type PrefetchFlags = FlagTexts & {
  readonly json?: true
  readonly names: readonly string[]
  readonly pin?: string
  readonly all?: true
  readonly toolchains?: string | true
}

/** `modmesh prefetch`: has everything held that projects need; 20 when something is missing, 23 when a hash is wrong. */
export async function prefetch(flags: PrefetchFlags, around: Surroundings): Promise<ExitCode> {
  hideArguments('prefetch')
  if (flags.pin === '') throw new UsageError('--pin: the project needs a name')
  const request: PrefetchRequest = {
    command: 'prefetch',
    ...packFiles(await readProjectFiles(flags.names, around.cwd)),
    platforms: platformsOf(flags.toolchains),
    all: flags.all === true,
    pin: flags.pin,
  }
  const { onProgress, end } = showPrefetch(process.stderr)
  // As long as it takes: it tells how it goes on, and can be cut.
  const { signal } = new AbortController()
  const options = { signal, onProgress }
  const report = await ask(request, flags, around, options).finally(end)
  const json = `${JSON.stringify({ schema: 'modmesh.prefetch/1', ...report })}\n`
  process.stdout.write(flags.json ? json : formatPrefetch(report))
  return prefetchExitCode(report)
}

/** By the node that runs, else by one for this time. */
async function ask(
  request: PrefetchRequest,
  flags: PrefetchFlags,
  around: Surroundings,
  options: { readonly signal: AbortSignal; readonly onProgress: (progress: unknown) => void },
): Promise<PrefetchReport> {
  const dir = await readDirOption(flags, around)
  try {
    const report = (await askNode(dir, request, options)) as PrefetchReport
    tellUnused(flags)
    return report
  } catch (error) {
    if (!(error instanceof NodeNotRunningError)) throw error
  }
  const { startTemporaryNode } = await import('../temporary-node.ts')
  await using node = await startTemporaryNode(flags, around)
  return (await askNode(node.dir, request, options)) as PrefetchReport
}

/** What is set for a node that need not be started has no effect. */
function tellUnused(flags: PrefetchFlags): void {
  const unused = optionNames.filter((name) => name !== 'dir' && flags[name] !== undefined)
  if (unused.length === 0) return
  const names = unused.map((name) => `--${flagName(name)}`).join(', ')
  process.stderr.write(`modmesh: a node is running and has its own options: ${names} not used\n`)
}
