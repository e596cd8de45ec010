import { isAbsolute } from 'node:path'
import type { ChecksumDb } from '@modmesh/fill'
import {
  escapeModulePath,
  formatModuleVersion,
  type GoSumLine,
  InvalidFileError,
  type ModuleVersion,
  parseGoSum,
  parsePathAtVersion,
} from '@modmesh/module'
import type { DiskStore } from '@modmesh/store'
import type { VerifierKey } from '@modmesh/sumdb'
import type { StoreRequest } from '../control-socket/requests.ts'
import { UsageError } from '../errors.ts'
import { adoptCache } from './adopt-cache.ts'
import { AdoptProofs, type AdoptProofsComponents } from './adopt-proofs.ts'
import type { AdoptReport } from './adopt-report.ts'
import { GoRecords } from './go-records.ts'
import { type CachedVersion, cachedVersions, findDownloads, versionsOf } from './module-cache.ts'

/** Who is believed about what a cache holds. */
export interface AdoptTrust {
  readonly checksumDb: ChecksumDb
  /** The key of the database; undefined when it is off. */
  readonly key: VerifierKey | undefined
  readonly ask: AdoptProofsComponents['ask']
  /** Told where tiles of the database lie beside the modules. */
  readonly onRecords: (records: GoRecords) => void
  /** Told of each module version of which something is new. */
  readonly onAdded: (module: ModuleVersion) => void
}

/** Takes over a module cache, or the module versions of it that are named. Throws UsageError, CommandError, StoreWriteError. */
export async function answerAdopt(
  store: DiskStore,
  request: Extract<StoreRequest, { command: 'adopt' }>,
  options: {
    readonly trust: AdoptTrust
    readonly signal: AbortSignal
    readonly onProgress: (progress: object) => void
  },
): Promise<AdoptReport> {
  const { cache, only, again = false, sums = '' } = request
  const { trust, signal, onProgress } = options
  if (!isAbsolute(cache)) throw new UsageError(`${cache}: the path of a cache begins with /`)
  const downloads = await findDownloads(cache)
  const goRecords = trust.key && new GoRecords(downloads, trust.key)
  if (goRecords !== undefined) trust.onRecords(goRecords)
  const { checksumDb, ask, onAdded } = trust
  const { firstHashes } = store
  const known = { checksumDb, firstHashes, goRecords, ask }
  const proofs = new AdoptProofs(known, readGoSum(sums))
  const versions = await listVersions(downloads, only)
  const components = { store, proofs, onProgress, onAdded }
  return await adoptCache(components, { cache: downloads, versions, again }, { signal })
}

function readGoSum(text: string): readonly GoSumLine[] {
  try {
    return parseGoSum(Buffer.from(text))
  } catch (error) {
    if (error instanceof InvalidFileError) throw new UsageError(error.message, { cause: error })
    throw error
  }
}

async function listVersions(
  downloads: string,
  only: readonly string[] | undefined,
): Promise<readonly CachedVersion[]> {
  const found: CachedVersion[] = []
  if (only === undefined) {
    for await (const version of cachedVersions(downloads)) found.push(version)
    return found
  }
  const wanted = new Set(only)
  const paths = new Set(only.map((name) => parsePathAtVersion(name).path))
  for (const path of paths) {
    for (const version of await versionsOf(downloads, escapeModulePath(path))) {
      if (wanted.has(formatModuleVersion(version.module))) found.push(version)
    }
  }
  return found
}
