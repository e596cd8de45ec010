import { type Clock, type PeerId, pickOwner } from '@modmesh/fill'
import { errorText } from '../errors.ts'
import type { Logger } from '../log.ts'
import { printableName } from '../printable.ts'
import { type SeedComponents, seed } from './seed.ts'

/** Members of a site see each other and the visitor by then. Milliseconds. */
const settleMs = 3_000

/** A visitor is not asked for long: it will appear again. Milliseconds. */
const waitMs = 60_000
const replicas = 2

/** A member that connected. */
interface Appeared {
  readonly peer: PeerId
  readonly name: string
  readonly site: string
}

/** Has a site hold what certain members have, whenever they appear. */
export class Visitors implements AsyncDisposable {
  readonly #parts: () => SeedComponents | undefined
  readonly #clock: Clock
  readonly #log: Logger
  readonly #names: ReadonlySet<string>
  readonly #running = new Map<PeerId, Promise<void>>()
  readonly #stopping = new AbortController()

  constructor(
    components: {
      /** Undefined while the node starts or stops. */
      readonly parts: () => SeedComponents | undefined
      readonly clock: Clock
      readonly log: Logger
    },
    /** Names, peer ids or sites. */
    init: { readonly names: readonly string[] },
  ) {
    this.#parts = components.parts
    this.#clock = components.clock
    this.#log = components.log
    this.#names = new Set(init.names)
  }

  /** Takes note of a member that connected. */
  appeared({ peer, name, site }: Appeared): void {
    const isMeant = [peer, name, site].some((text) => this.#names.has(text))
    if (!isMeant || this.#running.has(peer)) return
    const running = this.#seed(peer, name).finally(() => this.#running.delete(peer))
    this.#running.set(peer, running)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort()
    await Promise.all(this.#running.values())
  }

  /** Never rejects. */
  async #seed(peer: PeerId, name: string): Promise<void> {
    const { signal } = this.#stopping
    const from = printableName(name)
    try {
      await this.#clock.sleep(settleMs, { signal })
      const parts = this.#parts()
      if (parts === undefined || !isCoordinator(parts, peer)) return
      const request = { command: 'seed', from: peer, replicas, waitMs } as const
      const report = await seed(parts, request, { signal, onProgress: () => {} })
      const { total, complete, crossed } = report
      this.#log.info({ from, total, complete, crossed }, 'took what a visitor has')
    } catch (error) {
      if (!signal.aborted) this.#log.warn({ from, reason: errorText(error) }, 'a visitor was lost')
    }
  }
}

/** One member of the site does it: all of them see the same one. */
function isCoordinator({ mesh }: SeedComponents, peer: PeerId): boolean {
  const members = mesh.siteMembers().filter((member) => member !== peer)
  return pickOwner(`seed ${peer}`, [mesh.peerId, ...members]) === mesh.peerId
}
