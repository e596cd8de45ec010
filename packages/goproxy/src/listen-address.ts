import { isLoopbackHost, splitHostPort } from './host.ts'

/** Where to serve: a TCP port (0 picks one; an empty host is every address) or a Unix socket. */
export type ListenAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

const unixPrefix = 'unix:'
/** What `sockaddr_un` of every system we run on can hold, without its final NUL. Bytes. */
const maxSocketPathBytes = 103

/** Reads `HOST:PORT`, `[V6]:PORT`, `:PORT` or `unix:/PATH`; undefined when it is none of them. */
export function parseListenAddress(text: string): ListenAddress | undefined {
  if (text.startsWith(unixPrefix)) {
    const path = text.slice(unixPrefix.length)
    return isSocketPath(path) ? { kind: 'unix', path } : undefined
  }
  const { host, port } = splitHostPort(text) ?? {}
  return host === undefined || port === undefined ? undefined : { kind: 'tcp', host, port }
}

/** Writes an address as it is given to `--listen`. */
export function formatListenAddress(address: ListenAddress): string {
  if (address.kind === 'unix') return unixPrefix + address.path
  return `${bracket(address.host)}:${address.port}`
}

/**
 * The URL under which this machine's own programs reach an address: one that listens on all addresses is asked on
 * loopback. A Unix socket has none, and is named as in `--listen`.
 */
export function urlOfAddress(address: ListenAddress): string {
  if (address.kind === 'unix') return formatListenAddress(address)
  const { host, port } = address
  const name = host === '0.0.0.0' || host === '' ? '127.0.0.1' : host === '::' ? '::1' : host
  return `http://${bracket(name)}:${port}`
}

/** Whether only programs of this machine can reach an address. */
export function isLocalOnly(address: ListenAddress): boolean {
  return address.kind === 'unix' || isLoopbackHost(address.host)
}

/** Absolute, so that it does not depend on where the node was started. */
function isSocketPath(path: string): boolean {
  if (!path.startsWith('/') || path.endsWith('/') || path.includes('\0')) return false
  return new TextEncoder().encode(path).length <= maxSocketPathBytes
}

function bracket(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}
