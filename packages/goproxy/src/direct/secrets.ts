import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Takes secrets out of a text before anybody reads it. */
export type HideSecrets = (text: string) => string

const hidden = '***'
/** A shorter password would turn ordinary words into stars, and protects nothing. */
const minSecretChars = 4
/** A netrc file is short; more is no netrc. Characters. */
const maxNetrcChars = 1 << 20

const schemes: readonly string[] = ['basic', 'bearer', 'token', 'negotiate', 'digest']
const headers: readonly string[] = [
  'authorization',
  'proxy-authorization',
  'cookie',
  'private-token',
]

/**
 * Hides what the output of git and go may hold: user info and queries of URLs, credentials of header lines, and
 * every password of the user's netrc file, plain or as part of a Basic credential.
 */
export function hideSecrets(around: Readonly<Record<string, string | undefined>>): HideSecrets {
  return (text) => {
    let safe = hideHeaders(hideUrls(text))
    // Read anew each time: it is rare, and the file changes.
    for (const secret of netrcSecrets(around)) safe = safe.replaceAll(secret, hidden)
    return safe
  }
}

/** Hides user info and all queries but go's own in every URL of a text. */
function hideUrls(text: string): string {
  let safe = ''
  let at = 0
  for (let mark = text.indexOf('://'); mark >= 0; mark = text.indexOf('://', at)) {
    const start = mark + 3
    const rest = start + userInfoLength(text, start)
    const end = endOfUrl(text, rest)
    safe += text.slice(at, start) + (rest > start ? `${hidden}@` : '')
    safe += hideQuery(text.slice(rest, end))
    at = end
  }
  return safe + text.slice(at)
}

/**
 * How much of a URL after its `://` is user info with its `@`. A password that was written down without escapes may
 * hold a slash, a quote or a bracket: then there is no port where one would be, and an `@` behind it.
 */
function userInfoLength(text: string, start: number): number {
  let end = start
  // The next URL begins behind a path of this one: before any slash a `://` belongs to a password.
  let hasSlash = false
  while (
    end < text.length &&
    (text[end] ?? '') > ' ' &&
    !(hasSlash && text.startsWith('://', end))
  ) {
    hasSlash ||= text[end] === '/'
    end++
  }
  const run = text.slice(start, end)
  const slash = run.indexOf('/')
  const authority = slash < 0 ? run : run.slice(0, slash)
  const at = authority.lastIndexOf('@')
  if (at >= 0) return at + 1
  const colon = authority.indexOf(':')
  const port = authority.slice(colon + 1)
  const isPort = colon < 0 || slash < 0 || (port !== '' && Array.from(port).every(isDigit))
  return isPort ? 0 : run.lastIndexOf('@') + 1
}

/** The values of `password` in the text of a netrc file, and the Basic credentials made of them. */
function parseNetrcSecrets(text: string): readonly string[] {
  const secrets: string[] = []
  let login = ''
  const words = [...wordsOf(text)]
  for (const [i, word] of words.entries()) {
    const value = words[i + 1] ?? ''
    if (word === 'machine' || word === 'default') login = ''
    if (word === 'login') login = value
    if (word !== 'password' || value.length < minSecretChars) continue
    secrets.push(value, encodeURIComponent(value))
    secrets.push(Buffer.from(`${login}:${value}`).toString('base64'))
  }
  // The longest first, so that no rest of one is left where another is part of it.
  return [...new Set(secrets)].toSorted((a, b) => b.length - a.length)
}

function netrcSecrets(around: Readonly<Record<string, string | undefined>>): readonly string[] {
  const home = around['HOME'] ?? around['USERPROFILE'] ?? ''
  const files = [around['NETRC'], join(home, '.netrc'), join(home, '_netrc')]
  return files.flatMap((file) => (file ? parseNetrcSecrets(readIfThere(file)) : []))
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8').slice(0, maxNetrcChars)
  } catch {
    // None, or one that git and go cannot read either.
    return ''
  }
}

function hideQuery(url: string): string {
  const query = url.indexOf('?')
  if (query < 0 || url.slice(query + 1) === 'go-get=1') return url
  return `${url.slice(0, query)}?${hidden}`
}

/** A URL ends at a space, a quote, a bracket or where another one begins; a colon or dot after it is punctuation. */
function endOfUrl(text: string, start: number): number {
  let end = start
  while (end < text.length && !isUrlEnd(text[end] ?? '') && !text.startsWith('://', end)) end++
  while (end > start && ':.,;'.includes(text[end - 1] ?? '')) end--
  return end
}

function isUrlEnd(char: string): boolean {
  return char <= ' ' || '\'"`<>()[]{}'.includes(char)
}

/** Hides the rest of a header line, and what follows the name of an authentication scheme. */
function hideHeaders(text: string): string {
  return text
    .split('\n')
    .map((line) => {
      const start = valueOfHeader(line.toLowerCase())
      return start === undefined ? hideSchemes(line) : `${line.slice(0, start)} ${hidden}`
    })
    .join('\n')
}

/** Where the value of a header begins: `Cookie: a=b`, and `header "cookie" = "a=b"` of go's own traces. */
function valueOfHeader(line: string): number | undefined {
  for (const header of headers) {
    const at = line.indexOf(header)
    if (at < 0) continue
    let end = at + header.length
    while (line[end] === '"' || line[end] === ' ') end++
    if (line[end] === ':' || line[end] === '=') return end + 1
  }
  return undefined
}

function hideSchemes(line: string): string {
  const words = line.split(' ')
  return words
    .map((word, i) => {
      const before = withoutQuotes((words[i - 1] ?? '').toLowerCase())
      const isCredential = schemes.includes(before) && word.length >= 8 && !isPlainWord(word)
      return isCredential ? hidden : word
    })
    .join(' ')
}

function withoutQuotes(word: string): string {
  return word.replaceAll('"', '').replaceAll("'", '')
}

/** `Basic realm="x"` and `bearer authentication` are no secrets. */
function isPlainWord(word: string): boolean {
  return word.includes('=')
    ? word.startsWith('realm')
    : word === word.toLowerCase() && !hasDigit(word)
}

function hasDigit(word: string): boolean {
  return Array.from(word).some(isDigit)
}

function isDigit(char: string): boolean {
  return char >= '0' && char <= '9'
}

function* wordsOf(text: string): Generator<string> {
  let word = ''
  for (const char of text) {
    if (char > ' ') word += char
    else if (word !== '') {
      yield word
      word = ''
    }
  }
  if (word !== '') yield word
}
