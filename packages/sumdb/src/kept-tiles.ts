import { tileFetchesAtOnce } from './limits.ts'
import { type Tile, tileWidth, widthInTree } from './tile.ts'
import type { TileReader } from './tile-reader.ts'
import type { TreeView } from './tree-view.ts'

/**
 * Brings every tile of level 1 and up of a tree into the cache, a few at once: any client may ask for
 * those, whatever its own head is. Tiles that were complete in the tree of `from` records are known to
 * be there, tiles found in the cache are not read again.
 */
export async function keepUpperTiles(
  { reader, view }: { readonly reader: TileReader; readonly view: TreeView },
  { from, signal }: { readonly from: number; readonly signal: AbortSignal },
): Promise<void> {
  const tiles = upperTiles(view.head.size, from)
  const work = async () => {
    for (const tile of tiles) {
      signal.throwIfAborted()
      if (await reader.isCached(tile)) continue
      const { bytes } = await view.tile(tile, { signal, reach: 'remote' })
      // The tile may have come from memory and an earlier write have failed.
      reader.keep(tile, bytes)
    }
  }
  await Promise.all(Array.from({ length: tileFetchesAtOnce }, work))
}

function* upperTiles(size: number, from: number): Generator<Tile> {
  for (let level = 1; size >= tileWidth ** level; level++) {
    const firstIndex = Math.floor(from / tileWidth ** (level + 1))
    for (let index = firstIndex; ; index++) {
      const width = widthInTree(size, { level, index })
      if (width === 0) break
      yield { level, index, width }
    }
  }
}
