import { compareBytes } from './byte-order.ts'
import { InvalidFileError } from './errors.ts'
import { maxSumBytes } from './limits.ts'
import { type ModHash, parseModHash } from './mod-hash.ts'
import { compareModuleVersions, type ModuleVersion, parseModuleVersion } from './module-version.ts'
import { parseZipHash, type ZipHash } from './zip-hash.ts'

/** One line of a go.sum: the hash of a module's zip, or of its go.mod. */
export type GoSumLine =
  | { readonly kind: 'zip'; readonly module: ModuleVersion; readonly hash: ZipHash }
  | { readonly kind: 'mod'; readonly module: ModuleVersion; readonly hash: ModHash }

/**
 * Parses a go.sum (at most maxSumBytes). Blank lines are skipped; a line may occur twice, and a module may
 * have several hashes: what that means is the caller's to decide. Throws InvalidFileError with the line.
 */
export function parseGoSum(bytes: Uint8Array): GoSumLine[] {
  if (bytes.length > maxSumBytes) throw new InvalidFileError('go.sum', 'too large')
  const lines: GoSumLine[] = []
  for (const [i, text] of decode(bytes).split('\n').entries()) {
    const fields = splitFields(text)
    if (fields.length > 0) lines.push(parseLine(fields, i + 1))
  }
  return lines
}

/** Writes a go.sum as `go` does: sorted, each line once. */
export function formatGoSum(lines: readonly GoSumLine[]): string {
  const sorted = [...lines].sort(compareLines).map(formatLine)
  return sorted.filter((line, i) => line !== sorted[i - 1]).join('')
}

function parseLine(fields: readonly string[], number: number): GoSumLine {
  const [path, named, hash, ...more] = fields
  if (path === undefined || named === undefined || hash === undefined || more.length > 0) {
    throw new InvalidFileError('go.sum', `wrong number of fields ${fields.length}`, number)
  }
  try {
    if (!named.endsWith(modSuffix)) {
      return { kind: 'zip', module: parseModuleVersion(path, named), hash: parseZipHash(hash) }
    }
    const module = parseModuleVersion(path, named.slice(0, -modSuffix.length))
    return { kind: 'mod', module, hash: parseModHash(hash) }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw Object.assign(new InvalidFileError('go.sum', reason, number), { cause })
  }
}

function formatLine({ kind, module, hash }: GoSumLine): string {
  return `${module.path} ${module.version}${kind === 'mod' ? modSuffix : ''} ${hash}\n`
}

function compareLines(a: GoSumLine, b: GoSumLine): number {
  return (
    compareModuleVersions(a.module, b.module) ||
    compareBytes(a.module.version, b.module.version) ||
    Number(a.kind === 'mod') - Number(b.kind === 'mod') ||
    compareBytes(a.hash, b.hash)
  )
}

/** Splits at white space; a go.sum is ASCII, so the few ASCII spaces are all there is. */
function splitFields(text: string): string[] {
  const fields: string[] = []
  let start = 0
  for (let i = 0; i <= text.length; i++) {
    if (i < text.length && !spaces.has(text.charAt(i))) continue
    if (i > start) fields.push(text.slice(start, i))
    start = i + 1
  }
  return fields
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (cause) {
    throw Object.assign(new InvalidFileError('go.sum', 'not valid UTF-8'), { cause })
  }
}

const modSuffix = '/go.mod'
const spaces = new Set(' \t\r\v\f')
