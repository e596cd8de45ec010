/** Which of Go's three rule sets a path follows (x/mod module.CheckPath, CheckImportPath, CheckFilePath). */
export type PathKind = 'module' | 'import' | 'file'

const alphanumerics = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'

/** 1 at each ASCII code that may stand in an element of that kind. */
const asciiAllowed: Readonly<Record<PathKind, Uint8Array>> = {
  module: markCodes(`${alphanumerics}-._~`),
  import: markCodes(`${alphanumerics}-._~+`),
  file: markCodes(`${alphanumerics}!#$%&()+,-.=@[]^_{}~ `),
}

const windowsDevices = new Set(
  ['con', 'prn', 'aux', 'nul'].concat(
    Array.from('123456789').flatMap((digit) => [`com${digit}`, `lpt${digit}`]),
  ),
)

/** Says why a slash-separated path breaks the rules of its kind, or returns undefined. */
export function findPathFault(path: string, kind: PathKind): string | undefined {
  if (!path.isWellFormed()) return 'invalid UTF-8'
  if (path === '') return 'empty string'
  if (path.startsWith('-') && kind !== 'file') return 'leading dash'
  if (path.includes('//')) return 'double slash'
  if (path.endsWith('/')) return 'trailing slash'
  for (const element of path.split('/')) {
    const fault = findElementFault(element, kind)
    if (fault !== undefined) return fault
  }
  return undefined
}

/** Says why one path element breaks the rules of its kind, or returns undefined. */
export function findElementFault(element: string, kind: PathKind): string | undefined {
  return findDotFault(element, kind) ?? findCharFault(element, kind) ?? findNameFault(element, kind)
}

function findDotFault(element: string, kind: PathKind): string | undefined {
  if (element === '') return 'empty path element'
  if (isAllDots(element)) return `invalid path element ${JSON.stringify(element.slice(0, 64))}`
  if (element.startsWith('.') && kind === 'module') return 'leading dot in path element'
  if (element.endsWith('.')) return 'trailing dot in path element'
  return undefined
}

function findCharFault(element: string, kind: PathKind): string | undefined {
  const ascii = asciiAllowed[kind]
  for (let i = 0; i < element.length; i++) {
    const unit = element.charCodeAt(i)
    if (ascii[unit] === 1) continue
    const char = String.fromCodePoint(element.codePointAt(i) ?? 0)
    if (unit < 0x80 || kind !== 'file' || !isLetter(char)) {
      return `invalid char ${JSON.stringify(char)}`
    }
    i += char.length - 1
  }
  return undefined
}

/** Windows reserves device names and gives long names a short alias that ends in `~1`. */
function findNameFault(element: string, kind: PathKind): string | undefined {
  const dot = element.indexOf('.')
  const stem = dot < 0 ? element : element.slice(0, dot)
  if (windowsDevices.has(stem.toLowerCase())) {
    return `${JSON.stringify(stem)} disallowed as path element component on Windows`
  }
  if (kind === 'file') return undefined
  const tilde = stem.lastIndexOf('~')
  if (tilde >= 0 && tilde < stem.length - 1 && isDigits(stem.slice(tilde + 1))) {
    return 'trailing tilde and digits in path element'
  }
  return undefined
}

/**
 * Go's unicode.IsLetter. The engine's Unicode may be newer than that of a given `go`: then we let a
 * letter pass that an older `go` refuses by itself, and never refuse one that a newer `go` takes.
 */
function isLetter(char: string): boolean {
  return letter.test(char) // one code point at a time: constant work
}

const letter = /^\p{L}$/u

function markCodes(chars: string): Uint8Array {
  const marks = new Uint8Array(0x80)
  for (const char of chars) marks[char.charCodeAt(0)] = 1
  return marks
}

function isAllDots(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text[i] !== '.') return false
  return true
}

/** Whether a text is one or more ASCII digits. */
export function isDigits(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (!isDigit(text.charCodeAt(i))) return false
  return text !== ''
}

/** Whether a UTF-16 unit is an ASCII digit. */
export function isDigit(unit: number): boolean {
  return unit >= 0x30 && unit <= 0x39
}
