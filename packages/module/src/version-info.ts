import { foldCase } from './case-fold.ts'
import { InvalidFileError } from './errors.ts'
import { maxInfoBytes } from './limits.ts'
import { rfc3339Seconds } from './rfc3339.ts'
import { canonicalVersion, type Version } from './version.ts'

/** The fields of a `.info` or `@latest` answer that we act on. */
export interface VersionInfo {
  readonly version: Version
  /** RFC 3339, as given. */
  readonly time: string | undefined
}

/** Parses `.info` JSON (at most maxInfoBytes). Throws InvalidFileError. */
export function parseVersionInfo(bytes: Uint8Array): VersionInfo {
  if (bytes.length > maxInfoBytes) throw broken(`larger than ${maxInfoBytes} bytes`)
  const fields = parseObject(bytes)
  const version = findField(fields, 'Version')
  const time = findField(fields, 'Time') ?? undefined
  if (typeof version !== 'string' || canonicalVersion(version) !== version) {
    throw broken('Version is not a canonical version')
  }
  if (time !== undefined && (typeof time !== 'string' || rfc3339Seconds(time) === undefined)) {
    throw broken('Time is not an RFC 3339 time')
  }
  return { version: version as Version, time }
}

/** Writes `.info` JSON as `go` does, without Origin. */
export function formatVersionInfo(info: VersionInfo): Uint8Array {
  const fields = { Version: info.version, ...(info.time === undefined ? {} : { Time: info.time }) }
  return new TextEncoder().encode(JSON.stringify(fields))
}

function parseObject(bytes: Uint8Array): Map<string, unknown> {
  const text = decode(bytes)
  const value = parseJson(text)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw broken('not a JSON object')
  }
  const fields = new Map<string, unknown>(Object.entries(value))
  if (countTopFields(text) !== fields.size) throw broken('a field is given twice')
  return fields
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (cause) {
    throw Object.assign(broken('not valid UTF-8'), { cause })
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw Object.assign(broken('not JSON'), { cause })
  }
}

/** Counts the colons of the outermost object in valid JSON: JSON.parse hides which fields came twice. */
function countTopFields(json: string): number {
  let depth = 0
  let fields = 0
  for (let i = 0; i < json.length; i++) {
    const char = json[i]
    if (char === '"') i = endOfString(json, i)
    else if (char === '{' || char === '[') depth++
    else if (char === '}' || char === ']') depth--
    else if (char === ':' && depth === 1) fields++
  }
  return fields
}

function endOfString(json: string, start: number): number {
  let at = start + 1
  while (at < json.length && json[at] !== '"') at += json[at] === '\\' ? 2 : 1
  return at
}

/**
 * Finds a field by folded name, as Go's encoding/json does. Doubles and two spellings in one object are
 * refused: `go` reads them by other rules, and so would act on another value than we checked.
 */
function findField(fields: ReadonlyMap<string, unknown>, name: string): unknown {
  const wanted = foldCase(name)
  const spellings = Array.from(fields.keys()).filter((key) => foldCase(key) === wanted)
  if (spellings.length > 1) throw broken(`${name} is given in two spellings`)
  return fields.get(spellings[0] ?? name)
}

function broken(reason: string): InvalidFileError {
  return new InvalidFileError('.info', reason)
}
