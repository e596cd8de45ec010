import { hashMod, type ModuleVersion } from '@modmesh/module'
import { asError } from '../errors.ts'
import type { Source } from '../fill-event.ts'
import { inParallel } from '../in-parallel.ts'
import { maxParallelMods, maxParallelZips } from '../limits.ts'
import type { AskOptions, ModuleSource } from '../module-source.ts'
import { brokenPins, type SumPin } from './needs.ts'
import type { ProjectClosure } from './project-closure.ts'

/** One file of a closure. */
export interface NeededFile {
  readonly what: 'zip' | 'mod' | 'info'
  readonly module: ModuleVersion
  readonly isOptional: boolean
  /** None for an .info, which nobody can prove. */
  readonly pins: readonly SumPin<string>[]
}

/** A file that is there, verified. */
export interface FilledFile {
  readonly file: NeededFile
  readonly source: Source
  readonly bytes: number
  /** The hash that it has; undefined for an .info. */
  readonly hash: string | undefined
  /** What go.sum files say otherwise: with those `go` will refuse it. */
  readonly broken: readonly SumPin<string>[]
}

/** Told of each file as it ends. */
export interface FillListener {
  onFilled(filled: FilledFile): void
  onFailed(file: NeededFile, error: Error): void
}

/** Every file of a closure: zips first, which take longest. */
export function filesOf({
  zips,
  mods,
  infos,
}: Omit<ProjectClosure, 'unread'>): readonly NeededFile[] {
  return [
    ...zips.map((need) => ({ what: 'zip' as const, ...need })),
    ...mods.map((need) => ({ what: 'mod' as const, ...need })),
    ...infos.map((need) => ({ what: 'info' as const, ...need, pins: [] })),
  ]
}

/** Asks a source for files, many at a time. Ends when each was filled or failed; throws only when aborted. */
export async function fillFiles(
  files: readonly NeededFile[],
  source: Pick<ModuleSource, 'zip' | 'mod' | 'info'>,
  options: AskOptions & { readonly listener: FillListener },
): Promise<void> {
  const { listener, ...ask } = options
  const fill = async (file: NeededFile): Promise<void> => {
    try {
      listener.onFilled(await fillFile(file, source, ask))
    } catch (error) {
      ask.signal.throwIfAborted()
      listener.onFailed(file, asError(error))
    }
  }
  const zips = files.filter(({ what }) => what === 'zip')
  const others = files.filter(({ what }) => what !== 'zip')
  await Promise.all([
    inParallel(zips, maxParallelZips, fill),
    inParallel(others, maxParallelMods, fill),
  ])
}

async function fillFile(
  file: NeededFile,
  source: Pick<ModuleSource, 'zip' | 'mod' | 'info'>,
  ask: AskOptions,
): Promise<FilledFile> {
  const { what, module, pins } = file
  if (what === 'zip') {
    const answer = await source.zip(module, ask)
    const { size: bytes, zipHash: hash } = answer.value
    return { file, source: answer.source, bytes, hash, broken: brokenPins<string>(pins, hash) }
  }
  const { value, source: from } = await source[what](module, ask)
  const hash = what === 'mod' ? hashMod(value) : undefined
  const broken = hash === undefined ? [] : brokenPins<string>(pins, hash)
  return { file, source: from, bytes: value.length, hash, broken }
}
