import { lookup } from 'node:dns/promises'
import { isIPv4, isIPv6 } from 'node:net'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { maxNameAddresses } from './limits.ts'

/** Finds all addresses of a host name. `family` 0: of both. Throws what the resolver does. */
export type ResolveName = (host: string, family: 0 | 4 | 6) => Promise<readonly string[]>

/** Asks the resolver of this host: its hosts file, then DNS. */
export const systemResolve: ResolveName = async (host, family) => {
  const found = await lookup(host, { all: true, family })
  return found.map(({ address }) => address)
}

/** A host name in an address, and the rest of it. */
export interface NamedHost {
  readonly host: string
  readonly family: 0 | 4 | 6
  /** `/tcp/4771`, with `/p2p/…` where a peer was named. */
  readonly rest: string
}

const families = new Map<string, 0 | 4 | 6>([
  ['dns', 0],
  ['dns4', 4],
  ['dns6', 6],
])

/** Reads the host name of an address; undefined for one with an IP. */
export function namedHostOf(address: Multiaddr): NamedHost | undefined {
  const [first] = address.getComponents()
  const family = families.get(first?.name ?? '')
  if (family === undefined || first?.value === undefined) return undefined
  const rest = address.toString().slice(`/${first.name}/${first.value}`.length)
  return { host: first.value, family, rest }
}

/** Puts the addresses that a name has now in its place: each once, in order, at most `maxNameAddresses`. */
export function addressesOf({ rest }: NamedHost, ips: readonly string[]): readonly Multiaddr[] {
  const known = new Set<string>()
  for (const ip of ips) {
    if (isIPv4(ip)) known.add(`/ip4/${ip}${rest}`)
    // One with a zone is of this host's own network alone, and no multiaddr.
    else if (isIPv6(ip) && !ip.includes('%')) known.add(`/ip6/${ip}${rest}`)
  }
  return [...known]
    .toSorted()
    .slice(0, maxNameAddresses)
    .map((text) => multiaddr(text))
}
