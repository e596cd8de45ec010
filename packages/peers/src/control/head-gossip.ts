import { SessionClosedError } from '../errors.ts'
import type { HeadExchange, ReadTile } from '../peer-shelf.ts'
import { controlLimits, tileLimits } from './limits.ts'
import type { TreeHead } from './message.ts'
import type { PeerLink } from './peer-link.ts'

/** Shows our tree heads to members, and theirs to us. */
export class HeadGossip {
  readonly #exchange: HeadExchange
  readonly #links: () => readonly PeerLink[]
  readonly #failed: (error: unknown) => void
  readonly #told = new WeakMap<PeerLink, Map<string, string>>()
  #stop: () => void = () => {}

  constructor(components: {
    readonly exchange: HeadExchange
    readonly links: () => readonly PeerLink[]
    readonly failed: (error: unknown) => void
  }) {
    this.#exchange = components.exchange
    this.#links = components.links
    this.#failed = components.failed
  }

  start(): void {
    this.#stop = this.#exchange.onHead(() => this.#tell(this.#links()))
  }

  stop(): void {
    this.#stop()
  }

  /** Shows our heads to a new link. */
  greet(link: PeerLink): void {
    this.#tell([link])
  }

  /** Hands a peer's head on, with a way to read the tiles that show it consistent. */
  received(link: PeerLink, head: TreeHead): void {
    this.#exchange.received(link.peer, head.database, head.note, readTileOf(link, head.database))
  }

  #tell(links: readonly PeerLink[]): void {
    if (links.length === 0) return
    this.#exchange
      .heads()
      .then((heads) => {
        for (const link of links) for (const head of heads) this.#show(link, head)
      })
      .catch(this.#failed)
  }

  #show(link: PeerLink, head: { readonly database: string; readonly note: string }): void {
    const told = this.#told.get(link) ?? new Map<string, string>()
    this.#told.set(link, told)
    if (told.get(head.database) === head.note || head.note.length > controlLimits.noteBytes) return
    told.set(head.database, head.note)
    link.session.tell({ kind: 'tree-head', database: head.database, note: head.note })
  }
}

/** Reads tiles of a database from one peer; undefined when it has none. Unverified. */
export function readTileOf(link: PeerLink, database: string): ReadTile {
  return async (path, { signal }) => {
    if (!link.isAlive) throw new SessionClosedError('peer is gone')
    const options = { signal, deadlineMs: tileLimits.waitMs }
    const answer = await link.session.ask<'tile-query'>(
      { kind: 'tile-query', database, path },
      options,
    )
    return answer.tile
  }
}
