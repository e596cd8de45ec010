import type { Clock, PeerId } from '@modmesh/fill'
import type { PrivateSecret } from '../private/message.ts'
import { ControlSession, type SessionEnd, type SessionHandlers } from './control-session.ts'
import { InventoryFeed } from './inventory-feed.ts'
import type { ControlTimes, FloodLimits } from './limits.ts'
import type { MembershipNotice } from './membership-message.ts'
import type { AnyReply, Hello, Message, Notice, PeersNotice, TreeHead } from './message.ts'
import type { OwnInventory } from './own-inventory.ts'
import { PeerInventory } from './peer-inventory.ts'
import type { NodeQuery } from './served-queries.ts'
import type { Wire } from './wire.ts'

/** The ability to send and use inventories. */
export const inventoryCapability = 'inventory'
/** The ability to ask upstream for others of the site. */
export const fetchCapability = 'fetch'
/** The ability to ask other sites for others of the site. */
export const relayCapability = 'relay'

/** What a link needs of the node. */
export interface LinkOwner {
  /** Answers a member's query from what may be given to it. */
  answer(
    peer: PeerId,
    query: NodeQuery,
    options: Parameters<SessionHandlers['answer']>[1],
  ): Promise<AnyReply>
  /** Takes a tree head, addresses, words about membership or a secret that a member told us. */
  told(link: PeerLink, notice: TreeHead | PeersNotice | MembershipNotice | PrivateSecret): void
  /** Told of exceptions of ours. */
  failed(error: unknown): void
  /** Told of each message that goes out. Must not throw. */
  sent(kind: Message['kind']): void
}

/** One member's live control session and what it told us in it. */
export class PeerLink {
  readonly peer: PeerId
  readonly session: ControlSession
  readonly inventory: PeerInventory = new PeerInventory()
  readonly #owner: LinkOwner
  readonly #feed: InventoryFeed
  readonly #sendsInventory: boolean
  #hello: Hello | undefined

  constructor(
    components: {
      readonly wire: Wire
      readonly clock: Clock
      readonly own: OwnInventory
      readonly owner: LinkOwner
    },
    init: {
      readonly peer: PeerId
      readonly hello: Hello
      readonly times: ControlTimes
      readonly flood: FloodLimits
    },
  ) {
    const { wire, clock, own, owner } = components
    this.peer = init.peer
    this.#owner = owner
    this.#sendsInventory = init.hello.capabilities.includes(inventoryCapability)
    this.session = new ControlSession({ wire, clock, handlers: this.#handlers() }, init)
    this.#feed = new InventoryFeed({ own, session: this.session, clock }, { times: init.times })
  }

  /** The peer's hello; undefined until `start` resolved. */
  get hello(): Hello | undefined {
    return this.#hello
  }

  get isAlive(): boolean {
    return !this.session.signal.aborted
  }

  get ended(): Promise<SessionEnd> {
    return this.session.ended
  }

  /** Whether the inventory says all that the peer holds; else it has to be asked. */
  get knowsInventory(): boolean {
    return this.inventory.isComplete
  }

  /** Greets and starts feeding our inventory. Throws SessionClosedError or ProtocolError. */
  async start(): Promise<Hello> {
    const hello = await this.session.start()
    this.#hello = hello
    if (this.#usesInventory()) {
      this.#feed.run().catch((error: unknown) => this.#owner.failed(error))
    }
    return hello
  }

  /** Whether the peer can ask upstream for us, and has not gone quiet. */
  isFetcher(maxQuietMs: number): boolean {
    return this.#can(fetchCapability) && this.#isLively(maxQuietMs)
  }

  /** Whether the peer asks other sites for us, has no upstream, and has not gone quiet. */
  isRelay(maxQuietMs: number): boolean {
    const isAble = this.#can(relayCapability) && !this.#can(fetchCapability)
    return isAble && this.#isLively(maxQuietMs)
  }

  #can(capability: string): boolean {
    return this.#hello?.capabilities.includes(capability) ?? false
  }

  #isLively(maxQuietMs: number): boolean {
    return this.isAlive && this.session.quietMs < maxQuietMs
  }

  #usesInventory(): boolean {
    return (
      this.#sendsInventory && (this.#hello?.capabilities.includes(inventoryCapability) ?? false)
    )
  }

  #handlers(): SessionHandlers {
    return {
      answer: (query, options) => this.#owner.answer(this.peer, query, options),
      notice: (notice) => this.#onNotice(notice),
      failed: (error) => this.#owner.failed(error),
      sent: (kind) => this.#owner.sent(kind),
    }
  }

  #onNotice(notice: Notice): void {
    switch (notice.kind) {
      case 'inventory':
        if (!this.#sendsInventory) return
        if (this.inventory.apply(notice) === 'gap') this.session.tell({ kind: 'inventory-resync' })
        return
      case 'inventory-resync':
        this.#feed.resync()
        return
      case 'tree-head':
      case 'peers':
      case 'ledger':
      case 'own-chain':
      case 'your-chain':
      case 'private-secret':
        this.#owner.told(this, notice)
    }
  }
}
