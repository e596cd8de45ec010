import { BlockList, isIP } from 'node:net'
import { isLoopbackHost } from '../host.ts'

/** Where an address can only be: a redirect may lead outwards, never further in than its sender is. */
export type Reach = 'public' | 'private' | 'loopback' | 'link-local'

const privateNets = new BlockList()
privateNets.addSubnet('10.0.0.0', 8, 'ipv4')
privateNets.addSubnet('172.16.0.0', 12, 'ipv4')
privateNets.addSubnet('192.168.0.0', 16, 'ipv4')
privateNets.addSubnet('100.64.0.0', 10, 'ipv4')
privateNets.addSubnet('fc00::', 7, 'ipv6')

const linkLocalNets = new BlockList()
linkLocalNets.addSubnet('169.254.0.0', 16, 'ipv4')
linkLocalNets.addSubnet('fe80::', 10, 'ipv6')

const selfNets = new BlockList()
selfNets.addSubnet('0.0.0.0', 8, 'ipv4')
selfNets.addSubnet('127.0.0.0', 8, 'ipv4')
selfNets.addAddress('::', 'ipv6')
selfNets.addAddress('::1', 'ipv6')

/** Classifies a URL's host by its literal address or `localhost`; any other name counts as public. */
export function reachOf(hostname: string): Reach {
  const host = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname
  if (isLoopbackHost(host) || host.endsWith('.localhost')) return 'loopback'
  const version = isIP(host)
  if (version === 0) return 'public'
  const family = version === 4 ? 'ipv4' : 'ipv6'
  if (linkLocalNets.check(host, family)) return 'link-local'
  if (selfNets.check(host, family)) return 'loopback'
  return privateNets.check(host, family) ? 'private' : 'public'
}

/** Whether an upstream may redirect to a host: cloud metadata and neighbours are not for strangers to reach. */
export function mayRedirect(fromHostname: string, toHostname: string): boolean {
  if (fromHostname === toHostname) return true
  const ranks: Readonly<Record<Reach, number>> = {
    public: 0,
    private: 1,
    loopback: 2,
    'link-local': 3,
  }
  const to = reachOf(toHostname)
  return to !== 'link-local' && ranks[to] <= ranks[reachOf(fromHostname)]
}
