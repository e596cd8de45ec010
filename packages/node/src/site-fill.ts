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

/** What is fetched with. */
interface SiteFillComponents {
  /** Undefined before the node serves. */
  readonly fill: () => ModuleFill | undefined
  readonly upstream: Pick<Upstream, 'isEnabled'>
  /** Undefined when nothing can be proven: then nothing goes to peers. */
  readonly database: object | undefined
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

  notice(question: OwnerQuestion): OwnerNotice {
    return this.#components.fill()?.siteNotice(question) ?? { bytes: 0 }
  }
}
