import { privateKeyFromProtobuf } from '@libp2p/crypto/keys'
import type { Libp2p } from '@libp2p/interface'
import { peerIdFromPrivateKey, peerIdFromString } from '@libp2p/peer-id'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { Libp2pOptions } from 'libp2p'
import { createLibp2p } from 'libp2p'
import { CatchUp } from '../gate/catch-up.ts'
import { Gate } from '../gate/gate.ts'
import type { Refusal } from '../gate/refusal.ts'
import type { Membership } from '../membership/membership.ts'
import { PipeDoor } from '../pipe/pipe-tls.ts'
import { PeerListenError } from './errors.ts'
import { ExpiryWatch } from './expiry-watch.ts'
import type { HintLimits } from './hint-quota.ts'
import { defaultMaxConnections } from './limits.ts'
import type { Network } from './network.ts'
import { RunningNetwork } from './network.ts'
import type { NetworkEvent } from './network-event.ts'
import { openHints } from './open-hints.ts'
import { parseListenAddress } from './peer-address.ts'
import type { MeshServices } from './settings.ts'
import { libp2pOptions } from './settings.ts'

/** What a network is made of. */
export interface NetworkInit {
  /** Protobuf of an Ed25519 private key. */
  readonly privateKey: Uint8Array
  /** Folder of hints: peers and DHT records. */
  readonly datastoreDir: string
  /** `host:port` or multiaddr; port 0 picks one. */
  readonly listen: string
  readonly maxConnections?: number | undefined
  /** Whether to run the DHT; true when absent. */
  readonly dht?: boolean | undefined
  /** For tests of many nodes in one process: the DHT's message timeout, milliseconds. */
  readonly dhtTimeoutMs?: number | undefined
  /** For tests: how long the gate waits, milliseconds. */
  readonly gateTimeoutMs?: number | undefined
  /** For tests: how long a node that was away waits for news, milliseconds. */
  readonly catchUpMs?: number | undefined
  /** For tests: how often expiry is checked, milliseconds. */
  readonly expiryCheckMs?: number | undefined
  /** For tests: quotas of hints. */
  readonly hintLimits?: HintLimits | undefined
  /** For tests: changes libp2p's options last. */
  readonly adjust?: AdjustOptions | undefined
}

type AdjustOptions = (options: Libp2pOptions<MeshServices>) => Libp2pOptions<MeshServices>

/** What a network works with. */
export interface NetworkComponents {
  readonly membership: Membership
  readonly log?: ((event: NetworkEvent) => void) | undefined
}

/**
 * Starts libp2p with our fences. Throws InvalidPeerAddressError for a listen address of no use,
 * PeerListenError when the port cannot be had, PeerDatastoreLockedError when another process holds
 * the folder.
 */
export async function createNetwork(
  components: NetworkComponents,
  init: NetworkInit,
): Promise<Network> {
  const { membership, log = ignore } = components
  const { maxConnections = defaultMaxConnections, dht = true } = init
  const listen = parseListenAddress(init.listen)
  const privateKey = privateKeyFromProtobuf(init.privateKey)
  const selfPeerId = peerIdFromPrivateKey(privateKey).toString()
  const refusals = new Set<(refusal: Refusal) => void>()
  const connected: { has: (peer: string) => boolean } = { has: () => false }
  const refused = (refusal: Refusal): void => {
    if (!isSpare(refusal, connected)) log({ kind: 'refused', refusal })
    for (const listener of refusals) listener(refusal)
  }
  const catchUp = new CatchUp({ wasAway: membership.isRestored, waitMs: init.catchUpMs })
  const gate = new Gate(
    { membership, catchUp, refused },
    { selfPeerId, timeoutMs: init.gateTimeoutMs },
  )
  const dir = init.datastoreDir
  const hints = await openHints({ log }, { dir, selfPeerId, limits: init.hintLimits })
  try {
    const { dhtTimeoutMs } = init
    const door = new PipeDoor()
    const parts = { privateKey, datastore: hints, gate, listen, takePipe: door.take }
    const settings = { ...parts, maxConnections, dht, dhtTimeoutMs }
    const libp2p = await start(libp2pOptions(settings), listen, init.adjust)
    connected.has = (peer) => libp2p.getConnections(peerIdFromString(peer)).length > 0
    const watched = { libp2p, gate, membership, log }
    const watch = new ExpiryWatch(watched, { everyMs: init.expiryCheckMs })
    return new RunningNetwork({ libp2p, gate, catchUp, hints, watch, refusals, door })
  } catch (error) {
    await hints.close()
    throw error
  }
}

/** Whether a connection that was cut was a second one: two members that dial each other need only one. */
function isSpare(
  { cause, peer }: Refusal,
  connected: { readonly has: (peer: string) => boolean },
): boolean {
  return cause.kind === 'silent' && peer !== undefined && connected.has(peer)
}

async function start(
  options: Libp2pOptions<MeshServices>,
  listen: Multiaddr,
  adjust: AdjustOptions = (same) => same,
): Promise<Libp2p<MeshServices>> {
  const libp2p = await createLibp2p<MeshServices>(adjust(options))
  try {
    await libp2p.start()
    return libp2p
  } catch (error) {
    if (error instanceof Error && error.name === 'UnsupportedListenAddressesError') {
      throw new PeerListenError(listen.toString(), reasonOf(error), { cause: error })
    }
    throw error
  }
}

// libp2p flattens the operating system's error into its text; its codes are still readable there.
// This only chooses words for a person: the decision is made by the class above.
function reasonOf(error: Error): string {
  if (error.message.includes('EADDRINUSE')) return 'the port is in use'
  if (error.message.includes('EACCES')) return 'no permission'
  if (error.message.includes('EADDRNOTAVAIL')) return 'this host does not have that address'
  return 'the address cannot be used'
}

function ignore(): void {}
