import { formatBytes } from '../byte-size.ts'
import { formatDuration } from '../duration.ts'
import { escapeInvisible } from '../printable.ts'
import { plural } from '../status-text.ts'
import type {
  MismatchLine,
  MissingLine,
  Origin,
  PrefetchProgress,
  PrefetchReport,
} from './prefetch-report.ts'

/** Lines before the rest is only counted; `--json` has them all. */
const shownLines = 40

const originNames: Readonly<Record<Origin, string>> = {
  held: 'held',
  site: 'from this site',
  wan: 'from other sites',
  remote: 'from the bucket',
  upstream: 'from upstream',
  direct: 'from version control',
}

/** Writes how far a prefetch is, on one line. */
export function formatPrefetchProgress(progress: PrefetchProgress): string {
  const { phase, done, total, bytes, bytesPerSecond, leftMs, failed } = progress
  if (phase === 'reading') return `prefetch: reading the module graph, ${done} go.mod files`
  const parts = [
    `prefetch ${done}/${total}`,
    formatBytes(bytes),
    `${formatBytes(bytesPerSecond)}/s`,
    ...sourceTexts(progress.sources),
    ...(failed > 0 ? [`${failed} missing`] : []),
    ...(leftMs === null || done === total ? [] : [`${formatDuration(leftMs)} left`]),
  ]
  return parts.join('  ')
}

/** Writes what became of a prefetch, for people. */
export function formatPrefetch(report: PrefetchReport): string {
  const needed = report.missing.filter(({ optional }) => !optional)
  const lines = [
    ...limited(report.mismatched.map(mismatchText)),
    ...limited(needed.map(missingText)),
    ...limited(report.unread.map(({ name, reason }) => `unread ${oneLine(`${name}: ${reason}`)}`)),
    ...optionalTexts(report),
    ...pinnedTexts(report),
    summary(report, needed),
  ]
  return `${lines.join('\n')}\n`
}

function summary(report: PrefetchReport, needed: readonly MissingLine[]): string {
  const { zips, mods, infos, sources, tookMs } = report
  const all = [zips, mods, infos]
  const fetched = all.reduce((sum, each) => sum + each.fetched, 0)
  const bytes =
    Object.values(sources).reduce((sum, each) => sum + each.bytes, 0) - sources.held.bytes
  const ways = Object.fromEntries(
    Object.entries(sources).map(([origin, { files }]) => [origin, files]),
  )
  const what = `${zips.needed} ${plural(zips.needed, 'zip')}, ${mods.needed} go.mod, ${infos.needed} .info`
  const came =
    fetched === 0 ? 'nothing to fetch' : `${fetched} files fetched (${formatBytes(bytes)})`
  const from = sourceTexts({ ...ways, held: 0 })
  return `${what}: ${[came, ...from].join(', ')} in ${formatDuration(tookMs)}: ${verdict(report, needed)}`
}

function verdict(report: PrefetchReport, needed: readonly MissingLine[]): string {
  const { mismatched, unread } = report
  if (mismatched.length > 0) return `${mismatched.length} not what go.sum says`
  if (needed.length > 0) return `${needed.length} ${plural(needed.length, 'module')} missing`
  return unread.length > 0 ? 'more may be needed' : 'complete'
}

function sourceTexts(sources: Readonly<Partial<Record<Origin, number>>>): readonly string[] {
  const origins = Object.keys(originNames) as Origin[]
  return origins.flatMap((origin) => {
    const files = sources[origin] ?? 0
    return files === 0 ? [] : [`${files} ${originNames[origin]}`]
  })
}

function missingText({ module, parts, reason }: MissingLine): string {
  const files = parts.map((part) => (part === 'zip' ? 'zip' : `.${part}`)).join(', ')
  return `missing ${module} (${files}): ${oneLine(reason)}`
}

function mismatchText({ module, part, hash, pins }: MismatchLine): string {
  const said = pins.map((pin) => `${pin.file} says ${pin.hash}`).join(', ')
  return `mismatch ${module} (${part}): verified ${hash}, ${oneLine(said)}`
}

function optionalTexts({ missing }: PrefetchReport): readonly string[] {
  const count = missing.filter(({ optional }) => optional).length
  if (count === 0) return []
  return [`not held either: ${count} older ${plural(count, 'version')} that go.sum still names`]
}

function pinnedTexts({ pinned }: PrefetchReport): readonly string[] {
  if (pinned === null) return []
  const { project, modules } = pinned
  return [`pinned for ${project}: ${modules} ${plural(modules, 'zip')}`]
}

function limited(lines: readonly string[]): readonly string[] {
  if (lines.length <= shownLines) return lines
  return [...lines.slice(0, shownLines), `… and ${lines.length - shownLines} more; see --json`]
}

function oneLine(text: string): string {
  return escapeInvisible(text.trim().replaceAll('\n', '; '))
}
