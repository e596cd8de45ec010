import { decodeText } from './bytes.ts'
import {
  HeadConflictError,
  type SumdbForkError,
  SumdbUnavailableError,
  SumdbUntrustedError,
} from './errors.ts'
import { Flights } from './flights.ts'
import { ForkStop } from './fork-stop.ts'
import { maxHeadConflicts, maxHeadsInMemory } from './limits.ts'
import type { VerifierKey } from './note.ts'
import { Recent } from './recent.ts'
import type { Refusals } from './refusals.ts'
import type { SumdbOps } from './sumdb-ops.ts'
import type { TileReader } from './tile-reader.ts'
import { equalHashes } from './tlog.ts'
import { openTreeHead, type SignedHead } from './tree-head.ts'
import { TreeView } from './tree-view.ts'

/** A signed tree that is ours: persisted, and consistent with every one before. */
export type OwnHead = TreeView

/** A signed head on its way to become ours. */
interface Candidate {
  readonly head: SignedHead
  readonly signal: AbortSignal
  readonly done: (own: OwnHead) => void
  readonly failed: (error: unknown) => void
}

/**
 * Keeps the one head: only forward, stored before it is used, and stopped for good by a fork.
 * Candidates are merged one by one, the largest first, so that the others need no fetch of their own.
 */
export class HeadKeeper {
  readonly #ops: SumdbOps
  readonly #reader: TileReader
  readonly #refusals: Refusals
  readonly #forks: ForkStop
  readonly #key: VerifierKey
  readonly #merges = new Flights<OwnHead>()
  readonly #refreshes = new Flights<OwnHead>()
  readonly #opened = new Recent<string, SignedHead>(maxHeadsInMemory)
  readonly #merged = new Recent<string, true>(maxHeadsInMemory)
  readonly #listeners = new Set<(note: string) => void>()
  readonly #waiting = new Set<Candidate>()
  #working = false
  #loading: Promise<void> | undefined
  #own: OwnHead | undefined
  /** What the store is known to hold: the `previous` of the next write. */
  #stored: string | undefined

  constructor(
    components: {
      readonly ops: SumdbOps
      readonly reader: TileReader
      readonly refusals: Refusals
    },
    init: { readonly key: VerifierKey },
  ) {
    this.#ops = components.ops
    this.#reader = components.reader
    this.#refusals = components.refusals
    this.#key = init.key
    this.#forks = new ForkStop(components, init.key)
  }

  /** The fork that ended new trust, if there was one and the store was read. */
  get fork(): SumdbForkError | undefined {
    return this.#forks.fork
  }

  /** Calls the listener once with the fork that ends new trust, at once when it is known. */
  onFork(listener: (fork: SumdbForkError) => void): () => void {
    return this.#forks.onFork(listener)
  }

  /** Throws the SumdbForkError after which nothing new is trusted, also when it was found by an earlier process. */
  async refuseAfterFork(): Promise<void> {
    await this.current()
    await this.#forks.refuseAndKeep()
  }

  /** Verifies a signed head, once for each distinct note. Throws SumdbUntrustedError. */
  open(note: string): SignedHead {
    const opened = this.#opened.get(note) ?? openTreeHead(note, this.#key)
    this.#opened.set(opened.note, opened)
    return opened
  }

  /** Our head, read from the store the first time; undefined before the first. */
  async current(): Promise<OwnHead | undefined> {
    this.#loading ??= this.#load()
    await this.#loading
    return this.#own
  }

  onHead(listener: (note: string) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /**
   * Makes a signed head ours when it is newer and ours is a prefix of it; checks that ours contains
   * it otherwise. Throws SumdbUntrustedError, SumdbForkError, SumdbUnavailableError.
   */
  async merge(note: string, { signal }: { readonly signal: AbortSignal }): Promise<OwnHead> {
    await this.refuseAfterFork()
    const head = this.open(note)
    const own = await this.current()
    if (own !== undefined && this.#merged.get(head.note)) return own
    return this.#merges.run(head.note, signal, (flight) => this.#enqueue(head, flight))
  }

  /** Merges the head that the database shows now. Throws as `merge` does, and SumdbNotFoundError. */
  async refresh({ signal }: { readonly signal: AbortSignal }): Promise<OwnHead> {
    await this.refuseAfterFork()
    return this.#refreshes.run('latest', signal, async (flight) => {
      const bytes = await this.#ops.readRemote('/latest', { signal: flight })
      return this.merge(this.#checkLatest(bytes), { signal: flight })
    })
  }

  /** Throws SumdbUntrustedError for a note that is not the database's, and keeps it as evidence. */
  #checkLatest(bytes: Uint8Array): string {
    try {
      return this.open(decodeText(bytes, 'latest')).note
    } catch (error) {
      if (error instanceof SumdbUntrustedError) {
        this.#refusals.keep({ path: '/latest', reason: error.message, head: undefined, bytes })
      }
      throw error
    }
  }

  async #load(): Promise<void> {
    try {
      const [note] = await Promise.all([this.#ops.readHead(), this.#forks.recall()])
      if (note !== undefined) this.#use(this.#viewOf(this.#openStored(note)))
      this.#stored = note
    } catch (error) {
      this.#loading = undefined
      throw error
    }
  }

  #enqueue(head: SignedHead, signal: AbortSignal): Promise<OwnHead> {
    // Only advancing must be alone; tiles for older heads may be read side by side.
    if (!this.#isNewer(head)) return this.#mergeOne({ head, signal })
    return new Promise((done, failed) => {
      this.#waiting.add({ head, signal, done, failed })
      void this.#work()
    })
  }

  async #work(): Promise<void> {
    if (this.#working) return
    this.#working = true
    for (let next = this.#takeLargest(); next !== undefined; next = this.#takeLargest()) {
      const merged = this.#mergeOne(next).then(next.done, next.failed)
      if (this.#isNewer(next.head)) await merged
    }
    this.#working = false
  }

  #takeLargest(): Candidate | undefined {
    let largest: Candidate | undefined
    for (const candidate of this.#waiting) {
      if (largest === undefined || candidate.head.size > largest.head.size) largest = candidate
    }
    if (largest !== undefined) this.#waiting.delete(largest)
    return largest
  }

  #isNewer(head: SignedHead): boolean {
    return this.#own === undefined || head.size > this.#own.head.size
  }

  async #mergeOne({ head, signal }: Omit<Candidate, 'done' | 'failed'>): Promise<OwnHead> {
    this.#forks.refuse()
    signal.throwIfAborted()
    for (let attempt = 0; attempt < maxHeadConflicts; attempt++) {
      const own = await this.#mergeWith(this.#own, head, signal)
      if (own !== undefined) {
        this.#merged.set(head.note, true)
        return own
      }
      await this.#takeStored(signal)
    }
    throw new SumdbUnavailableError('the stored tree head changes all the time')
  }

  /** Gives the head that is ours then, undefined when somebody else has changed the stored one. */
  async #mergeWith(
    own: OwnHead | undefined,
    theirs: SignedHead,
    signal: AbortSignal,
  ): Promise<OwnHead | undefined> {
    if (own !== undefined && theirs.size <= own.head.size) {
      await this.#checkContained(own, theirs, signal)
      return this.#own
    }
    const view = await this.#checkNewer(own, theirs, signal)
    this.#forks.refuse()
    return (await this.#store(theirs.note)) ? this.#use(view, 'tell') : undefined
  }

  async #checkContained(own: OwnHead, theirs: SignedHead, signal: AbortSignal): Promise<void> {
    const { size, root } = own.head
    const contained =
      theirs.size === size ? root : await own.prefixRoot(theirs.size, { signal, reach: 'remote' })
    if (!equalHashes(contained, theirs.root)) await this.#stop(own, theirs)
  }

  /** Proves that our tree is a prefix of a newer signed one, out of tiles of the newer. */
  async #checkNewer(
    own: OwnHead | undefined,
    theirs: SignedHead,
    signal: AbortSignal,
  ): Promise<TreeView> {
    const view = this.#viewOf(theirs)
    if (own !== undefined) {
      const { size, root } = own.head
      const prefix = await view.prefixRoot(size, { signal, reach: 'remote' })
      if (!equalHashes(prefix, root)) await this.#stop(own, theirs)
    }
    return view
  }

  async #store(note: string): Promise<boolean> {
    try {
      await this.#ops.writeHead(this.#stored, note)
      this.#stored = note
      return true
    } catch (error) {
      if (error instanceof HeadConflictError) return false
      throw error
    }
  }

  /** Goes on from the head that somebody else stored, if it is of the same log. */
  async #takeStored(signal: AbortSignal): Promise<void> {
    const note = await this.#ops.readHead()
    if (note !== undefined) {
      const theirs = this.#openStored(note)
      const own = this.#own
      if (own !== undefined && !this.#isNewer(theirs)) {
        await this.#checkContained(own, theirs, signal)
      } else this.#use(await this.#checkNewer(own, theirs, signal), 'tell')
    }
    this.#stored = note
  }

  #openStored(note: string): SignedHead {
    try {
      return this.open(note)
    } catch (cause) {
      throw new SumdbUntrustedError(`the stored tree head of ${this.#key.name} does not verify`, {
        cause,
      })
    }
  }

  #viewOf(head: SignedHead): TreeView {
    return new TreeView({ reader: this.#reader }, head)
  }

  #use(view: TreeView, tell?: 'tell'): OwnHead {
    view.trust()
    this.#own = view
    if (tell !== undefined) for (const listener of this.#listeners) listener(view.head.note)
    return view
  }

  async #stop(own: OwnHead, theirs: SignedHead): Promise<never> {
    return await this.#forks.stop({ ours: own.head.note, theirs: theirs.note })
  }
}
