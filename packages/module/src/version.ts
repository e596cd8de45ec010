declare const brand: unique symbol

/** A canonical version: semver with leading v, no build metadata but `+incompatible`. */
export type Version = string & { readonly [brand]: 'Version' }

/** Parses a canonical version. Throws InvalidVersionError. */
export function parseVersion(text: string): Version {
  throw new Error(`to come: ${text}`)
}

/** Escapes a version or query text for a URL path or file name. Throws InvalidVersionError where Go's EscapeVersion does. */
export function escapeVersion(version: string): string {
  throw new Error(`to come: ${version}`)
}

/** Inverse of escapeVersion; the result may be any query (branch, commit), not only a canonical version. */
export function unescapeVersion(escaped: string): string {
  throw new Error(`to come: ${escaped}`)
}

/** Compares by semver precedence, as x/mod semver.Compare (invalid versions sort first). */
export function compareVersions(a: string, b: string): number {
  throw new Error(`to come: ${a} ${b}`)
}
