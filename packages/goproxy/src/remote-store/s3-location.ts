import { isIP } from 'node:net'
import { InvalidS3UrlError } from '../errors.ts'

/** Where a bucket is, as `--s3` says it. Undefined parts come from the usual AWS settings. */
export interface S3Location {
  readonly bucket: string
  /** Empty, or without slashes at its ends. */
  readonly prefix: string
  readonly endpoint: URL | undefined
  readonly region: string | undefined
  readonly style: 'path' | 'virtual' | undefined
  readonly access: 'read' | 'write'
  readonly profile: string | undefined
}

const parameters = ['endpoint', 'region', 'style', 'access', 'profile'] as const

/**
 * Parses `s3://bucket/prefix?endpoint=https://…&region=…&style=path|virtual&access=read|write&profile=…`.
 * Throws InvalidS3UrlError.
 */
export function parseS3Url(text: string): S3Location {
  const url = URL.parse(text)
  if (url === null || url.protocol !== 's3:') throw invalid('write s3://BUCKET/PREFIX')
  if (url.username !== '' || url.password !== '') {
    throw invalid('credentials do not belong here: use AWS_ACCESS_KEY_ID or ~/.aws/credentials')
  }
  if (url.port !== '' || url.hash !== '') throw invalid('write s3://BUCKET/PREFIX')
  const values = readParameters(url.searchParams)
  return {
    bucket: parseBucket(url.hostname),
    prefix: parsePrefix(url.pathname),
    endpoint: values.endpoint === undefined ? undefined : parseEndpoint(values.endpoint),
    region: values.region,
    style: choice('style', values.style, ['path', 'virtual']),
    access: choice('access', values.access, ['read', 'write']) ?? 'write',
    profile: values.profile,
  }
}

/** Writes it for people. */
export function formatS3Location({ bucket, prefix }: S3Location): string {
  return `s3://${bucket}${prefix === '' ? '' : `/${prefix}`}`
}

/** Parses where a service is spoken to. Throws InvalidS3UrlError. */
export function parseEndpoint(text: string): URL {
  const url = URL.parse(text)
  const isHttp = url?.protocol === 'http:' || url?.protocol === 'https:'
  if (url === null || !isHttp || url.pathname !== '/' || url.search !== '' || url.username !== '') {
    throw invalid('endpoint must be http:// or https:// with a host and nothing after it')
  }
  return url
}

type Values = { -readonly [K in (typeof parameters)[number]]?: string }

function readParameters(search: URLSearchParams): Values {
  const values: Values = {}
  for (const [name, value] of search) {
    const known = parameters.find((parameter) => parameter === name)
    if (known === undefined) throw invalid(`unknown parameter; there are ${parameters.join(', ')}`)
    if (values[known] !== undefined || value === '') throw invalid(`${known} needs one value`)
    values[known] = value
  }
  return values
}

/** S3 user guide, "General purpose bucket naming rules". */
function parseBucket(text: string): string {
  const hasLength = text.length >= 3 && text.length <= 63
  const ends = `${text[0] ?? ''}${text.at(-1) ?? ''}`
  if (!hasLength || !isMadeOf(text, `${letters}.-`) || !isMadeOf(ends, letters) || isIP(text) !== 0)
    throw invalid('a bucket name has 3 to 63 of a-z, 0-9, dots and hyphens')
  return text
}

function parsePrefix(pathname: string): string {
  const parts = decode(pathname).split('/')
  const named = parts.filter((part) => part !== '')
  if (named.some((part) => part === '.' || part === '..'))
    throw invalid('a prefix has no dots alone')
  return named.join('/')
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw invalid('the prefix is not percent-encoded text')
  }
}

const letters = 'abcdefghijklmnopqrstuvwxyz0123456789'

function isMadeOf(text: string, alphabet: string): boolean {
  for (const char of text) if (!alphabet.includes(char)) return false
  return true
}

function choice<T extends string>(
  name: string,
  value: string | undefined,
  choices: readonly T[],
): T | undefined {
  if (value === undefined) return undefined
  const chosen = choices.find((each) => each === value)
  if (chosen === undefined) throw invalid(`${name} is ${choices.join(' or ')}`)
  return chosen
}

function invalid(reason: string): InvalidS3UrlError {
  return new InvalidS3UrlError(reason)
}
