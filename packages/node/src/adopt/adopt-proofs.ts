import {
  type ChecksumDb,
  type FirstHash,
  type FirstHashes,
  type Proof,
  type ProvenSums,
  Turns,
} from '@modmesh/fill'
import {
  formatModuleVersion,
  type GoSumLine,
  type ModHash,
  type ModuleVersion,
  type ZipHash,
} from '@modmesh/module'
import { errorCode, errorText } from '../errors.ts'
import type { GoRecords } from './go-records.ts'

/** What the files of a module version may hash to, and why that is believed. */
export interface KnownSums {
  readonly zips: ReadonlySet<ZipHash>
  readonly mods: ReadonlySet<ModHash>
  readonly proof: Proof
}

/** What is known of a module version, or why nothing is. */
export type FoundSums =
  | ({ readonly kind: 'known' } & KnownSums)
  | { readonly kind: 'unproven'; readonly why: string }

export interface AdoptProofsComponents {
  readonly checksumDb: ChecksumDb
  readonly firstHashes: FirstHashes
  /** What `go` kept of the database; absent where there is none. */
  readonly goRecords: GoRecords | undefined
  /** Asks peers and the database; absent where nobody can. */
  readonly ask:
    | ((module: ModuleVersion, options: { readonly signal: AbortSignal }) => Promise<ProvenSums>)
    | undefined
}

/** How long one module version may be asked for. Milliseconds. */
const askMs = 20_000
/** Module versions asked for at once. */
const asksAtOnce = 16
/** Failures in a row after which nobody is asked any more: the database is out of reach. */
const maxFailures = 4

/**
 * Finds who vouches for the files of a module cache: a record of the checksum database, a go.sum that
 * was handed over, or, for what nobody else can prove, the first hash. Never the cache itself.
 */
export class AdoptProofs {
  readonly #components: AdoptProofsComponents
  readonly #goSums: ReadonlyMap<string, KnownSums>
  readonly #asking = new Turns(asksAtOnce)
  #failures = 0
  #lastFailure = ''

  constructor(components: AdoptProofsComponents, goSums: readonly GoSumLine[]) {
    this.#components = components
    this.#goSums = sumsByName(goSums)
  }

  /** Rejects only when the signal aborts. `needsZip`: hashes of its go.mod alone are not enough. */
  async find(
    module: ModuleVersion,
    { needsZip, signal }: { readonly needsZip: boolean; readonly signal: AbortSignal },
  ): Promise<FoundSums> {
    const given = this.#goSums.get(formatModuleVersion(module))
    if (!this.#components.checksumDb.covers(module.path)) {
      return given === undefined ? await this.#first(module) : { kind: 'known', ...given }
    }
    const recorded = await this.#recorded(module, signal)
    if (recorded !== undefined) return recorded
    if (given !== undefined && (given.zips.size > 0 || !needsZip))
      return { kind: 'known', ...given }
    const asked = await this.#asking.run(() => this.#ask(module, signal), { signal })
    return asked.kind === 'unproven' && given !== undefined ? { kind: 'known', ...given } : asked
  }

  async #recorded(module: ModuleVersion, signal: AbortSignal): Promise<FoundSums | undefined> {
    const { checksumDb, goRecords } = this.#components
    const known = await checksumDb.known(module)
    if (known !== undefined) return fromRecord(known)
    const record = await goRecords?.find(module, { signal })
    if (record === undefined) return undefined
    try {
      return fromRecord(await checksumDb.verifyRecord(module, record, { signal }))
    } catch (error) {
      signal.throwIfAborted()
      // Worth nothing: whoever else vouches is asked.
      if (errorCode(error)?.startsWith('SUMDB_') === true) return undefined
      throw error
    }
  }

  async #ask(module: ModuleVersion, signal: AbortSignal): Promise<FoundSums> {
    const { ask } = this.#components
    if (ask === undefined)
      return unproven('no node is running that could ask the checksum database')
    if (this.#failures >= maxFailures) return unproven(this.#lastFailure)
    try {
      const limited = AbortSignal.any([signal, AbortSignal.timeout(askMs)])
      const sums = await ask(module, { signal: limited })
      this.#failures = 0
      return fromRecord(sums)
    } catch (error) {
      signal.throwIfAborted()
      this.#lastFailure = errorText(error).split('\n', 1)[0] ?? ''
      // One that the database does not know says nothing about the next.
      const isUnknown = ['MODULE_NOT_FOUND', 'SUMDB_NOT_FOUND'].includes(errorCode(error) ?? '')
      this.#failures = isUnknown ? 0 : this.#failures + 1
      return unproven(this.#lastFailure)
    }
  }

  async #first(module: ModuleVersion): Promise<FoundSums> {
    let first: FirstHash | undefined
    await this.#components.firstHashes.update(module, (kept) => {
      first = kept
      return kept
    })
    const { zip, mod } = first ?? {}
    if (zip === undefined && mod === undefined) {
      return unproven('private, or without a checksum database: hand over its go.sum with --for')
    }
    const zips = new Set(zip === undefined ? [] : [zip])
    const mods = new Set(mod === undefined ? [] : [mod])
    return { kind: 'known', zips, mods, proof: { kind: 'upstream' } }
  }
}

function unproven(why: string): FoundSums {
  return { kind: 'unproven', why }
}

function fromRecord({ zip, mod, proof }: ProvenSums): FoundSums {
  const zips = new Set(zip === undefined ? [] : [zip])
  const mods = new Set(mod === undefined ? [] : [mod])
  return { kind: 'known', zips, mods, proof }
}

/** Several go.sum files may name several hashes: any of them was handed over. */
function sumsByName(lines: readonly GoSumLine[]): ReadonlyMap<string, KnownSums> {
  const sums = new Map<string, { zips: Set<ZipHash>; mods: Set<ModHash>; proof: Proof }>()
  for (const line of lines) {
    const name = formatModuleVersion(line.module)
    const known = sums.get(name) ?? { zips: new Set(), mods: new Set(), proof: { kind: 'go-sum' } }
    if (line.kind === 'zip') known.zips.add(line.hash)
    else known.mods.add(line.hash)
    sums.set(name, known)
  }
  return sums
}
