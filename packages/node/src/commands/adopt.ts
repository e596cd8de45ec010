import { resolve } from 'node:path'
import type { AdoptReport, LeftLine } from '../adopt/adopt-report.ts'
import { askStore } from '../ask-store.ts'
import { formatBytes } from '../byte-size.ts'
import { formatDuration } from '../duration.ts'
import { UsageError } from '../errors.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { readGoEnv } from '../go-env.ts'
import { escapeInvisible } from '../printable.ts'
import { type FlagTexts, readDirOption, readOptions } from '../read-options.ts'
import type { Surroundings } from '../settings.ts'
import { plural } from '../status-text.ts'
import { readGoSums } from './go-sums.ts'
import { showProgress } from './show-progress.ts'

/** Flags of `adopt`. */
export type AdoptFlags = FlagTexts & {
  readonly json?: true
  readonly watch?: true
  readonly for?: readonly string[]
  readonly cache?: string
}

/** Lines of one kind that are printed; `--json` has all. */
const maxPrinted = 20

/**
 * `modmesh adopt`: takes over a module cache of `go`; 23 when something in it is not what it should
 * be, 20 when something could not be proven or read.
 */
export async function adopt(flags: AdoptFlags, around: Surroundings): Promise<ExitCode> {
  const dir = await readDirOption(flags, around)
  const cache = await findCache(flags.cache, around)
  const sums = flags.for === undefined ? undefined : await readGoSums(flags.for, around.cwd)
  const ask = askWith(dir, { cache, sums }, flags, around)
  if (flags.watch) {
    const { watchCache } = await import('./adopt-watch.ts')
    return await watchCache(cache, { ask, print: (report) => printReport(report, flags.json) })
  }
  const { onProgress, end } = showProgress('adopted')
  const options = { signal: new AbortController().signal, onProgress }
  const report = await ask(undefined, options).finally(end)
  printReport(report, flags.json)
  return exitCodeOf(report)
}

/** Has module versions adopted, all when none are named. */
export type AskAdopt = (
  names: { readonly only: readonly string[]; readonly again: boolean } | undefined,
  options: {
    readonly signal: AbortSignal
    readonly onProgress?: ((progress: unknown) => void) | undefined
  },
) => Promise<AdoptReport>

function askWith(
  dir: string,
  what: { readonly cache: string; readonly sums: string | undefined },
  flags: FlagTexts,
  around: Surroundings,
): AskAdopt {
  return async (names, options) => {
    const request = { command: 'adopt', ...what, ...names } as const
    const settings = async () => (await readOptions({ ...flags, dir }, around)).settings
    return (await askStore(dir, request, { ...options, settings, mayCreate: true })) as AdoptReport
  }
}

async function findCache(given: string | undefined, around: Surroundings): Promise<string> {
  if (given !== undefined) return resolve(around.cwd, given)
  const found = (await readGoEnv(['GOMODCACHE'], around))?.get('GOMODCACHE')
  const cache = found || around.env.GOMODCACHE
  if (cache) return cache
  throw new UsageError('there is no `go` to ask where its module cache is; say: modmesh adopt DIR')
}

function exitCodeOf({ refused, failed, unproven }: AdoptReport): ExitCode {
  if (refused.length > 0) return exitCodes.hashMismatch
  return failed.length > 0 || unproven.length > 0 ? exitCodes.degraded : exitCodes.done
}

function printReport(report: AdoptReport, json: true | undefined): void {
  const text = json ? JSON.stringify({ schema: 'modmesh.adopt/1', ...report }) : asText(report)
  process.stdout.write(`${text}\n`)
}

function asText(report: AdoptReport): string {
  const { refused, failed, unproven } = report
  return [
    ...leftLines('refused', refused),
    ...leftLines('cannot be read', failed),
    ...leftLines('unproven', unproven),
    ...summary(report),
  ].join('\n')
}

function leftLines(why: string, lines: readonly LeftLine[]): readonly string[] {
  const shown = lines.slice(0, maxPrinted).map(({ module, what, reason }) => {
    return `${why} ${what} ${module}: ${escapeInvisible(reason.replaceAll('\n', '; '))}`
  })
  const more = lines.length - shown.length
  return more > 0 ? [...shown, `${why}: ${more} more, see --json`] : shown
}

function summary({ zips, mods, infos, hashedBytes, tookMs, ...rest }: AdoptReport): string[] {
  const { refused, failed, unproven } = rest
  const copied = zips.copiedBytes + zips.rewrittenBytes
  const bytes = `${formatBytes(zips.addedBytes)}, ${formatBytes(zips.sharedBytes)} of it not copied`
  const rewritten = zips.rewritten > 0 ? `, ${zips.rewritten} of them rewritten` : ''
  const added = `${zips.added} ${plural(zips.added, 'zip')} added (${bytes})${rewritten}`
  const lines = [
    `${added}, ${zips.present} present; ${mods.added} go.mod and ${infos.added} .info files added`,
    `${refused.length} refused, ${unproven.length} unproven, ${failed.length} unreadable; ` +
      `${formatBytes(hashedBytes)} hashed in ${formatDuration(tookMs)}`,
  ]
  if (zips.copied > 0) {
    lines.push(
      `${formatBytes(copied)} copied: the cache is on another file system, or another user's`,
    )
  }
  if (unproven.length > 0) {
    lines.push(
      'unproven files are not served; hand over a go.sum with --for, or adopt again when the node ' +
        'can ask the checksum database',
    )
  }
  return lines
}
