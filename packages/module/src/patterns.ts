/** A list of globs as in GOPRIVATE, matched with Go's path.Match against leading path elements. */
export interface Patterns {
  readonly globs: readonly string[]
}

/** Parses a comma-separated list; malformed globs never match (x/mod module.MatchPrefixPatterns). */
export function parsePatterns(text: string): Patterns {
  throw new Error(`to come: ${text}`)
}

/** Whether a module path (or any path) matches one of the globs. */
export function matchesPatterns(patterns: Patterns, path: string): boolean {
  throw new Error(`to come: ${patterns.globs.length} ${path}`)
}
