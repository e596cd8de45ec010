import type { Version } from './version.ts'

/** The fields of a `.info` or `@latest` answer that we act on. */
export interface VersionInfo {
  readonly version: Version
  /** RFC 3339, as given. */
  readonly time: string | undefined
}

/** Parses `.info` JSON (at most maxInfoBytes). Throws InvalidFileError. */
export function parseVersionInfo(bytes: Uint8Array): VersionInfo {
  throw new Error(`to come: ${bytes.length}`)
}
