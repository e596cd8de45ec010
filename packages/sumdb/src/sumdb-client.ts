import type { ModulePath, ModuleVersion } from '@modmesh/module'
import { CacheWriter } from './cache-writer.ts'
import {
  type SumdbForkError,
  SumdbNotFoundError,
  SumdbUntrustedError,
  tellsOfDatabase,
} from './errors.ts'
import { HeadKeeper } from './head-keeper.ts'
import type { VerifierKey } from './note.ts'
import type { ProvenSums, RecordProof } from './proven-sums.ts'
import { formatLookup } from './record.ts'
import { RecordProver } from './record-prover.ts'
import { RecordShelf } from './record-shelf.ts'
import { type Refusal, Refusals } from './refusals.ts'
import type { SumdbOps } from './sumdb-ops.ts'
import { TileAnswers } from './tile-answers.ts'
import { TileReader } from './tile-reader.ts'
import { TreeSnapshot } from './tree-snapshot.ts'

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
  readonly #isPrivate: (path: ModulePath) => boolean
  readonly #writer: CacheWriter
  readonly #refusals: Refusals
  readonly #heads: HeadKeeper
  readonly #shelf: RecordShelf
  readonly #prover: RecordProver
  readonly #tiles: TileAnswers
  readonly #life = new AbortController()
  readonly #background = new Set<Promise<void>>()

  constructor(
    components: { readonly ops: SumdbOps },
    init: { readonly key: VerifierKey; readonly isPrivate: (path: ModulePath) => boolean },
  ) {
    const { ops } = components
    this.name = init.key.name
    this.#isPrivate = init.isPrivate
    const writer = new CacheWriter(ops)
    const refusals = new Refusals(ops)
    const reader = new TileReader({ ops, writer, refusals })
    const heads = new HeadKeeper({ ops, reader, refusals }, { key: init.key })
    const open = heads.open.bind(heads)
    const shelf = new RecordShelf({ ops, writer }, { database: this.name, open })
    this.#writer = writer
    this.#refusals = refusals
    this.#heads = heads
    this.#shelf = shelf
    this.#prover = new RecordProver({ ops, heads, shelf, refusals }, { database: this.name })
    this.#tiles = new TileAnswers({ ops, heads, reader }, { database: this.name })
  }

  /** The fork that ended new trust, if there was one; one found by an earlier process once the head was read. */
  get fork(): SumdbForkError | undefined {
    return this.#heads.fork
  }

  /** Answers of the database itself that were refused since the start. */
  get refusedAnswers(): number {
    return this.#refusals.count
  }

  /** The last of them; undefined when all was well. */
  get lastRefusal(): Refusal | undefined {
    return this.#refusals.latest
  }

  /** Calls the listener, which must not throw, once with the fork that ends new trust; returns how to stop that. */
  onFork(listener: (fork: SumdbForkError) => void): () => void {
    return this.#heads.onFork(listener)
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
    await this.#heads.refuseAfterFork()
    return this.#prover.lookup(module, signal)
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
    await this.#heads.refuseAfterFork()
    const own = await this.#heads.current()
    // Without a head, or with one of the same size, the answer needs no tiles.
    const atOnce = own === undefined || own.head.size === this.#heads.open(record.head).size
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
    if (record.head === own.head.note || record.id >= own.head.size) return record
    try {
      const options = { signal: this.#life.signal, reach: 'cache' } as const
      const renewed = await this.#prover.proveUnder(own, module, record, options)
      return this.#shelf.hold(module, renewed).record
    } catch (error) {
      if (!tellsOfDatabase(error)) throw error
      // Our own tree holds another record there: one of the two heads is not of this log.
      if (error instanceof SumdbUntrustedError) this.#reconcile(record.head)
      return record
    }
  }

  /** Our head, undefined before the first. */
  async head(): Promise<{ readonly size: number; readonly note: string } | undefined> {
    const own = await this.#heads.current()
    return own && { size: own.head.size, note: own.head.note }
  }

  /**
   * Takes a head shown by a peer: ours from then on when it is newer and consistent. Throws
   * SumdbUntrustedError, SumdbForkError, SumdbUnavailableError (its tiles could not be read).
   */
  async mergeHead(note: string, { signal }: Waiting): Promise<void> {
    await this.#heads.merge(note, { signal })
  }

  /** Whether a note is a head that the database signed; whether it agrees with ours is another question. */
  isHead(note: string): boolean {
    try {
      this.#heads.open(note)
      return true
    } catch (error) {
      if (error instanceof SumdbUntrustedError) return false
      throw error
    }
  }

  /** Calls the listener, which must not throw, after each head that became ours; returns how to stop that. */
  onHead(listener: (note: string) => void): () => void {
    return this.#heads.onHead(listener)
  }

  /** True when there is a verified head, or one can be had: then `supported` may be promised. */
  async canServe(): Promise<boolean> {
    if ((await this.#heads.current()) !== undefined) return true
    try {
      await this.#heads.refresh({ signal: this.#life.signal })
      return true
    } catch (error) {
      if (!tellsOfDatabase(error)) throw error
      return false
    }
  }

  /** Answers a lookup: the record and our one head, which contains it. Throws as `lookup` does. */
  async answerLookup(module: ModuleVersion, { signal }: Waiting): Promise<Uint8Array> {
    const { id, text, head } = (await this.lookup(module, { signal })).record
    const own = await this.#heads.current()
    const covers = own !== undefined && id < own.head.size
    const covering = covers ? own : await this.#heads.merge(head, { signal })
    return Buffer.from(formatLookup({ id, text, note: covering.head.note }))
  }

  /**
   * Answers a tile by its path (`tile/8/0/x001/234.p/5`), verified under our head; one beyond our head
   * is passed on from the database itself. Throws SumdbNotFoundError, SumdbUnavailableError,
   * SumdbUntrustedError, SumdbForkError.
   */
  answerTile(path: string, { signal }: Waiting): Promise<Uint8Array> {
    return this.#tiles.answer(path, { signal })
  }

  /** Answers `latest`: our one head, the database's when there is none yet. Throws SumdbUnavailableError. */
  async answerLatest({ signal }: Waiting): Promise<Uint8Array> {
    const own = (await this.#heads.current()) ?? (await this.#heads.refresh({ signal }))
    return Buffer.from(own.head.note)
  }

  /** Our tree as it is now, for a copy of it; undefined before the first head. */
  async snapshot(): Promise<TreeSnapshot | undefined> {
    const own = await this.#heads.current()
    return own && new TreeSnapshot({ own, prover: this.#prover }, { database: this.name })
  }

  /** Finds a tile for a peer: only what is kept here and verifies under our head. */
  cachedTile(path: string): Promise<Uint8Array | undefined> {
    return this.#tiles.cached(path, { signal: this.#life.signal })
  }

  /** Fetches all tiles of level 1 and up that our head covers and the cache lacks; begun anew it goes on. */
  keepTiles({ signal }: Waiting): Promise<void> {
    return this.#tiles.keepUpper({ signal })
  }

  /**
   * Fetches the tiles that a go client whose own head has this size will ask of us, to see that its
   * tree is a prefix of ours. Throws SumdbUnavailableError when that head is newer than the database shows.
   */
  keepClientHead(size: number, { signal }: Waiting): Promise<void> {
    return this.#tiles.keepForClient(size, { signal })
  }

  /** Resolves when all that was begun behind the answers has ended. */
  async settled(): Promise<void> {
    while (this.#background.size > 0) await Promise.all(this.#background)
    await Promise.all([this.#writer.settled(), this.#refusals.settled()])
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

  /** Merges a head behind an answer that does not depend on it. */
  #reconcile(note: string): void {
    const merging = this.#heads.merge(note, { signal: this.#life.signal })
    // Tiles that cannot be had leave it for the next time; a fork stays with the head keeper, which stops.
    const work = merging.then(
      () => {},
      () => {},
    )
    this.#background.add(work)
    void work.then(() => this.#background.delete(work))
  }
}
