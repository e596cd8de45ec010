import { InvalidGosumdbError, InvalidVerifierKeyError } from './errors.ts'
import { parseVerifierKey, type VerifierKey } from './note.ts'

/** Which checksum database to use, as the GOSUMDB variable says it (golang.org/ref/mod#environment-variables). */
export type Gosumdb =
  | { readonly kind: 'off' }
  | {
      readonly kind: 'on'
      readonly name: string
      readonly key: VerifierKey
      /** Where to ask, without trailing slash, bypassing proxies; undefined: proxies, then `https://{name}`. */
      readonly url: string | undefined
    }

const knownKeys: ReadonlyMap<string, string> = new Map([
  ['sum.golang.org', 'sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8'],
])

/** Names that are another address of a known database. */
const aliases: ReadonlyMap<string, string> = new Map([
  ['sum.golang.google.cn', 'sum.golang.org https://sum.golang.google.cn'],
])

/**
 * Parses a GOSUMDB value: `off`, `name`, `name+hash+key`, each but the first with an optional URL
 * (cmd/go modfetch dbDial). Throws InvalidGosumdbError.
 */
export function parseGosumdb(text: string): Gosumdb {
  const fields = (aliases.get(text.trim()) ?? text).split(/\s/u).filter((field) => field !== '')
  const [keyText, url] = fields
  if (keyText === undefined) throw new InvalidGosumdbError(text, 'empty')
  if (fields.length > 2) throw new InvalidGosumdbError(text, 'too many fields')
  if (keyText === 'off' && url === undefined) return { kind: 'off' }
  const key = parseKey(text, keyText)
  if (!isDatabaseName(key.name)) throw new InvalidGosumdbError(text, 'the name is not host[/path]')
  return { kind: 'on', name: key.name, key, url: url === undefined ? url : parseUrl(text, url) }
}

function parseKey(text: string, key: string): VerifierKey {
  try {
    return parseVerifierKey(knownKeys.get(key) ?? key)
  } catch (cause) {
    if (!(cause instanceof InvalidVerifierKeyError)) throw cause
    const reason = key.includes('+') ? cause.message : 'no key is known for this name'
    throw new InvalidGosumdbError(text, reason, { cause })
  }
}

function parseUrl(text: string, address: string): string {
  const url = URL.parse(address)
  if (url === null || !['http:', 'https:', 'file:'].includes(url.protocol)) {
    throw new InvalidGosumdbError(text, 'the address is not an http, https or file URL')
  }
  if (url.search !== '' || url.hash !== '') {
    throw new InvalidGosumdbError(text, 'the address has a query or fragment')
  }
  return address.endsWith('/') ? address.slice(0, -1) : address
}

/** True for `host[/path]` that reads the same inside a URL, so that a name cannot point elsewhere. */
function isDatabaseName(name: string): boolean {
  const url = URL.parse(`https://${name}`)
  if (url === null || name.includes('\\')) return false
  const spelled = url.pathname === '/' ? url.host : `${url.host}${url.pathname}`
  return spelled === name
}
