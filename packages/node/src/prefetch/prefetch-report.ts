import type { FilledFile, NeededFile, UnreadPart } from '@modmesh/fill'
import { formatModuleVersion } from '@modmesh/module'
import { errorCode, errorText } from '../errors.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'

/** Where files came from: held before, members of this site or of others, or outside. */
export type Origin = 'held' | 'site' | 'wan' | 'remote' | 'upstream' | 'direct'

/** Files of one kind. */
interface PartCount {
  /** Without the optional ones. */
  readonly needed: number
  readonly held: number
  readonly fetched: number
  readonly missing: number
}

/** What of a module version is not held. */
export interface MissingLine {
  readonly module: string
  readonly parts: readonly NeededFile['what'][]
  /** `go` does not ask for it now. */
  readonly optional: boolean
  readonly reason: string
  readonly code: string | null
}

/** A file that is not what a go.sum says: the checksum database, or who publishes it, says otherwise. */
export interface MismatchLine {
  readonly module: string
  readonly part: 'zip' | 'mod'
  readonly hash: string
  readonly pins: readonly { readonly file: string; readonly hash: string }[]
}

/** What `prefetch` is answered with. */
export interface PrefetchReport {
  readonly zips: PartCount
  readonly mods: PartCount
  readonly infos: PartCount
  /** Files and bytes by where they came from; all but `held` crossed a wire. */
  readonly sources: Readonly<Record<Origin, { readonly files: number; readonly bytes: number }>>
  readonly missing: readonly MissingLine[]
  readonly mismatched: readonly MismatchLine[]
  /** What could not be read, so that more may be needed than is known. */
  readonly unread: readonly UnreadPart[]
  /** Files that only older versions need: not asked for. */
  readonly leftOut: number
  readonly pinned: { readonly project: string; readonly modules: number } | null
  readonly tookMs: number
}

/** How far it is. */
export interface PrefetchProgress {
  readonly phase: 'reading' | 'fetching'
  /** Files of which it is known that they are needed, and those of them that are done. */
  readonly done: number
  readonly total: number
  /** That came, since the start. */
  readonly bytes: number
  readonly bytesPerSecond: number
  readonly leftMs: number | null
  /** Files by where they came from. */
  readonly sources: Readonly<Partial<Record<Origin, number>>>
  readonly failed: number
}

/** The codes of errors by which something is not what it must be. */
const mismatchCodes = new Set<string | null>([
  'UPSTREAM_REFUSED',
  'HASH_CHANGED',
  'HASH_MISMATCH',
  'SUMDB_FORK',
])

/** What the command ends with: wrong is worse than missing; what is optional is neither. */
export function prefetchExitCode({ missing, mismatched, unread }: PrefetchReport): ExitCode {
  const needed = missing.filter(({ optional }) => !optional)
  const isWrong = mismatched.length > 0 || needed.some(({ code }) => mismatchCodes.has(code))
  if (isWrong) return exitCodes.hashMismatch
  return needed.length > 0 || unread.length > 0 ? exitCodes.degraded : exitCodes.done
}

interface FailedFile {
  readonly file: NeededFile
  readonly error: Error
}

/** Puts the parts of one module version that are missing for one reason on one line. */
export function missingLines(failed: readonly FailedFile[]): readonly MissingLine[] {
  const lines = new Map<string, MissingLine>()
  for (const { file, error } of failed) {
    const module = formatModuleVersion(file.module)
    const reason = withoutName(errorText(error), module)
    const key = `${module} ${file.isOptional} ${reason}`
    const parts = [...(lines.get(key)?.parts ?? []), file.what]
    const { isOptional: optional } = file
    lines.set(key, { module, parts, optional, reason, code: errorCode(error) ?? null })
  }
  return [...lines.values()].toSorted((a, b) => (a.module < b.module ? -1 : 1))
}

/** The line names it already. */
function withoutName(text: string, module: string): string {
  const rest = text.startsWith(module) ? text.slice(module.length) : text
  return rest.startsWith('\n') || rest.startsWith(': ') ? rest.slice(1).trim() : text
}

/** Lists what go.sum files say otherwise. */
export function mismatchLines(filled: readonly FilledFile[]): readonly MismatchLine[] {
  return filled.flatMap(({ file, hash, broken }) => {
    if (file.what === 'info' || hash === undefined || broken.length === 0) return []
    return [{ module: formatModuleVersion(file.module), part: file.what, hash, pins: broken }]
  })
}
