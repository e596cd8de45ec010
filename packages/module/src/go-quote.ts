/** Reads a token of a go.mod as the text it stands for, or returns undefined where Go's modfile does not take it. */
export function unquoteToken(token: string): string | undefined {
  if (token.startsWith('"')) return unquote(token)
  // The reference allows back quotes, `go` does not (yet): who reads like `go` refuses too.
  return ['"', "'", '`'].some((quote) => token.includes(quote)) ? undefined : token
}

/** Reads a double-quoted Go string (strconv.Unquote), or returns undefined. The scanner saw to its closing quote. */
function unquote(token: string): string | undefined {
  const bytes: number[] = []
  for (let at = 1; at < token.length - 1; ) {
    const parsed = token[at] === '\\' ? parseEscape(token, at + 1) : parseChar(token, at)
    if (parsed === undefined) return undefined
    bytes.push(...parsed.bytes)
    at = parsed.end
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Uint8Array.from(bytes))
  } catch {
    return undefined // \xff and the like make no valid UTF-8, and so no path or version
  }
}

interface ParsedChar {
  readonly bytes: Iterable<number>
  readonly end: number
}

function parseChar(token: string, at: number): ParsedChar | undefined {
  const code = token.codePointAt(at)
  if (code === undefined) return undefined
  const char = String.fromCodePoint(code)
  return { bytes: new TextEncoder().encode(char), end: at + char.length }
}

function parseEscape(token: string, at: number): ParsedChar | undefined {
  const letter = token.charAt(at)
  const simple = simpleEscapes.get(letter)
  if (simple !== undefined) return { bytes: [simple], end: at + 1 }
  if (letter === 'x') return parseByte(token.slice(at + 1, at + 3), 16, at + 3)
  if (letter === 'u') return parseRune(token.slice(at + 1, at + 5), 4, at + 5)
  if (letter === 'U') return parseRune(token.slice(at + 1, at + 9), 8, at + 9)
  return parseByte(token.slice(at, at + 3), 8, at + 3)
}

function parseByte(digits: string, base: 8 | 16, end: number): ParsedChar | undefined {
  const value = parseDigits(digits, base, base === 16 ? 2 : 3)
  return value === undefined || value > 0xff ? undefined : { bytes: [value], end }
}

function parseRune(digits: string, count: number, end: number): ParsedChar | undefined {
  const value = parseDigits(digits, 16, count)
  if (value === undefined || value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) {
    return undefined
  }
  return { bytes: new TextEncoder().encode(String.fromCodePoint(value)), end }
}

function parseDigits(digits: string, base: number, count: number): number | undefined {
  if (digits.length !== count) return undefined
  let value = 0
  for (const digit of digits.toLowerCase()) {
    const worth = '0123456789abcdef'.indexOf(digit)
    if (worth < 0 || worth >= base) return undefined
    value = value * base + worth
  }
  return value
}

const simpleEscapes: ReadonlyMap<string, number> = new Map([
  ['a', 0x07],
  ['b', 0x08],
  ['f', 0x0c],
  ['n', 0x0a],
  ['r', 0x0d],
  ['t', 0x09],
  ['v', 0x0b],
  ['\\', 0x5c],
  ['"', 0x22],
])
