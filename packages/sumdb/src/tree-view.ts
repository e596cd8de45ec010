import { Flights } from './flights.ts'
import {
  edgeTiles,
  parentTile,
  type Tile,
  type TilePlace,
  tileOfNode,
  tileWidth,
  widthInTree,
} from './tile.ts'
import { TileHashes } from './tile-hashes.ts'
import type { TileReader, TileReadOptions } from './tile-reader.ts'
import { equalHashes, type NodeReader, proveRecord, treeRoot } from './tlog.ts'
import type { SignedHead } from './tree-head.ts'

/** The leaf of a record and the audit path from it to the root. */
interface RecordInTree {
  readonly leaf: Uint8Array
  readonly hashes: readonly Uint8Array[]
}

/** Tiles by their place. */
type TilesAt = ReadonlyMap<string, TileHashes>

/**
 * Reads tiles and hashes of one signed tree. Each distinct tile is verified by itself: the tiles at
 * the right edge against the root, all together, since they hold its subtree roots; every other one
 * is full and verified against the hash that its parent tile holds (CVE-2026-56865 came from
 * counting subtree roots in place of tiles).
 */
export class TreeView {
  readonly head: SignedHead
  readonly #reader: TileReader
  readonly #full = new Flights<TileHashes>()
  readonly #edges = new Flights<TilesAt>()
  #edge: TilesAt | undefined
  /** Tiles of a tree that is not ours yet: kept only once it is, or a fork would overwrite proven ones. */
  #unkept: { readonly tile: Tile; readonly bytes: Uint8Array }[] | undefined = []

  constructor(components: { readonly reader: TileReader }, head: SignedHead) {
    this.#reader = components.reader
    this.head = head
  }

  /** Declares the tree ours: what was and will be verified under it is kept in the cache. */
  trust(): void {
    for (const { tile, bytes } of this.#unkept ?? []) this.#reader.keep(tile, bytes)
    this.#unkept = undefined
  }

  /**
   * Reads a tile of the tree in its full width there. Throws SumdbUntrustedError,
   * SumdbUnavailableError, and RangeError when it is beyond the tree.
   */
  async tile(place: TilePlace, options: TileReadOptions): Promise<TileHashes> {
    const width = widthInTree(this.head.size, place)
    if (width < tileWidth) return tileAt(await this.#readEdge(options), place)
    const held = this.#reader.held(place)
    if (held !== undefined) {
      const root = await this.#rootInParent(place, options)
      if (equalHashes(held.root(), root)) return held
    }
    const key = `${options.reach} ${placeKey(place)}`
    return this.#full.run(key, options.signal, (signal) =>
      this.#readFull({ ...place, width }, { ...options, signal }),
    )
  }

  /** Computes the root of the first `size` records out of this tree, which must hold as many. */
  async prefixRoot(size: number, options: TileReadOptions): Promise<Uint8Array> {
    return treeRoot(size, await this.#nodesIn(edgeTiles(size), options))
  }

  /** Proves that record `id` is in this tree. */
  async proveRecord(id: number, options: TileReadOptions): Promise<RecordInTree> {
    const node = await this.#nodesIn([...this.#pathOf(id), ...edgeTiles(this.head.size)], options)
    const hashes = proveRecord(this.head.size, id, node)
    // Copies: a proof is kept for long, and would keep whole tiles in memory.
    return { leaf: node(0, id), hashes: hashes.map((hash) => Uint8Array.from(hash)) }
  }

  /** The full tiles from the record's own up to the edge. */
  #pathOf(id: number): TilePlace[] {
    const path: TilePlace[] = []
    let place = tileOfNode(0, id)
    for (; widthInTree(this.head.size, place) === tileWidth; place = parentTile(place)) {
      path.push(place)
    }
    return path
  }

  async #nodesIn(places: readonly TilePlace[], options: TileReadOptions): Promise<NodeReader> {
    const read = await Promise.all(places.map((place) => this.tile(place, options)))
    const tiles = new Map(places.map((place, i) => [placeKey(place), read[i] as TileHashes]))
    return (level, index) => tileAt(tiles, tileOfNode(level, index)).node(level, index)
  }

  async #readFull(tile: Tile, options: TileReadOptions): Promise<TileHashes> {
    const expected = this.#rootInParent(tile, options)
    // Awaited by verify below; when the tile itself cannot be read, that failure is the one to tell.
    expected.catch(() => {})
    const verify = async (read: readonly Uint8Array[]) => {
      const hashes = new TileHashes(read[0] as Uint8Array)
      return equalHashes(hashes.root(), await expected) ? hashes : undefined
    }
    const under = { ...options, ...this.#under() }
    const hashes = await this.#reader.readVerified([tile], verify, under)
    this.#reader.hold(tile, hashes)
    this.#keep(tile, hashes)
    return hashes
  }

  async #rootInParent(place: TilePlace, options: TileReadOptions): Promise<Uint8Array> {
    const parent = await this.tile(parentTile(place), options)
    return parent.node(8 * (place.level + 1), place.index)
  }

  async #readEdge(options: TileReadOptions): Promise<TilesAt> {
    if (this.#edge !== undefined) return this.#edge
    return this.#edges.run(options.reach, options.signal, async (signal) => {
      const tiles = edgeTiles(this.head.size)
      const verify = (read: readonly Uint8Array[]) => Promise.resolve(this.#verifyEdge(tiles, read))
      const under = { ...options, signal, ...this.#under() }
      const edge = await this.#reader.readVerified(tiles, verify, under)
      for (const tile of tiles) this.#keep(tile, tileAt(edge, tile))
      this.#edge = edge
      return edge
    })
  }

  #verifyEdge(tiles: readonly Tile[], read: readonly Uint8Array[]): TilesAt | undefined {
    const edge = new Map(
      tiles.map((tile, i) => [placeKey(tile), new TileHashes(read[i] as Uint8Array)]),
    )
    const root = treeRoot(this.head.size, (level, index) =>
      tileAt(edge, tileOfNode(level, index)).node(level, index),
    )
    return equalHashes(root, this.head.root) ? edge : undefined
  }

  #under(): { readonly head: string; readonly isOurs: boolean } {
    return { head: this.head.note, isOurs: this.#unkept === undefined }
  }

  #keep(tile: Tile, { bytes }: TileHashes): void {
    if (this.#unkept === undefined) this.#reader.keep(tile, bytes)
    else this.#unkept.push({ tile, bytes })
  }
}

function placeKey({ level, index }: TilePlace): string {
  return `${level} ${index}`
}

function tileAt(tiles: TilesAt, place: TilePlace): TileHashes {
  const tile = tiles.get(placeKey(place))
  if (tile === undefined) throw new RangeError(`tile ${placeKey(place)} is not in the tree`)
  return tile
}
