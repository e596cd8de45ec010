import {
  formatModuleVersion,
  type ModuleVersion,
  parseModuleVersion,
  parseZipDigest,
  parseZipHash,
  type ZipHash,
} from '@modmesh/module'
import { BundleError } from './faults.ts'
import { signerBytes } from './seal.ts'

/** Bytes of one thing in a bundle, and their SHA-256 in hexadecimal digits. */
interface Bytes {
  readonly size: number
  readonly digest: string
}

/** One thing in a bundle. */
export type BundleItem =
  /** The signed tree head of the checksum database. */
  | ({ readonly kind: 'head' } & Bytes)
  /** A tile that every client needs: of level 1 and up, or where a tree ended. By its path in the protocol. */
  | ({ readonly kind: 'tile'; readonly path: string } & Bytes)
  /** The tile of level 0 that holds records of this bundle. */
  | ({ readonly kind: 'leaf'; readonly path: string } & Bytes)
  /** A record with its proof under the head, as `formatStoredRecord` writes it without a note. */
  | ({ readonly kind: 'record'; readonly module: ModuleVersion } & Bytes)
  | ({ readonly kind: 'mod'; readonly module: ModuleVersion } & Bytes)
  | ({ readonly kind: 'info'; readonly module: ModuleVersion } & Bytes)
  | ({ readonly kind: 'zip'; readonly module: ModuleVersion; readonly zipHash: ZipHash } & Bytes)

/** The signed list of what a bundle holds. */
export interface Inventory {
  /** Ed25519 public key of the node that made it. */
  readonly signer: Uint8Array
  /** The id of the bundle on top of which it was made. */
  readonly since: string | undefined
  /** The checksum database's tree under which all is proven. */
  readonly tree: { readonly database: string; readonly size: number } | undefined
  /** What is in it, in the order of its bytes. */
  readonly items: readonly BundleItem[]
  /** What was in the bundles that it is made on top of. */
  readonly before: readonly BundleItem[]
}

const firstLine = 'modmesh bundle 1'
const kinds = ['head', 'tile', 'leaf', 'record', 'mod', 'info', 'zip'] as const
const rank: ReadonlyMap<string, number> = new Map(kinds.map((kind, i) => [kind, i]))

/** Writes an inventory: equal content gives equal bytes. */
export function formatInventory(inventory: Inventory): Uint8Array {
  const { signer, since, tree, items, before } = inventory
  const lines = [firstLine, `signer ${Buffer.from(signer).toString('hex')}`]
  if (since !== undefined) lines.push(`since ${since}`)
  if (tree !== undefined) lines.push(`tree ${tree.database} ${tree.size}`)
  for (const item of items) lines.push(`+ ${formatItem(item)}`)
  for (const item of before) lines.push(`= ${formatItem(item)}`)
  return Buffer.from(`${lines.join('\n')}\n`)
}

/** Reads an inventory exactly as it is written. Throws BundleError (BUNDLE_FORMAT). */
export function parseInventory(bytes: Uint8Array): Inventory {
  const lines = linesOf(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
  if (lines.next().value !== firstLine) refuse('its inventory is of another version')
  const head: { signer?: Uint8Array; since?: string; tree?: Inventory['tree'] } = {}
  const items: BundleItem[] = []
  const before: BundleItem[] = []
  const seen = new Set<string>()
  for (const line of lines) {
    const words = line.split(' ')
    if (words[0] === '+' || words[0] === '=') {
      if (words[0] === '+' && before.length > 0) refuse('lines out of order')
      const into = words[0] === '+' ? items : before
      const item = parseItem(words.slice(1))
      if (seen.has(nameOf(item))) refuse(`${nameOf(item)} is there twice`)
      seen.add(nameOf(item))
      if (rankOf(into.at(-1)) > rankOf(item)) refuse('lines out of order')
      into.push(item)
    } else if (items.length + before.length > 0) refuse('lines out of order')
    else readHeadLine(words, head)
  }
  if (head.signer === undefined) refuse('nobody has signed it')
  const hasTreeItem = items.some(({ kind }) => rankOf({ kind }) <= rankOf({ kind: 'record' }))
  if (hasTreeItem && (head.tree === undefined || items[0]?.kind !== 'head')) refuse('no tree head')
  return { signer: head.signer, since: head.since, tree: head.tree, items, before }
}

/** Names what an item is, with its kind: no two in a bundle share it. */
export function nameOf(item: BundleItem): string {
  switch (item.kind) {
    case 'head':
      return 'head'
    case 'tile':
    case 'leaf':
      return item.path
    default:
      return `${item.kind} ${formatModuleVersion(item.module)}`
  }
}

/** Counts the bytes of everything in a bundle, without the inventory. */
export function bytesOf(items: readonly BundleItem[]): number {
  return items.reduce((sum, { size }) => sum + size, 0)
}

/** Orders things as they stand in a bundle. */
export function compareItems(a: BundleItem, b: BundleItem): number {
  const byKind = rankOf(a) - rankOf(b)
  if (byKind !== 0 || a.kind === 'tile' || a.kind === 'leaf') return byKind
  const [x, y] = [nameOf(a), nameOf(b)]
  return x < y ? -1 : Number(x > y)
}

function rankOf(item: Pick<BundleItem, 'kind'> | undefined): number {
  return item === undefined ? -1 : (rank.get(item.kind) ?? -1)
}

function formatItem(item: BundleItem): string {
  const bytes = `${item.size} ${item.digest}`
  switch (item.kind) {
    case 'head':
      return `head ${bytes}`
    case 'tile':
    case 'leaf':
      return `${item.kind} ${item.path} ${bytes}`
    case 'zip':
      return `zip ${item.module.path} ${item.module.version} ${bytes} ${item.zipHash}`
    default:
      return `${item.kind} ${item.module.path} ${item.module.version} ${bytes}`
  }
}

function parseItem(words: readonly string[]): BundleItem {
  const kind = kinds.find((each) => each === words[0])
  if (kind === undefined) return refuse('a line of unknown kind')
  const names = { head: 0, tile: 1, leaf: 1, record: 2, mod: 2, info: 2, zip: 2 }[kind]
  if (words.length !== 3 + names + (kind === 'zip' ? 1 : 0)) refuse('a malformed line')
  const [first = '', second = ''] = words.slice(1)
  const [size = '', digest = '', zipHash = ''] = words.slice(1 + names)
  const bytes = { size: parseSize(size), digest: orRefuse(() => parseZipDigest(digest)) }
  if (kind === 'head') return { kind, ...bytes }
  if (kind === 'tile' || kind === 'leaf') return { kind, path: first, ...bytes }
  const module = orRefuse(() => parseModuleVersion(first, second))
  if (kind === 'zip')
    return { kind, module, zipHash: orRefuse(() => parseZipHash(zipHash)), ...bytes }
  return { kind, module, ...bytes }
}

function readHeadLine(
  words: readonly string[],
  head: { signer?: Uint8Array; since?: string; tree?: Inventory['tree'] },
): void {
  const [key, value = '', more = ''] = words
  if (key === 'signer' && words.length === 2 && head.signer === undefined) {
    const signer = Buffer.from(value, 'hex')
    if (signer.length !== signerBytes || signer.toString('hex') !== value) refuse('a malformed key')
    head.signer = signer
  } else if (key === 'since' && words.length === 2 && head.since === undefined) {
    head.since = orRefuse(() => parseZipDigest(value))
  } else if (key === 'tree' && words.length === 3 && head.tree === undefined) {
    if (!isDatabaseName(value)) refuse('a malformed database name')
    head.tree = { database: value, size: parseSize(more) }
  } else refuse('a malformed line')
}

/** It is a host, with a path perhaps; where a bundle becomes a tree of files it is a folder. */
function isDatabaseName(name: string): boolean {
  const parts = name.split('/')
  const isNoPart = (part: string): boolean => part === '' || part === '.' || part === '..'
  return name.length <= 100 && !parts.some(isNoPart) && !name.includes('\\')
}

function* linesOf(bytes: Buffer): Generator<string, undefined> {
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf(0x0a, at)
    if (end < 0) refuse('its inventory is cut')
    yield bytes.toString('utf8', at, end)
    at = end + 1
  }
}

function parseSize(text: string): number {
  const size = Number(text)
  if (!Number.isSafeInteger(size) || size < 0 || String(size) !== text) refuse('a malformed size')
  return size
}

function orRefuse<T>(parse: () => T): T {
  try {
    return parse()
  } catch (cause) {
    throw new BundleError('BUNDLE_FORMAT', 'not a bundle: a malformed line', { cause })
  }
}

function refuse(reason: string): never {
  throw new BundleError('BUNDLE_FORMAT', `not a bundle: ${reason}`)
}
