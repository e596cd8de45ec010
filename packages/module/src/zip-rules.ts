import { foldCase } from './case-fold.ts'
import { ZipRulesError } from './errors.ts'
import { maxLicenseBytes, maxModBytes, maxZipBytes, maxZipEntries } from './limits.ts'
import { formatModuleVersion, type ModuleVersion } from './module-version.ts'
import { findPathFault } from './path-rules.ts'

/** What the central directory says of one entry. */
export interface ZipEntry {
  /** The name as stored, decoded strictly as UTF-8. */
  readonly name: string
  /** Declared uncompressed size, bytes. */
  readonly size: number
}

/** What every entry name of a module's zip begins with: `path@version/`, not escaped. */
export function zipPrefix(module: ModuleVersion): string {
  return `${formatModuleVersion(module)}/`
}

/**
 * Applies the rules of x/mod zip.CheckZip to a central directory, before anything is inflated.
 * Directory entries (a name that ends in `/`) may be there and are extracted by nobody, but they do
 * count in the h1: the caller hashes each as an empty file under its name with the slash.
 * `zipBytes` is the size of the zip file. Throws ZipRulesError.
 */
export function checkZipEntries(
  module: ModuleVersion,
  entries: readonly ZipEntry[],
  zipBytes: number,
): void {
  if (zipBytes > maxZipBytes) throw new ZipRulesError(`${zipBytes} bytes are over the limit`)
  if (entries.length > maxZipEntries) throw new ZipRulesError(`${entries.length} entries`)
  const prefix = zipPrefix(module)
  const root: Directory = new Map()
  let left = maxZipBytes
  for (const entry of entries) {
    left -= checkEntry(entry, prefix, root)
    if (left < 0) throw new ZipRulesError(`content is over ${maxZipBytes} bytes`)
  }
}

/** Returns the bytes that count against the limit of the whole zip. */
function checkEntry(entry: ZipEntry, prefix: string, root: Directory): number {
  if (!entry.name.startsWith(prefix)) throw refuse(entry, `does not begin with ${prefix}`)
  if (!Number.isSafeInteger(entry.size) || entry.size < 0) throw refuse(entry, 'impossible size')
  const stored = entry.name.slice(prefix.length)
  const isDirectory = stored === '' || stored.endsWith('/')
  // archive/zip refuses to open such an entry, so no `go` could hash the zip.
  if (isDirectory && entry.size > 0) throw refuse(entry, 'directory with content')
  if (stored === '') return 0
  const name = isDirectory ? stored.slice(0, -1) : stored
  // Covers path.Clean as well: what that would change has an empty or an all-dots element.
  const fault = findPathFault(name, 'file')
  if (fault !== undefined) throw refuse(entry, fault)
  addName(root, name, isDirectory, entry)
  if (!isDirectory) checkSpecialFile(name, entry)
  return entry.size
}

function checkSpecialFile(name: string, entry: ZipEntry): void {
  const base = name.slice(name.lastIndexOf('/') + 1)
  if (foldCase(base) === 'go.mod') {
    if (base !== name) throw refuse(entry, 'go.mod file not in module root directory')
    if (name !== 'go.mod') throw refuse(entry, 'go.mod files must have lowercase names')
  }
  if (name === 'go.mod' && entry.size > maxModBytes) throw refuse(entry, 'go.mod file too large')
  if (name === 'LICENSE' && entry.size > maxLicenseBytes) {
    throw refuse(entry, 'LICENSE file too large')
  }
}

/** Names of one directory by their folded form: a tree, so that a deep name costs no more than its length. */
type Directory = Map<string, Taken>

interface Taken {
  readonly name: string
  /** Undefined for a file. */
  readonly children: Directory | undefined
}

/** Adds a name and its parents, and refuses what a file system that folds case could not hold. */
function addName(root: Directory, name: string, isDirectory: boolean, entry: ZipEntry): void {
  let directory = root
  const elements = name.split('/')
  for (const [i, element] of elements.entries()) {
    const isLast = i === elements.length - 1
    const taken = takeName(directory, element, isDirectory || !isLast, entry)
    if (taken.children !== undefined) directory = taken.children
  }
}

function takeName(
  directory: Directory,
  name: string,
  isDirectory: boolean,
  entry: ZipEntry,
): Taken {
  const folded = foldCase(name)
  const taken = directory.get(folded)
  if (taken === undefined) {
    const added = { name, children: isDirectory ? new Map() : undefined }
    directory.set(folded, added)
    return added
  }
  if (taken.name !== name) throw refuse(entry, 'case-insensitive file name collision')
  if ((taken.children !== undefined) !== isDirectory) {
    throw refuse(entry, 'entry is both a file and a directory')
  }
  if (!isDirectory) throw refuse(entry, 'multiple entries for one file')
  return taken
}

function refuse(entry: ZipEntry, reason: string): ZipRulesError {
  return new ZipRulesError(`${JSON.stringify(entry.name.slice(0, 256))}: ${reason}`)
}
