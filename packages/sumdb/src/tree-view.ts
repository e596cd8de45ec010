import { Flights } from './flights.ts'
import {
  edgeTiles,
  nodeInTile,
  parentTile,
  type Tile,
  type TilePlace,
  tileOfNode,
  tileRoot,
  tileWidth,
  widthInTree,
} from './tile.ts'
import type { TileReader, TileReadOptions } from './tile-reader.ts'
import { equalHashes, type NodeReader, proveRecord, treeRoot } from './tlog.ts'
import type { TreeHead } from './tree-head.ts'

/** Verified bytes of the edge tiles by level. */
type Edge = ReadonlyMap<number, Uint8Array>

/**
 * Reads tiles and hashes of one signed tree. Each distinct tile is verified by itself: the tiles at
 * the right edge against the root, all together, since they hold its subtree roots; every other one
 * is full and verified against the hash that its parent tile holds (CVE-2026-56865 came from
 * counting subtree roots in place of tiles).
 */
export class TreeView {
  readonly head: TreeHead
  readonly #reader: TileReader
  readonly #full = new Flights<Uint8Array>()
  readonly #edges = new Flights<Edge>()
  #edge: Edge | undefined
  /** Tiles of a tree that is not ours yet: kept only once it is, or a fork would overwrite proven ones. */
  #unkept: { tile: Tile; bytes: Uint8Array }[] | undefined = []

  constructor(components: { readonly reader: TileReader }, head: TreeHead) {
    this.#reader = components.reader
    this.head = head
  }

  /** Declares the tree ours: what was and will be verified under it is kept in the cache. */
  trust(): void {
    for (const { tile, bytes } of this.#unkept ?? []) this.#reader.keep(tile, bytes)
    this.#unkept = undefined
  }

  /** Reads a tile that is in the tree, in its full width there. Throws SumdbUntrustedError, SumdbUnavailableError. */
  async tile(place: TilePlace, options: TileReadOptions): Promise<Uint8Array> {
    const width = widthInTree(this.head.size, place)
    if (width === 0) throw new RangeError('tile outside of the tree')
    if (width < tileWidth) return required((await this.#readEdge(options)).get(place.level))
    const held = this.#reader.held(place)
    if (held !== undefined && equalHashes(held.root, await this.#rootInParent(place, options))) {
      return held.bytes
    }
    const key = `${options.reach} ${place.level} ${place.index}`
    return this.#full.run(key, options.signal, (signal) =>
      this.#readFull({ ...place, width }, { ...options, signal }),
    )
  }

  /** Computes the root of the first `size` records out of this tree, which must hold as many. */
  async prefixRoot(size: number, options: TileReadOptions): Promise<Uint8Array> {
    const places = edgeTiles(size)
    return treeRoot(size, await this.#nodesIn(places, options))
  }

  /** Proves that record `id` is in this tree. */
  async proveRecord(id: number, options: TileReadOptions): Promise<RecordInTree> {
    const node = await this.#nodesIn([...this.#pathOf(id), ...edgeTiles(this.head.size)], options)
    return { leaf: node(0, id), hashes: proveRecord(this.head.size, id, node) }
  }

  /** The tiles from the record's own up to the edge. */
  #pathOf(id: number): TilePlace[] {
    const path: TilePlace[] = []
    let place = tileOfNode(0, id)
    for (; widthInTree(this.head.size, place) === tileWidth; place = parentTile(place)) {
      path.push(place)
    }
    return path
  }

  async #nodesIn(places: readonly TilePlace[], options: TileReadOptions): Promise<NodeReader> {
    const tiles = new Map<string, Uint8Array>()
    await Promise.all(
      places.map(async (place) =>
        tiles.set(`${place.level} ${place.index}`, await this.tile(place, options)),
      ),
    )
    return (level, index) => {
      const place = tileOfNode(level, index)
      return nodeInTile(required(tiles.get(`${place.level} ${place.index}`)), level, index)
    }
  }

  async #readFull(tile: Tile, options: TileReadOptions): Promise<Uint8Array> {
    const expected = this.#rootInParent(tile, options)
    // Awaited by verify below; when the tile itself cannot be read, that failure is the one to tell.
    expected.catch(() => {})
    const verify = async ([bytes]: readonly Uint8Array[]) =>
      equalHashes(tileRoot(required(bytes)), await expected)
    const [bytes] = await this.#reader.readVerified([tile], verify, options)
    this.#reader.hold(tile, { bytes: required(bytes), root: await expected })
    this.#keep(tile, required(bytes))
    return required(bytes)
  }

  async #rootInParent(place: TilePlace, options: TileReadOptions): Promise<Uint8Array> {
    const parent = await this.tile(parentTile(place), options)
    return nodeInTile(parent, 8 * (place.level + 1), place.index)
  }

  async #readEdge(options: TileReadOptions): Promise<Edge> {
    if (this.#edge !== undefined) return this.#edge
    return this.#edges.run(options.reach, options.signal, async (signal) => {
      const tiles = edgeTiles(this.head.size)
      const verify = (read: readonly Uint8Array[]) => Promise.resolve(this.#isRoot(tiles, read))
      const read = await this.#reader.readVerified(tiles, verify, { ...options, signal })
      for (const [i, tile] of tiles.entries()) this.#keep(tile, required(read[i]))
      this.#edge = new Map(tiles.map((tile, i) => [tile.level, required(read[i])]))
      return this.#edge
    })
  }

  #isRoot(tiles: readonly Tile[], read: readonly Uint8Array[]): boolean {
    const byLevel = new Map(tiles.map((tile, i) => [tile.level, required(read[i])]))
    const root = treeRoot(this.head.size, (level, index) =>
      nodeInTile(required(byLevel.get(tileOfNode(level, index).level)), level, index),
    )
    return equalHashes(root, this.head.root)
  }

  #keep(tile: Tile, bytes: Uint8Array): void {
    if (this.#unkept === undefined) this.#reader.keep(tile, bytes)
    else this.#unkept.push({ tile, bytes })
  }
}

/** The leaf of a record and the audit path from it to the root. */
export interface RecordInTree {
  readonly leaf: Uint8Array
  readonly hashes: readonly Uint8Array[]
}

/** States what the tile coordinates guarantee. */
function required<T>(value: T | undefined): T {
  if (value === undefined) throw new RangeError('tile outside of the tree')
  return value
}
