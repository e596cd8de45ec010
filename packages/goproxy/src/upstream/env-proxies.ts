import { BlockList, isIP } from 'node:net'
import { InvalidEnvProxyError } from '../errors.ts'
import { isLoopbackHost } from '../host.ts'

type Env = Readonly<Record<string, string | undefined>>

/** One entry of NO_PROXY. */
interface Exception {
  readonly matches: (host: string) => boolean
  /** Undefined: every port. */
  readonly port: string | undefined
}

/**
 * Reads HTTP_PROXY, HTTPS_PROXY and NO_PROXY (or in lower case) as `go` does: https goes through HTTPS_PROXY only, this
 * machine itself is never asked through a proxy. Returns who is between us and a URL. Throws InvalidEnvProxyError.
 */
export function readEnvProxies(env: Env): (url: URL) => URL | undefined {
  const http = readProxy(env, 'HTTP_PROXY')
  const https = readProxy(env, 'HTTPS_PROXY')
  const exceptions = (env.NO_PROXY || env.no_proxy || '').split(',').flatMap(parseException)
  return (url) => {
    const proxy = url.protocol === 'https:' ? https : http
    if (proxy === undefined || isLoopbackHost(url.hostname)) return undefined
    const host = bare(url.hostname)
    const port = url.port || (url.protocol === 'https:' ? '443' : '80')
    const isDirect = exceptions.some(
      (exception) =>
        (exception.port === undefined || exception.port === port) && exception.matches(host),
    )
    return isDirect ? undefined : proxy
  }
}

function readProxy(env: Env, name: string): URL | undefined {
  const text = env[name] || env[name.toLowerCase()] || ''
  if (text === '') return undefined
  const url = URL.parse(text.includes('://') ? text : `http://${text}`)
  // The text is not repeated: it may hold a password.
  if (url === null || url.hostname === '') throw new InvalidEnvProxyError(`${name} is not a URL`)
  if (url.protocol === 'http:' || url.protocol === 'https:') return url
  throw new InvalidEnvProxyError(`${name}: only http and https proxies can be used`)
}

/** As golang.org/x/net/http/httpproxy: `*`, an address, a CIDR, a name with or without port, `.name`, `*.name`. */
function parseException(entry: string): readonly Exception[] {
  const text = entry.trim().toLowerCase()
  if (text === '') return []
  if (text === '*') return [{ matches: () => true, port: undefined }]
  const net = parseNet(text)
  if (net !== undefined) return [{ matches: net, port: undefined }]
  const { host, port } = splitPort(text)
  if (host === '') return []
  if (isIP(host) !== 0) return [{ matches: (other) => other === host, port }]
  const name = host.startsWith('*.') ? host.slice(1) : host
  const suffix = name.startsWith('.') ? name : `.${name}`
  return [{ matches: (other) => other.endsWith(suffix) || other === name, port }]
}

function parseNet(text: string): ((host: string) => boolean) | undefined {
  const slash = text.indexOf('/')
  const [address, bits] = [text.slice(0, Math.max(slash, 0)), Number(text.slice(slash + 1))]
  const version = isIP(address)
  const isBits = Number.isInteger(bits) && bits >= 0 && bits <= (version === 4 ? 32 : 128)
  if (version === 0 || !isBits) return undefined
  const list = new BlockList()
  list.addSubnet(address, bits, version === 4 ? 'ipv4' : 'ipv6')
  return (host) => isIP(host) !== 0 && list.check(host, isIP(host) === 4 ? 'ipv4' : 'ipv6')
}

function splitPort(text: string): { readonly host: string; readonly port: string | undefined } {
  if (isIP(text) !== 0) return { host: text, port: undefined }
  const colon = text.lastIndexOf(':')
  if (colon < 0 || text.endsWith(']')) return { host: bare(text), port: undefined }
  return { host: bare(text.slice(0, colon)), port: text.slice(colon + 1) }
}

/** An IPv6 address without its brackets, a name without the dot of the root. */
function bare(host: string): string {
  if (host.startsWith('[') && host.endsWith(']')) return host.slice(1, -1)
  return host.length > 1 && host.endsWith('.') ? host.slice(0, -1) : host
}
