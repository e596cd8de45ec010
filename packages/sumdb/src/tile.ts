import { parseDecimal } from './bytes.ts'
import { SumdbNotFoundError } from './errors.ts'
import { maxTreeSize } from './limits.ts'
import { hashBytes } from './tlog.ts'

/** Hashes in a full tile: Go's database has tiles of height 8. */
export const tileWidth = 256

/** Bytes of a full tile. */
export const tileBytes: number = tileWidth * hashBytes

/** Where a tile stands: its hashes are those of tree level `8 * level` from position `256 * index`. */
export interface TilePlace {
  readonly level: number
  readonly index: number
}

/** A tile of a given width: `width` hashes, 256 when it is full. */
export interface Tile extends TilePlace {
  readonly width: number
}

/**
 * Writes the path of a tile: `tile/8/{level}/{index}` and, when it is not full, `.p/{width}`. The
 * index is in groups of three digits, all but the last with an `x` before: `x001/x234/067` is 1234067.
 */
export function formatTilePath(tile: Tile): string {
  const partial = tile.width === tileWidth ? '' : `.p/${tile.width}`
  return `tile/8/${tile.level}/${formatIndex(tile.index)}${partial}`
}

/** Parses a tile path, exactly as formatTilePath writes it. Throws SumdbNotFoundError: there is no such tile. */
export function parseTilePath(path: string): Tile {
  const parts = path.split('/')
  const level = parseDecimal(parts[2] ?? '', 63)
  const width = path.includes('.p/') ? parseDecimal(parts.at(-1) ?? '', tileWidth - 1) : tileWidth
  const groups = parts.slice(3, width === tileWidth ? undefined : -1)
  const index = parseIndex(groups)
  if (level !== undefined && index !== undefined && width !== undefined && width > 0) {
    const tile = { level, index, width }
    if (formatTilePath(tile) === path) return tile
  }
  throw new SumdbNotFoundError(`no tile ${JSON.stringify(path.slice(0, 200))}`)
}

/** Counts the hashes that the tile has in a tree of `size` records: 0 when it is beyond. */
export function widthInTree(size: number, place: TilePlace): number {
  const inLevel = Math.floor(size / levelSpan(place.level))
  return Math.max(0, Math.min(tileWidth, inLevel - place.index * tileWidth))
}

/** Lists the tiles at the right edge of a tree: exactly those which hold its subtree roots, lowest level first. */
export function edgeTiles(size: number): Tile[] {
  const tiles: Tile[] = []
  for (let level = 0, inLevel = size; inLevel > 0; level++) {
    const width = inLevel % tileWidth
    const index = Math.floor(inLevel / tileWidth)
    if (width > 0) tiles.push({ level, index, width })
    inLevel = index
  }
  return tiles
}

/** Finds the tile that holds the root of the subtree at `level` and `index`. */
export function tileOfNode(level: number, index: number): TilePlace {
  const leaves = index * 2 ** (level % 8)
  return { level: Math.floor(level / 8), index: Math.floor(leaves / tileWidth) }
}

/** The tile that holds this full tile's own root. */
export function parentTile(place: TilePlace): TilePlace {
  return { level: place.level + 1, index: Math.floor(place.index / tileWidth) }
}

/** Cuts the narrower tile out of a wider one: tiles only ever grow at their end. */
export function narrowTile(bytes: Uint8Array, width: number): Uint8Array {
  return bytes.subarray(0, width * hashBytes)
}

/** Records under one hash of a tile of this level. */
function levelSpan(level: number): number {
  return tileWidth ** level
}

function formatIndex(index: number): string {
  const last = String(index % 1000).padStart(3, '0')
  let path = last
  for (let rest = Math.floor(index / 1000); rest > 0; rest = Math.floor(rest / 1000)) {
    path = `x${String(rest % 1000).padStart(3, '0')}/${path}`
  }
  return path
}

function parseIndex(groups: readonly string[]): number | undefined {
  let index = 0
  for (const group of groups) {
    const digits = group.slice(group.startsWith('x') ? 1 : 0).slice(0, 3)
    const value = digits.length === 3 ? parseDecimal(trimZeros(digits), 999) : undefined
    if (value === undefined) return undefined
    index = index * 1000 + value
    if (index > maxTreeSize) return undefined
  }
  return index
}

/** The same number without leading zeros, which parseDecimal refuses. */
function trimZeros(digits: string): string {
  let start = 0
  while (start < digits.length - 1 && digits[start] === '0') start++
  return digits.slice(start)
}
