import type { Clock } from '@modmesh/fill'
import { SessionClosedError } from '../errors.ts'
import { joinKeys } from './content-set.ts'
import type { ControlSession } from './control-session.ts'
import { type ControlTimes, controlLimits } from './limits.ts'
import { contentKeyBytes, type InventoryFrame } from './message.ts'
import type { OwnInventory } from './own-inventory.ts'

const frameBytes = controlLimits.inventoryFrameEntries * contentKeyBytes

/** What a feed needs of a session. */
export type FeedSession = Pick<ControlSession, 'tell' | 'room' | 'signal'>

/** Keeps one peer's picture of our inventory in step: everything first, then changes. */
export class InventoryFeed {
  readonly #own: OwnInventory
  readonly #session: FeedSession
  readonly #clock: Clock
  readonly #times: ControlTimes
  /** Last word about each changed key; bounded by falling back to a full inventory. */
  readonly #changes = new Map<string, { readonly key: Uint8Array; readonly isHeld: boolean }>()
  #isFullDue = true
  #seq = 0
  #wake = Promise.withResolvers<void>()

  constructor(
    components: {
      readonly own: OwnInventory
      readonly session: FeedSession
      readonly clock: Clock
    },
    init: { readonly times: ControlTimes },
  ) {
    this.#own = components.own
    this.#session = components.session
    this.#clock = components.clock
    this.#times = init.times
  }

  /** Sends everything again: the peer missed a frame. */
  resync(): void {
    this.#isFullDue = true
    this.#wake.resolve()
  }

  /** Feeds until the session ends. */
  async run(): Promise<void> {
    const stop = this.#own.onChange((key, isHeld) => this.#note(key, isHeld))
    const onEnd = () => this.#wake.resolve()
    this.#session.signal.addEventListener('abort', onEnd, { once: true })
    try {
      for (;;) await this.#step()
    } catch (error) {
      if (!this.#session.signal.aborted && !(error instanceof SessionClosedError)) throw error
    } finally {
      stop()
      this.#session.signal.removeEventListener('abort', onEnd)
    }
  }

  async #step(): Promise<void> {
    const { signal } = this.#session
    if (this.#isFullDue) return this.#sendFull()
    if (this.#changes.size === 0) await this.#wake.promise
    signal.throwIfAborted()
    await this.#clock.sleep(this.#times.inventoryDelayMs, { signal })
    if (!this.#isFullDue) await this.#sendChanges()
  }

  #note(key: Uint8Array, isHeld: boolean): void {
    if (this.#changes.size >= controlLimits.inventoryFrameEntries) {
      this.#isFullDue = true
      this.#changes.clear()
    }
    this.#changes.set(Buffer.from(key).toString('latin1'), { key, isHeld })
    this.#wake.resolve()
  }

  async #sendFull(): Promise<void> {
    this.#isFullDue = false
    this.#changes.clear()
    this.#wake = Promise.withResolvers<void>()
    const keys = this.#own.toBytes().subarray(0, controlLimits.inventoryEntries * contentKeyBytes)
    for (let at = 0; at === 0 || at < keys.length; at += frameBytes) {
      if (at > 0) {
        await this.#clock.sleep(this.#times.inventoryPaceMs, { signal: this.#session.signal })
      }
      const added = keys.subarray(at, at + frameBytes)
      const last = at + frameBytes >= keys.length
      await this.#send({ full: at === 0, last, added, removed: new Uint8Array() })
    }
  }

  async #sendChanges(): Promise<void> {
    const changes = [...this.#changes.values()]
    this.#changes.clear()
    this.#wake = Promise.withResolvers<void>()
    const added = joinKeys(changes.filter((change) => change.isHeld).map((change) => change.key))
    const removed = joinKeys(changes.filter((change) => !change.isHeld).map((change) => change.key))
    await this.#send({ full: false, last: true, added, removed })
  }

  async #send(part: Omit<InventoryFrame, 'kind' | 'seq'>): Promise<void> {
    await this.#session.room()
    this.#session.tell({ kind: 'inventory', seq: this.#seq++, ...part })
  }
}
