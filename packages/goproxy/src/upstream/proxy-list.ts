import { fileURLToPath } from 'node:url'
import { urlCredential } from '../basic-auth.ts'
import { InvalidProxyListError } from '../errors.ts'
import { isLoopbackHost } from '../host.ts'

/** When the next entry is asked: after 404 and 410 only (`,`), or after any error (`|`). */
export type FallThrough = 'absent' | 'any'

/** An http or https upstream. */
export interface HttpEntry {
  readonly kind: 'http'
  /** Scheme, host and port. Never with credentials, so it may be shown. */
  readonly origin: string
  /** Base path without a trailing slash, percent-encoded. */
  readonly basePath: string
  /** The Authorization header's value from the URL's user info. Sent to this origin only. */
  readonly authorization: string | undefined
}

/** A folder laid out as `GOMODCACHE/cache/download`. */
export interface FileEntry {
  readonly kind: 'file'
  readonly directory: string
}

export type ProxyEntry = (HttpEntry | FileEntry | { readonly kind: 'direct' }) & {
  readonly fallThrough: FallThrough
}

/** A GOPROXY value. `entries` is empty for `off`. */
export interface ProxyList {
  readonly entries: readonly ProxyEntry[]
}

/**
 * Parses GOPROXY syntax: `,` and `|` between entries, `direct` and `off` end the list, no scheme means https
 * (golang.org/ref/mod#goproxy-protocol). Throws InvalidProxyListError, never with a password in its text.
 */
export function parseProxyList(text: string): ProxyList {
  const entries: ProxyEntry[] = []
  let seen = 0
  for (const { item, fallThrough } of splitList(text)) {
    if (item === '') continue
    seen++
    if (item === 'off') break
    if (item === 'direct') {
      entries.push({ kind: 'direct', fallThrough })
      break
    }
    entries.push({ ...parseUpstreamUrl(item), fallThrough })
  }
  if (seen === 0)
    throw new InvalidProxyListError('the list of upstreams is empty; write off for none')
  return { entries }
}

/** Parses one http, https or file URL of an upstream or checksum database. Throws InvalidProxyListError. */
export function parseUpstreamUrl(text: string): HttpEntry | FileEntry {
  const url = toUrl(text)
  if (url.protocol === 'file:') return parseFileUrl(url)
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    throw new InvalidProxyListError(`upstream scheme must be http, https or file: ${display(url)}`)
  }
  if (url.search !== '' || url.hash !== '') {
    throw new InvalidProxyListError(`upstream URL with a query or fragment: ${display(url)}`)
  }
  const authorization = readUserInfo(url)
  return { kind: 'http', origin: url.origin, basePath: trimEnd(url.pathname), authorization }
}

/** A name for messages: scheme and host, or the folder; never user info or a base path, which may be a secret. */
export function displayEntry(entry: HttpEntry | FileEntry): string {
  return entry.kind === 'http' ? entry.origin : `file://${entry.directory}`
}

function* splitList(text: string): Generator<{ item: string; fallThrough: FallThrough }> {
  let start = 0
  for (let at = 0; at <= text.length; at++) {
    const char = text[at]
    if (char !== undefined && char !== ',' && char !== '|') continue
    yield { item: text.slice(start, at).trim(), fallThrough: char === '|' ? 'any' : 'absent' }
    start = at + 1
  }
}

function toUrl(text: string): URL {
  if (text.includes('\\')) throw new InvalidProxyListError('upstream URL with a backslash')
  const url = URL.parse(text.includes('://') ? text : `https://${text}`)
  if (url !== null && (url.host !== '' || url.protocol === 'file:')) return url
  // The text is not repeated: it may hold a password.
  throw new InvalidProxyListError('upstream is not a URL: want http://, https:// or file://')
}

function parseFileUrl(url: URL): FileEntry {
  if (url.host !== '' || url.search !== '' || url.hash !== '') {
    throw new InvalidProxyListError('a file:// upstream must have only a path')
  }
  try {
    return { kind: 'file', directory: trimEnd(fileURLToPath(url)) }
  } catch (cause) {
    throw new InvalidProxyListError(`not a folder: ${url.pathname} (${String(cause)})`)
  }
}

/** As `go`, passwords never go over plain http, but for this machine itself. */
function readUserInfo(url: URL): string | undefined {
  const credential = urlCredential(url)
  if (credential !== undefined && url.protocol === 'http:' && !isLoopbackHost(url.hostname)) {
    throw new InvalidProxyListError(`refusing to pass credentials to insecure URL ${display(url)}`)
  }
  return credential
}

function display(url: URL): string {
  return `${url.protocol}//${url.host}`
}

function trimEnd(path: string): string {
  let end = path.length
  while (end > 0 && path[end - 1] === '/') end--
  return path.slice(0, end)
}
