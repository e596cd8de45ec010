import type { Dirent } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import {
  InvalidModulePathError,
  InvalidVersionError,
  type ModuleVersion,
  parseModuleVersion,
  unescapeModulePath,
  unescapeVersion,
} from '@modmesh/module'
import { CommandError, errorCode } from '../errors.ts'
import { exitCodes } from '../exit-codes.ts'
import { pathExists } from '../path-exists.ts'

/** A file that `go` keeps of a module version. */
export type CachedKind = 'zip' | 'ziphash' | 'mod' | 'info'

/** What a module cache of `go` has of one module version. */
export interface CachedVersion {
  readonly module: ModuleVersion
  /** Path of its files without their ending. */
  readonly base: string
  readonly kinds: ReadonlySet<CachedKind>
}

const kinds: readonly CachedKind[] = ['zip', 'ziphash', 'mod', 'info']

/** The download folder of a GOMODCACHE, which may be given itself; it need not be there yet. */
export function downloadsOf(cache: string): string {
  const inside = join('cache', 'download')
  return cache.endsWith(inside) ? cache : join(cache, inside)
}

/** Finds the download folder of a GOMODCACHE. Throws CommandError when there is none. */
export async function findDownloads(cache: string): Promise<string> {
  const downloads = downloadsOf(cache)
  if (await isThere(downloads)) return downloads
  throw new CommandError(
    `${cache} is no module cache: there is no cache/download in it; see: go env GOMODCACHE`,
    { exitCode: exitCodes.failed },
  )
}

async function isThere(path: string): Promise<boolean> {
  try {
    return await pathExists(path)
  } catch (error) {
    if (errorCode(error) !== 'EACCES') throw error
    const message = `${path} cannot be read by the user of the node: give it access, or adopt as a user who has it`
    throw new CommandError(message, { exitCode: exitCodes.failed, cause: error })
  }
}

/** Lists the module versions below a download folder, in the order of their names on disk. */
export async function* cachedVersions(downloads: string): AsyncGenerator<CachedVersion> {
  for (const entry of await listFolder(downloads)) {
    // Beside the modules lie the answers of the checksum database, which are read by name.
    if (entry.isDirectory() && entry.name !== 'sumdb') yield* below(downloads, entry.name)
  }
}

/** Lists the versions of which the folder at an escaped module path, or one below it, has files. */
async function* below(downloads: string, path: string): AsyncGenerator<CachedVersion> {
  for (const entry of await listFolder(join(downloads, path))) {
    if (!entry.isDirectory()) continue
    if (entry.name === '@v') yield* await versionsOf(downloads, path)
    else yield* below(downloads, `${path}/${entry.name}`)
  }
}

/** Lists the versions in one `@v` folder; what is named otherwise than `go` would is not `go`'s. */
export async function versionsOf(
  downloads: string,
  escapedPath: string,
): Promise<readonly CachedVersion[]> {
  const folder = join(downloads, escapedPath, '@v')
  const found = new Map<string, Set<CachedKind>>()
  for (const entry of await listFolder(folder)) {
    const kind = kinds.find((each) => entry.name.endsWith(`.${each}`))
    if (kind === undefined || entry.isDirectory()) continue
    const version = entry.name.slice(0, -kind.length - 1)
    found.set(version, (found.get(version) ?? new Set()).add(kind))
  }
  return [...found].flatMap(([version, has]) => {
    const module = parseNames(escapedPath, version)
    return module === undefined ? [] : [{ module, base: join(folder, version), kinds: has }]
  })
}

function parseNames(escapedPath: string, escapedVersion: string): ModuleVersion | undefined {
  try {
    return parseModuleVersion(unescapeModulePath(escapedPath), unescapeVersion(escapedVersion))
  } catch (error) {
    if (error instanceof InvalidModulePathError || error instanceof InvalidVersionError) {
      return undefined
    }
    throw error
  }
}

/** A folder that went meanwhile is empty. */
async function listFolder(path: string): Promise<readonly Dirent[]> {
  try {
    return await readdir(path, { withFileTypes: true })
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return []
    throw error
  }
}
