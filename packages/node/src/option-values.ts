import { isIP } from 'node:net'
import { InvalidPolicyRuleError, type PolicyRule, parseAge, parsePolicyRule } from '@modmesh/fill'
import * as v from 'valibot'
import { parseByteRate } from './byte-rate.ts'
import { parseByteSize } from './byte-size.ts'
import { InvalidSiteRuleError, parseSiteLink, type SiteLinkText } from './site-rules.ts'

/** Turns the text of an option into its value; `message` says what is allowed. */
export type ValueSchema<T> = v.GenericSchema<string, T>

const onWords = new Set(['on', 'true', '1', 'yes'])
const offWords = new Set(['off', 'false', '0', 'no'])

/** `on` or `off`, and the words people use for them. */
export const switchValue: ValueSchema<boolean> = v.pipe(
  v.string(),
  v.check((text) => onWords.has(text) || offWords.has(text), 'on or off'),
  v.transform((text) => onWords.has(text)),
)

/** A number of seconds; fractions are allowed, for tests and impatient people. */
export function secondsValue(minimum: number): ValueSchema<number> {
  const allowed = `seconds, ${minimum} to 86400`
  return v.pipe(
    v.string(),
    v.check((text) => isDecimal(text), allowed),
    v.transform(Number),
    v.check((seconds) => seconds >= minimum && seconds <= 86_400, allowed),
  )
}

/** A whole number within bounds. */
export function countValue(minimum: number, maximum: number): ValueSchema<number> {
  const allowed = `a whole number, ${minimum} to ${maximum}`
  return v.pipe(
    v.string(),
    v.check((text) => text !== '' && every(text, isDigit), allowed),
    v.transform(Number),
    v.check((count) => count >= minimum && count <= maximum, allowed),
  )
}

/** One of some words. */
export function choiceValue<const T extends string>(words: readonly T[]): ValueSchema<T> {
  return v.pipe(v.string(), v.picklist(words, words.join(', ')))
}

/** HOST:PORT as listenValue reads it, or a Unix socket. */
export const localListenValue: ValueSchema<string> = v.pipe(
  v.string(),
  v.transform((text) => (text.startsWith(':') ? `0.0.0.0${text}` : text)),
  v.check(
    (text) => isSocketAddress(text) || parseHostPort(text) !== undefined,
    'HOST:PORT such as 127.0.0.1:4770 or [::1]:4770, port 0 picks a free one; or unix:/PATH of at most 103 bytes',
  ),
)

function isSocketAddress(text: string): boolean {
  const path = text.startsWith('unix:') ? text.slice('unix:'.length) : ''
  return path.startsWith('/') && !path.endsWith('/') && Buffer.byteLength(path) <= 103
}

/** A rule of the policy; what is wrong with it is said in its own words. */
export const policyRuleValue: ValueSchema<PolicyRule> = v.pipe(
  v.string(),
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    try {
      return parsePolicyRule(dataset.value)
    } catch (error) {
      if (!(error instanceof InvalidPolicyRuleError)) throw error
      addIssue({ message: `\`allow|deny GLOBS[@VERSIONS]\`: ${error.message}` })
      return NEVER
    }
  }),
)

/** A time span, or 0. Milliseconds. */
export const ageValue: ValueSchema<number> = v.pipe(
  v.string(),
  v.check((text) => parseAge(text) !== undefined, 'a time such as 12h or 7d, or 0'),
  v.transform((text) => parseAge(text) ?? 0),
)

/** A size, or `none`. Bytes. */
export const sizeValue: ValueSchema<number | undefined> = v.pipe(
  v.string(),
  v.check(
    (text) => text === 'none' || parseByteSize(text) !== undefined,
    'a size such as 20GB, 500MB or 20GiB, or none',
  ),
  v.transform((text) => (text === 'none' ? undefined : parseByteSize(text))),
)

/** A slower body is given up by who asked for it. Bytes per second. */
const minRate = 64_000

/** A size for each second, or `none`. Bytes per second. */
export const rateValue: ValueSchema<number | undefined> = v.pipe(
  v.string(),
  v.check(
    (text) => text === 'none' || (parseByteRate(text) ?? 0) >= minRate,
    'a rate such as 10MB/s or 500kB/s, at least 64kB/s, or none',
  ),
  v.transform((text) => (text === 'none' ? undefined : parseByteRate(text))),
)

/** What may cross the link to a site; what is wrong with it is said in its own words. */
export const siteLinkValue: ValueSchema<SiteLinkText> = v.pipe(
  v.string(),
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    try {
      return parseSiteLink(dataset.value)
    } catch (error) {
      if (!(error instanceof InvalidSiteRuleError)) throw error
      addIssue({
        message: `\`SITE=WORDS\` such as hq=metered or hq=08:00-18:00=2MB/s: ${error.message}`,
      })
      return NEVER
    }
  }),
)

/** An http or https URL. */
export const urlValue: ValueSchema<URL> = v.pipe(
  v.string(),
  v.check(
    (text) => ['http:', 'https:'].includes(URL.parse(text)?.protocol ?? ''),
    'a URL that begins with http:// or https://',
  ),
  v.transform((text) => new URL(text)),
)

/** HOST:PORT to listen on. The host is an address or a name, IPv6 in brackets; `:PORT` is every IPv4 address. */
export const listenValue: ValueSchema<string> = v.pipe(
  v.string(),
  v.transform((text) => (text.startsWith(':') ? `0.0.0.0${text}` : text)),
  v.check(
    (text) => parseHostPort(text) !== undefined,
    'HOST:PORT such as 127.0.0.1:4770 or [::1]:4770; port 0 picks a free one',
  ),
)

/** A short name: it is shown to others and is part of tickets. */
export const nameValue: ValueSchema<string> = v.pipe(
  v.string(),
  v.check((text) => isName(text), '1 to 64 letters, digits, dots, dashes and underscores'),
)

/** A secret that is one segment of a URL path. */
export const pathSecretValue: ValueSchema<string> = v.pipe(
  v.string(),
  v.check(
    (text) => text.length >= 8 && text.length <= 128 && every(text, isUrlSafe),
    '8 to 128 letters, digits, dashes and underscores',
  ),
)

/** Where a peer is: a multiaddr, or HOST:PORT which becomes one. */
export const peerAddressValue: ValueSchema<string> = v.pipe(
  v.string(),
  v.transform((text) => (text.startsWith('/') ? text : hostPortAsMultiaddr(text))),
  v.check(
    (text) => text.startsWith('/'),
    'HOST:PORT or a multiaddr such as /ip4/10.0.0.7/tcp/4771',
  ),
)

/** Any text that is not empty. */
export const textValue: ValueSchema<string> = v.pipe(
  v.string(),
  v.check((text) => text !== '', 'a text that is not empty'),
)

/** Splits HOST:PORT; undefined when it is not one. */
export function parseHostPort(
  text: string,
): { readonly host: string; readonly port: number } | undefined {
  const colon = text.lastIndexOf(':')
  const digits = text.slice(colon + 1)
  const bracketed = text.startsWith('[') && text[colon - 1] === ']'
  const host = bracketed ? text.slice(1, colon - 1) : text.slice(0, Math.max(colon, 0))
  const validHost = bracketed ? isIP(host) === 6 : isIP(host) === 4 || isHostName(host)
  if (!validHost || digits === '' || digits.length > 5 || !every(digits, isDigit)) {
    return undefined
  }
  const port = Number(digits)
  return port <= 65_535 ? { host, port } : undefined
}

function hostPortAsMultiaddr(text: string): string {
  const parsed = parseHostPort(text)
  if (parsed === undefined || parsed.port === 0) return text
  const family = isIP(parsed.host)
  const protocol = family === 0 ? 'dns' : `ip${family}`
  return `/${protocol}/${parsed.host}/tcp/${parsed.port}`
}

function isName(text: string): boolean {
  return text !== '' && text.length <= 64 && every(text, (c) => isUrlSafe(c) || c === '.')
}

function isHostName(text: string): boolean {
  return (
    text !== '' &&
    text.length <= 253 &&
    !every(text, (c) => isDigit(c) || c === '.') &&
    text.split('.').every((label) => label !== '' && every(label, isUrlSafe))
  )
}

function isDecimal(text: string): boolean {
  const [whole = '', fraction = '0', ...more] = text.split('.')
  return (
    more.length === 0 &&
    whole !== '' &&
    fraction !== '' &&
    text.length <= 12 &&
    every(whole + fraction, isDigit)
  )
}

/** Whether every character passes; true of an empty text. */
function every(text: string, passes: (c: string) => boolean): boolean {
  return Array.from(text).every(passes)
}

function isDigit(c: string): boolean {
  return c >= '0' && c <= '9'
}

function isUrlSafe(c: string): boolean {
  return isDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c === '-' || c === '_'
}

/** A list of values, divided by `joint`; empty parts are left out. */
export function listValue<T>(item: ValueSchema<T>, joint = ','): ValueSchema<readonly T[]> {
  return v.pipe(
    v.string(),
    v.transform((text) =>
      text
        .split(joint)
        .map((part) => part.trim())
        .filter((part) => part !== ''),
    ),
    v.array(item),
  )
}
