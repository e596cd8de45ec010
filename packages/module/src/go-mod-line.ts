import { InvalidFileError } from './errors.ts'

/** One line of a go.mod as its scanner sees it (golang.org/ref/mod#go-mod-file-lexical). */
export interface GoModLine {
  /** Counted from 1. */
  readonly number: number
  /** Words, strings with their quotes, and the marks `( ) [ ] { } ,`. */
  readonly tokens: readonly string[]
  /** What follows `//`, trimmed; undefined without a comment. */
  readonly comment: string | undefined
}

/** Takes a go.mod apart, line by line. Throws InvalidFileError where Go's scanner does. */
export function scanGoMod(text: string): GoModLine[] {
  return text.split('\n').map((line, i) => scanLine(line, i + 1))
}

function scanLine(line: string, number: number): GoModLine {
  const tokens: string[] = []
  let at = 0
  for (;;) {
    while (isBlank(line[at])) at++
    if (at >= line.length) return { number, tokens, comment: undefined }
    if (line.startsWith('//', at)) return { number, tokens, comment: line.slice(at + 2).trim() }
    const end = endOfToken(line, at, number)
    tokens.push(line.slice(at, end))
    at = end
  }
}

function endOfToken(line: string, start: number, number: number): number {
  const first = line.charAt(start)
  if (marks.has(first)) return start + 1
  if (first === '"' || first === '`') return endOfString(line, start, number)
  const end = endOfWord(line, start, number)
  if (end > start) return end
  throw new InvalidFileError(
    'go.mod',
    `unexpected input character ${JSON.stringify(first)}`,
    number,
  )
}

function endOfString(line: string, start: number, number: number): number {
  const quote = line.charAt(start)
  for (let at = start + 1; at < line.length; at++) {
    if (line[at] === quote) return at + 1
    if (line[at] === '\\' && quote === '"') at++
  }
  throw new InvalidFileError('go.mod', 'unexpected newline in string', number)
}

function endOfWord(line: string, start: number, number: number): number {
  let at = start
  while (at < line.length && !line.startsWith('//', at)) {
    if (line.startsWith('/*', at)) {
      throw new InvalidFileError('go.mod', 'mod files must use // comments', number)
    }
    const char = String.fromCodePoint(line.codePointAt(at) ?? 0)
    if (!isWordChar(char)) break
    at += char.length
  }
  return at
}

function isBlank(char: string | undefined): boolean {
  return char === ' ' || char === '\t' || char === '\r'
}

/** Go's unicode.IsPrint without space and marks. */
function isWordChar(char: string): boolean {
  if (char < '\x80') return char > ' ' && char !== '\x7f' && !marks.has(char)
  return printable.test(char) // one code point at a time: constant work
}

const printable = /^[\p{L}\p{M}\p{N}\p{P}\p{S}]$/u

const marks = new Set('()[]{},')
