import { isLoopbackHost, splitHostPort } from '../host.ts'
import { maxHeaderCount } from '../limits.ts'

/** What the gate looks at: taken from the raw request, because the parsed one hides doubles. */
export interface GateRequest {
  readonly method: string
  readonly target: string
  /** Names and values in turn, as `rawHeaders`. */
  readonly rawHeaders: readonly string[]
  /** Our own end of the connection. */
  readonly localAddress: string | undefined
}

/** Why a request is not looked at further. */
export interface Refusal {
  readonly status: 400 | 403 | 405 | 431
  readonly reason: string
}

/** What a browser says of our own pages, and of an address that its user typed. */
const ownSites: ReadonlySet<string> = new Set(['same-origin', 'none'])

/**
 * Decides whether a request may be looked at: GET or HEAD, origin-form, exactly one Host that is ours (a web
 * page can rebind its own name to 127.0.0.1), not sent by a foreign page, no body.
 */
export function checkGate(
  request: GateRequest,
  options: { readonly hosts: ReadonlySet<string> },
): Refusal | undefined {
  // Versions of Node differ in whether they refuse or drop what is over the count: it may hide a second Host.
  if (request.rawHeaders.length / 2 >= maxHeaderCount) {
    return { status: 431, reason: 'too many header fields' }
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return { status: 405, reason: 'only GET and HEAD are served here' }
  }
  if (!request.target.startsWith('/')) {
    return { status: 400, reason: 'this is no forward proxy: the target must be a path' }
  }
  return checkHost(request, options.hosts) ?? checkOrigin(request) ?? checkBody(request)
}

function checkHost(request: GateRequest, hosts: ReadonlySet<string>): Refusal | undefined {
  const [host, ...others] = headerValues(request, 'host')
  if (host === undefined || others.length > 0) {
    return { status: 400, reason: 'exactly one Host header is required' }
  }
  const name = splitHostPort(host)?.host
  if (name === undefined) return { status: 400, reason: 'malformed Host header' }
  if (isOwnHost(name, hosts) || isOwnAddress(name, request)) return undefined
  return {
    status: 403,
    reason: 'this Host is not served here\nallow it with --host NAME if it is meant to be',
  }
}

/** Whether a name is ours on every address: the machine's own loopback, or allowed with `--host`. */
export function isOwnHost(name: string, hosts: ReadonlySet<string>): boolean {
  return isLoopbackHost(name) || hosts.has(name)
}

/** A wildcard listener is reached under any of the machine's addresses. */
function isOwnAddress(name: string, request: GateRequest): boolean {
  const own = request.localAddress ?? ''
  const mapped = '::ffff:'
  return name === (own.startsWith(mapped) ? own.slice(mapped.length) : own)
}

function checkOrigin(request: GateRequest): Refusal | undefined {
  const own = `http://${headerValues(request, 'host')[0]?.toLowerCase()}`
  const foreign = headerValues(request, 'origin').some((origin) => origin.toLowerCase() !== own)
  // Browsers send Sec-Fetch-Site to loopback and https alone: on a bridge's address this may be all that tells.
  const referred = headerValues(request, 'referer').some((page) => !isPageOf(own, page))
  // `same-site` too: a page of another local port is another program's, and sends no Origin with a plain GET.
  const otherSite = headerValues(request, 'sec-fetch-site').some(
    (site) => !ownSites.has(site.toLowerCase()),
  )
  if (!foreign && !referred && !otherSite) return undefined
  return { status: 403, reason: 'requests from other web pages are refused' }
}

function isPageOf(own: string, page: string): boolean {
  const lower = page.toLowerCase()
  return lower === own || lower.startsWith(`${own}/`)
}

function checkBody(request: GateRequest): Refusal | undefined {
  const lengths = headerValues(request, 'content-length')
  const chunked = headerValues(request, 'transfer-encoding').length > 0
  if (!chunked && lengths.every((length) => length === '0')) return undefined
  return { status: 400, reason: 'a request body is not expected' }
}

function headerValues(request: GateRequest, name: string): readonly string[] {
  const values: string[] = []
  for (let index = 0; index + 1 < request.rawHeaders.length; index += 2) {
    if (request.rawHeaders[index]?.toLowerCase() === name) {
      values.push(request.rawHeaders[index + 1] ?? '')
    }
  }
  return values
}
