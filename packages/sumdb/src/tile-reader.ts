import type { CacheWriter } from './cache-writer.ts'
import { SumdbNotFoundError, SumdbUnavailableError, SumdbUntrustedError } from './errors.ts'
import { maxTilesInMemory } from './limits.ts'
import { Recent } from './recent.ts'
import type { Refusals } from './refusals.ts'
import type { SumdbOps } from './sumdb-ops.ts'
import {
  formatTilePath,
  narrowTile,
  type Tile,
  type TilePlace,
  tileBytes,
  tileWidth,
} from './tile.ts'
import type { TileHashes } from './tile-hashes.ts'
import { hashBytes } from './tlog.ts'

/** How far a read may go: `cache` never leaves this host. */
type Reach = 'cache' | 'remote'

/** How a caller waits for tiles, and how far it may go for them. */
export interface TileReadOptions {
  readonly signal: AbortSignal
  readonly reach: Reach
}

/** The signed tree that tiles are to agree with. */
interface UnderTree {
  /** Its note. */
  readonly head: string
  /** A cached tile that does not agree with our own tree is rotten; one that only disagrees with another's is not. */
  readonly isOurs: boolean
}

interface ReadTile {
  readonly bytes: Uint8Array
  readonly from: 'cache' | 'remote'
}

/** What came from remote for a tile. */
interface SentTile {
  /** In the width that was wanted. */
  readonly bytes: Uint8Array
  /** The path that was asked, and the answer as it was. */
  readonly path: string
  readonly sent: Uint8Array
}

/** Reads tiles that nobody verified yet, through cache and remote, and keeps those that its callers verified. */
export class TileReader {
  readonly #ops: SumdbOps
  readonly #writer: CacheWriter
  readonly #refusals: Refusals
  readonly #held = new Recent<string, TileHashes>(maxTilesInMemory)

  constructor(components: {
    readonly ops: SumdbOps
    readonly writer: CacheWriter
    readonly refusals: Refusals
  }) {
    this.#ops = components.ops
    this.#writer = components.writer
    this.#refusals = components.refusals
  }

  /** A full tile in memory; whether its root is the right one is for the caller to say. */
  held(place: TilePlace): TileHashes | undefined {
    return this.#held.get(cachePath(place))
  }

  hold(place: TilePlace, tile: TileHashes): void {
    this.#held.set(cachePath(place), tile)
  }

  /** Keeps a verified tile; the widest version of it is all that is ever kept. */
  keep(tile: Tile, bytes: Uint8Array): void {
    this.#writer.writeWider(cachePath(tile), bytes)
  }

  /** True when the cache has the tile in this width; its bytes are not looked at. */
  async isCached(tile: Tile): Promise<boolean> {
    const bytes = await this.#ops.readCache(cachePath(tile))
    return bytes !== undefined && bytes.length >= tile.width * hashBytes
  }

  /**
   * Reads the tiles until `verify` makes something of them: first from the cache and, for those it
   * lacks, from remote; then, when a cached one may be rotten, all from remote; then, when a peer may
   * have lied, all from the database, whose tiles are kept as evidence when they do not agree with
   * `head` either. Throws SumdbUntrustedError, SumdbUnavailableError.
   */
  async readVerified<T>(
    tiles: readonly Tile[],
    verify: (read: readonly Uint8Array[]) => Promise<T | undefined>,
    options: TileReadOptions & UnderTree,
  ): Promise<T> {
    const read = await Promise.all(tiles.map((tile) => this.#readNearest(tile, options)))
    const nearest = await verify(read.map((tile) => tile.bytes))
    if (nearest !== undefined) return nearest
    const cached = tiles.filter((_, i) => read[i]?.from === 'cache')
    if (cached.length > 0) {
      // Beside tiles from elsewhere, which may be the wrong ones, nothing is known of the cached ones yet.
      if (options.isOurs && cached.length === tiles.length) await this.#drop(cached)
      const sent = await this.#readAll(tiles, { ...options, databaseOnly: false })
      const fresh = await verify(sent.map(({ bytes }) => bytes))
      if (fresh !== undefined) return await this.#instead(cached, fresh, options)
    }
    const last = await this.#readFromDatabase(tiles, options)
    const verified = await verify(last.map(({ bytes }) => bytes))
    if (verified !== undefined) return await this.#instead(cached, verified, options)
    const error = untrusted(tiles)
    for (const { path, sent: bytes } of last) {
      this.#refusals.keep({ path, reason: error.message, head: options.head, bytes })
    }
    throw error
  }

  /** Drops cached tiles that better ones were found for. */
  async #instead<T>(cached: readonly Tile[], found: T, { isOurs }: UnderTree): Promise<T> {
    if (isOurs) await this.#drop(cached)
    return found
  }

  async #readNearest(tile: Tile, options: TileReadOptions): Promise<ReadTile> {
    const cached = await this.#ops.readCache(cachePath(tile))
    if (cached !== undefined && cached.length >= tile.width * hashBytes) {
      this.#writer.noteCached(cachePath(tile), cached.length)
      return { bytes: narrowTile(cached, tile.width), from: 'cache' }
    }
    const { bytes } = await this.#readRemote(tile, { ...options, databaseOnly: false })
    return { bytes, from: 'remote' }
  }

  #readAll(
    tiles: readonly Tile[],
    options: TileReadOptions & { readonly databaseOnly: boolean },
  ): Promise<SentTile[]> {
    return Promise.all(tiles.map((tile) => this.#readRemote(tile, options)))
  }

  /** When the database cannot be asked, what is known for sure is that wrong tiles came. */
  async #readFromDatabase(
    tiles: readonly Tile[],
    options: TileReadOptions,
  ): Promise<readonly SentTile[]> {
    try {
      return await this.#readAll(tiles, { ...options, databaseOnly: true })
    } catch (cause) {
      options.signal.throwIfAborted()
      throw untrusted(tiles, cause)
    }
  }

  async #readRemote(
    tile: Tile,
    { signal, reach, databaseOnly }: TileReadOptions & { readonly databaseOnly: boolean },
  ): Promise<SentTile> {
    if (reach === 'cache') throw new SumdbUnavailableError(`not at hand: ${formatTilePath(tile)}`)
    const options = { signal, databaseOnly }
    const asked = await this.#readWidth(tile, tile.width, options)
    const sent = asked ?? (await this.#readWidth(tile, tileWidth, options))
    if (sent !== undefined) return sent
    // A tile inside a signed tree that is missing is the database's trouble, never "no such module".
    throw new SumdbUnavailableError(`the checksum database lacks ${formatTilePath(tile)}`)
  }

  /** An answer of another length counts as one that cannot verify, so that others are asked. */
  async #readWidth(
    tile: Tile,
    width: number,
    options: { readonly signal: AbortSignal; readonly databaseOnly: boolean },
  ): Promise<SentTile | undefined> {
    const path = `/${formatTilePath({ ...tile, width })}`
    try {
      const sent = await this.#ops.readRemote(path, options)
      const whole = sent.length === width * hashBytes ? sent : new Uint8Array(tileBytes)
      return { path, sent, bytes: narrowTile(whole, tile.width) }
    } catch (error) {
      if (error instanceof SumdbNotFoundError) return undefined
      throw error
    }
  }

  async #drop(tiles: readonly Tile[]): Promise<void> {
    await Promise.all(
      tiles.map(async (tile) => {
        this.#writer.forget(cachePath(tile))
        await this.#ops.dropCache(cachePath(tile))
      }),
    )
  }
}

/** One entry for each place, whatever its width: the widest version serves all narrower ones. */
function cachePath({ level, index }: TilePlace): string {
  return `/${formatTilePath({ level, index, width: tileWidth })}`
}

function untrusted(tiles: readonly Tile[], cause?: unknown): SumdbUntrustedError {
  const paths = tiles.map(formatTilePath).join(', ')
  return new SumdbUntrustedError(`tiles do not match the signed tree: ${paths}`, { cause })
}
