import type { Clock } from '@modmesh/fill'
import type { ZipHash } from '@modmesh/module'
import type { CID } from 'multiformats/cid'
import { OwnInventory } from './control/own-inventory.ts'
import { Announcer, type AnnounceTarget } from './dht/announcer.ts'
import type { PeerShelf, ShelfItem } from './peer-shelf.ts'

/** What holdings work with. */
export interface HoldingsComponents {
  readonly shelf: Pick<PeerShelf, 'contents' | 'onAdded'>
  readonly clock: Clock
  /** Absent: nothing is announced beyond the inventory. */
  readonly target: AnnounceTarget | undefined
  /** Keys that are announced beside those of contents. */
  readonly furtherKeys: () => AsyncIterable<CID>
  readonly failed: (error: unknown) => void
}

/** What this node holds, as the mesh is told of it: connected members by inventory, others through the DHT. */
export class Holdings {
  readonly own: OwnInventory = new OwnInventory()
  readonly announcer: Announcer | undefined
  readonly #shelf: HoldingsComponents['shelf']
  readonly #failed: (error: unknown) => void
  #stopShelf: () => void = () => {}

  constructor(components: HoldingsComponents) {
    const { shelf, target, ...parts } = components
    const contents = () => shelf.contents()
    this.#shelf = shelf
    this.#failed = components.failed
    this.announcer = target && new Announcer({ ...parts, target, contents })
  }

  /** Begins to follow the shelf. */
  start(): void {
    this.#stopShelf = this.#shelf.onAdded((item) => this.added(item))
    void this.#load()
  }

  /** Begins to tell the DHT. */
  announce(): void {
    this.announcer?.start()
  }

  stop(): void {
    this.#stopShelf()
    this.announcer?.stop()
  }

  /** Tells the mesh of a content that can be served now. */
  added(item: ShelfItem): void {
    this.own.add(item.zipHash)
    this.announcer?.add(item)
  }

  /** Tells the mesh that a content cannot be served any more. */
  removed(zipHash: ZipHash): void {
    this.own.remove(zipHash)
    this.announcer?.remove(zipHash).catch(this.#failed)
  }

  async #load(): Promise<void> {
    try {
      for await (const { zipHash } of this.#shelf.contents()) this.own.add(zipHash)
      this.own.complete()
    } catch (error) {
      this.#failed(error)
    }
  }
}
