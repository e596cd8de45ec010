import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { RecordProof } from '@modmesh/fill'
import { escapeModulePath, escapeVersion, type ModuleVersion } from '@modmesh/module'
import {
  openTreeHead,
  parseLookup,
  parseTilePath,
  SumdbClient,
  SumdbForkError,
  SumdbNotFoundError,
  SumdbUnavailableError,
  SumdbUntrustedError,
  type VerifierKey,
} from '@modmesh/sumdb'
import { errorCode } from '../errors.ts'

/** Lookups come with the tree of their day: so many trees are kept at a time. */
const maxTrees = 16
/** Tiles and records of a tree in memory, 8 KiB each at most: the files are near. */
const maxCached = 256
/** A tile is 8 KiB and a lookup answer 1 KiB: what is larger is neither. Bytes. */
const maxFileBytes = 64 * 1024
/** Of one hash in a tile (SHA-256). */
const hashBytes = 32

/**
 * What `go` kept of a checksum database in its module cache. A record is believed only as far as it
 * proves itself: a tree is signed, the one that it came with or the newest that `go` has seen, and the tiles
 * that `go` kept lead from the record to it.
 */
export class GoRecords {
  readonly #folder: string
  readonly #key: VerifierKey
  /** A client for each signed tree: tiles that are kept fit the tree under which `go` asked for them. */
  readonly #trees = new Map<string, SumdbClient>()
  /** Where `go` notes the newest tree, if the cache is where it is by default: in a GOPATH. */
  readonly #latest: string
  #newest: Promise<SumdbClient | undefined> | undefined

  constructor(downloads: string, key: VerifierKey) {
    this.#folder = join(downloads, 'sumdb', key.name)
    this.#latest = join(downloads, '../../../sumdb', key.name, 'latest')
    this.#key = key
  }

  /** Proves a record that is kept; undefined when there is none, or it does not prove itself. */
  async find(
    module: ModuleVersion,
    options: { readonly signal: AbortSignal },
  ): Promise<RecordProof | undefined> {
    const bytes = await this.#read(lookupPath(module))
    if (bytes === undefined) return undefined
    // `go` proved most of them under a newer tree than that of the answer, and kept the tiles for that alone.
    this.#newest ??= this.#openNewest()
    const proven = await prove(await this.#newest, module, options)
    return proven ?? (await prove(this.#treeOf(bytes), module, options))
  }

  /** A tile as `go` kept it, in the width asked or cut from a wider one; undefined when there is none. Unverified. */
  async tile(path: string): Promise<Uint8Array | undefined> {
    const asked = await this.#read(path)
    if (asked !== undefined) return asked
    const tile = parseTilePath(path.slice(1))
    const partial = path.indexOf('.p/')
    const whole = partial < 0 ? undefined : await this.#read(path.slice(0, partial))
    return whole?.subarray(0, tile.width * hashBytes)
  }

  /** A client for the tree of a lookup's answer; undefined when the answer cannot be read. */
  #treeOf(lookup: Uint8Array): SumdbClient | undefined {
    const note = noteOf(lookup)
    if (note === undefined) return undefined
    const known = this.#trees.get(note)
    if (known !== undefined) return known
    const [oldest] = this.#trees.keys()
    if (oldest !== undefined && this.#trees.size >= maxTrees) this.#trees.delete(oldest)
    const client = this.#open(undefined)
    this.#trees.set(note, client)
    return client
  }

  /** A client whose tree is the newest that `go` has seen; undefined when that is not known. */
  async #openNewest(): Promise<SumdbClient | undefined> {
    const bytes = await readSmall(this.#latest)
    if (bytes === undefined) return undefined
    const note = Buffer.from(bytes).toString('utf8')
    return isHead(note, this.#key) ? this.#open(note) : undefined
  }

  #open(head: string | undefined): SumdbClient {
    return new SumdbClient({ ops: this.#ops(head) }, { key: this.#key, isPrivate: () => false })
  }

  /** Nothing outlives the client: what proved itself is given to the node's own, which keeps it. */
  #ops(first: string | undefined): ConstructorParameters<typeof SumdbClient>[0]['ops'] {
    let head = first
    const cache = new Map<string, Uint8Array>()
    const keep = (path: string, bytes: Uint8Array): void => {
      const [oldest] = cache.keys()
      if (oldest !== undefined && cache.size >= maxCached) cache.delete(oldest)
      cache.set(path, bytes)
    }
    return {
      readRemote: async (path) => {
        const bytes = path.startsWith('/tile/') ? await this.tile(path) : await this.#read(path)
        if (bytes !== undefined) return bytes
        throw new SumdbUnavailableError(`${path} is not in the module cache`)
      },
      readHead: async () => head,
      writeHead: async (_previous, next) => {
        head = next
      },
      readCache: async (path) => cache.get(path),
      writeCache: async (path, bytes) => keep(path, bytes),
      dropCache: async (path) => void cache.delete(path),
      keepForkEvidence: async () => {},
      readForkEvidence: async () => undefined,
      keepRefused: async () => {},
    }
  }

  async #read(path: string): Promise<Uint8Array | undefined> {
    return await readSmall(join(this.#folder, path))
  }
}

/** Reads a file of `go`; undefined when there is none, or it cannot be what it should. */
async function readSmall(path: string): Promise<Uint8Array | undefined> {
  try {
    // Of a pipe or a device nobody knows the end.
    const found = await stat(path)
    return found.isFile() && found.size <= maxFileBytes ? await readFile(path) : undefined
  } catch (error) {
    if (errorCode(error) !== undefined) return undefined
    throw error
  }
}

/** Another program's files, in whatever state: they are worth nothing then, and no more. */
function isOfFiles(error: unknown): boolean {
  return (
    error instanceof SumdbUntrustedError ||
    error instanceof SumdbUnavailableError ||
    error instanceof SumdbNotFoundError ||
    error instanceof SumdbForkError
  )
}

async function prove(
  client: SumdbClient | undefined,
  module: ModuleVersion,
  options: { readonly signal: AbortSignal },
): Promise<RecordProof | undefined> {
  try {
    return (await client?.lookup(module, options))?.record
  } catch (error) {
    if (isOfFiles(error)) return undefined
    throw error
  }
}

function noteOf(lookup: Uint8Array): string | undefined {
  try {
    return parseLookup(lookup).note
  } catch (error) {
    if (isOfFiles(error)) return undefined
    throw error
  }
}

function isHead(note: string, key: VerifierKey): boolean {
  try {
    openTreeHead(note, key)
    return true
  } catch (error) {
    if (isOfFiles(error)) return false
    throw error
  }
}

function lookupPath(module: ModuleVersion): string {
  return `/lookup/${escapeModulePath(module.path)}@${escapeVersion(module.version)}`
}
