import {
  compareVersions,
  InvalidVersionError,
  isPseudoVersion,
  parseSemver,
  parseVersion,
  type Version,
} from '@modmesh/module'
import { maxListBytes } from './limits.ts'

/** Reads the versions of a list; lines that are none count for nothing, as for `go`. */
export function listedVersions(list: Uint8Array): Version[] {
  const versions: Version[] = []
  for (const word of firstWords(new TextDecoder().decode(list))) {
    try {
      if (word !== '') versions.push(parseVersion(word))
    } catch (error) {
      if (!(error instanceof InvalidVersionError)) throw error
    }
  }
  return versions
}

/** Writes a list. It holds no pseudo-versions (golang.org/ref/mod#goproxy-protocol). */
export function formatList(versions: readonly Version[]): Uint8Array {
  return new TextEncoder().encode(linesOf(versions))
}

/** Appends the versions that a list does not name; the same bytes when it names all. */
export function addToList(list: Uint8Array, versions: readonly Version[]): Uint8Array {
  const text = new TextDecoder().decode(list)
  const listed = new Set(firstWords(text))
  const missing = linesOf(versions.filter((version) => !listed.has(version)))
  if (missing === '') return list
  const gap = text === '' || text.endsWith('\n') ? '' : '\n'
  return new TextEncoder().encode(text + gap + missing)
}

/**
 * Says why bytes are no list, or undefined. Lines that are no versions are allowed, but a text with nothing
 * but such lines is a page about something else.
 */
export function findListFault(bytes: Uint8Array): string | undefined {
  if (bytes.length > maxListBytes) return 'more than the size limit'
  const text = new TextDecoder().decode(bytes)
  for (const word of firstWords(text)) if (parseSemver(word) !== undefined) return undefined
  return text.trim() === '' ? undefined : 'no line of it is a version'
}

function linesOf(versions: readonly Version[]): string {
  const listed = versions.filter((version) => !isPseudoVersion(version)).sort(compareVersions)
  return listed.map((version) => `${version}\n`).join('')
}

/** Returns what `go` reads of a line of a list: its first word, or nothing. */
export function firstWord(line: string): string {
  return line.trim().replaceAll('\t', ' ').split(' ', 1)[0] ?? ''
}

/** The first word of each line. */
function* firstWords(text: string): Generator<string> {
  for (let start = 0; start < text.length; ) {
    const newline = text.indexOf('\n', start)
    const end = newline < 0 ? text.length : newline
    yield firstWord(text.slice(start, end))
    start = end + 1
  }
}
