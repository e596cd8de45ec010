import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { RecordProof } from '@modmesh/fill'
import { escapeModulePath, escapeVersion, type ModuleVersion } from '@modmesh/module'
import {
  parseLookup,
  parseTilePath,
  SumdbClient,
  SumdbNotFoundError,
  SumdbUnavailableError,
  SumdbUntrustedError,
  type VerifierKey,
} from '@modmesh/sumdb'
import { errorCode } from '../errors.ts'

/** Lookups come with the tree of their day: so many trees are kept at a time. */
const maxTrees = 16
/** A tile is 8 KiB and a lookup answer 1 KiB: what is larger is neither. Bytes. */
const maxFileBytes = 64 * 1024
/** Of one hash in a tile (SHA-256). */
const hashBytes = 32

/**
 * What `go` kept of a checksum database in its module cache. A record is believed only as far as it
 * proves itself: its tree is signed, and the tiles that `go` kept with it lead to that tree.
 */
export class GoRecords {
  readonly #folder: string
  readonly #key: VerifierKey
  /** A client for each signed tree: tiles that are kept fit the tree under which `go` asked for them. */
  readonly #trees = new Map<string, SumdbClient>()

  constructor(downloads: string, key: VerifierKey) {
    this.#folder = join(downloads, 'sumdb', key.name)
    this.#key = key
  }

  /** Proves a record that is kept; undefined when there is none, or it does not prove itself. */
  async find(
    module: ModuleVersion,
    options: { readonly signal: AbortSignal },
  ): Promise<RecordProof | undefined> {
    const bytes = await this.#read(lookupPath(module))
    if (bytes === undefined) return undefined
    try {
      const client = this.#treeOf(parseLookup(bytes).note)
      return (await client.lookup(module, options)).record
    } catch (error) {
      // Another program's files, in whatever state: they are worth nothing then, and no more.
      if (
        error instanceof SumdbUntrustedError ||
        error instanceof SumdbUnavailableError ||
        error instanceof SumdbNotFoundError
      ) {
        return undefined
      }
      throw error
    }
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

  #treeOf(note: string): SumdbClient {
    const known = this.#trees.get(note)
    if (known !== undefined) return known
    const [oldest] = this.#trees.keys()
    if (oldest !== undefined && this.#trees.size >= maxTrees) this.#trees.delete(oldest)
    const client = new SumdbClient({ ops: this.#ops() }, { key: this.#key, isPrivate: () => false })
    this.#trees.set(note, client)
    return client
  }

  /** Nothing outlives the client: what proved itself is given to the node's own, which keeps it. */
  #ops(): ConstructorParameters<typeof SumdbClient>[0]['ops'] {
    let head: string | undefined
    const cache = new Map<string, Uint8Array>()
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
      writeCache: async (path, bytes) => void cache.set(path, bytes),
      dropCache: async (path) => void cache.delete(path),
      keepForkEvidence: async () => {},
      readForkEvidence: async () => undefined,
      keepRefused: async () => {},
    }
  }

  /** Reads a file of the database's folder; undefined when there is none, or it cannot be what it should. */
  async #read(path: string): Promise<Uint8Array | undefined> {
    try {
      const name = join(this.#folder, path)
      // Of a pipe or a device nobody knows the end.
      const found = await stat(name)
      return found.isFile() && found.size <= maxFileBytes ? await readFile(name) : undefined
    } catch (error) {
      if (errorCode(error) !== undefined) return undefined
      throw error
    }
  }
}

function lookupPath(module: ModuleVersion): string {
  return `/lookup/${escapeModulePath(module.path)}@${escapeVersion(module.version)}`
}
