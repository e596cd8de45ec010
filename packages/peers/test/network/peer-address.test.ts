import { multiaddr } from '@multiformats/multiaddr'
import { describe, expect, test } from 'vitest'
import {
  parseListenAddress,
  parsePeerAddress,
  parsePeerInfo,
  peerIdOf,
  withoutLoopback,
} from '../../src/network/peer-address.ts'

const peerId = '12D3KooWC3utSZ54PyDhSrPSyQ66RNSKcUmfDSCS78R1bVogABYg'

describe('an address as people write it', () => {
  test.for<[string, string]>([
    ['192.0.2.1:4771', '/ip4/192.0.2.1/tcp/4771'],
    ['[2001:db8::1]:4771', '/ip6/2001:db8::1/tcp/4771'],
    ['build-7.example.com:4771', '/dns/build-7.example.com/tcp/4771'],
    ['localhost:1', '/dns/localhost/tcp/1'],
    ['/ip4/192.0.2.1/tcp/4771', '/ip4/192.0.2.1/tcp/4771'],
    [`/dns4/a.example/tcp/4771/p2p/${peerId}`, `/dns4/a.example/tcp/4771/p2p/${peerId}`],
  ])('%s', ([text, expected]) => {
    expect(parsePeerAddress(text).toString()).toBe(expected)
  })
})

describe('no address of a peer', () => {
  test.for([
    '',
    ':4771',
    '192.0.2.1',
    '192.0.2.1:',
    '192.0.2.1:65536',
    '192.0.2.1:+1',
    '192.0.2.1:1e3',
    '2001:db8::1:4771',
    'a b:4771',
    'a/b:4771',
    `${'x'.repeat(254)}:4771`,
    '/ip4/192.0.2.1/udp/4771',
    '/ip4/192.0.2.1',
    '/ip4/300.0.2.1/tcp/1',
    '/unix/tmp/x',
    `/p2p/${peerId}`,
    'http://192.0.2.1:4771',
  ])('%j', (text) => {
    expect(() => parsePeerAddress(text)).toThrow(
      expect.objectContaining({ code: 'INVALID_PEER_ADDRESS' }),
    )
  })
})

test('an address to listen on is an IP', () => {
  expect(parseListenAddress('localhost:0').toString()).toBe('/ip4/127.0.0.1/tcp/0')
  expect(parseListenAddress('0.0.0.0:4771').toString()).toBe('/ip4/0.0.0.0/tcp/4771')
  expect(() => parseListenAddress('build-7.example.com:4771')).toThrow('needs an IP')
})

test('loopback is told to others only when there is nothing else', () => {
  const loopback = ['/ip4/127.0.0.1/tcp/1', '/ip4/127.8.8.8/tcp/1', '/ip6/::1/tcp/1'].map((a) =>
    multiaddr(a),
  )
  const lan = multiaddr('/ip4/192.0.2.1/tcp/1')
  expect(withoutLoopback(loopback)).toEqual(loopback)
  expect(withoutLoopback([...loopback, lan])).toEqual([lan])
})

test('what a peer tells of another must fit together', () => {
  const address = `/ip4/192.0.2.1/tcp/1/p2p/${peerId}`
  expect(peerIdOf(parsePeerInfo(peerId, [address]).multiaddrs[0]!)).toBe(peerId)
  const other = '12D3KooWGUNxTsSg65GJ6pWUQSZxBWo4FG88rNZ8XZ1aEpfPdzxX'
  const refused = expect.objectContaining({ code: 'INVALID_PEER_ADDRESS' })
  expect(() => parsePeerInfo(other, [address])).toThrow(refused)
  expect(() => parsePeerInfo('nobody', [])).toThrow(refused)
})
