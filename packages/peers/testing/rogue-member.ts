import type { Connection, Libp2p, StreamHandler } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import type { MeshServices } from '../src/network/settings.ts'
import type { TestNetwork, TestNetworkInit } from './test-network.ts'
import { startTestNetwork } from './test-network.ts'

/** A member in good standing that misbehaves: tests register their own handlers on it. */
export interface RogueMember extends AsyncDisposable {
  readonly node: TestNetwork
  readonly libp2p: Libp2p<MeshServices>
  readonly peerId: string
  /** Speaks one of our protocols in its own way. */
  handle(protocol: string, handler: StreamHandler): Promise<void>
  /** Connects to a node by its address; the gate lets it in. */
  connect(address: string): Promise<Connection>
}

/** Starts a libp2p node that joined with a ticket and runs none of our protocols but the gate. */
export async function rogueMember(
  ticket: string,
  init: Omit<TestNetworkInit, 'ticket'> = {},
): Promise<RogueMember> {
  const node = await startTestNetwork({ name: 'rogue', ...init, ticket })
  const { libp2p, peerId } = node.network
  return {
    node,
    libp2p,
    peerId,
    handle: (protocol, handler) => libp2p.handle(protocol, handler, { maxInboundStreams: 1000 }),
    connect: (address) => libp2p.dial(multiaddr(address)),
    [Symbol.asyncDispose]: () => node[Symbol.asyncDispose](),
  }
}
