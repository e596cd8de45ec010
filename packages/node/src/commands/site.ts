import { formatBytes, parseByteSize } from '../byte-size.ts'
import { askNode } from '../control-socket/client.ts'
import type { SiteRequest } from '../control-socket/requests.ts'
import { UsageError } from '../errors.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { printJson } from '../mesh-command.ts'
import { printableName } from '../printable.ts'
import { type FlagTexts, readDirOption } from '../read-options.ts'
import type { Surroundings } from '../settings.ts'
import type { SitesReport, SiteTestReport } from '../site-answers.ts'
import type { SiteLine } from '../sites-report.ts'

/** A test over a slow link takes longer than an answer from memory. Milliseconds. */
const answerTimeoutMs = 15_000
const testTimeoutMs = 120_000

/** What a test may take of the link when nothing else is said, and at most. Bytes. */
const testBytes = 2_000_000
const maxTestBytes = 8_000_000

type SiteFlags = FlagTexts & { readonly json?: true }

/** `modmesh site list`: the links to other sites. */
export async function listSites(flags: SiteFlags, around: Surroundings): Promise<ExitCode> {
  return printSites(flags, await ask<SitesReport>(flags, around, { command: 'site-list' }))
}

/** `modmesh site limit`: sets what may cross a link. */
export async function limitSite(
  flags: SiteFlags & { readonly site: string; readonly words: readonly string[] },
  around: Surroundings,
): Promise<ExitCode> {
  const { site, words } = flags
  if (words.length === 0) throw new UsageError('say what may cross the link, or `default`')
  const isDefault = words.length === 1 && words[0] === 'default'
  const said = isDefault ? {} : { words: words.join(' ') }
  const request = { command: 'site-limit', site, ...said } as const
  return printSites(flags, await ask<SitesReport>(flags, around, request))
}

/** `modmesh site test`: measures a link. */
export async function testSite(
  flags: SiteFlags & { readonly site: string; readonly bytes?: string },
  around: Surroundings,
): Promise<ExitCode> {
  const bytes = flags.bytes === undefined ? testBytes : parseByteSize(flags.bytes)
  if (bytes === undefined || bytes > maxTestBytes) {
    throw new UsageError(`--bytes takes a size of at most ${formatBytes(maxTestBytes)}`)
  }
  const request = { command: 'site-test', site: flags.site, bytes } as const
  const report = await ask<SiteTestReport>(flags, around, request, testTimeoutMs)
  if (flags.json) printJson('modmesh.site-test/1', report)
  else process.stdout.write(testText(report))
  return exitCodes.done
}

async function ask<T>(
  flags: SiteFlags,
  around: Surroundings,
  request: SiteRequest,
  timeoutMs: number = answerTimeoutMs,
): Promise<T> {
  const dir = await readDirOption(flags, around)
  return (await askNode(dir, request, { signal: AbortSignal.timeout(timeoutMs) })) as T
}

function printSites(flags: SiteFlags, report: SitesReport): ExitCode {
  if (flags.json) printJson('modmesh.sites/1', report)
  else process.stdout.write(sitesText(report))
  return exitCodes.done
}

function testText({ site, rttMs, bytes, bytesPerSecond }: SiteTestReport): string {
  const name = printableName(site)
  const trip = `round trip ${rttMs.median.toFixed(1)} ms (least ${rttMs.least.toFixed(1)} ms)`
  const rate = `${formatBytes(bytesPerSecond)}/s over ${formatBytes(bytes)}`
  return `${name}  ${trip}, ${rate}\n`
}

const heading = ['SITE', 'LINK', 'PEERS', 'RTT', 'MEASURED', 'GAVE', 'TOOK', 'SAVED', 'LIMITS']

function sitesText({ site, sites }: SitesReport): string {
  if (sites.length === 0)
    return `This node is of site ${printableName(site)}, and knows no other.\n`
  const rows = [heading, ...sites.map(row)]
  const widths = heading.map((_, at) => Math.max(...rows.map((cells) => cells[at]?.length ?? 0)))
  const lines = rows.map((cells) =>
    cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join('  '),
  )
  return `${lines.map((line) => line.trimEnd()).join('\n')}\n`
}

/** As this site sees it: what it took from us, and we from it. */
function row(line: SiteLine): string[] {
  return [
    printableName(line.site),
    line.mode,
    String(line.connected),
    line.rttMs === null ? '-' : `${line.rttMs.toFixed(line.rttMs < 10 ? 1 : 0)} ms`,
    line.bytesPerSecond === null ? '-' : `${formatBytes(line.bytesPerSecond)}/s`,
    formatBytes(line.takenBytes),
    formatBytes(line.givenBytes),
    formatBytes(line.savedBytes),
    line.rules ?? '-',
  ]
}
