import { ByteLru } from '@modmesh/fill'
import { type PrefixedLines, type ZipHash, zipPrefix } from '@modmesh/module'
import type { ShelvedZip } from '../zip-shelf.ts'
import type { DeltaPool } from './delta-pool.ts'
import type { NamesAndHashes } from './job-message.ts'
import { manifestCacheBytes } from './limits.ts'

/** What a line costs in memory beside its name, bytes. */
const lineBytes = 96

/** A manifest, and how large its files are. */
export interface SizedLines extends PrefixedLines {
  readonly sizes: Float64Array
  readonly packedSizes: Float64Array
}

/** Manifests of held zips: made of the zips when they are needed, and kept in memory for a while. */
export class Manifests {
  readonly #pool: DeltaPool
  readonly #pathOf: (zip: ShelvedZip) => string
  readonly #kept: ByteLru<NamesAndHashes> = new ByteLru(manifestCacheBytes)
  readonly #running = new Map<ZipHash, Promise<NamesAndHashes | undefined>>()

  constructor(components: {
    readonly pool: DeltaPool
    readonly pathOf: (zip: ShelvedZip) => string
  }) {
    this.#pool = components.pool
    this.#pathOf = components.pathOf
  }

  /** The lines of a held zip's manifest; undefined when no difference can tell it, or it is not what it was. */
  async linesOf(
    zip: ShelvedZip,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<SizedLines | undefined> {
    const known = this.#kept.get(zip.record.zipHash) ?? (await this.#made(zip))
    signal.throwIfAborted()
    if (known === undefined) return undefined
    const { names, hashes, sizes, packedSizes } = known
    const lines = names.map((name, at) => ({
      name,
      sha256: hashes.subarray(32 * at, 32 * at + 32),
    }))
    // A folder may be named twice in a zip: no difference can tell that.
    const isPlain = names.every((name, at) => name !== names[at - 1])
    return isPlain ? { prefix: zipPrefix(zip.record.module), lines, sizes, packedSizes } : undefined
  }

  /** Goes on when whoever asked goes away: the next one asks the same. */
  #made(zip: ShelvedZip): Promise<NamesAndHashes | undefined> {
    const { zipHash } = zip.record
    const running = this.#running.get(zipHash)
    if (running !== undefined) return running
    const making = this.#make(zip).finally(() => this.#running.delete(zipHash))
    this.#running.set(zipHash, making)
    return making
  }

  async #make(zip: ShelvedZip): Promise<NamesAndHashes | undefined> {
    const job = this.#pool.start({ kind: 'manifest', path: this.#pathOf(zip) })
    let made: NamesAndHashes | undefined
    job.onLines = (lines) => {
      made = lines
    }
    await job.whenDone()
    if (made?.zipHash !== zip.record.zipHash) return undefined
    const bytes = made.names.reduce((sum, name) => sum + name.length + lineBytes, 0)
    this.#kept.set(zip.record.zipHash, made, bytes)
    return made
  }
}
