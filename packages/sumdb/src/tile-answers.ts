import {
  SumdbNotFoundError,
  SumdbUnavailableError,
  SumdbUntrustedError,
  tellsOfDatabase,
} from './errors.ts'
import type { HeadKeeper, OwnHead } from './head-keeper.ts'
import { keepUpperTiles } from './kept-tiles.ts'
import type { SumdbOps } from './sumdb-ops.ts'
import { narrowTile, parseTilePath, type Tile, widthInTree } from './tile.ts'
import type { TileReader } from './tile-reader.ts'
import { hashBytes } from './tlog.ts'

interface Waiting {
  readonly signal: AbortSignal
}

/** Gives verified tiles to clients and peers, and keeps those at hand that clients will ask for. */
export class TileAnswers {
  readonly #ops: Pick<SumdbOps, 'readRemote'>
  readonly #heads: HeadKeeper
  readonly #reader: TileReader
  readonly #database: string
  /** The tree whose upper tiles are all kept. */
  #keptSize = 0

  constructor(
    components: {
      readonly ops: Pick<SumdbOps, 'readRemote'>
      readonly heads: HeadKeeper
      readonly reader: TileReader
    },
    init: { readonly database: string },
  ) {
    this.#database = init.database
    this.#ops = components.ops
    this.#heads = components.heads
    this.#reader = components.reader
  }

  /**
   * Answers a tile under our head, any narrower one cut out of it. One beyond our head is passed on
   * from the database, unverified and unstored: only the client's own newer head can check it.
   */
  async answer(path: string, { signal }: Waiting): Promise<Uint8Array> {
    const tile = parseTilePath(path)
    const own = await this.#headWith(tile, signal)
    if (own === undefined) return this.#passOn(tile, path, signal)
    const { bytes } = await own.tile(tile, { signal, reach: 'remote' })
    return narrowTile(bytes, tile.width)
  }

  /** Finds a tile that is kept here and verifies under our head. */
  async cached(path: string, { signal }: Waiting): Promise<Uint8Array | undefined> {
    try {
      const tile = parseTilePath(path)
      const own = await this.#heads.current()
      if (own === undefined || !holds(own, tile)) return undefined
      const { bytes } = await own.tile(tile, { signal, reach: 'cache' })
      return narrowTile(bytes, tile.width)
    } catch (error) {
      if (!tellsOfDatabase(error)) throw error
      return undefined
    }
  }

  async keepUpper({ signal }: Waiting): Promise<void> {
    const own = await this.#heads.current()
    if (own === undefined || own.head.size === this.#keptSize) return
    const options = { from: this.#keptSize, signal }
    await keepUpperTiles({ reader: this.#reader, view: own }, options)
    this.#keptSize = own.head.size
  }

  async keepForClient(size: number, { signal }: Waiting): Promise<void> {
    const own = await this.#heads.current()
    const newest = own && own.head.size >= size ? own : await this.#heads.refresh({ signal })
    if (newest.head.size < size) {
      throw new SumdbUnavailableError(`the database shows no tree of ${size} records`)
    }
    await newest.prefixRoot(size, { signal, reach: 'remote' })
  }

  /** Our head if it has the tile, after one look at `latest` when it has not. */
  async #headWith(tile: Tile, signal: AbortSignal): Promise<OwnHead | undefined> {
    const own = await this.#heads.current()
    if (own !== undefined && holds(own, tile)) return own
    try {
      const newest = await this.#heads.refresh({ signal })
      return holds(newest, tile) ? newest : undefined
    } catch (error) {
      // Without its `latest` the database may still have the tile.
      if (error instanceof SumdbUnavailableError || error instanceof SumdbNotFoundError) return
      throw error
    }
  }

  async #passOn(tile: Tile, path: string, signal: AbortSignal): Promise<Uint8Array> {
    const bytes = await this.#readBeyond(path, signal)
    if (bytes.length === tile.width * hashBytes) return bytes
    throw new SumdbUntrustedError(`${path} came with ${bytes.length} bytes`)
  }

  /** Whoever asks beyond our head has seen a newer tree than we can: it must hear what helps. */
  async #readBeyond(path: string, signal: AbortSignal): Promise<Uint8Array> {
    try {
      return await this.#ops.readRemote(`/${path}`, { signal, databaseOnly: true })
    } catch (cause) {
      if (!(cause instanceof SumdbUnavailableError)) throw cause
      const size = (await this.#heads.current())?.head.size ?? 0
      const latest = `$(go env GOPATH)/pkg/sumdb/${this.#database}/latest`
      const message = [
        `this go command knows a newer tree of ${this.#database} than this node, whose tree has ${size} records`,
        'and the database cannot be asked; import a newer bundle (modmesh import), or',
        `let this client begin anew: rm ${latest}`,
      ]
      throw new SumdbUnavailableError(message.join('\n'), { cause })
    }
  }
}

function holds(own: OwnHead, tile: Tile): boolean {
  return widthInTree(own.head.size, tile) >= tile.width
}
