import type { FetchTile } from './checksum-database.ts'

/** Tiles that are remembered for others of the site: a cold build asks for some ten. */
const maxTiles = 256

/** How long they are, milliseconds: those who start together ask within that. */
const tileMs = 60_000

/** How long a member that asked waits for upstream: less than it waits for us. Milliseconds. */
const giveMs = 900

/** Asks the database for a tile. */
type ReadTile = (path: string, options: { readonly signal: AbortSignal }) => Promise<Uint8Array>

/**
 * Fetches tiles once for all of a site: one member asks the database for each, the others ask that one.
 * Nothing here is verified, and nobody is believed: the client checks each tile against a signed head, and
 * asks the database itself when it does not agree.
 */
export class SiteTiles {
  readonly #read: ReadTile
  readonly #fromOwner: FetchTile
  readonly #name: string
  readonly #tiles = new Map<string, { readonly tile: Promise<Uint8Array>; readonly atMs: number }>()
  readonly #nowMs: () => number

  /** `fromOwner` gives undefined where nobody else of the site fetches the tile. */
  constructor(
    components: {
      readonly read: ReadTile
      readonly fromOwner: FetchTile
      readonly nowMs: () => number
    },
    init: { readonly name: string },
  ) {
    this.#read = components.read
    this.#fromOwner = components.fromOwner
    this.#nowMs = components.nowMs
    this.#name = init.name
  }

  /** Reads a tile (`/tile/8/0/000`) for ourselves. Throws as the database does. */
  async read(path: string, options: { readonly signal: AbortSignal }): Promise<Uint8Array> {
    const found = await this.#fromOwner(this.#name, path.slice(1), options)
    return found ?? (await this.#fetch(path))
  }

  /** Gives a tile to a member of our site, never by asking another member; undefined when it does not come soon. */
  async give(path: string): Promise<Uint8Array | undefined> {
    const late = Promise.withResolvers<undefined>()
    const timer = setTimeout(() => late.resolve(undefined), giveMs)
    try {
      return await Promise.race([this.#fetch(path), late.promise])
    } catch {
      return undefined // who asks goes to the database itself, and hears why
    } finally {
      clearTimeout(timer)
    }
  }

  /** What is asked for together is fetched once, and not given up with one of those who wait. */
  #fetch(path: string): Promise<Uint8Array> {
    const known = this.#tiles.get(path)
    if (known !== undefined && this.#nowMs() - known.atMs < tileMs) return known.tile
    const tile = this.#read(path, { signal: new AbortController().signal })
    const entry = { tile, atMs: this.#nowMs() }
    this.#tiles.delete(path)
    this.#tiles.set(path, entry)
    tile.catch(() => {
      // Told to those who wait; the next one asks anew.
      if (this.#tiles.get(path) === entry) this.#tiles.delete(path)
    })
    const [oldest] = this.#tiles.size > maxTiles ? this.#tiles.keys() : []
    if (oldest !== undefined) this.#tiles.delete(oldest)
    return tile
  }
}
