import { InvalidFileError } from './errors.ts'
import { type Directive, parseGoModSyntax } from './go-mod-syntax.ts'
import { unquoteToken } from './go-quote.ts'
import { isGoVersion, laxGoVersion } from './go-version.ts'
import { maxModBytes } from './limits.ts'
import { findPathMajorFault, splitPathMajor } from './path-major.ts'
import { canonicalVersion, type Version } from './version.ts'

/** A module named in a go.mod. The path is as written: with a `replace` it may be one that nobody could download. */
export interface GoModModule {
  readonly path: string
  readonly version: Version
}

/** A `require` line. */
export interface Requirement extends GoModModule {
  readonly indirect: boolean
}

/** A `replace` line. No version on the left means all; none on the right means a directory. */
export interface Replacement {
  readonly old: { readonly path: string; readonly version: Version | undefined }
  readonly new: { readonly path: string; readonly version: Version | undefined }
}

/** A `retract` line: versions from `low` up to and with `high`. */
export interface Retraction {
  readonly low: Version
  readonly high: Version
  readonly rationale: string
}

/** What a go.mod says. */
export interface GoMod {
  /** Undefined without a `module` line. */
  readonly module: string | undefined
  /** The text after `Deprecated:`, or empty. */
  readonly deprecated: string
  readonly go: string | undefined
  readonly toolchain: string | undefined
  readonly require: readonly Requirement[]
  readonly exclude: readonly GoModModule[]
  readonly replace: readonly Replacement[]
  readonly retract: readonly Retraction[]
}

/**
 * Reads a go.mod (at most maxModBytes) as `go` reads that of a dependency (x/mod modfile.ParseLax): unknown
 * directives are skipped. `exclude`, `replace` and `toolchain`, which do not count there, are given when
 * they are well-formed. Throws InvalidFileError where ParseLax fails, and for a quoted text that is not UTF-8.
 */
export function parseGoMod(bytes: Uint8Array): GoMod {
  if (bytes.length > maxModBytes) throw new InvalidFileError('go.mod', 'too large')
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)
  const draft = new Draft()
  for (const directive of parseGoModSyntax(text)) readDirective(draft, directive)
  return draft
}

/** A go.mod while it is read. */
class Draft implements GoMod {
  module: string | undefined
  deprecated = ''
  go: string | undefined
  toolchain: string | undefined
  readonly require: Requirement[] = []
  readonly exclude: GoModModule[] = []
  readonly replace: Replacement[] = []
  readonly retract: Retraction[] = []
}

function readDirective(draft: Draft, directive: Directive): void {
  switch (directive.verb) {
    case 'module':
      return readModule(draft, directive)
    case 'go':
      return readGo(draft, directive)
    case 'toolchain':
      draft.toolchain ??= directive.args.length === 1 ? directive.args[0] : undefined
      return
    case 'require':
      draft.require.push(readRequire(directive))
      return
    case 'exclude':
      return pushFound(draft.exclude, findModule(directive.args))
    case 'replace':
      return pushFound(draft.replace, findReplacement(directive.args))
    case 'retract':
      return pushFound(draft.retract, findRetraction(directive))
    case 'ignore':
      if (directive.args.length !== 1 || unquoteToken(directive.args[0] ?? '') === undefined) {
        throw broken(directive, 'expects exactly one argument')
      }
  }
}

function readModule(draft: Draft, directive: Directive): void {
  if (draft.module !== undefined) throw broken(directive, 'repeated module statement')
  const [token, ...more] = directive.args
  const path = token === undefined || more.length > 0 ? undefined : unquoteToken(token)
  if (path === undefined) throw broken(directive, 'usage: module module/path')
  draft.module = path
  draft.deprecated = findDeprecation(directive.comment)
}

function readGo(draft: Draft, directive: Directive): void {
  if (draft.go !== undefined) throw broken(directive, 'repeated go statement')
  const [text, ...more] = directive.args
  const isSingle = text !== undefined && more.length === 0
  const version = isSingle && !isGoVersion(text) ? laxGoVersion(text) : text
  if (!isSingle || version === undefined) throw broken(directive, 'invalid go version')
  draft.go = version
}

function readRequire(directive: Directive): Requirement {
  const module = findModule(directive.args)
  if (module === undefined) throw broken(directive, 'usage: require module/path v1.2.3')
  return { ...module, indirect: isIndirect(directive.suffix) }
}

/** `// indirect`, alone or as `// indirect; more`. */
function isIndirect(comment: string | undefined): boolean {
  return comment === 'indirect' || isIndirectAndMore(comment ?? '')
}

function isIndirectAndMore(comment: string): boolean {
  const [first, ...more] = splitFields(comment)
  return first === 'indirect;' && more.length > 0
}

function findModule(args: readonly string[]): GoModModule | undefined {
  const [pathToken, versionToken, ...more] = args
  if (pathToken === undefined || versionToken === undefined || more.length > 0) return undefined
  const path = unquoteToken(pathToken)
  const version = findVersion(versionToken)
  return path === undefined || version === undefined || !fits(path, version)
    ? undefined
    : { path, version }
}

function fits(path: string, version: Version): boolean {
  const split = splitPathMajor(path)
  return split !== undefined && findPathMajorFault(version, split.pathMajor) === undefined
}

function findVersion(token: string): Version | undefined {
  const text = unquoteToken(token)
  return text === undefined ? undefined : canonicalVersion(text)
}

/** Reads the arguments of a `replace`; undefined when malformed. */
export function findReplacement(args: readonly string[]): Replacement | undefined {
  const arrow = args.indexOf('=>')
  const left = args.slice(0, arrow)
  const right = args.slice(arrow + 1)
  if (arrow < 1) return undefined
  const oldSide = findSide(left)
  const newSide = findSide(right)
  if (oldSide === undefined || newSide === undefined) return undefined
  const isModule = newSide.version !== undefined
  if (isDirectoryPath(newSide.path) === isModule) return undefined
  if (splitPathMajor(oldSide.path) === undefined) return undefined
  if (oldSide.version !== undefined && !fits(oldSide.path, oldSide.version)) return undefined
  return { old: oldSide, new: newSide }
}

function findSide(args: readonly string[]): Replacement['old'] | undefined {
  const [pathToken, versionToken, ...more] = args
  if (pathToken === undefined || more.length > 0) return undefined
  const path = unquoteToken(pathToken)
  const version = versionToken === undefined ? undefined : findVersion(versionToken)
  if (path === undefined || (versionToken !== undefined && version === undefined)) return undefined
  return { path, version }
}

/** Whether a replacement names a directory (x/mod modfile.IsDirectoryPath). */
export function isDirectoryPath(path: string): boolean {
  if (path === '.' || path === '..') return true
  if (['./', '.\\', '../', '..\\', '/', '\\'].some((start) => path.startsWith(start))) return true
  const drive = path.charAt(0).toLowerCase()
  return path[1] === ':' && drive >= 'a' && drive <= 'z'
}

function findRetraction({ args, comment }: Directive): Retraction | undefined {
  const isInterval = args[0] === '['
  if (isInterval && (args[2] !== ',' || args[4] !== ']')) return undefined
  const low = findVersion(args[isInterval ? 1 : 0] ?? '')
  const high = isInterval ? findVersion(args[3] ?? '') : low
  return low === undefined || high === undefined ? undefined : { low, high, rationale: comment }
}

/** The first paragraph that begins with `Deprecated:`, without that word. */
function findDeprecation(comment: string): string {
  const mark = 'Deprecated:'
  const found = comment.startsWith(mark) ? 0 : comment.indexOf(`\n\n${mark}`)
  if (found < 0) return ''
  let start = found + mark.length + (comment.startsWith(mark) ? 0 : 2)
  while (comment[start] === ' ') start++
  const end = comment.indexOf('\n\n', start)
  return comment.slice(start, end < 0 ? undefined : end)
}

function splitFields(text: string): string[] {
  return text
    .replaceAll('\t', ' ')
    .split(' ')
    .filter((field) => field !== '')
}

function pushFound<T>(list: T[], found: T | undefined): void {
  if (found !== undefined) list.push(found)
}

function broken(directive: Directive, reason: string): InvalidFileError {
  return new InvalidFileError('go.mod', `${directive.verb}: ${reason}`, directive.line)
}
