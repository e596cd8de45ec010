import { askNode } from '../control-socket/client.ts'
import { parseDuration } from '../duration.ts'
import { UsageError } from '../errors.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { printJson } from '../mesh-command.ts'
import { packFiles } from '../prefetch/prefetch-request.ts'
import { readProjectFiles } from '../prefetch/project-files.ts'
import { type FlagTexts, readDirOption } from '../read-options.ts'
import { isComplete, type SeedProgress, type SeedReport } from '../seed/seed-report.ts'
import type { SeedRequest } from '../seed/seed-request.ts'
import { formatSeed, formatSeedProgress } from '../seed/seed-text.ts'
import type { Surroundings } from '../settings.ts'

const defaultReplicas = 2
const maxReplicas = 100
/** How long a giver that went away is waited for when nothing else is said. Milliseconds. */
const defaultWaitMs = 600_000
/** Between lines where they stay, as in a log. Milliseconds. */
const plainMs = 10_000

type SeedFlags = FlagTexts & {
  readonly json?: true
  readonly from: string
  readonly for?: readonly string[]
  readonly all?: true
  readonly replicas?: string
  readonly wait?: string
}

/** `modmesh seed`: has this site hold what a member has; 20 when something is missing. */
export async function seed(flags: SeedFlags, around: Surroundings): Promise<ExitCode> {
  const request: SeedRequest = {
    command: 'seed',
    from: flags.from,
    replicas: replicasOf(flags.replicas),
    waitMs: waitOf(flags.wait),
    projects: await projectsOf(flags, around),
  }
  const dir = await readDirOption(flags, around)
  // As long as it takes: it tells how it goes on, and can be cut.
  const { signal } = new AbortController()
  const { onProgress, end } = showSeed()
  const report = (await askNode(dir, request, { signal, onProgress }).finally(end)) as SeedReport
  if (flags.json) printJson('modmesh.seed/1', report)
  else process.stdout.write(formatSeed(report))
  return isComplete(report) ? exitCodes.done : exitCodes.degraded
}

async function projectsOf(
  flags: SeedFlags,
  around: Surroundings,
): Promise<SeedRequest['projects']> {
  if (flags.for !== undefined && flags.all === true) {
    throw new UsageError('--for and --all are two things; give one')
  }
  if (flags.for === undefined) return undefined
  return {
    ...packFiles(await readProjectFiles(flags.for, around.cwd)),
    platforms: [],
    all: false,
  }
}

function replicasOf(text: string | undefined): number {
  const replicas = text === undefined ? defaultReplicas : Number(text)
  if (Number.isInteger(replicas) && replicas >= 1 && replicas <= maxReplicas) return replicas
  throw new UsageError(`--replicas takes a whole number, 1 to ${maxReplicas}`)
}

function waitOf(text: string | undefined): number {
  return text === undefined ? defaultWaitMs : parseDuration('--wait', text)
}

function showSeed(): {
  readonly onProgress: (told: unknown) => void
  readonly end: () => void
} {
  const { stderr } = process
  let shownMs = performance.now()
  let hasLine = false
  return {
    onProgress: (told) => {
      const text = formatSeedProgress(told as SeedProgress)
      if (stderr.isTTY) {
        hasLine = true
        stderr.write(`\r\u001b[K${text}`)
      } else if (performance.now() - shownMs >= plainMs) {
        shownMs = performance.now()
        stderr.write(`${text}\n`)
      }
    },
    end: () => {
      if (hasLine) stderr.write('\r\u001b[K')
    },
  }
}
