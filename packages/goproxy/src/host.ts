import { isIP } from 'node:net'

/** A host name or literal in lower case, IPv6 without brackets, and a port where one was given. */
export interface HostPort {
  readonly host: string
  readonly port: number | undefined
}

/** Splits `host`, `host:port`, `[v6]` or `[v6]:port`; undefined when it is none of them. An empty host stays empty. */
export function splitHostPort(text: string): HostPort | undefined {
  const lower = text.toLowerCase()
  const bracket = lower.startsWith('[') ? lower.indexOf(']') : -1
  if (lower.startsWith('[') && bracket < 0) return undefined
  const host = bracket > 0 ? lower.slice(1, bracket) : (lower.split(':', 1)[0] ?? '')
  if (bracket > 0 ? isIP(host) !== 6 : !isHostName(host)) return undefined
  const rest = lower.slice(bracket > 0 ? bracket + 1 : host.length)
  if (rest === '') return { host, port: undefined }
  const port = parsePort(rest)
  return port === undefined ? undefined : { host, port }
}

/** Whether a name or literal can only mean this machine. */
export function isLoopbackHost(host: string): boolean {
  const bare = host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host
  if (bare === 'localhost' || bare === '::1') return true
  return isIP(bare) === 4 && bare.startsWith('127.')
}

function isHostName(text: string): boolean {
  if (text.length > 253) return false
  for (const char of text) {
    const plain = (char >= 'a' && char <= 'z') || (char >= '0' && char <= '9')
    if (!plain && char !== '-' && char !== '.' && char !== '_') return false
  }
  return true
}

function parsePort(rest: string): number | undefined {
  if (rest[0] !== ':' || rest.length > 6) return undefined
  let port = 0
  for (const digit of rest.slice(1)) {
    if (digit < '0' || digit > '9') return undefined
    port = port * 10 + Number(digit)
  }
  return rest.length > 1 && port <= 65_535 ? port : undefined
}
