import { askStore } from '../ask-store.ts'
import { formatBytes, parseByteSize } from '../byte-size.ts'
import { UsageError } from '../errors.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { type FlagTexts, readDirOption, readMaxSizeOption } from '../read-options.ts'
import type { Surroundings } from '../settings.ts'
import { plural } from '../status-text.ts'
import type { GcReport } from '../store-answers.ts'

/** Thousands of files are removed. Milliseconds. */
const answerTimeoutMs = 600_000

/** `modmesh gc`: evicts the longest unused zips; 20 when pins or readers kept more than the size allows. */
export async function gc(
  flags: FlagTexts & { readonly json?: true; readonly to?: string; readonly dryRun?: true },
  around: Surroundings,
): Promise<ExitCode> {
  const maxBytes = flags.to === undefined ? undefined : readSize(flags.to)
  const { dryRun } = flags
  const dir = await readDirOption(flags, around)
  const signal = AbortSignal.timeout(answerTimeoutMs)
  const report = (await askStore(
    dir,
    { command: 'gc', maxBytes, dryRun },
    {
      signal,
      withoutNode: async () => {
        const ownBytes = maxBytes ?? (await readMaxSizeOption(flags, around))
        return { command: 'gc', maxBytes: ownBytes, dryRun }
      },
    },
  )) as GcReport
  const text = flags.json ? JSON.stringify({ schema: 'modmesh.gc/1', ...report }) : asText(report)
  process.stdout.write(`${text}\n`)
  return isOver(report) ? exitCodes.degraded : exitCodes.done
}

function readSize(text: string): number {
  const bytes = text === '0' ? 0 : parseByteSize(text)
  if (bytes !== undefined) return bytes
  throw new UsageError(`--to: ${JSON.stringify(text)} is not allowed; it takes a size such as 20GB`)
}

function isOver({ maxBytes, zipBytes }: GcReport): boolean {
  return maxBytes !== null && zipBytes > maxBytes
}

function asText(report: GcReport): string {
  const { maxBytes, evicted, evictedBytes } = report
  const held = `${zipCount(report.zips)} (${formatBytes(report.zipBytes)})`
  if (maxBytes === null) {
    return `nothing removed: no size is set; say --to SIZE here, or start the node with --max-size; held: ${held}`
  }
  const [verb, left] = report.wouldEvict ? ['would remove', 'left'] : ['removed', 'held']
  const zips = report.wouldEvict?.map(({ module, bytes }) => `${module}  ${formatBytes(bytes)}\n`)
  const sums = `${verb}: ${zipCount(evicted)} (${formatBytes(evictedBytes)}); ${left}: ${held}`
  const done = `${zips?.join('') ?? ''}${sums}`
  return isOver(report)
    ? `${done}, more than ${formatBytes(maxBytes)}: ${reasons(report).join('; ')}`
    : done
}

function reasons({ zipBytes, pinnedBytes, trouble }: GcReport): readonly string[] {
  if (trouble !== null) return [trouble]
  const usedBytes = zipBytes - pinnedBytes
  return [
    ...(pinnedBytes > 0 ? [`${formatBytes(pinnedBytes)} pinned`] : []),
    ...(usedBytes > 0 ? [`${formatBytes(usedBytes)} used within the last minute`] : []),
  ]
}

function zipCount(count: number): string {
  return `${count} ${plural(count, 'zip')}`
}
