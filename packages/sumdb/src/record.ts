import {
  InvalidHashError,
  type ModHash,
  type ModuleVersion,
  parseModHash,
  parseZipHash,
  type ZipHash,
} from '@modmesh/module'
import { decodeText, isPlainText, parseDecimal } from './bytes.ts'
import { SumdbUntrustedError } from './errors.ts'
import { maxNoteBytes, maxRecordBytes, maxTreeSize } from './limits.ts'

/** A lookup answer taken apart, nothing of it trusted yet. */
export interface LookupAnswer {
  readonly id: number
  /** The go.sum lines, each ending in LF. */
  readonly text: string
  /** The signed tree head that came with it. */
  readonly note: string
}

/** The hashes a record has for one module version. */
export interface GoSum {
  readonly zip: ZipHash | undefined
  readonly mod: ModHash | undefined
}

/** Writes the body of a lookup answer: id LF, record, blank line, signed note. */
export function formatLookup(answer: LookupAnswer): string {
  return `${answer.id}\n${answer.text}\n${answer.note}`
}

/** Takes the body of a lookup answer apart (x/mod tlog.ParseRecord). Throws SumdbUntrustedError. */
export function parseLookup(body: Uint8Array): LookupAnswer {
  if (body.length > maxNoteBytes + maxRecordBytes) refuse('too long')
  const answer = decodeText(body, 'lookup answer')
  const idEnd = answer.indexOf('\n')
  const id = parseDecimal(answer.slice(0, Math.max(0, idEnd)), maxTreeSize)
  if (id === undefined) return refuse('no record number')
  const textEnd = answer.indexOf('\n\n', idEnd + 1)
  if (textEnd < 0) refuse('no blank line after the record')
  const text = answer.slice(idEnd + 1, textEnd + 1)
  if (!isRecordText(text)) refuse('malformed record')
  return { id, text, note: answer.slice(textEnd + 2) }
}

/** True for plain lines without a blank one, as x/mod tlog.FormatRecord demands. */
export function isRecordText(text: string): boolean {
  if (text.length > maxRecordBytes || !isPlainText(text)) return false
  return text.endsWith('\n') && !text.startsWith('\n') && !text.includes('\n\n')
}

/**
 * Reads the hashes of a module version out of an authenticated record. A record of another module is
 * refused even when it is in the log (CVE-2026-42501), and nothing but the record's own text is ever
 * read (CVE-2026-56864). One of the two lines is enough, as it is for `go`: who asks for a zip finds
 * no hash to accept it by when only the go.mod has a line. Throws SumdbUntrustedError.
 */
export function readGoSum(text: string, module: ModuleVersion): GoSum {
  const zip = findHash(text, `${module.path} ${module.version} `, parseZipHash)
  const mod = findHash(text, `${module.path} ${module.version}/go.mod `, parseModHash)
  if (zip === undefined && mod === undefined) {
    throw new SumdbUntrustedError(`the record has no line for ${module.path} ${module.version}`)
  }
  return { zip, mod }
}

/** Hashes of other kinds than h1 are left to later versions; two different h1 contradict each other. */
function findHash<H extends string>(
  text: string,
  prefix: string,
  parse: (hash: string) => H,
): H | undefined {
  let found: H | undefined
  for (const line of text.split('\n')) {
    if (!line.startsWith(`${prefix}h1:`)) continue
    const hash = parseHash(line.slice(prefix.length), parse)
    if (found !== undefined && found !== hash) refuse('contradicting lines')
    found = hash
  }
  return found
}

function parseHash<H>(text: string, parse: (hash: string) => H): H {
  try {
    return parse(text)
  } catch (cause) {
    if (cause instanceof InvalidHashError) {
      throw new SumdbUntrustedError('malformed hash in the record', { cause })
    }
    throw cause
  }
}

function refuse(reason: string): never {
  throw new SumdbUntrustedError(`lookup answer refused: ${reason}`)
}
