import {
  findInfoFault,
  findStrangersInfoFault,
  type HeldZip,
  type StoredRecord,
  Turns,
} from '@modmesh/fill'
import {
  formatModuleVersion,
  hashMod,
  type ModHash,
  type ModuleVersion,
  maxModBytes,
  ZipRulesError,
} from '@modmesh/module'
import type { AdoptedZip, DiskStore } from '@modmesh/store'
import { errorText } from '../errors.ts'
import {
  isTroubleOfCache,
  mismatch,
  readSmall,
  whyModUnproven,
  whyUnproven,
  zipFault,
  zipHashFault,
} from './adopt-faults.ts'
import type { AdoptProofs, FoundSums, KnownSums } from './adopt-proofs.ts'
import { type AdoptReport, AdoptTally } from './adopt-report.ts'
import type { CachedVersion } from './module-cache.ts'

/** Module versions worked on at once: their commits share the syncs of a disk. */
const versionsAtOnce = 64
/** An `.info` of `go` has some hundred bytes. */
const maxInfoBytes = 64 * 1024

export interface AdoptComponents {
  readonly store: DiskStore
  readonly proofs: AdoptProofs
  readonly onProgress: (progress: { readonly done: number; readonly total: number }) => void
  /** Told of each module version of which something is new. */
  readonly onAdded: (module: ModuleVersion) => void
}

/**
 * Takes over what a module cache of `go` has: each zip is hashed again and compared with its
 * `.ziphash` and with what vouches for it, and is shared with the cache instead of copied where the
 * file system can (design, section 5, One reading). Throws StoreWriteError.
 */
export async function adoptCache(
  components: AdoptComponents,
  what: {
    readonly cache: string
    readonly versions: readonly CachedVersion[]
    /** All were hashed before: what nobody vouches for is not hashed once more. */
    readonly again: boolean
  },
  options: { readonly signal: AbortSignal },
): Promise<AdoptReport> {
  const { cache, versions } = what
  const failed = new AbortController()
  const signal = AbortSignal.any([options.signal, failed.signal])
  const adoption = new Adoption(components, what.again, signal)
  const queue = versions.values()
  let done = 0
  const work = async (): Promise<void> => {
    for (const version of queue) {
      signal.throwIfAborted()
      await adoption.take(version)
      done += 1
      components.onProgress({ done, total: versions.length })
    }
  }
  const works = Array.from({ length: versionsAtOnce }, work)
  try {
    await Promise.all(works)
  } catch (error) {
    // The store is closed when this has failed: nobody goes on with it.
    failed.abort(error)
    await Promise.allSettled(works)
    throw error
  }
  return adoption.tally.report(cache, versions.length)
}

/** One run over a cache. */
class Adoption {
  readonly tally: AdoptTally = new AdoptTally()
  readonly #components: AdoptComponents
  readonly #again: boolean
  readonly #signal: AbortSignal
  readonly #hashing: Turns

  constructor(components: AdoptComponents, again: boolean, signal: AbortSignal) {
    this.#components = components
    this.#again = again
    this.#signal = signal
    this.#hashing = new Turns(components.store.adoptAtOnce)
  }

  /** Takes what there is of one module version. Rejects when the store cannot be written, or the signal aborts. */
  async take(version: CachedVersion): Promise<void> {
    const { module, kinds } = version
    const needsZip = kinds.has('zip')
    // Of a question such as `go list -m`, which says nothing about a version's content.
    if (!needsZip && !kinds.has('mod')) return
    const sums = this.#components.proofs.find(module, { needsZip, signal: this.#signal })
    // They may fail while a file is read still; whoever has read it hears of that.
    sums.catch(() => {})
    const hopeless = this.#again && needsZip ? whyUnproven(await sums) : undefined
    if (hopeless !== undefined) this.#leave('unproven', version, 'zip', hopeless)
    // Hashing takes longer than asking: both begin at once.
    const zip =
      needsZip && hopeless === undefined ? this.#takeZip(version, sums) : Promise.resolve(false)
    const [isZipKnown, isModKnown] = await Promise.all([zip, this.#takeMod(version, sums)])
    if (isZipKnown || isModKnown) await this.#takeInfo(version)
  }

  /** Resolves to whether the store has this zip now. */
  async #takeZip(version: CachedVersion, sums: Promise<FoundSums>): Promise<boolean> {
    const adopted = await this.#hashing.run(() => this.#hash(version), { signal: this.#signal })
    if (adopted === undefined) return false
    try {
      const known = await sums
      const fault = (await zipHashFault(version, adopted)) ?? zipFault(adopted, known)
      const why = whyUnproven(known)
      if (fault !== undefined) this.#leave('refused', version, 'zip', fault)
      else if (known.kind === 'known' && why === undefined) {
        await this.#commit(adopted, known)
        return true
      } else if (adopted.how === 'present') {
        // Somebody vouched for it when it was taken.
        this.tally.zipPresent()
        return true
      } else this.#leave('unproven', version, 'zip', why ?? '')
      return false
    } finally {
      await adopted.discard()
    }
  }

  async #hash({ module, base }: CachedVersion): Promise<AdoptedZip | undefined> {
    const options = { signal: this.#signal }
    try {
      const adopted = await this.#components.store.adoptZip(module, `${base}.zip`, options)
      if (adopted.how !== 'present') this.tally.hashed(adopted.size)
      return adopted
    } catch (error) {
      this.#signal.throwIfAborted()
      if (error instanceof ZipRulesError) this.#leave('refused', { module }, 'zip', error.reason)
      else if (isTroubleOfCache(error)) this.#leave('failed', { module }, 'zip', errorText(error))
      else throw error
      return undefined
    }
  }

  async #commit(adopted: AdoptedZip, { proof }: KnownSums): Promise<void> {
    const { store, onAdded } = this.#components
    const { module, how, size } = adopted
    const isHeld = how === 'present' || (await heldAlready(store, adopted))
    await adopted.commit(proof)
    if (isHeld) this.tally.zipPresent()
    else {
      this.tally.zipAdded(how, size)
      onAdded(module)
    }
  }

  /** Resolves to whether the store has this go.mod now. */
  async #takeMod(version: CachedVersion, sums: Promise<FoundSums>): Promise<boolean> {
    const bytes = await this.#read(version, 'mod', maxModBytes)
    const known = await sums
    if (bytes === undefined) return false
    const hash = hashMod(bytes)
    const why = whyModUnproven(known)
    if (known.kind === 'unproven' || why !== undefined) {
      return await this.#findHeldMod(version, hash, why ?? '')
    }
    if (!known.mods.has(hash)) {
      this.#leave('refused', version, 'mod', mismatch(known, [...known.mods], hash))
      return false
    }
    await this.#put(version.module, { mod: { bytes, hash, proof: known.proof } })
    return true
  }

  /** Whether somebody vouched for a go.mod earlier. */
  async #findHeldMod(version: CachedVersion, hash: ModHash, why: string): Promise<boolean> {
    const held = await this.#components.store.findRecord(version.module)
    const isHeld = held?.mod?.hash === hash
    if (isHeld) this.tally.part('mod', 'present')
    else this.#leave('unproven', version, 'mod', why)
    return isHeld
  }

  /** Nobody can prove an `.info`: it is taken as from a peer, and only beside what is proven. */
  async #takeInfo(version: CachedVersion): Promise<void> {
    const { module } = version
    const bytes = await this.#read(version, 'info', maxInfoBytes)
    if (bytes === undefined) return
    const fault = findInfoFault(bytes, module)
    if (fault !== undefined) this.#leave('refused', version, 'info', fault)
    // Some sound ones have another time than their pseudo-version: only upstream is believed about those.
    else if (findStrangersInfoFault(bytes, module) !== undefined) this.tally.infoPassedOver()
    else await this.#put(module, { info: { bytes, from: 'peer' } })
  }

  async #put(module: ModuleVersion, part: Pick<StoredRecord, 'mod' | 'info'>): Promise<void> {
    const { store, onAdded } = this.#components
    const what = part.mod === undefined ? 'info' : 'mod'
    const held = await store.findRecord(module)
    // An answer of upstream that is held is worth more than this one.
    if (held?.[what] !== undefined) return this.tally.part(what, 'present')
    await store.putRecord({ module, ...part })
    this.tally.part(what, 'added')
    onAdded(module)
  }

  async #read(
    version: CachedVersion,
    kind: 'mod' | 'info',
    maxBytes: number,
  ): Promise<Uint8Array | undefined> {
    if (!version.kinds.has(kind)) return undefined
    try {
      return await readSmall(version, kind, maxBytes)
    } catch (error) {
      this.#leave('failed', version, kind, errorText(error))
      return undefined
    }
  }

  #leave(
    why: 'refused' | 'failed' | 'unproven',
    { module }: Pick<CachedVersion, 'module'>,
    what: 'zip' | 'mod' | 'info',
    reason: string,
  ): void {
    this.tally.left(why, { module: formatModuleVersion(module), what, reason })
  }
}

async function heldAlready(store: DiskStore, { module, zipHash }: AdoptedZip): Promise<boolean> {
  const held: HeldZip | undefined = await store.findZip(module)
  return held?.zipHash === zipHash
}
