import type { ModuleVersion } from '@modmesh/module'
import { SumdbUnavailableError } from './errors.ts'
import type { OwnHead } from './head-keeper.ts'
import type { RecordProof } from './proven-sums.ts'
import type { RecordProver } from './record-prover.ts'
import {
  edgeTiles,
  formatTilePath,
  narrowTile,
  parseTilePath,
  type Tile,
  type TilePlace,
  tileWidth,
  widthInTree,
} from './tile.ts'

interface Reading {
  readonly signal: AbortSignal
  /** `cache` asks nobody. */
  readonly reach?: 'cache' | 'remote'
}

/** Our tree as it is at one moment, for a copy of it: what is read stays of this tree while the head goes on. */
export class TreeSnapshot {
  readonly database: string
  readonly #own: OwnHead
  readonly #prover: RecordProver

  constructor(
    components: { readonly own: OwnHead; readonly prover: RecordProver },
    init: { readonly database: string },
  ) {
    this.#own = components.own
    this.#prover = components.prover
    this.database = init.database
  }

  /** The signed note. */
  get note(): string {
    return this.#own.head.note
  }

  get size(): number {
    return this.#own.head.size
  }

  /**
   * Proves a record that was proven before under this tree. Throws SumdbUnavailableError when it is beyond it or
   * its tiles cannot be had, SumdbUntrustedError.
   */
  async prove(
    module: ModuleVersion,
    record: Pick<RecordProof, 'id' | 'text'>,
    { signal, reach = 'remote' }: Reading,
  ): Promise<RecordProof> {
    if (record.id >= this.size) {
      throw new SumdbUnavailableError(`record ${record.id} is beyond the tree of ${this.size}`)
    }
    const options = { signal, reach }
    return (await this.#prover.proveUnder(this.#own, module, record, options)).record
  }

  /**
   * Reads a tile of this tree by its path, verified. Throws SumdbNotFoundError,
   * SumdbUnavailableError, SumdbUntrustedError.
   */
  async tile(path: string, { signal, reach = 'remote' }: Reading): Promise<Uint8Array> {
    const tile = parseTilePath(path)
    const { bytes } = await this.#own.tile(tile, { signal, reach })
    return narrowTile(bytes, tile.width)
  }

  /**
   * Lists the tiles with which clients prove these records to themselves, whatever tree they knew before. `frame`:
   * all of level 1 and up, and the edges of this tree and of the older ones, each after the one that holds its root.
   * `leaves`: what else of level 0 holds the records.
   */
  tilePaths(
    records: Iterable<number>,
    olderSizes: Iterable<number>,
  ): { readonly frame: readonly string[]; readonly leaves: readonly string[] } {
    const frame = new Map<string, Tile>()
    const leaves = new Map<string, Tile>()
    const add = (into: Map<string, Tile>, place: TilePlace): void => {
      const tile = { ...place, width: widthInTree(this.size, place) }
      if (tile.width > 0) into.set(formatTilePath(tile), tile)
    }
    for (const place of this.#upperTiles()) add(frame, place)
    for (const size of [this.size, ...olderSizes])
      for (const tile of edgeTiles(size)) add(frame, tile)
    for (const id of records) add(leaves, { level: 0, index: Math.floor(id / tileWidth) })
    for (const path of frame.keys()) leaves.delete(path)
    return { frame: topDown(frame), leaves: topDown(leaves) }
  }

  *#upperTiles(): Generator<TilePlace> {
    for (let level = 1; this.size >= tileWidth ** level; level++) {
      const last = Math.floor(this.size / tileWidth ** (level + 1))
      for (let index = 0; index <= last; index++) yield { level, index }
    }
  }
}

function topDown(tiles: ReadonlyMap<string, Tile>): readonly string[] {
  return [...tiles]
    .toSorted(([, a], [, b]) => b.level - a.level || a.index - b.index)
    .map(([path]) => path)
}
