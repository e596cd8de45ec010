import {
  brokenPins,
  type Clock,
  closeProject,
  type FilledFile,
  filesOf,
  fillFiles,
  type ModuleSource,
  type NeededFile,
  type ProjectClosure,
  type Source,
} from '@modmesh/fill'
import {
  formatModuleVersion,
  type GoSumLine,
  hashMod,
  InvalidFileError,
  type ModuleVersion,
  parseGoSum,
  type ZipHash,
} from '@modmesh/module'
import type { DiskStore } from '@modmesh/store'
import { CommandError } from '../errors.ts'
import { exitCodes } from '../exit-codes.ts'
import type { PinnedSums } from './pinned-sums.ts'
import {
  type MissingLine,
  mismatchLines,
  missingLines,
  type Origin,
  type PrefetchProgress,
  type PrefetchReport,
} from './prefetch-report.ts'
import { type PrefetchRequest, unpackFiles } from './prefetch-request.ts'
import { PrefetchTally } from './prefetch-tally.ts'
import { whenKept } from './when-kept.ts'

/** What a prefetch works with. */
export interface PrefetchComponents {
  readonly source: ModuleSource
  readonly store: Pick<DiskStore, 'findZip' | 'findRecord' | 'pinProject'>
  readonly clock: Clock
  readonly sums: Pick<PinnedSums, 'pin'>
  /** Asks peers which of many contents they have. */
  readonly askAhead: (
    zipHashes: readonly ZipHash[],
    options: { readonly signal: AbortSignal },
  ) => Promise<void>
}

interface PrefetchOptions {
  readonly signal: AbortSignal
  readonly onProgress: (progress: PrefetchProgress) => void
}

/** Has everything held that projects need. Throws CommandError for a file that cannot be read. */
export async function prefetch(
  components: PrefetchComponents,
  request: PrefetchRequest,
  { signal, onProgress }: PrefetchOptions,
): Promise<PrefetchReport> {
  const originOf = ({ source }: FilledFile) => originOfSource(source)
  const tally = new PrefetchTally(components, { originOf, tell: onProgress })
  const read = new Map<string, FilledFile>()
  using _ = components.sums.pin(sumLines(request))
  const closure = await findNeeded(components.source, request, { signal, read, tally })
  const everything = filesOf(closure)
  const files = request.all ? everything : everything.filter(({ isOptional }) => !isOptional)
  const pinned = await pinNeeded(components, request.pin, files)
  tally.onKnown(files)
  const rest = files.filter((file) => !takeRead(file, read, tally))
  await askPeersAhead(components, closure, signal)
  await fillFiles(rest, components.source, { signal, asker, listener: tally })
  await whenKept(components, tally, { signal })
  const missing = missingLines(tally.failed)
  return {
    ...tally.counts(),
    missing,
    mismatched: mismatchLines(tally.filled),
    unread: closure.unread.filter(({ name }) => !isListed(name, missing)),
    leftOut: everything.length - files.length,
    pinned,
  }
}

const asker = { kind: 'prefetch' } as const

/** Every line of every go.sum, those that are only named included. */
function sumLines(request: PrefetchRequest): readonly GoSumLine[] {
  const { files, locals } = unpackFiles(request)
  const given = files.filter(({ kind }) => kind === 'go.sum').map(({ bytes }) => bytes)
  const named = [...locals].filter(([path]) => path.endsWith('.sum')).map(([, bytes]) => bytes)
  return [...given, ...named].flatMap(linesOf)
}

function linesOf(bytes: Uint8Array): readonly GoSumLine[] {
  try {
    return parseGoSum(bytes)
  } catch (error) {
    // Told with its name when the projects are put together.
    if (error instanceof InvalidFileError) return []
    throw error
  }
}

/** Finds what is needed; the go.mod files that it reads are filled then. */
async function findNeeded(
  source: ModuleSource,
  request: PrefetchRequest,
  {
    signal,
    read,
    tally,
  }: {
    readonly signal: AbortSignal
    readonly read: Map<string, FilledFile>
    readonly tally: PrefetchTally
  },
): Promise<ProjectClosure> {
  const { files, locals } = unpackFiles(request)
  const mod = async (module: ModuleVersion): Promise<Uint8Array> => {
    const { value, source: from } = await source.mod(module, { signal, asker })
    const file = { what: 'mod', module, isOptional: false, pins: [] } as const
    const filled = { file, source: from, bytes: value.length, hash: hashMod(value), broken: [] }
    read.set(formatModuleVersion(module), filled)
    tally.onRead()
    return value
  }
  const local = async (path: string): Promise<Uint8Array | undefined> => locals.get(path)
  const { platforms } = request
  return await asUsersError(closeProject(files, { mod, local }, { signal, platforms }))
}

/** A file that cannot be read is the user's to mend. */
async function asUsersError<T>(reading: Promise<T>): Promise<T> {
  try {
    return await reading
  } catch (error) {
    if (!(error instanceof InvalidFileError)) throw error
    throw new CommandError(error.message, { exitCode: exitCodes.failed, cause: error })
  }
}

/** Before anything comes in, so that nothing of it is evicted for the rest. */
async function pinNeeded(
  { store }: PrefetchComponents,
  name: string | undefined,
  files: readonly NeededFile[],
): Promise<PrefetchReport['pinned']> {
  if (name === undefined) return null
  const modules = files.filter(({ what }) => what === 'zip').map(({ module }) => module)
  await store.pinProject({ name, modules })
  return { project: name, modules: modules.length }
}

/** One question for all that go.sum files pin; a peer that is slow to answer it is asked for each later. */
async function askPeersAhead(
  { askAhead }: PrefetchComponents,
  { zips }: ProjectClosure,
  signal: AbortSignal,
): Promise<void> {
  const needed = zips.filter(({ isOptional }) => !isOptional)
  const hashes = new Set(needed.flatMap(({ pins }) => pins.map(({ hash }) => hash)))
  const patience = AbortSignal.any([signal, AbortSignal.timeout(aheadMs)])
  await askAhead([...hashes], { signal: patience })
  signal.throwIfAborted()
}

/** Longer than a far peer takes, and not long for a project. Milliseconds. */
const aheadMs = 500

/** A go.mod that was read to find what is needed came from where it came from then. */
function takeRead(
  file: NeededFile,
  read: ReadonlyMap<string, FilledFile>,
  tally: PrefetchTally,
): boolean {
  const filled = file.what === 'mod' ? read.get(formatModuleVersion(file.module)) : undefined
  if (filled?.hash === undefined) return false
  tally.onFilled({ ...filled, file, broken: brokenPins<string>(file.pins, filled.hash) })
  return true
}

function originOfSource(source: Source): Origin {
  switch (source.kind) {
    case 'peer':
      return source.isFar ? 'wan' : 'site'
    case 'remote':
    case 'upstream':
    case 'direct':
      return source.kind
    case 'store':
    case 'held':
    case 'stale':
      return 'held'
  }
}

function isListed(name: string, missing: readonly MissingLine[]): boolean {
  return missing.some(({ module, parts }) => module === name && parts.includes('mod'))
}
