import { networkInterfaces } from 'node:os'
import type { ListenAddress } from '@modmesh/goproxy'
import type { Settings } from './settings.ts'

/** The variables that make `go` use a node, by name. */
export type GoEnv = Readonly<Record<string, string>>

export type Shell = 'go' | 'sh' | 'fish' | 'pwsh'

/** Decides what `go` on this host must be told. `base` is the node's URL without the path secret. */
export function goEnv(settings: Settings, base: string): GoEnv {
  const url = settings.pathSecret === undefined ? base : `${base}/${settings.pathSecret}`
  return {
    GOPROXY: url,
    // GOPRIVATE would make go pass the node by; only the checksum lookups have to go.
    ...(settings.private.length > 0 && { GONOSUMDB: settings.private.join(',') }),
    ...(namesOwnKey(settings.sumdb) && { GOSUMDB: settings.sumdb.split(' ', 1)[0] ?? '' }),
  }
}

/**
 * The ways to the node for those who are not on this host's loopback, with the path secret: under the names that are
 * allowed first, because a name is the same in every container and an address is not.
 */
export function otherWays(
  settings: Settings,
  addresses: readonly ListenAddress[],
): readonly string[] {
  const secret = settings.pathSecret === undefined ? '' : `/${settings.pathSecret}`
  return addresses
    .flatMap((address) => {
      if (address.kind === 'unix') return [`unix:${address.path}`]
      const hosts = reachableHosts(address.host)
      const names = hosts.length > 0 ? settings.host : []
      return [...names, ...hosts].map((host) => localUrl(host, address.port) + secret)
    })
    .slice(0, maxOtherWays)
}

/** A build host has few networks; one with hundreds of bridges is not told all of them. */
const maxOtherWays = 16

/** The hosts under which others reach a listener; none for a loopback one. */
function reachableHosts(host: string): readonly string[] {
  if (host === 'localhost' || host === '::1' || host.startsWith('127.')) return []
  if (host !== '0.0.0.0' && host !== '::') return [host]
  const networks = Object.values(networkInterfaces()).flatMap((networks) => networks ?? [])
  const family = host === '::' ? ['IPv4', 'IPv6'] : ['IPv4']
  return networks
    .filter((each) => !each.internal && family.includes(each.family) && !isLinkLocal(each))
    .map(({ address }) => address)
}

/** An address that means something only together with an interface is no part of a URL. */
function isLinkLocal({ address }: { readonly address: string }): boolean {
  return address.startsWith('fe80:') || address.startsWith('169.254.')
}

/** Tells people and shells of the other ways, in lines that a shell passes over. */
export function formatOtherWays(ways: readonly string[]): string {
  if (ways.length === 0) return ''
  const lines = ways.map((way) => (way.startsWith('unix:') ? way : `GOPROXY=${way}`))
  return `# from containers and other hosts (docs/howto/containers.md):\n${lines.map((line) => `#   ${line}\n`).join('')}`
}

/** The URL for clients of this host: a node that listens on all addresses is asked on loopback. */
export function localUrl(host: string, port: number): string {
  if (host === '0.0.0.0') return `http://127.0.0.1:${port}`
  if (host === '::') return `http://[::1]:${port}`
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** A database that go does not know must be given to it with its key. */
function namesOwnKey(sumdb: string): boolean {
  return sumdb.includes('+')
}

/** Writes the variables as lines for a shell, or as `go env -w` lines that last. */
export function formatGoEnv(env: GoEnv, shell: Shell): string {
  return Object.entries(env)
    .map(([name, value]) => `${formatLine(shell, name, value)}\n`)
    .join('')
}

function formatLine(shell: Shell, name: string, value: string): string {
  switch (shell) {
    case 'go':
      return `go env -w ${quoteForShell(`${name}=${value}`)}`
    case 'sh':
      return `export ${name}=${quoteForShell(value)}`
    case 'fish':
      return `set -gx ${name} ${quoteForShell(value)}`
    case 'pwsh':
      return `$env:${name} = '${value.replaceAll("'", "''")}'`
  }
}

/** Writes a text as one word of a shell. */
export function quoteForShell(text: string): string {
  const plain = Array.from(text).every((c) => safeCharacters.includes(c))
  return plain ? text : `'${text.replaceAll("'", "'\\''")}'`
}

const safeCharacters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=,@%+'
