import type { ChecksumDb, ChecksumDbErrorCode, ProvenSums } from '@modmesh/fill'
import {
  formatModuleVersion,
  type GoSumLine,
  type ModulePath,
  type ModuleVersion,
} from '@modmesh/module'
import { errorCode } from '../errors.ts'

type Hashes = Pick<ProvenSums, 'zip' | 'mod'>

/**
 * A checksum database and, where it does not speak or cannot be asked, what the go.sum files say of the projects that
 * are being fetched: their owner handed them over. What the database says counts more, always.
 */
export class PinnedSums implements ChecksumDb {
  readonly #database: ChecksumDb
  readonly #pinned = new Set<ReadonlyMap<string, Hashes>>()

  constructor(components: { readonly checksumDb: ChecksumDb }) {
    this.#database = components.checksumDb
  }

  /** Believes these lines, until what it returns is disposed of. */
  pin(lines: readonly GoSumLine[]): Disposable {
    const hashes = hashesOf(lines)
    this.#pinned.add(hashes)
    return { [Symbol.dispose]: () => void this.#pinned.delete(hashes) }
  }

  covers(path: ModulePath): boolean {
    return this.#database.covers(path)
  }

  async known(module: ModuleVersion): Promise<ProvenSums | undefined> {
    const known = await this.#database.known(module)
    return known ?? (this.covers(module.path) ? undefined : this.#find(module))
  }

  async lookup(
    module: ModuleVersion,
    options: { readonly signal: AbortSignal },
  ): Promise<ProvenSums> {
    try {
      return await this.#database.lookup(module, options)
    } catch (error) {
      const pinned = errorCode(error) === unavailable ? this.#find(module) : undefined
      if (pinned === undefined) throw error
      return pinned
    }
  }

  verifyRecord(...asked: Parameters<ChecksumDb['verifyRecord']>): Promise<ProvenSums> {
    return this.#database.verifyRecord(...asked)
  }

  /** Projects that disagree say nothing. */
  #find(module: ModuleVersion): ProvenSums | undefined {
    const name = formatModuleVersion(module)
    const said = [...this.#pinned].flatMap((hashes) => hashes.get(name) ?? [])
    const zip = onlyOne(said.map((each) => each.zip))
    const mod = onlyOne(said.map((each) => each.mod))
    if (zip === undefined && mod === undefined) return undefined
    return { zip, mod, proof: { kind: 'go-sum' } }
  }
}

const unavailable: ChecksumDbErrorCode = 'SUMDB_UNAVAILABLE'

/** A module version of which several hashes are named is left out: nobody knows which one is right. */
function hashesOf(lines: readonly GoSumLine[]): ReadonlyMap<string, Hashes> {
  const zips = new Map<string, Set<NonNullable<Hashes['zip']>>>()
  const mods = new Map<string, Set<NonNullable<Hashes['mod']>>>()
  for (const line of lines) {
    const name = formatModuleVersion(line.module)
    if (line.kind === 'zip') zips.set(name, (zips.get(name) ?? new Set()).add(line.hash))
    else mods.set(name, (mods.get(name) ?? new Set()).add(line.hash))
  }
  const names = new Set([...zips.keys(), ...mods.keys()])
  const pick = <H>(hashes: ReadonlySet<H> | undefined) => onlyOne([...(hashes ?? [])])
  return new Map(
    [...names].map((name) => [name, { zip: pick(zips.get(name)), mod: pick(mods.get(name)) }]),
  )
}

function onlyOne<H>(hashes: readonly (H | undefined)[]): H | undefined {
  const different = new Set(hashes.filter((hash) => hash !== undefined))
  const [hash] = different
  return different.size === 1 ? hash : undefined
}
