import { basicCredential } from '../../basic-auth.ts'

/** Header names and values in turn, as they are sent. */
export type HeaderList = readonly string[]

/** Headers by what they are for: `host[:port]` and the beginning of a path, whole segments. */
export type CredentialSet = ReadonlyMap<string, HeaderList>

/** What a credential command printed is not its format. Never holds what was printed. */
export class InvalidCredentialsError extends Error {
  readonly code = 'INVALID_CREDENTIALS'
}

/** A command may not change what we ask, nor for whom. */
const ours: ReadonlySet<string> = new Set([
  'host',
  'connection',
  'keep-alive',
  'content-length',
  'transfer-encoding',
  'te',
  'trailer',
  'upgrade',
  'expect',
  'range',
  'if-range',
  'if-none-match',
  'if-modified-since',
  'accept-encoding',
  'via',
])

/**
 * Reads what a GOAUTH command prints: https URLs, a blank line, headers, a blank line, and again. One pass.
 * Throws InvalidCredentialsError.
 */
export function parseCredentialSet(text: string): CredentialSet {
  const set = new Map<string, HeaderList>()
  const lines = text.replaceAll('\r\n', '\n').split('\n')
  let at = 0
  const block = (what: string): readonly string[] => {
    const end = lines.indexOf('', at)
    if (end < 0 || end === lines.length - 1) {
      throw new InvalidCredentialsError(`no empty line after the ${what}`)
    }
    const taken = lines.slice(at, end)
    at = end + 1
    return taken
  }
  while (at < lines.length - 1) {
    const keys = block('URLs').map(keyOfUrl)
    const headers = block('headers').flatMap(parseHeader)
    for (const key of keys) set.set(key, headers)
  }
  if (lines.at(-1) !== '') throw new InvalidCredentialsError('the last line does not end')
  return set
}

/** The key that a URL's credentials are kept under. */
export function credentialKey(url: URL): string {
  let { pathname } = url
  while (pathname.endsWith('/')) pathname = pathname.slice(0, -1)
  return url.host + pathname
}

/** The Authorization header of a name and a password. */
export function basicAuth(login: string, password: string): HeaderList {
  return ['authorization', basicCredential(login, password)]
}

function keyOfUrl(line: string): string {
  const url = URL.parse(line)
  if (url === null || url.protocol !== 'https:' || url.username !== '' || url.password !== '') {
    throw new InvalidCredentialsError('what comes before a set of headers is no https URL')
  }
  return credentialKey(url)
}

function parseHeader(line: string): readonly string[] {
  const colon = line.indexOf(':')
  const name = line.slice(0, Math.max(colon, 0)).toLowerCase()
  const value = line.slice(colon + 1).trim()
  const isValid = name !== '' && every(name, isTokenChar) && every(value, isValueChar)
  if (!isValid) throw new InvalidCredentialsError('a line is no header')
  return ours.has(name) || name.startsWith('proxy-') ? [] : [name, value]
}

function every(text: string, passes: (char: string) => boolean): boolean {
  return Array.from(text).every(passes)
}

/** RFC 9110, section 5.6.2. */
function isTokenChar(char: string): boolean {
  const isAlphanumeric = (char >= 'a' && char <= 'z') || (char >= '0' && char <= '9')
  return isAlphanumeric || "!#$%&'*+-.^_`|~".includes(char)
}

function isValueChar(char: string): boolean {
  return char === '\t' || (char >= ' ' && char <= '~')
}
