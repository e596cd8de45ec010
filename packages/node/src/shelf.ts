import {
  type DeltaOffer,
  type HeldZip,
  infoForStrangers,
  type ModuleRecord,
  mayShare,
  type Proof,
  type ZipStore,
} from '@modmesh/fill'
import type { ModulePath, ModuleVersion, Version, ZipHash } from '@modmesh/module'
import type { PeerShelf, ShelfItem } from '@modmesh/peers'
import type { SumdbClient } from '@modmesh/sumdb'

/** What the shelf gives from. */
export interface ShelfComponents {
  readonly store: ZipStore & {
    /** Calls back after each durable commit; returns how to stop that. */
    onCommitted(listener: (zip: HeldZip) => void): () => void
    /** Every module version of which a go.mod is held. */
    mods(): Iterable<ModuleVersion>
  }
  readonly client: Pick<SumdbClient, 'name' | 'proveRecord' | 'cachedTile'> | undefined
}

interface Held {
  readonly module: ModuleVersion
  readonly proof: Proof
}

/** What members may have of this node: proven things only, and nothing private (fill's share policy). */
export class SharedShelf implements PeerShelf {
  readonly #store: ShelfComponents['store']
  readonly #client: ShelfComponents['client']
  readonly #isPrivate: (path: ModulePath) => boolean

  constructor(
    components: ShelfComponents,
    init: { readonly isPrivate: (path: ModulePath) => boolean },
  ) {
    this.#store = components.store
    this.#client = components.client
    this.#isPrivate = init.isPrivate
  }

  async *contents(): AsyncGenerator<ShelfItem> {
    for await (const held of this.#store.contents()) {
      if (this.#mayShare(held)) yield { module: held.module, zipHash: held.zipHash }
    }
  }

  async *mods(): AsyncGenerator<ModuleVersion> {
    for (const module of this.#store.mods()) {
      const mod = (await this.#store.findRecord(module))?.mod
      if (mod !== undefined && this.#mayShare({ module, proof: mod.proof })) yield module
    }
  }

  onAdded(listener: (item: ShelfItem) => void): () => void {
    return this.#store.onCommitted((zip) => {
      if (this.#mayShare(zip)) listener({ module: zip.module, zipHash: zip.zipHash })
    })
  }

  async findContent(zipHash: ZipHash): Promise<HeldZip | undefined> {
    const zip = await this.#store.findContent(zipHash)
    return zip !== undefined && this.#mayShare(zip) ? zip : undefined
  }

  async offer(zipHash: ZipHash): Promise<DeltaOffer | undefined> {
    const zip = await this.findContent(zipHash)
    return zip && this.#store.deltas?.offer(zip, { mayUse: (base) => this.#mayShare(base) })
  }

  /** An info cannot be proven; it goes along with what can, and not alone. */
  async record(module: ModuleVersion): Promise<Omit<ModuleRecord, 'peer'> | undefined> {
    if (this.#isPrivate(module.path)) return undefined
    const [stored, zip, record] = await Promise.all([
      this.#store.findRecord(module),
      this.#store.findZip(module),
      this.#client?.proveRecord(module),
    ])
    const holdsZip = zip !== undefined && this.#mayShare(zip)
    const mod = stored?.mod !== undefined && this.#mayShare({ module, proof: stored.mod.proof })
    if (!holdsZip && !mod && record === undefined) return undefined
    return {
      module,
      info: stored?.info && infoForStrangers(stored.info.bytes, module),
      mod: mod ? stored.mod?.bytes : undefined,
      record,
      holdsZip,
    }
  }

  async versions(path: ModulePath): Promise<readonly Version[]> {
    if (this.#isPrivate(path)) return []
    const shared: Version[] = []
    for (const version of await this.#store.versions(path)) {
      if (await this.#isProven({ path, version })) shared.push(version)
    }
    return shared
  }

  async tile(database: string, path: string): Promise<Uint8Array | undefined> {
    return database === this.#client?.name ? await this.#client.cachedTile(path) : undefined
  }

  async #isProven(module: ModuleVersion): Promise<boolean> {
    const mod = (await this.#store.findRecord(module))?.mod
    if (mod !== undefined && this.#mayShare({ module, proof: mod.proof })) return true
    const zip = await this.#store.findZip(module)
    return zip !== undefined && this.#mayShare(zip)
  }

  #mayShare(held: Held): boolean {
    return mayShare(held, this.#isPrivate)
  }
}
