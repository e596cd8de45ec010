import { isIPv4, isIPv6 } from 'node:net'
import type { PeerInfo } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import type { Multiaddr } from '@multiformats/multiaddr'
import { CODE_P2P, multiaddr } from '@multiformats/multiaddr'
import { InvalidPeerAddressError } from './errors.ts'

const maxPort = 65_535

/**
 * Reads an address as people write it: a multiaddr, or `host:port` with a name, an IPv4 or a
 * bracketed IPv6 address. Throws InvalidPeerAddressError.
 */
export function parsePeerAddress(text: string): Multiaddr {
  const address = text.startsWith('/') ? parseMultiaddr(text) : parseHostPort(text)
  const [host, transport] = address.getComponents().map((component) => component.name)
  const hosts = ['ip4', 'ip6', 'dns', 'dns4', 'dns6']
  if (host === undefined || !hosts.includes(host) || transport !== 'tcp') {
    throw new InvalidPeerAddressError(text, 'it must name a host and a TCP port')
  }
  return address
}

/** Reads the address to listen on: an IP and a port, as `host:port` or multiaddr. Throws InvalidPeerAddressError. */
export function parseListenAddress(text: string): Multiaddr {
  const address = parsePeerAddress(
    text.startsWith('localhost:') ? `127.0.0.1${text.slice(9)}` : text,
  )
  const [host] = address.getComponents()
  if (host?.name !== 'ip4' && host?.name !== 'ip6') {
    throw new InvalidPeerAddressError(text, 'an address to listen on needs an IP, not a name')
  }
  return address
}

/** Reads what a peer told of another: its id and multiaddrs. Throws InvalidPeerAddressError. */
export function parsePeerInfo(peerId: string, addresses: readonly string[]): PeerInfo {
  const multiaddrs = addresses.map(parsePeerAddress)
  for (const address of multiaddrs) {
    const named = peerIdOf(address)
    if (named !== undefined && named !== peerId) {
      throw new InvalidPeerAddressError(address.toString(), 'it names another peer')
    }
  }
  try {
    return { id: peerIdFromString(peerId), multiaddrs }
  } catch (cause) {
    throw new InvalidPeerAddressError(peerId, 'it is no peer id', { cause })
  }
}

/** Returns the peer id at the end of a multiaddr, or undefined when it names none. */
export function peerIdOf(address: Multiaddr): string | undefined {
  return address.getComponents().findLast((component) => component.code === CODE_P2P)?.value
}

/** Drops loopback addresses unless there are no others: another host that dials one reaches itself. */
export function withoutLoopback(addresses: readonly Multiaddr[]): Multiaddr[] {
  const useful = addresses.filter((address) => !isLoopback(address))
  return useful.length > 0 ? useful : [...addresses]
}

function isLoopback(address: Multiaddr): boolean {
  const host = address.getComponents()[0]?.value ?? ''
  return host === '::1' || (isIPv4(host) && host.startsWith('127.'))
}

function parseMultiaddr(text: string): Multiaddr {
  try {
    return multiaddr(text)
  } catch (cause) {
    throw new InvalidPeerAddressError(text, 'it is no multiaddr', { cause })
  }
}

function parseHostPort(text: string): Multiaddr {
  const colon = text.lastIndexOf(':')
  const port = parsePort(text, text.slice(colon + 1))
  const host = text.slice(0, Math.max(colon, 0))
  const inner = host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host
  if (isIPv4(inner)) return parseMultiaddr(`/ip4/${inner}/tcp/${port}`)
  if (isIPv6(inner) && inner !== host) return parseMultiaddr(`/ip6/${inner}/tcp/${port}`)
  if (!isHostName(inner)) throw new InvalidPeerAddressError(text, 'the host is no name and no IP')
  return parseMultiaddr(`/dns/${inner}/tcp/${port}`)
}

function parsePort(text: string, port: string): number {
  const value = Number(port)
  if (!isDigits(port) || value > maxPort) {
    throw new InvalidPeerAddressError(text, 'it needs host:port')
  }
  return value
}

function isDigits(text: string): boolean {
  for (const char of text) if (char < '0' || char > '9') return false
  return text !== ''
}

function isHostName(host: string): boolean {
  if (host === '' || host.length > 253) return false
  for (const char of host.toLowerCase()) {
    const isWord = (char >= 'a' && char <= 'z') || (char >= '0' && char <= '9')
    if (!isWord && char !== '-' && char !== '.' && char !== '_') return false
  }
  return true
}
