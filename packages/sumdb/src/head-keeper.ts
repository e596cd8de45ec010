import { HeadConflictError, SumdbForkError, SumdbUnavailableError } from './errors.ts'
import { Flights } from './flights.ts'
import { maxHeadConflicts, maxHeadsInMemory } from './limits.ts'
import type { VerifierKey } from './note.ts'
import { Recent } from './recent.ts'
import type { SumdbOps } from './sumdb-ops.ts'
import type { TileReader } from './tile-reader.ts'
import { equalHashes } from './tlog.ts'
import { openTreeHead, type TreeHead } from './tree-head.ts'
import { TreeView } from './tree-view.ts'

/** A signed tree that is ours: persisted, and consistent with every one before. */
export interface OwnHead {
  readonly note: string
  readonly view: TreeView
}

/** A signed head on its way to be merged. */
interface Candidate {
  readonly note: string
  readonly head: TreeHead
  readonly signal: AbortSignal
  readonly done: () => void
  readonly failed: (error: unknown) => void
}

/**
 * Keeps the one head: only forward, stored before it is used, and stopped for good by a fork.
 * Candidates are merged one by one, the largest first, so that the others need no fetch of their own.
 */
export class HeadKeeper {
  readonly #ops: SumdbOps
  readonly #reader: TileReader
  readonly #key: VerifierKey
  readonly #merges = new Flights<void>()
  readonly #opened = new Recent<string, TreeHead>(maxHeadsInMemory)
  readonly #merged = new Recent<string, true>(maxHeadsInMemory)
  readonly #listeners = new Set<(note: string) => void>()
  readonly #waiting = new Set<Candidate>()
  #working = false
  #loading: Promise<void> | undefined
  #own: OwnHead | undefined
  /** What the store is known to hold: the `previous` of the next write. */
  #stored: string | undefined
  #fork: SumdbForkError | undefined

  constructor(
    components: { readonly ops: SumdbOps; readonly reader: TileReader },
    init: { readonly key: VerifierKey },
  ) {
    this.#ops = components.ops
    this.#reader = components.reader
    this.#key = init.key
  }

  /** The fork that ended new trust, if there was one. */
  get fork(): SumdbForkError | undefined {
    return this.#fork
  }

  /** Throws the SumdbForkError after which nothing new is trusted. */
  refuseAfterFork(): void {
    if (this.#fork !== undefined) throw this.#fork
  }

  /** Verifies a signed head, once for each distinct note. Throws SumdbUntrustedError. */
  open(note: string): TreeHead {
    const opened = this.#opened.get(note) ?? openTreeHead(note, this.#key)
    this.#opened.set(note, opened)
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
  async merge(note: string, { signal }: { readonly signal: AbortSignal }): Promise<void> {
    this.refuseAfterFork()
    const head = this.open(note)
    if (this.#merged.get(note)) return
    await this.current()
    await this.#merges.run(note, signal, (flight) => this.#enqueue(note, head, flight))
  }

  async #load(): Promise<void> {
    try {
      const note = await this.#ops.readHead()
      if (note !== undefined) this.#use(note, this.#viewOf(this.open(note)))
      this.#stored = note
    } catch (error) {
      this.#loading = undefined
      throw error
    }
  }

  #enqueue(note: string, head: TreeHead, signal: AbortSignal): Promise<void> {
    return new Promise((done, failed) => {
      this.#waiting.add({ note, head, signal, done, failed })
      void this.#work()
    })
  }

  async #work(): Promise<void> {
    if (this.#working) return
    this.#working = true
    for (let next = this.#takeLargest(); next !== undefined; next = this.#takeLargest()) {
      const merged = this.#mergeOne(next).then(next.done, next.failed)
      // Only advancing must be alone; tiles for older heads may be read side by side.
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

  #isNewer(head: TreeHead): boolean {
    return this.#own === undefined || head.size > this.#own.view.head.size
  }

  async #mergeOne({ note, head, signal }: Candidate): Promise<void> {
    this.refuseAfterFork()
    signal.throwIfAborted()
    if (this.#own !== undefined && !this.#isNewer(head)) {
      await this.#checkContained(this.#own, { note, head }, signal)
    } else {
      await this.#advance(note, head, signal)
    }
    this.#merged.set(note, true)
  }

  async #checkContained(
    own: OwnHead,
    theirs: { readonly note: string; readonly head: TreeHead },
    signal: AbortSignal,
  ): Promise<void> {
    const { size, root } = own.view.head
    const contained =
      theirs.head.size === size
        ? root
        : await own.view.prefixRoot(theirs.head.size, { signal, reach: 'remote' })
    if (!equalHashes(contained, theirs.head.root)) await this.#stop(own.note, theirs.note)
  }

  async #advance(note: string, head: TreeHead, signal: AbortSignal): Promise<void> {
    for (let attempt = 0; attempt < maxHeadConflicts; attempt++) {
      if (this.#own !== undefined && !this.#isNewer(head)) {
        return this.#checkContained(this.#own, { note, head }, signal)
      }
      const view = await this.#checkNewer(note, head, signal)
      if (await this.#store(note)) return this.#use(note, view, 'tell')
      await this.#takeStored(signal)
    }
    throw new SumdbUnavailableError('the stored tree head changes all the time')
  }

  /** Proves that our tree is a prefix of a newer signed one, out of tiles of the newer. */
  async #checkNewer(note: string, head: TreeHead, signal: AbortSignal): Promise<TreeView> {
    const view = this.#viewOf(head)
    if (this.#own !== undefined) {
      const { size, root } = this.#own.view.head
      const prefix = await view.prefixRoot(size, { signal, reach: 'remote' })
      if (!equalHashes(prefix, root)) await this.#stop(this.#own.note, note)
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
      const head = this.open(note)
      if (this.#isNewer(head)) this.#use(note, await this.#checkNewer(note, head, signal), 'tell')
      else if (this.#own !== undefined) {
        await this.#checkContained(this.#own, { note, head }, signal)
      }
    }
    this.#stored = note
  }

  #viewOf(head: TreeHead): TreeView {
    return new TreeView({ reader: this.#reader }, head)
  }

  #use(note: string, view: TreeView, tell?: 'tell'): void {
    view.trust()
    this.#own = { note, view }
    if (tell !== undefined) for (const listener of this.#listeners) listener(note)
  }

  /** Both notes carry the database's signature, so this is proof of a fork by itself. */
  async #stop(ours: string, theirs: string): Promise<never> {
    const message = `${this.#key.name} signed two trees that cannot be one log's`
    const fork = new SumdbForkError(message, { ours, theirs })
    this.#fork = fork
    // The stop must not depend on a disk: the error carries the same two notes.
    await this.#ops.keepForkEvidence({ ours, theirs }).catch(() => {})
    throw fork
  }
}
