import type { Clock, PeerId } from '@modmesh/fill'
import type { OwnInventory } from '../control/own-inventory.ts'
import { DeltaServer } from '../delta/delta-server.ts'
import type { Network } from '../network/network.ts'
import type { PeerShelf, SiteFetcher } from '../peer-shelf.ts'
import { PipePool } from '../pipe/pipe-pool.ts'
import type { PrivateSide } from '../private/private-side.ts'
import { BodyClient } from './body-client.ts'
import { BodyServer, type BodyServerOwner } from './body-server.ts'
import type { BodyTimes } from './limits.ts'
import type { UploadLimits } from './upload-limits.ts'
import { Uploads } from './uploads.ts'

/** What bodies are made of. */
export interface BodiesComponents {
  readonly network: Network
  readonly shelf: PeerShelf
  readonly privates: PrivateSide
  readonly own: OwnInventory
  readonly fetcher: SiteFetcher | undefined
  readonly clock: Clock
  readonly owner: BodyServerOwner
}

/** All zips on their way between this node and members: what it fetches, what it gives, and how much of it. */
export class Bodies {
  readonly client: BodyClient
  readonly uploads: Uploads
  readonly #server: BodyServer
  readonly #deltaServer: DeltaServer
  readonly #pipes: PipePool

  constructor(
    components: BodiesComponents,
    init: { readonly times: BodyTimes; readonly uploads?: UploadLimits | undefined },
  ) {
    const { network, clock, owner } = components
    const { libp2p, door } = network
    const { times } = init
    const isFar = (peer: PeerId) => !owner.isSameSite(peer)
    this.uploads = new Uploads({ clock, isWan: isFar }, init.uploads)
    const { uploads } = this
    this.#server = new BodyServer({ ...components, libp2p, door, uploads }, { times })
    this.#deltaServer = new DeltaServer({ ...components, libp2p, uploads }, { times })
    this.#pipes = new PipePool({ libp2p, door, clock })
    this.client = new BodyClient({ libp2p, pipes: this.#pipes, clock, isFar }, { times })
  }

  async start(): Promise<void> {
    await this.#server.start()
    await this.#deltaServer.start()
  }

  async stop(): Promise<void> {
    this.#pipes.stop()
    await this.#server.stop()
    await this.#deltaServer.stop()
  }

  /** Whether a body is on its way to a peer or from it. */
  isMoving(peer: PeerId): boolean {
    return this.client.isFetching(peer) || this.uploads.isGiving(peer)
  }
}
