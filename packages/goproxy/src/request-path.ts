import { createHash, timingSafeEqual } from 'node:crypto'
import {
  escapeModulePath,
  escapeVersion,
  type ModulePath,
  type ModuleVersion,
  parseModuleVersion,
  unescapeModulePath,
  unescapeVersion,
} from '@modmesh/module'
import { InvalidRequestTargetError } from './errors.ts'
import { isTilePath } from './tile-path.ts'

/** What a URL of the GOPROXY protocol asks for. Valid by construction. */
export type ProxyRequest =
  | ModuleFileRequest
  | { readonly kind: 'list'; readonly path: ModulePath; readonly cachedOnly: boolean }
  | { readonly kind: 'latest'; readonly path: ModulePath; readonly cachedOnly: boolean }
  | {
      readonly kind: 'query'
      readonly path: ModulePath
      /** A branch, tag or commit. */
      readonly query: string
      readonly cachedOnly: boolean
    }
  | SumdbRequest
  /** Not of the protocol: `/` and everything under `/-/`. */
  | { readonly kind: 'page'; readonly path: string }

export interface ModuleFileRequest {
  readonly kind: 'zip' | 'mod' | 'info'
  readonly module: ModuleVersion
  readonly cachedOnly: boolean
}

export type SumdbRequest =
  | {
      readonly kind: 'sumdb-supported'
      readonly database: string
      readonly cachedOnly: boolean
    }
  | { readonly kind: 'sumdb-latest'; readonly database: string; readonly cachedOnly: boolean }
  | {
      readonly kind: 'sumdb-lookup'
      readonly database: string
      readonly module: ModuleVersion
      readonly cachedOnly: boolean
    }
  | {
      readonly kind: 'sumdb-tile'
      readonly database: string
      /** `tile/8/0/x001/234.p/5` */
      readonly tile: string
      readonly cachedOnly: boolean
    }

const cachedOnlyBase = 'cached-only'
/** Words that `go` resolves itself and never sends; as a branch name they would be a trap. */
const queryWords: readonly string[] = ['latest', 'upgrade', 'patch']
const fileKinds: readonly ModuleFileRequest['kind'][] = ['info', 'mod', 'zip']

/**
 * Reads the target of a request line (origin-form, query ignored). Percent escapes are decoded once, then `!`
 * escapes, so that `%21` and `!` name the same thing; `+` stays. Throws InvalidRequestTargetError.
 */
export function parseRequestTarget(
  target: string,
  options: { readonly pathSecret?: string } = {},
): ProxyRequest {
  const decoded = decodeTarget(target)
  const path = stripSecret(decoded, options.pathSecret)
  if (path === '/' || path === '/-' || path.startsWith('/-/')) return { kind: 'page', path }
  const segments = cleanSegments(path)
  const cachedOnly = segments[0] === cachedOnlyBase && segments.length > 1
  const rest = cachedOnly ? segments.slice(1) : segments
  if (rest[0] === 'sumdb') return parseSumdb(rest.slice(1), cachedOnly)
  return parseModuleRequest(rest.join('/'), cachedOnly)
}

/** Writes a request as `go` would send it: the inverse of parseRequestTarget. */
export function formatRequestTarget(
  request: ProxyRequest,
  options: { readonly pathSecret?: string } = {},
): string {
  const secret = trimSlashes(options.pathSecret ?? '')
  const base = secret === '' ? '' : `/${secret}`
  if (request.kind === 'page') return encodePath(base + request.path)
  const cachedOnly = request.cachedOnly ? `/${cachedOnlyBase}` : ''
  return encodePath(base + cachedOnly) + formatPath(request)
}

/** Percent-encodes a path as cmd/go does for module files: `!` becomes `%21`, `+`, `@` and `:` stay. */
export function encodePath(path: string): string {
  let encoded = ''
  for (const char of path) encoded += plainInPath(char) ? char : encodeChar(char)
  return encoded
}

function formatPath(request: Exclude<ProxyRequest, { kind: 'page' }>): string {
  switch (request.kind) {
    case 'zip':
    case 'mod':
    case 'info': {
      const { path, version } = request.module
      return encodePath(`/${escapeModulePath(path)}/@v/${escapeVersion(version)}.${request.kind}`)
    }
    case 'list':
      return encodePath(`/${escapeModulePath(request.path)}/@v/list`)
    case 'latest':
      return encodePath(`/${escapeModulePath(request.path)}/@latest`)
    case 'query':
      return encodePath(
        `/${escapeModulePath(request.path)}/@v/${escapeVersion(request.query)}.info`,
      )
    case 'sumdb-supported':
      return `/sumdb/${encodePath(request.database)}/supported`
    case 'sumdb-latest':
      return `/sumdb/${encodePath(request.database)}/latest`
    case 'sumdb-tile':
      return `/sumdb/${encodePath(request.database)}/${request.tile}`
    case 'sumdb-lookup': {
      // cmd/go sends lookups with a raw `!`.
      const { path, version } = request.module
      const name = `${escapeModulePath(path)}@${escapeVersion(version)}`
      return `/sumdb/${encodePath(request.database)}/lookup/${name}`
    }
  }
}

function parseModuleRequest(path: string, cachedOnly: boolean): ProxyRequest {
  const at = path.indexOf('/@')
  if (at < 0) throw new InvalidRequestTargetError('not a path of the GOPROXY protocol')
  const modulePath = reading(() => unescapeModulePath(path.slice(0, at)))
  const what = path.slice(at + 2)
  if (what === 'latest') return { kind: 'latest', path: modulePath, cachedOnly }
  if (what === 'v/list') return { kind: 'list', path: modulePath, cachedOnly }
  if (!what.startsWith('v/')) throw new InvalidRequestTargetError('unknown path after the module')
  return parseFile(modulePath, what.slice(2), cachedOnly)
}

function parseFile(path: ModulePath, file: string, cachedOnly: boolean): ProxyRequest {
  const kind = fileKinds.find((candidate) => file.endsWith(`.${candidate}`))
  if (kind === undefined || file.includes('/')) {
    throw new InvalidRequestTargetError('expected list, or a version with .info, .mod or .zip')
  }
  const text = reading(() => unescapeVersion(file.slice(0, -kind.length - 1)))
  const module = tryModuleVersion(path, text)
  if (module !== undefined) return { kind, module, cachedOnly }
  if (kind !== 'info' || queryWords.includes(text)) {
    throw new InvalidRequestTargetError(`unrecognized version ${JSON.stringify(text)}`)
  }
  return { kind: 'query', path, query: text, cachedOnly }
}

/** A version that is not canonical, or not of this path's major, is a query and no error. */
function tryModuleVersion(path: ModulePath, version: string): ModuleVersion | undefined {
  try {
    return parseModuleVersion(path, version)
  } catch (error) {
    if (isInvalidName(error)) return undefined
    throw error
  }
}

/** A database's name may contain slashes, so the first word of the protocol ends it. */
function parseSumdb(segments: readonly string[], cachedOnly: boolean): SumdbRequest {
  const at = segments.findIndex(
    (segment, index) => index > 0 && ['supported', 'latest', 'lookup', 'tile'].includes(segment),
  )
  if (at < 0) throw new InvalidRequestTargetError('not a path of a checksum database')
  const database = segments.slice(0, at).join('/')
  const rest = segments.slice(at + 1).join('/')
  switch (segments[at]) {
    case 'lookup':
      return { kind: 'sumdb-lookup', database, module: parseLookup(rest), cachedOnly }
    case 'tile':
      if (!isTilePath(`tile/${rest}`)) throw new InvalidRequestTargetError('not a tile')
      return { kind: 'sumdb-tile', database, tile: `tile/${rest}`, cachedOnly }
    case 'supported':
      if (rest === '') return { kind: 'sumdb-supported', database, cachedOnly }
      break
    case 'latest':
      if (rest === '') return { kind: 'sumdb-latest', database, cachedOnly }
      break
    default:
  }
  throw new InvalidRequestTargetError('not a path of a checksum database')
}

function parseLookup(text: string): ModuleVersion {
  const at = text.indexOf('@')
  if (at < 0) throw new InvalidRequestTargetError('lookup needs module@version')
  return reading(() =>
    parseModuleVersion(unescapeModulePath(text.slice(0, at)), unescapeVersion(text.slice(at + 1))),
  )
}

function reading<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (!isInvalidName(error)) throw error
    throw new InvalidRequestTargetError(error.message, { cause: error })
  }
}

function isInvalidName(error: unknown): error is Error {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return code === 'INVALID_MODULE_PATH' || code === 'INVALID_VERSION'
}

/** Decodes percent escapes once. Everything in the protocol is printable ASCII. */
function decodeTarget(target: string): string {
  if (!target.startsWith('/')) throw new InvalidRequestTargetError('expected a path')
  const end = target.indexOf('?')
  const path = end < 0 ? target : target.slice(0, end)
  let decoded = ''
  for (let at = 0; at < path.length; at++) {
    let code = path.charCodeAt(at)
    if (code === 0x25) {
      code = hexDigit(path.charCodeAt(at + 1)) * 16 + hexDigit(path.charCodeAt(at + 2))
      at += 2
    }
    // NaN, from a digit that is none, fails this too.
    if (!(code >= 0x20 && code <= 0x7e)) {
      throw new InvalidRequestTargetError('malformed or disallowed character in the path')
    }
    decoded += String.fromCharCode(code)
  }
  return decoded
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  const letter = code | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x61 + 10 : Number.NaN
}

/** Takes the secret base path away, compared in constant time: a local attacker may measure. */
function stripSecret(path: string, secret: string | undefined): string {
  const trimmed = trimSlashes(secret ?? '')
  if (trimmed === '') return path
  const end = trimmed.length + 1
  const given = sha256(path.slice(0, end))
  const boundary = path.length === end || path[end] === '/'
  if (!timingSafeEqual(given, sha256(`/${trimmed}`)) || !boundary) {
    throw new InvalidRequestTargetError('not found')
  }
  return path.length === end ? '/' : path.slice(end)
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

function cleanSegments(path: string): readonly string[] {
  const segments = path.slice(1).split('/')
  if (segments.some((segment) => segment === '' || segment === '.' || segment === '..')) {
    throw new InvalidRequestTargetError('the path is not in its clean form')
  }
  return segments
}

function trimSlashes(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && text[start] === '/') start++
  while (end > start && text[end - 1] === '/') end--
  return text.slice(start, end)
}

function plainInPath(char: string): boolean {
  const code = char.charCodeAt(0)
  const alphanumeric =
    (code >= 0x30 && code <= 0x39) ||
    (code >= 0x41 && code <= 0x5a) ||
    (code >= 0x61 && code <= 0x7a)
  return alphanumeric || '/-_.~$&+=:@'.includes(char)
}

function encodeChar(char: string): string {
  let encoded = ''
  for (const byte of new TextEncoder().encode(char)) {
    encoded += `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  return encoded
}
