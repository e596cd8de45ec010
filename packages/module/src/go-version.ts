import { isDigits } from './path-rules.ts'

/** Whether a text is a Go language version or release: `1.23`, `1.23.1`, `1.24rc2` (x/mod modfile.GoVersionRE). */
export function isGoVersion(text: string): boolean {
  const rest = skipMajorMinor(text)
  if (rest === undefined) return false
  return isSuffix(rest[0] === '.' ? skipNumber(rest.slice(1)) : rest)
}

/** What `go` makes of a malformed version in a dependency: `v1.9.x` counts as `1.9`. Undefined when hopeless. */
export function laxGoVersion(text: string): string | undefined {
  const bare = text.startsWith('v') ? text.slice(1) : text
  const rest = skipMajorMinor(bare)
  return rest === undefined || rest === '' ? undefined : bare.slice(0, bare.length - rest.length)
}

/** Returns what follows `X.Y`, X at least 1, or undefined. */
function skipMajorMinor(text: string): string | undefined {
  const rest = text[0] === '0' ? undefined : skipNumber(text)
  return rest?.[0] === '.' ? skipNumber(rest.slice(1)) : undefined
}

/** Returns what follows a number without leading zero, or undefined. */
function skipNumber(text: string): string | undefined {
  let end = 0
  while (isDigits(text.charAt(end))) end++
  if (end === 0 || (end > 1 && text[0] === '0')) return undefined
  return text.slice(end)
}

/** Nothing, or letters and then digits: `rc2`. */
function isSuffix(text: string | undefined): boolean {
  if (text === undefined || text === '') return text === ''
  let end = 0
  while (text.charAt(end) >= 'a' && text.charAt(end) <= 'z') end++
  return end > 0 && isDigits(text.slice(end))
}

/** Whether the go.mod of a Go version lists all that its packages need: the graph below it is pruned (go 1.17). */
export function prunesGraph(goVersion: string | undefined): boolean {
  return goVersion !== undefined && minorOf(goVersion) >= 17
}

/** Whether `go mod tidy` of a Go version also looks at the whole graph, for the version before (go 1.17). */
export function tidiesWholeGraph(goVersion: string | undefined): boolean {
  return goVersion === undefined || minorOf(goVersion) <= 17
}

/** The minor version of Go 1; Infinity from Go 2 on. */
function minorOf(goVersion: string): number {
  const [major = '', minor = ''] = goVersion.split('.')
  return major === '1' ? Number.parseInt(minor, 10) : Infinity
}
