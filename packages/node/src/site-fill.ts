import type {
  ModuleFill,
  OwnerAnswer,
  OwnerNotice,
  OwnerQuestion,
  PartAsked,
  Upstream,
  ZipPart,
} from '@modmesh/fill'
import type { ModuleVersion } from '@modmesh/module'
import type { SiteFetcher } from '@modmesh/peers'
import { parseTilePath, SumdbNotFoundError } from '@modmesh/sumdb'
import type { SiteTiles } from './site-tiles.ts'

/** What is fetched with. */
interface SiteFillComponents {
  /** Undefined before the node serves. */
  readonly fill: () => ModuleFill | undefined
  readonly upstream: Pick<Upstream, 'isEnabled'>
  /** Undefined when nothing can be proven: then nothing goes to peers. */
  readonly database: { readonly name: string } | undefined
  /** Undefined where the database is not asked. */
  readonly tiles: Pick<SiteTiles, 'give'> | undefined
}

/** Fetches for members of our site with the same fill that answers our own clients. */
export class SiteFill implements SiteFetcher {
  readonly #components: SiteFillComponents

  constructor(components: SiteFillComponents) {
    this.#components = components
  }

  canFetch(): boolean {
    const { upstream, database } = this.#components
    return database !== undefined && upstream.isEnabled()
  }

  canRelay(): boolean {
    return this.#components.database !== undefined
  }

  async answer(
    question: OwnerQuestion,
    asker: Parameters<SiteFetcher['answer']>[1],
  ): Promise<OwnerAnswer> {
    const fill = this.#components.fill()
    return (await fill?.answerSite(question, asker)) ?? { kind: 'refused', why: 'declined' }
  }

  async part(
    module: ModuleVersion,
    asked: PartAsked,
    options: { readonly signal: AbortSignal },
  ): Promise<ZipPart | undefined> {
    return await this.#components.fill()?.sitePart(module, asked, options)
  }

  async tile(database: string, path: string): Promise<Uint8Array | undefined> {
    const { database: ours, tiles } = this.#components
    if (ours?.name !== database || !isTilePath(path)) return undefined
    return await tiles?.give(`/${path}`)
  }

  notice(question: OwnerQuestion): OwnerNotice {
    return this.#components.fill()?.siteNotice(question) ?? { bytes: 0 }
  }
}

/** No other path of a peer goes to the database. */
function isTilePath(path: string): boolean {
  try {
    parseTilePath(path)
    return true
  } catch (error) {
    if (error instanceof SumdbNotFoundError) return false
    throw error
  }
}
