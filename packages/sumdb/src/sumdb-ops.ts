/** Two signed heads that cannot be one log's. */
export interface ForkNotes {
  readonly ours: string
  readonly theirs: string
}

/** An answer of the database itself that did not verify, as somebody should see it who asks why. */
export interface RefusedAnswer {
  /** What was asked. */
  readonly path: string
  readonly reason: string
  /** The signed head that it does not agree with, when it got that far. */
  readonly head: string | undefined
  readonly bytes: Uint8Array
}

/** Every effect the client needs. Paths are those of the protocol and begin with `/lookup/`, `/tile/` or `/latest`. */
export interface SumdbOps {
  /**
   * Reads from the database, through a proxy, a peer or directly; the answer is not trusted.
   * Throws SumdbNotFoundError or SumdbUnavailableError, and ends in bounded time by itself: what is read
   * behind an answer has nobody who gives up. `databaseOnly` asks the database only, never a peer.
   */
  readRemote(
    path: string,
    options: { readonly signal: AbortSignal; readonly databaseOnly?: boolean },
  ): Promise<Uint8Array>
  /** The stored signed tree head, or undefined before the first. */
  readHead(): Promise<string | undefined>
  /** Replaces the head durably (file and folder fsynced before it resolves). Throws HeadConflictError when it is no longer `previous`. */
  writeHead(previous: string | undefined, next: string): Promise<void>
  /** Something verified and kept under a path of this client's own choice; undefined when absent or damaged. */
  readCache(path: string): Promise<Uint8Array | undefined>
  writeCache(path: string, bytes: Uint8Array): Promise<void>
  /** Forgets a cached thing that turned out not to verify any more (bit rot). */
  dropCache(path: string): Promise<void>
  /** Keeps both notes of a fork as evidence, durably. */
  keepForkEvidence(notes: ForkNotes): Promise<void>
  /**
   * The evidence of one fork that is kept, of whichever when there are several; undefined when there is none. What
   * is there and cannot be read any more is given as it is: it still tells of a fork.
   */
  readForkEvidence(): Promise<ForkNotes | undefined>
  /** Keeps a refused answer as evidence. How many are kept is bounded. */
  keepRefused(answer: RefusedAnswer): Promise<void>
}
