import {
  type FirstHash,
  type FirstHashes,
  type HeldZip,
  infoForStrangers,
  mayShareAsPublished,
  type ZipStore,
} from '@modmesh/fill'
import type { ModulePath, ModuleVersion, Version, ZipHash } from '@modmesh/module'
import type { PrivateRecord, PrivateShelf } from '@modmesh/peers'

/** What the shelf gives from. */
interface PrivateShelfComponents {
  readonly store: Pick<ZipStore, 'findZip' | 'findContent' | 'findRecord' | 'versions'> & {
    readonly firstHashes: FirstHashes & { published(): Promise<readonly FirstHash[]> }
    onCommitted(listener: (zip: HeldZip) => void): () => void
  }
}

type Vouched = NonNullable<ReturnType<typeof mayShareAsPublished>>

/** What members that may have private modules get of this node: as a publisher signed it, or not at all. */
export class SharedPrivateShelf implements PrivateShelf {
  readonly #store: PrivateShelfComponents['store']
  readonly #isPrivate: (path: ModulePath) => boolean
  readonly #listeners = new Set<(path: ModulePath) => void>()

  constructor(
    components: PrivateShelfComponents,
    init: { readonly isPrivate: (path: ModulePath) => boolean },
  ) {
    this.#store = components.store
    this.#isPrivate = init.isPrivate
    // As long as this node runs.
    this.#store.onCommitted((zip) => {
      if (zip.proof.kind === 'publisher') this.added(zip.module)
    })
  }

  async *paths(): AsyncGenerator<ModulePath> {
    for (const entry of await this.#store.firstHashes.published()) {
      const vouched = mayShareAsPublished(entry, this.#isPrivate)
      if (vouched !== undefined && (await this.#zipOf(vouched)) !== undefined) {
        yield vouched.module.path
      }
    }
  }

  onAdded(listener: (path: ModulePath) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Tells that a version is vouched for and held now. */
  added({ path }: ModuleVersion): void {
    for (const listener of this.#listeners) listener(path)
  }

  async record(module: ModuleVersion): Promise<PrivateRecord | undefined> {
    if (!this.#isPrivate(module.path)) return undefined
    const vouched = await this.#vouched(module)
    if (vouched === undefined) return undefined
    const [zip, stored] = await Promise.all([this.#zipOf(vouched), this.#store.findRecord(module)])
    return {
      info: stored?.info && infoForStrangers(stored.info.bytes, module),
      mod: stored?.mod?.hash === vouched.mod ? stored.mod.bytes : undefined,
      statement: vouched.published.statement,
      holdsZip: zip !== undefined,
    }
  }

  async versions(path: ModulePath): Promise<readonly Version[]> {
    if (!this.#isPrivate(path)) return []
    const shared: Version[] = []
    for (const version of await this.#store.versions(path)) {
      if ((await this.#vouched({ path, version })) !== undefined) shared.push(version)
    }
    return shared
  }

  async findContent(zipHash: ZipHash): Promise<HeldZip | undefined> {
    const zip = await this.#store.findContent(zipHash)
    if (zip === undefined || !this.#isPrivate(zip.module.path)) return undefined
    const vouched = await this.#vouched(zip.module)
    return vouched?.zip === zip.zipHash ? zip : undefined
  }

  async #zipOf({ module, zip }: Vouched): Promise<HeldZip | undefined> {
    const held = await this.#store.findZip(module)
    return held?.zipHash === zip ? held : undefined
  }

  async #vouched(module: ModuleVersion): Promise<Vouched | undefined> {
    return mayShareAsPublished(await readFirst(this.#store, module), this.#isPrivate)
  }
}

/** What was first seen of a version. Throws StoreDamagedError. */
export async function readFirst(
  { firstHashes }: { readonly firstHashes: FirstHashes },
  module: ModuleVersion,
): Promise<FirstHash | undefined> {
  let found: FirstHash | undefined
  await firstHashes.update(module, (kept) => {
    found = kept
    return kept
  })
  return found
}
