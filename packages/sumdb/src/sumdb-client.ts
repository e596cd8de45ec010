import { formatModuleVersion, type ModulePath, type ModuleVersion } from '@modmesh/module'
import { decodeText } from './bytes.ts'
import { CacheWriter } from './cache-writer.ts'
import {
  type SumdbForkError,
  SumdbNotFoundError,
  SumdbUnavailableError,
  SumdbUntrustedError,
} from './errors.ts'
import { Flights } from './flights.ts'
import { HeadKeeper, type OwnHead } from './head-keeper.ts'
import { keepUpperTiles } from './kept-tiles.ts'
import type { VerifierKey } from './note.ts'
import type { ProvenSums, RecordProof } from './proven-sums.ts'
import { formatLookup, type LookupAnswer, parseLookup, readGoSum } from './record.ts'
import { lookupPath, RecordShelf } from './record-shelf.ts'
import type { SumdbOps } from './sumdb-ops.ts'
import { narrowTile, parseTilePath, type Tile, widthInTree } from './tile.ts'
import { TileReader, type TileReadOptions } from './tile-reader.ts'
import { equalHashes, hashBytes, hashLeaf } from './tlog.ts'

interface Waiting {
  readonly signal: AbortSignal
}

/** The one module whose records go demands whatever the private patterns say (cmd/go useSumDB). */
const toolchainPath = 'golang.org/toolchain'

/**
 * A checksum database as its client and, from verified knowledge alone, as its server. Every answer
 * was checked against a signed tree; there is one head, which only moves forward; a fork ends new
 * trust, and what was proven before is still answered.
 */
export class SumdbClient implements AsyncDisposable {
  readonly name: string
  readonly #ops: SumdbOps
  readonly #isPrivate: (path: ModulePath) => boolean
  readonly #writer: CacheWriter
  readonly #reader: TileReader
  readonly #heads: HeadKeeper
  readonly #shelf: RecordShelf
  readonly #lookups = new Flights<ProvenSums>()
  readonly #refreshes = new Flights<void>()
  readonly #life = new AbortController()
  readonly #background = new Set<Promise<void>>()
  /** The tree whose upper tiles are all kept. */
  #keptSize = 0

  constructor(
    components: { readonly ops: SumdbOps },
    init: { readonly key: VerifierKey; readonly isPrivate: (path: ModulePath) => boolean },
  ) {
    const { ops } = components
    this.name = init.key.name
    this.#ops = ops
    this.#isPrivate = init.isPrivate
    this.#writer = new CacheWriter(ops)
    this.#reader = new TileReader({ ops, writer: this.#writer })
    this.#heads = new HeadKeeper({ ops, reader: this.#reader }, { key: init.key })
    this.#shelf = new RecordShelf(
      { ops, writer: this.#writer },
      { database: this.name, open: (note) => this.#heads.open(note) },
    )
  }

  /** The fork that ended new trust since the start, if there was one. */
  get fork(): SumdbForkError | undefined {
    return this.#heads.fork
  }

  /** False for private paths, of which the database must not hear. */
  covers(path: ModulePath): boolean {
    return path === toolchainPath || !this.#isPrivate(path)
  }

  /** Finds what is already proven, without asking anybody. */
  async known(module: ModuleVersion): Promise<ProvenSums | undefined> {
    return this.covers(module.path) ? this.#shelf.find(module) : undefined
  }

  /**
   * Proves the hashes of a module version by the database's record. Throws SumdbNotFoundError,
   * SumdbUnavailableError, SumdbUntrustedError, SumdbForkError.
   */
  async lookup(module: ModuleVersion, { signal }: Waiting): Promise<ProvenSums> {
    this.#refusePrivate(module)
    const known = await this.#shelf.find(module)
    if (known !== undefined) return known
    this.#heads.refuseAfterFork()
    return this.#lookups.run(formatModuleVersion(module), signal, (flight) =>
      this.#fetchRecord(module, flight),
    )
  }

  /**
   * Proves the hashes of a module version by a record that a peer sent with its proof. The head it
   * came under is reconciled with ours in the background. Throws SumdbUntrustedError: the peer is to
   * blame; SumdbForkError.
   */
  async verifyRecord(
    module: ModuleVersion,
    record: RecordProof,
    { signal }: Waiting,
  ): Promise<ProvenSums> {
    this.#refusePrivate(module)
    const sums = this.#shelf.verify(module, record)
    const known = await this.#shelf.find(module)
    if (known?.record.text === record.text) return known
    this.#heads.refuseAfterFork()
    const own = await this.#heads.current()
    // Without a head, or with one of the same size, the answer needs no tiles.
    const atOnce = own === undefined || own.view.head.size === this.#heads.open(record.head).size
    if (atOnce) await this.#heads.merge(record.head, { signal })
    else this.#reconcile(record.head)
    return known ?? this.#shelf.keep(module, sums)
  }

  /** Proves a kept record to a peer: under our head if its tiles are at hand, else as it was proven to us. */
  async proveRecord(module: ModuleVersion): Promise<RecordProof | undefined> {
    const known = await this.known(module)
    const own = await this.#heads.current()
    if (known === undefined || own === undefined) return known?.record
    const { record } = known
    if (record.head === own.note || record.id >= own.view.head.size) return record
    try {
      const renewed = await this.#proveUnder(own, module, record, {
        signal: this.#life.signal,
        reach: 'cache',
      })
      return this.#shelf.hold(module, renewed).record
    } catch (error) {
      if (!isAbout(error)) throw error
      return record
    }
  }

  /** Our head, undefined before the first. */
  async head(): Promise<{ readonly size: number; readonly note: string } | undefined> {
    const own = await this.#heads.current()
    return own && { size: own.view.head.size, note: own.note }
  }

  /**
   * Takes a head shown by a peer: ours from then on when it is newer and consistent. Throws
   * SumdbUntrustedError, SumdbForkError, SumdbUnavailableError (its tiles could not be read).
   */
  mergeHead(note: string, { signal }: Waiting): Promise<void> {
    return this.#heads.merge(note, { signal })
  }

  /** Calls the listener, which must not throw, after each head that became ours; returns how to stop that. */
  onHead(listener: (note: string) => void): () => void {
    return this.#heads.onHead(listener)
  }

  /** True when there is a verified head, or one can be had: then `supported` may be promised. */
  async canServe(): Promise<boolean> {
    if ((await this.#heads.current()) !== undefined) return true
    try {
      await this.#refresh(this.#life.signal)
      return true
    } catch (error) {
      if (!isAbout(error)) throw error
      return false
    }
  }

  /** Answers a lookup: the record and our one head, which contains it. */
  async answerLookup(module: ModuleVersion, { signal }: Waiting): Promise<Uint8Array> {
    const { record } = await this.lookup(module, { signal })
    let own = await this.#heads.current()
    if (own === undefined || record.id >= own.view.head.size) {
      await this.#heads.merge(record.head, { signal })
      own = await this.#heads.current()
    }
    const note = own?.note ?? record.head
    return Buffer.from(formatLookup({ id: record.id, text: record.text, note }))
  }

  /**
   * Answers a tile, verified under our head, any narrower one cut out of it. One beyond our head is
   * passed on from the database itself, unverified and unstored: the client's own newer head is what
   * it is for. Throws SumdbNotFoundError, SumdbUnavailableError, SumdbUntrustedError.
   */
  async answerTile(path: string, { signal }: Waiting): Promise<Uint8Array> {
    const tile = parseTilePath(path)
    const own = await this.#headWith(tile, signal)
    if (own === undefined) return this.#passOn(tile, path, signal)
    return narrowTile(await own.view.tile(tile, { signal, reach: 'remote' }), tile.width)
  }

  /** Answers `latest`: our one head. */
  async answerLatest({ signal }: Waiting): Promise<Uint8Array> {
    if ((await this.#heads.current()) === undefined) await this.#refresh(signal)
    const own = await this.#heads.current()
    return Buffer.from(own?.note ?? '')
  }

  /** Finds a tile for a peer: only what is kept here and verifies under our head. */
  async cachedTile(path: string): Promise<Uint8Array | undefined> {
    try {
      const tile = parseTilePath(path)
      const own = await this.#heads.current()
      if (own === undefined || !isIn(own, tile)) return undefined
      const bytes = await own.view.tile(tile, { signal: this.#life.signal, reach: 'cache' })
      return narrowTile(bytes, tile.width)
    } catch (error) {
      if (!isAbout(error)) throw error
      return undefined
    }
  }

  /** Fetches all tiles of level 1 and up that our head covers and the cache lacks. Can be repeated at any time. */
  async keepTiles({ signal }: Waiting): Promise<void> {
    const own = await this.#heads.current()
    if (own === undefined || own.view.head.size === this.#keptSize) return
    const from = this.#keptSize
    await keepUpperTiles({ reader: this.#reader, view: own.view }, { from, signal })
    this.#keptSize = own.view.head.size
  }

  /**
   * Fetches the tiles that a go client whose own head has this size will ask of us, to see that its
   * tree is a prefix of ours. Throws SumdbUnavailableError when that head is newer than the database shows.
   */
  async keepClientHead(size: number, { signal }: Waiting): Promise<void> {
    let own = await this.#heads.current()
    if (own === undefined || own.view.head.size < size) await this.#refresh(signal)
    own = await this.#heads.current()
    if (own === undefined || own.view.head.size < size) {
      throw new SumdbUnavailableError(`${this.name} shows no tree of ${size} records`)
    }
    await own.view.prefixRoot(size, { signal, reach: 'remote' })
  }

  /** Resolves when all that was begun behind the answers has ended. */
  async settled(): Promise<void> {
    while (this.#background.size > 0) await Promise.all(this.#background)
    await this.#writer.settled()
  }

  /** Ends what goes on behind the answers; what is proven is written out first. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#life.abort()
    await this.settled()
  }

  #refusePrivate(module: ModuleVersion): void {
    if (this.covers(module.path)) return
    throw new SumdbNotFoundError(`${module.path} is private: ${this.name} is never asked for it`)
  }

  /** Asks; and once more the database itself when what came does not verify, since a peer may have lied. */
  async #fetchRecord(module: ModuleVersion, signal: AbortSignal): Promise<ProvenSums> {
    const path = lookupPath(module)
    const body = await this.#ops.readRemote(path, { signal })
    try {
      return await this.#admit(module, body, signal)
    } catch (error) {
      if (!(error instanceof SumdbUntrustedError)) throw error
      const again = await this.#ops.readRemote(path, { signal, databaseOnly: true }).catch(() => {
        // Whatever keeps the database from answering: what is known for sure is that a wrong answer came.
        throw error
      })
      return this.#admit(module, again, signal)
    }
  }

  async #admit(module: ModuleVersion, body: Uint8Array, signal: AbortSignal): Promise<ProvenSums> {
    const answer = parseLookup(body)
    readGoSum(answer.text, module)
    const own = await this.#heads.current()
    const merging = this.#heads.merge(answer.note, { signal })
    const sums =
      own !== undefined && answer.id < own.view.head.size
        ? await this.#proveWhile(merging, own, module, answer, signal)
        : await merging.then(() => this.#proveUnderCurrent(module, answer, signal))
    this.#heads.refuseAfterFork()
    return this.#shelf.keep(module, sums)
  }

  /** Proves a record that our head covers already, while the head it came with is reconciled. */
  async #proveWhile(
    merging: Promise<void>,
    own: OwnHead,
    module: ModuleVersion,
    answer: LookupAnswer,
    signal: AbortSignal,
  ): Promise<ProvenSums> {
    const proving = this.#proveUnder(own, module, answer, { signal, reach: 'remote' })
    const [merged, proven] = await Promise.allSettled([merging, proving])
    // The record does not depend on the other head; tiles for that one may come next time.
    if (merged.status === 'rejected' && !(merged.reason instanceof SumdbUnavailableError)) {
      throw merged.reason
    }
    if (proven.status === 'rejected') throw proven.reason
    return proven.value
  }

  async #proveUnderCurrent(
    module: ModuleVersion,
    answer: LookupAnswer,
    signal: AbortSignal,
  ): Promise<ProvenSums> {
    const own = await this.#heads.current()
    if (own === undefined || answer.id >= own.view.head.size) {
      throw new SumdbUntrustedError(`record ${answer.id} is beyond the signed tree`)
    }
    return this.#proveUnder(own, module, answer, { signal, reach: 'remote' })
  }

  /** Checks a record's leaf against our tree and gives it the proof to show for it. */
  async #proveUnder(
    own: OwnHead,
    module: ModuleVersion,
    { id, text }: { readonly id: number; readonly text: string },
    options: TileReadOptions,
  ): Promise<ProvenSums> {
    const { leaf, hashes } = await own.view.proveRecord(id, options)
    if (!equalHashes(leaf, hashLeaf(text))) {
      throw new SumdbUntrustedError(`record ${id} is not what the signed tree holds there`)
    }
    const record = { database: this.name, id, text, hashes, head: own.note }
    return this.#shelf.provenBy(module, record)
  }

  /** Merges a head behind an answer that does not depend on it. */
  #reconcile(note: string): void {
    const signal = this.#life.signal
    // Tiles that cannot be had leave it for the next time; a fork stays with the head keeper, which stops.
    const work = this.#heads.merge(note, { signal }).catch(() => {})
    this.#background.add(work)
    void work.then(() => this.#background.delete(work))
  }

  async #headWith(tile: Tile, signal: AbortSignal): Promise<OwnHead | undefined> {
    const own = await this.#heads.current()
    if (own !== undefined && isIn(own, tile)) return own
    this.#heads.refuseAfterFork()
    try {
      await this.#refresh(signal)
    } catch (error) {
      // Without its `latest` the database may still have the tile.
      if (!(error instanceof SumdbUnavailableError || error instanceof SumdbNotFoundError))
        throw error
    }
    const refreshed = await this.#heads.current()
    return refreshed !== undefined && isIn(refreshed, tile) ? refreshed : undefined
  }

  async #passOn(tile: Tile, path: string, signal: AbortSignal): Promise<Uint8Array> {
    const bytes = await this.#ops.readRemote(`/${path}`, { signal, databaseOnly: true })
    if (bytes.length === tile.width * hashBytes) return bytes
    throw new SumdbUntrustedError(`${path} has ${bytes.length} bytes`)
  }

  #refresh(signal: AbortSignal): Promise<void> {
    return this.#refreshes.run('latest', signal, async (flight) => {
      const note = await this.#ops.readRemote('/latest', { signal: flight })
      await this.#heads.merge(decodeText(note, 'latest'), { signal: flight })
    })
  }
}

function isIn(own: OwnHead, tile: Tile): boolean {
  return widthInTree(own.view.head.size, tile) >= tile.width
}

/** True for the errors that say something about the database or a tile, and not about ourselves. */
function isAbout(error: unknown): boolean {
  return (
    error instanceof SumdbNotFoundError ||
    error instanceof SumdbUnavailableError ||
    error instanceof SumdbUntrustedError
  )
}
