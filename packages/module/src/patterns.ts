import { matchesGlob, parseGlob } from './path-match.ts'

/** A list of globs as in GOPRIVATE, matched with Go's path.Match against leading path elements. */
export interface Patterns {
  readonly globs: readonly string[]
}

/** Parses a comma-separated list; malformed globs never match (x/mod module.MatchPrefixPatterns). */
export function parsePatterns(text: string): Patterns {
  const globs = text.split(',').map((glob) => (glob.endsWith('/') ? glob.slice(0, -1) : glob))
  return { globs: globs.filter((glob) => glob !== '') }
}

/** Whether a glob is well-formed: a malformed one would never match, in silence. */
export function isGlob(text: string): boolean {
  return parseGlob(text) !== undefined
}

/** Whether a module path (or any path) matches one of the globs. */
export function matchesPatterns(patterns: Patterns, path: string): boolean {
  return patterns.globs.some((text) => {
    const prefix = leadingElements(path, countSlashes(text))
    const glob = prefix === undefined ? undefined : parseGlob(text)
    return prefix !== undefined && glob !== undefined && matchesGlob(glob, prefix)
  })
}

/** The path up to its slash number `slashes + 1`, or undefined when it has fewer than `slashes`. */
function leadingElements(path: string, slashes: number): string | undefined {
  let left = slashes
  for (let i = 0; i < path.length; i++) {
    if (path[i] === '/' && left-- === 0) return path.slice(0, i)
  }
  return left > 0 ? undefined : path
}

function countSlashes(text: string): number {
  return text.split('/').length - 1
}
