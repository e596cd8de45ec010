import {
  createHash,
  createPrivateKey,
  createPublicKey,
  hash,
  type KeyObject,
  sign,
} from 'node:crypto'
import { SumdbNotFoundError, SumdbUnavailableError } from '../src/errors.ts'
import { keyHash, parseVerifierKey, type VerifierKey } from '../src/note.ts'
import { formatLookup } from '../src/record.ts'
import { formatTilePath, parseTilePath, type Tile, widthInTree } from '../src/tile.ts'
import { hashLeaf, hashNode, treeRoot } from '../src/tlog.ts'
import { formatTreeHead } from '../src/tree-head.ts'
import { HashColumn } from './hash-column.ts'

/** One record to add: a module version and its go.sum lines, each ending in LF. */
export interface FakeRecord {
  readonly path: string
  readonly version: string
  readonly lines: string
}

/** Ways in which a database, or a proxy or peer that stands for it, can misbehave. All off at first. */
export interface Misbehaviour {
  /** Nothing is answered: SumdbUnavailableError. */
  down: boolean
  /** Shows the tree as it was at this size, in `latest` and in lookups. */
  shownSize: number | undefined
  /** Tiles, by full path or place, in which one bit of a byte is flipped: path to byte offset. */
  flippedTiles: Map<string, number>
  /** Tiles that are answered with 404, by exact path. */
  missingTiles: Set<string>
  /** Answers a lookup of `path@version` (the key) with the record of another one (the value). */
  swappedRecords: Map<string, string>
  /** Lines added to the tree note before it is signed. */
  extraNoteText: string
  /** Changes the finished note. */
  editNote: (note: string) => string
  /** Changes the finished body of any answer. */
  editBody: (path: string, body: Uint8Array) => Uint8Array
}

const fillerPrefix = 'filler.test/m'

/**
 * A working checksum database with a key of its own: signs real trees, serves every tile in every
 * width, and misbehaves on demand through `faults`.
 */
export class FakeSumdb {
  readonly name: string
  /** The key as GOSUMDB takes it. */
  readonly keyText: string
  readonly faults: Misbehaviour = noFaults()
  /** The paths served so far, in order. */
  readonly requests: string[] = []
  readonly #seed: string
  readonly #privateKey: KeyObject
  readonly #levels: HashColumn[] = []
  /** Texts by id; a filler's is made when it is asked for. */
  readonly #texts = new Map<number, string>()
  readonly #ids = new Map<string, number>()
  readonly #notes = new Map<string, string>()

  constructor(init: { readonly name?: string; readonly seed?: string } = {}) {
    this.name = init.name ?? 'sum.test'
    this.#seed = init.seed ?? 'seed'
    this.#privateKey = privateKey(this.#seed)
    this.keyText = formatKey(this.name, this.#privateKey)
  }

  /** The verifier key, parsed. */
  get key(): VerifierKey {
    return parseVerifierKey(this.keyText)
  }

  size(): number {
    return this.#levels[0]?.length ?? 0
  }

  /** Adds a record and returns its id. */
  add(path: string, version: string, lines: string = fakeLines(path, version)): number {
    const id = this.#append(lines)
    this.#texts.set(id, lines)
    this.#ids.set(escape(`${path}@${version}`), id)
    return id
  }

  addMany(records: readonly FakeRecord[]): void {
    for (const { path, version, lines } of records) this.add(path, version, lines)
  }

  /** Adds records that only make the log long: `filler.test/m{id}` at v1.0.0. About 300,000 per second. */
  addFiller(count: number): void {
    for (let i = 0; i < count; i++) this.#append(fillerText(this.size()))
  }

  /** Makes another log with the same key that agrees with this one in its first `size` records only. */
  fork(size: number): FakeSumdb {
    const other = new FakeSumdb({ name: this.name, seed: this.#seed })
    for (const [level, column] of this.#levels.entries()) {
      other.#levels.push(column.slice(Math.floor(size / 2 ** level)))
    }
    for (const [id, text] of this.#texts) if (id < size) other.#texts.set(id, text)
    for (const [name, id] of this.#ids) if (id < size) other.#ids.set(name, id)
    return other
  }

  root(size: number = this.size()): Uint8Array {
    return treeRoot(size, (level, index) => this.#node(level, index))
  }

  /** The hash of a complete subtree. */
  node(level: number, index: number): Uint8Array {
    return this.#node(level, index)
  }

  /** The signed tree note as it was when the log had `size` records. */
  noteAt(size: number = this.size()): string {
    const text = formatTreeHead({ size, root: this.root(size) }) + this.faults.extraNoteText
    const note = this.#notes.get(text) ?? this.signNote(text)
    this.#notes.set(text, note)
    return this.faults.editNote(note)
  }

  /** Signs any text, which must end in LF, as a note. */
  signNote(text: string): string {
    const id = Buffer.alloc(4)
    id.writeUInt32BE(this.key.hash)
    const signature = Buffer.concat([id, sign(null, Buffer.from(text), this.#privateKey)])
    return `${text}\n— ${this.name} ${signature.toString('base64')}\n`
  }

  /** The text of a record. */
  text(id: number): string {
    return this.#texts.get(id) ?? fillerText(id)
  }

  /** The id of a module version's record. */
  idOf(path: string, version: string): number | undefined {
    return this.#idOf(escape(`${path}@${version}`))
  }

  /** The hashes of a tile, as the honest log has them. */
  tile(tile: Tile): Uint8Array {
    if (widthInTree(this.size(), tile) < tile.width) {
      throw new SumdbNotFoundError(`no ${formatTilePath(tile)}`)
    }
    const column = this.#levels[8 * tile.level]
    return Uint8Array.from(column?.range(256 * tile.index, tile.width) ?? [])
  }

  /** Answers `/lookup/…`, `/tile/…` and `/latest`. Throws SumdbNotFoundError, SumdbUnavailableError. */
  serve(path: string): Uint8Array {
    this.requests.push(path)
    if (this.faults.down) throw new SumdbUnavailableError('the fake database is down')
    return this.faults.editBody(path, this.#answer(path))
  }

  #answer(path: string): Uint8Array {
    if (path === '/latest') return Buffer.from(this.#shownNote())
    if (path.startsWith('/lookup/')) return this.#lookup(path.slice('/lookup/'.length))
    if (path.startsWith('/tile/')) return this.#serveTile(path.slice(1))
    throw new SumdbNotFoundError(`no ${path}`)
  }

  #lookup(escaped: string): Uint8Array {
    const swapped = this.faults.swappedRecords.get(unescape(escaped))
    const id = this.#idOf(swapped === undefined ? escaped : escape(swapped))
    if (id === undefined) throw new SumdbNotFoundError(`no record of ${escaped}`)
    const body = formatLookup({ id, text: this.text(id), note: this.#shownNote() })
    return Buffer.from(body)
  }

  #serveTile(path: string): Uint8Array {
    if (this.faults.missingTiles.has(path)) throw new SumdbNotFoundError(`no ${path}`)
    const tile = parseTilePath(path)
    const bytes = this.tile(tile)
    const flipped =
      this.faults.flippedTiles.get(path) ??
      this.faults.flippedTiles.get(formatTilePath({ ...tile, width: 256 }))
    if (flipped !== undefined && flipped < bytes.length) bytes[flipped] = (bytes[flipped] ?? 0) ^ 1
    return bytes
  }

  #shownNote(): string {
    return this.noteAt(this.faults.shownSize ?? this.size())
  }

  #idOf(escaped: string): number | undefined {
    const id = this.#ids.get(escaped)
    if (id !== undefined || !escaped.startsWith(fillerPrefix)) return id
    const filler = Number(escaped.slice(fillerPrefix.length).split('@')[0])
    const isFiller = filler < this.size() && !this.#texts.has(filler)
    return isFiller && escaped === `${fillerPrefix}${filler}@v1.0.0` ? filler : undefined
  }

  #append(text: string): number {
    const id = this.size()
    let node = hashLeaf(text)
    this.#column(0).push(node)
    for (let level = 0, index = id; index % 2 === 1; level++) {
      node = hashNode(this.#node(level, index - 1), node)
      this.#column(level + 1).push(node)
      index = (index - 1) / 2
    }
    return id
  }

  #column(level: number): HashColumn {
    const column = this.#levels[level] ?? new HashColumn()
    this.#levels[level] = column
    return column
  }

  #node(level: number, index: number): Uint8Array {
    return this.#column(level).range(index, 1)
  }
}

/** Writes the two go.sum lines of a module version with made-up hashes; `salt` makes others. */
export function fakeLines(path: string, version: string, salt = ''): string {
  const zip = fakeHash(`${path}@${version} zip ${salt}`)
  const mod = fakeHash(`${path}@${version} mod ${salt}`)
  return `${path} ${version} ${zip}\n${path} ${version}/go.mod ${mod}\n`
}

function fakeHash(text: string): string {
  return `h1:${hash('sha256', text, 'base64')}`
}

function fillerText(id: number): string {
  const bytes = Buffer.alloc(32)
  bytes.writeUInt32BE(id)
  const h1 = `h1:${bytes.toString('base64')}`
  return `${fillerPrefix}${id} v1.0.0 ${h1}\n${fillerPrefix}${id} v1.0.0/go.mod ${h1}\n`
}

function noFaults(): Misbehaviour {
  return {
    down: false,
    shownSize: undefined,
    flippedTiles: new Map(),
    missingTiles: new Set(),
    swappedRecords: new Map(),
    extraNoteText: '',
    editNote: (note) => note,
    editBody: (_, body) => body,
  }
}

/** An Ed25519 key made of a seed text (RFC 8410 PKCS #8 around 32 bytes). */
function privateKey(seed: string): KeyObject {
  const header = Buffer.from('302e020100300506032b657004220420', 'hex')
  const key = Buffer.concat([header, createHash('sha256').update(seed).digest()])
  return createPrivateKey({ key, format: 'der', type: 'pkcs8' })
}

function formatKey(name: string, key: KeyObject): string {
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' })
  const bytes = Buffer.concat([Buffer.of(1), spki.subarray(-32)])
  const id = keyHash(name, bytes).toString(16).padStart(8, '0')
  return `${name}+${id}+${bytes.toString('base64')}`
}

/** The `!` spelling of the protocol, for names that need no check. */
function escape(text: string): string {
  return text.replaceAll(/[A-Z]/g, (letter) => `!${letter.toLowerCase()}`)
}

function unescape(text: string): string {
  return text.replaceAll(/![a-z]/g, (pair) => pair.slice(1).toUpperCase())
}
