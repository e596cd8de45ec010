import type { Clock } from '@modmesh/fill'
import { type ModulePath, privateNameKey } from '@modmesh/module'
import type { CID } from 'multiformats/cid'
import type { PeerLink } from '../control/peer-link.ts'
import type { Membership } from '../membership/membership.ts'
import type { PrivateShelf } from '../peer-shelf.ts'
import { maxAnnouncedNames, secretDelayMs } from './limits.ts'
import type { PrivateSecret } from './message.ts'
import type { PrivateStanding } from './private-standing.ts'
import type { SecretKeeper } from './secret-keeper.ts'

/** What announcing private names needs of the DHT's queue. */
export interface NameAnnouncer {
  addKey(key: CID): void
  withdrawKey(key: CID): Promise<void>
}

/** What private names rest on. */
export interface PrivateNamesComponents {
  readonly clock: Clock
  readonly membership: Membership
  readonly standing: PrivateStanding
  readonly keeper: SecretKeeper
  readonly shelf: PrivateShelf
  readonly links: () => readonly PeerLink[]
  /** Undefined: there is no DHT. */
  readonly announcer: () => NameAnnouncer | undefined
  readonly failed: (error: unknown) => void
}

/**
 * Announces private paths under keys that members with the role alone can make, and hands those members the
 * secret for it. Another secret withdraws what was announced under the one before.
 */
export class PrivateNames {
  readonly #parts: PrivateNamesComponents
  readonly #announced = new Map<string, CID>()
  readonly #stop = new AbortController()
  #stopListening: readonly (() => void)[] = []
  #isPlanned = false

  constructor(components: PrivateNamesComponents) {
    this.#parts = components
  }

  async start(): Promise<void> {
    const { membership, keeper, shelf } = this.#parts
    // A secret that is lost is made anew; a node with a broken disk still starts.
    await this.#restore().catch(this.#parts.failed)
    this.#stopListening = [
      shelf.onAdded((path) => void this.#announce(path)),
      keeper.onChange(() => this.#plan()),
      membership.onLedger(() => this.#plan()),
      membership.onChange(() => this.#plan()),
    ]
    this.#plan()
  }

  stop(): void {
    for (const stop of this.#stopListening) stop()
    this.#stop.abort(new Error('node stops'))
  }

  /** Hands a new link the secret, if it may have it. */
  greet(link: PeerLink): void {
    const known = this.#parts.keeper.current()
    if (known !== undefined && this.#parts.standing.isAllowedPeer(link.peer)) {
      link.session.tell({ kind: 'private-secret', record: known.record })
    }
  }

  /** Takes a secret from a member that may have it itself. */
  told(link: PeerLink, { record }: PrivateSecret): void {
    if (!this.#parts.standing.isAllowedPeer(link.peer)) return
    this.#parts.keeper.offered(record).catch(this.#parts.failed)
  }

  /** Keys of all private paths, for a round over what is held. */
  async *keys(): AsyncGenerator<CID> {
    const secret = this.#parts.keeper.current()?.secret
    if (secret === undefined) return
    for await (const path of this.#parts.shelf.paths()) yield privateNameKey(path, secret)
  }

  /** What the same secret named before a restart is left to the round, which knows what is due. */
  async #restore(): Promise<void> {
    await this.#parts.keeper.restore()
    for await (const key of this.keys()) this.#note(key)
  }

  #keyOf(path: ModulePath, secret: Uint8Array): CID {
    const key = privateNameKey(path, secret)
    this.#note(key)
    return key
  }

  #note(key: CID): void {
    if (this.#announced.size < maxAnnouncedNames) this.#announced.set(key.toString(), key)
  }

  async #announce(path: ModulePath): Promise<void> {
    try {
      const secret = (await this.#parts.keeper.have())?.secret
      if (secret === undefined) return
      const isNew = !this.#announced.has(privateNameKey(path, secret).toString())
      if (isNew) this.#parts.announcer()?.addKey(this.#keyOf(path, secret))
    } catch (error) {
      this.#parts.failed(error)
    }
  }

  /** Several changes of one moment are one. */
  #plan(): void {
    if (this.#isPlanned) return
    this.#isPlanned = true
    this.#parts.clock.sleep(secretDelayMs, { signal: this.#stop.signal }).then(
      () => this.#renew().catch(this.#parts.failed),
      () => {}, // the node stops
    )
  }

  async #renew(): Promise<void> {
    const { keeper, shelf, links } = this.#parts
    const announcer = this.#parts.announcer()
    this.#isPlanned = false
    // What is added while the paths are read is not among them, and not to be withdrawn for that.
    const old = new Map(this.#announced)
    const paths: ModulePath[] = []
    for await (const path of shelf.paths()) paths.push(path)
    // Who has nothing to announce waits for the secret of those who have.
    const known = paths.length > 0 ? await keeper.have() : keeper.current()
    const named = new Set(this.#announced.keys())
    for (const text of old.keys()) this.#announced.delete(text)
    const keys = known === undefined ? [] : paths.map((path) => this.#keyOf(path, known.secret))
    for (const key of keys) if (!named.has(key.toString())) announcer?.addKey(key)
    for (const [text, key] of old) {
      if (!this.#announced.has(text)) await announcer?.withdrawKey(key)
    }
    for (const link of links()) this.greet(link)
  }
}
