import { KEEP_ALIVE, type PeerStore } from '@libp2p/interface'
import { type KadDHT, type KadDHTComponents, type KadDHTInit, kadDHT } from '@libp2p/kad-dht'

/**
 * Makes the DHT without its wish to stay connected to the 20 peers nearest to it, which would have
 * libp2p redial each of them for ever, beyond every limit and to peers that the user did not name.
 */
export function untaggedDht(init: KadDHTInit): (components: KadDHTComponents) => KadDHT {
  return (components) => kadDHT(init)(withUntaggedStore(components))
}

function withUntaggedStore(components: KadDHTComponents): KadDHTComponents {
  const peerStore = untagged(components.peerStore)
  return new Proxy(components, {
    get: (target, name) => (name === 'peerStore' ? peerStore : Reflect.get(target, name)),
  })
}

function untagged(store: PeerStore): PeerStore {
  const merge: PeerStore['merge'] = (peer, data, options) => {
    const { tags = {}, ...rest } = data
    const wanted = Object.entries(tags).filter(([name]) => !name.startsWith(KEEP_ALIVE))
    return store.merge(peer, { ...rest, tags: Object.fromEntries(wanted) }, options)
  }
  return new Proxy(store, {
    get(target, name) {
      if (name === 'merge') return merge
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}
