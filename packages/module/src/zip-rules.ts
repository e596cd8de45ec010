import type { ModuleVersion } from './module-version.ts'

/** What the central directory says of one entry. */
export interface ZipEntry {
  /** The name as stored, decoded strictly as UTF-8. */
  readonly name: string
  /** Declared uncompressed size, bytes. */
  readonly size: number
}

/**
 * Applies the rules of x/mod zip.CheckZip to a central directory, before anything is inflated.
 * Throws ZipRulesError.
 */
export function checkZipEntries(
  module: ModuleVersion,
  entries: readonly ZipEntry[],
  zipBytes: number,
): void {
  throw new Error(`to come: ${module.path} ${entries.length} ${zipBytes}`)
}
