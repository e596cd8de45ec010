import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { sha256 } from 'multiformats/hashes/sha2'
import { afterEach, expect, test, vi } from 'vitest'
import { startTestMesh } from '../../testing/index.ts'
import { patiently } from '../support/patience.ts'

afterEach(() => void vi.useRealTimers())

test('a provider is found by the DHT and dialled two hours after its address was learned', async () => {
  const [guide, provider, seeker] = await startTestMesh(3)
  await using _guide = guide
  if (provider === undefined || seeker === undefined) throw new Error('three started')
  await using _provider = provider
  await using _seeker = seeker
  await provider.connect(guide.address)
  const key = CID.create(1, raw.code, await sha256.digest(Uint8Array.of(1)))
  const signal = AbortSignal.timeout(60_000)
  const provided = async (): Promise<boolean> => {
    for await (const event of provider.network.dht?.provide(key, { signal }) ?? []) {
      if (event.name === 'PEER_RESPONSE' && event.messageName === 'ADD_PROVIDER') return true
    }
    return false
  }
  await patiently(provided).toBe(true)
  await seeker.connect(guide.address)
  // libp2p forgets addresses after an hour, those of connected peers, too.
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 2 * 3_600_000 })
  const found = async () => {
    const { contentRouting } = seeker.network.libp2p
    for await (const { id, multiaddrs } of contentRouting.findProviders(key, { signal })) {
      return { peer: id.toString(), isReachable: multiaddrs.length > 0 }
    }
    return undefined
  }
  const { peerId } = provider.network
  await patiently(found).toEqual({ peer: peerId, isReachable: true })
  const connection = await seeker.network.libp2p.dial(provider.network.libp2p.peerId)
  expect(connection.remotePeer.toString()).toBe(peerId)
})
