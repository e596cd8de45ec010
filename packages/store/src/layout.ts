import { createHash } from 'node:crypto'
import { join } from 'node:path'
import type { ZipDigest } from '@modmesh/module'

/**
 * Every path under `--dir`, with the format's version in it. Nothing that a peer or an upstream
 * says becomes a path: names are digests, counters and parsed numbers.
 */
export interface Layout {
  readonly dir: string
  readonly zips: string
  readonly meta: string
  readonly index: string
  /** Says whether the index was made, and how often a process died with it. */
  readonly indexState: string
  /** Answers that change. */
  readonly answers: string
  /** What is never evicted: a durable file. */
  readonly pins: string
  /** The first hashes of what nobody can prove: durable files. */
  readonly firstHashes: string
  readonly staging: string
  /** Space for a start on a full disk. */
  readonly reserve: string
  readonly quarantine: string
  readonly run: string
  /** A level database that holds nothing: its lock is ours. */
  readonly lock: string
  readonly pid: string
  readonly sumdb: string
}

/** Lays out a data directory. */
export function layoutOf(dir: string): Layout {
  const store = join(dir, 'store', 'v1')
  const run = join(dir, 'run')
  return {
    dir,
    zips: join(store, 'zip'),
    meta: join(store, 'meta'),
    index: join(store, 'index'),
    indexState: join(store, 'index.state'),
    answers: join(store, 'answers'),
    pins: join(store, 'pins'),
    firstHashes: join(store, 'first'),
    staging: join(store, 'staging'),
    reserve: join(store, 'reserve'),
    quarantine: join(store, 'quarantine'),
    run,
    lock: join(run, 'lock'),
    pid: join(run, 'pid'),
    sumdb: join(dir, 'sumdb', 'v1'),
  }
}

/** The folder of a zip and its record. */
export function zipFolder(layout: Layout, digest: ZipDigest): string {
  return join(layout.zips, digest.slice(0, 2), digest.slice(2, 4))
}

/** The file of a zip. */
export function zipPath(layout: Layout, digest: ZipDigest): string {
  return join(zipFolder(layout, digest), digest)
}

/** The record beside a zip. */
export function recordPath(layout: Layout, digest: ZipDigest): string {
  return `${zipPath(layout, digest)}.json`
}

/** The file with the first hashes of a module path, and of some others. */
export function firstHashesFile(layout: Layout, modulePath: string): string {
  return join(layout.firstHashes, sha256Hex(modulePath).slice(0, 2))
}

/** The folder of a checksum database: its name where that is harmless, else the name's hash. */
export function sumdbFolder(layout: Layout, name: string): string {
  return join(layout.sumdb, isPlainName(name) ? name : sha256Hex(name))
}

/** The file of a tile, from parsed numbers: `tile/8/0/x001/234.p/5`. */
export function tilePath(folder: string, tile: TileCoordinates): string {
  const groups: string[] = [String(tile.n % 1000).padStart(3, '0')]
  for (let rest = Math.floor(tile.n / 1000); rest > 0; rest = Math.floor(rest / 1000)) {
    groups.unshift(`x${String(rest % 1000).padStart(3, '0')}`)
  }
  const last = groups.pop() ?? ''
  const partial = tile.width === 2 ** tile.height ? [last] : [`${last}.p`, String(tile.width)]
  return join(folder, 'tile', String(tile.height), String(tile.level), ...groups, ...partial)
}

/** Which tile (design 25530). */
export interface TileCoordinates {
  readonly height: number
  readonly level: number
  readonly n: number
  /** Hashes in it; less than 2^height for a partial one. */
  readonly width: number
}

/** Reads the protocol's `/tile/H/L/N[.p/W]`; undefined for anything else. */
export function parseTilePath(path: string): TileCoordinates | undefined {
  const parts = path.split('/')
  if (parts.length < 5 || parts.length > 12 || parts[0] !== '' || parts[1] !== 'tile')
    return undefined
  const height = parseNumber(parts[2], 30)
  const level = parseNumber(parts[3], 63)
  if (height === undefined || height === 0 || level === undefined) return undefined
  const full = 2 ** height
  const width = splitWidth(parts, full)
  const n = parseTileNumber(parts.slice(4))
  if (n === undefined || width === undefined) return undefined
  const tile = { height, level, n, width }
  // One path, one tile: what is not written our way is not a tile path.
  return join('/', tilePath('/', tile)) === path ? tile : undefined
}

/** Takes a partial tile's `.p/W` off the parts. */
function splitWidth(parts: string[], full: number): number | undefined {
  const beforeLast = parts.at(-2)
  if (beforeLast === undefined || !beforeLast.endsWith('.p')) return full
  const width = parseNumber(parts.pop(), full - 1)
  parts[parts.length - 1] = beforeLast.slice(0, -2)
  return width === 0 ? undefined : width
}

function parseTileNumber(groups: readonly string[]): number | undefined {
  let n = 0
  for (const [i, group] of groups.entries()) {
    const digits = i < groups.length - 1 && group.startsWith('x') ? group.slice(1) : group
    const value = digits.length === 3 ? parseNumber(digits, 999) : undefined
    if (value === undefined) return undefined
    n = n * 1000 + value
    if (!Number.isSafeInteger(n)) return undefined
  }
  return n
}

function parseNumber(text: string | undefined, max: number): number | undefined {
  if (text === undefined || text === '' || text.length > 10) return undefined
  for (const c of text) if (c < '0' || c > '9') return undefined
  const value = Number(text)
  return value <= max ? value : undefined
}

function isPlainName(name: string): boolean {
  if (name === '' || name.length > 100 || name.startsWith('.')) return false
  for (const c of name) {
    const plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c === '.' || c === '-'
    if (!plain) return false
  }
  return true
}

function sha256Hex(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
