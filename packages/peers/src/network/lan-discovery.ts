import type { PeerDiscovery, PeerInfo } from '@libp2p/interface'
import type { MulticastDNSComponents } from '@libp2p/mdns'
import { mdns } from '@libp2p/mdns'
import type { Membership } from '../membership/membership.ts'
import type { DialLoop } from './dial-loop.ts'
import type { Network } from './network.ts'
import type { NetworkEvent } from './network-event.ts'

/** What discovery works with. */
export interface LanDiscoveryComponents {
  readonly network: Network
  readonly membership: Membership
  readonly dialLoop: DialLoop
  readonly log?: ((event: NetworkEvent) => void) | undefined
  /** For tests: makes the multicast service of a name. */
  readonly newService?: ((tag: string) => LanService) | undefined
}

/** A multicast service: announces us and tells whom it hears. */
export interface LanService extends PeerDiscovery {
  start(): Promise<void>
  stop(): Promise<void>
}

/**
 * Finds members of our mesh on the LAN by multicast DNS, under a service name of the mesh's own,
 * and tells the dial loop. Whoever answers still has to pass the gate. A lone node is silent; it
 * begins when it joins a mesh.
 */
export class LanDiscovery implements AsyncDisposable {
  readonly #components: LanDiscoveryComponents
  readonly #stopListening: () => void
  #running: { readonly tag: string; readonly service: LanService } | undefined
  #change: Promise<void> = Promise.resolve()
  #disposed = false

  constructor(components: LanDiscoveryComponents) {
    this.#components = components
    this.#stopListening = components.membership.onChange(() => this.#follow())
    this.#follow()
  }

  /** Ends discovery. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true
    this.#stopListening()
    this.#follow()
    await this.#change
  }

  #follow(): void {
    this.#change = this.#change
      .then(() => this.#switchTo(this.#wantedTag()))
      .catch((error: unknown) => {
        // No multicast on this host: configured addresses still work.
        const message = error instanceof Error ? error.message : String(error)
        this.#components.log?.({ kind: 'lan-discovery-failed', message })
      })
  }

  #wantedTag(): string | undefined {
    const meshId = this.#components.membership.meshId()
    return this.#disposed || meshId === undefined ? undefined : lanServiceTag(meshId)
  }

  async #switchTo(tag: string | undefined): Promise<void> {
    if (tag === this.#running?.tag) return
    const { service } = this.#running ?? {}
    this.#running = undefined
    await service?.stop()
    if (tag === undefined) return
    const started = this.#newService(tag)
    started.addEventListener('peer', (event) => this.#found(event.detail))
    await started.start()
    this.#running = { tag, service: started }
  }

  #newService(tag: string): LanService {
    const { newService, network } = this.#components
    if (newService !== undefined) return newService(tag)
    const { libp2p } = network
    const service = mdns({ serviceTag: tag })({
      logger: libp2p.logger,
      // The one method that it calls; the type asks for libp2p's whole internal interface.
      addressManager: { getAddresses: () => libp2p.getMultiaddrs() },
    } as unknown as MulticastDNSComponents)
    return service as LanService
  }

  #found(peer: PeerInfo): void {
    const { dialLoop, log } = this.#components
    log?.({ kind: 'lan-peer-found', peer: peer.id.toString() })
    dialLoop.learn(peer, 'lan').catch((error: unknown) => {
      const message = error instanceof Error ? error.message : String(error)
      log?.({ kind: 'lan-discovery-failed', message })
    })
  }
}

/** Returns the DNS service name of a mesh, so that two meshes on a LAN do not see each other. */
export function lanServiceTag(meshId: string): string {
  return `_modmesh-${meshId}._udp.local`
}
