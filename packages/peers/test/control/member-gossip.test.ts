import type { PeerInfo } from '@libp2p/interface'
import { describe, expect, test } from 'vitest'
import { controlLimits, gossipLimits } from '../../src/control/limits.ts'
import { MemberGossip } from '../../src/control/member-gossip.ts'
import type { Notice, PeerAddresses, PeersNotice } from '../../src/control/message.ts'
import type { PeerLink } from '../../src/control/peer-link.ts'
import { newTestIdentity } from '../../testing/index.ts'
import { ManualClock } from '../support/manual-clock.ts'

/** A link of which only the words are looked at. */
function fakeLink(peer: string): { readonly link: PeerLink; readonly told: Notice[] } {
  const told: Notice[] = []
  const session = { tell: (notice: Notice) => told.push(notice) }
  return { link: { peer, session } as unknown as PeerLink, told }
}

function member(
  peer: string,
  addresses = ['/ip4/10.0.0.1/tcp/4771'],
  site = 'here',
): PeerAddresses {
  return { peer, site, addresses }
}

function notice(peers: readonly PeerAddresses[], left?: readonly string[]): PeersNotice {
  return { kind: 'peers', peers, ...(left === undefined ? {} : { left }) }
}

function gossiping() {
  const clock = new ManualClock()
  const links: PeerLink[] = []
  const learned: PeerInfo[] = []
  const gossip = new MemberGossip({
    clock,
    owner: {
      peerId: 'self',
      self: () => member('self'),
      links: () => links,
      siteOf: () => 'here',
      learn: (info) => learned.push(info),
      failed: (error) => {
        throw error
      },
    },
  })
  const join = (peer: string) => {
    const fake = fakeLink(peer)
    links.push(fake.link)
    gossip.greet(fake.link)
    return fake
  }
  return { clock, links, learned, gossip, join }
}

describe('gossip about members', () => {
  test('greets with ourselves and whom we know, and passes news on once', async () => {
    const { clock, gossip, join } = gossiping()
    const a = join('a')
    expect(a.told).toEqual([notice([member('self')])])
    gossip.told(a.link, notice([member('a')]))
    const b = join('b')
    expect(b.told).toEqual([notice([member('self'), member('a')])])
    gossip.told(b.link, notice([member('b')]))
    await clock.advance(gossipLimits.delayMs)
    expect(a.told.slice(1)).toEqual([notice([member('b')], [])])
    gossip.told(b.link, notice([member('b')]))
    await clock.advance(gossipLimits.delayMs)
    expect(a.told).toHaveLength(2)
  })

  test('tries what it hears of others of our site, and nothing else', async () => {
    const { learned, gossip, join } = gossiping()
    const { link } = join('a')
    const { peerId } = await newTestIdentity()
    const good = '/ip4/10.0.0.1/tcp/4771'
    gossip.told(link, notice([member('self'), member('no peer id'), member(peerId, [])]))
    gossip.told(link, notice([member(peerId, [good], 'elsewhere')]))
    gossip.told(link, notice([member(peerId, ['nonsense', `${good}/p2p/12D3KooWother`])]))
    expect(learned).toEqual([])
    gossip.told(link, notice([member(peerId, ['nonsense', `${good}/p2p/${peerId}`])]))
    expect(learned.map(({ id, multiaddrs }) => [String(id), multiaddrs.map(String)])).toEqual([
      [peerId, [good]],
    ])
  })

  test('knows when everybody who can be reached is connected', async () => {
    const { links, clock, gossip, join } = gossiping()
    expect(gossip.isClosed()).toBe(true)
    const a = join('a')
    expect(gossip.isClosed()).toBe(false)
    gossip.told(a.link, notice([member('a'), member('self')]))
    expect(gossip.isClosed()).toBe(true)
    gossip.told(a.link, notice([member('far')]))
    expect(gossip.isClosed()).toBe(false)
    const far = join('far')
    gossip.told(far.link, notice([member('far'), member('a')]))
    expect(gossip.isClosed()).toBe(true)
    links.pop()
    gossip.left('far')
    expect(gossip.isClosed()).toBe(false)
    gossip.told(a.link, notice([], ['far']))
    expect(gossip.isClosed()).toBe(true)
    await clock.advance(gossipLimits.delayMs)
    expect(a.told.at(-1)).toEqual(notice([], ['far']))
  })

  test('takes a peer that knows too many to tell as one that knows more', () => {
    const { gossip, join } = gossiping()
    const a = join('a')
    const many = Array.from({ length: controlLimits.peersItems }, () => member('a'))
    gossip.told(a.link, notice(many))
    expect(gossip.isClosed()).toBe(false)
    gossip.told(a.link, notice([member('a')]))
    expect(gossip.isClosed()).toBe(false)
  })

  test('remembers a bounded number of what one peer tells', () => {
    const { gossip, join } = gossiping()
    const a = join('a')
    for (let n = 0; n <= gossipLimits.heard; n++) gossip.told(a.link, notice([member(`m${n}`)]))
    for (let n = 0; n <= gossipLimits.heard; n++) gossip.told(a.link, notice([], [`m${n}`]))
    expect(gossip.isClosed()).toBe(false)
  })
})
