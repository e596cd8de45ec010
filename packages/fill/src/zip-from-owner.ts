import type { FillContext } from './fill-context.ts'
import { minComingBytes } from './limits.ts'
import { NobodyHasItError } from './nobody-has-it.ts'
import { withRecord } from './relay.ts'
import { Scope } from './scope.ts'
import {
  blameLiar,
  fetchFromPeer,
  type PeerTransfer,
  takeComing,
  takeFromPeer,
} from './zip-attempt.ts'
import { type Patience, Progress } from './zip-progress.ts'
import type { VerifiedZip } from './zip-transfer.ts'

/** The patience begins once the owner has it. */
type OwnerJob = PeerTransfer & Patience

/**
 * Waits until the owner holds a zip, fetches it from there and verifies; a large one is streamed while
 * the owner still receives it. Throws NobodyHasItError when nothing came of it, StoreFailure.
 */
export async function fetchFromOwner(
  ctx: FillContext,
  job: OwnerJob,
  { signal }: { readonly signal: AbortSignal },
): Promise<VerifiedZip> {
  const { module, peer } = job
  const coming = new Coming(ctx, job, signal)
  let verified: VerifiedZip | undefined
  try {
    const question = { what: 'zip', module } as const
    const use = async ({ holdsZip }: { readonly holdsZip: boolean }, bytes?: Uint8Array) => {
      if (!holdsZip && bytes === undefined) return undefined
      return (await coming.ended()) ?? (await takeWhole(ctx, { ...job, bytes }, signal))
    }
    const hear = (bytes: number) => coming.hear(bytes)
    // What came whole and is true is good, whatever became of the owner then.
    const answer = await withRecord(ctx, peer, question, signal, use, hear)
    verified = answer ?? (await coming.ended())
    if (verified === undefined) throw new NobodyHasItError()
    return { ...verified, source: { kind: 'peer', peer, via: 'owner' } }
  } finally {
    coming.leave(verified)
  }
}

async function takeWhole(
  ctx: FillContext,
  job: OwnerJob & { readonly bytes: Uint8Array | undefined },
  signal: AbortSignal,
): Promise<VerifiedZip> {
  const { module, peer, bytes } = job
  try {
    return bytes === undefined
      ? await fetchFromPeer(ctx, { ...job, cut: job.cuts?.take() }, { signal })
      : await takeFromPeer(ctx, { ...job, bytes }, { signal })
  } catch (error) {
    if (!signal.aborted) blameLiar(ctx, peer, module, error)
    throw error
  }
}

/** Streams what the owner is still receiving, once that is worth it. */
class Coming {
  readonly #ctx: FillContext
  readonly #job: OwnerJob
  readonly #scope: Scope
  #running: Promise<VerifiedZip | undefined> | undefined

  constructor(ctx: FillContext, job: OwnerJob, signal: AbortSignal) {
    this.#ctx = ctx
    this.#job = job
    this.#scope = new Scope(signal)
  }

  /** The owner has so many bytes of it. */
  hear(bytes: number): void {
    if (this.#running !== undefined || bytes < minComingBytes) return
    const { module, zipHash, peer, onProgress } = this.#job
    const progress = new Progress(this.#ctx.clock.monotonicMs())
    const job = { module, zipHash, peer, progress, onProgress }
    const taking = this.#scope.start((signal) => takeComing(this.#ctx, job, { signal }))
    // Whatever went wrong: then it is fetched when the owner has it.
    this.#running = taking.catch(() => undefined)
  }

  /** What came whole and verified; undefined when nothing did. */
  async ended(): Promise<VerifiedZip | undefined> {
    return await this.#running
  }

  /** Ends it, and removes what is not `taken`. */
  leave(taken: VerifiedZip | undefined): void {
    const left = this.#running?.then((verified) =>
      verified === taken ? undefined : verified?.staged.discard(),
    )
    if (left !== undefined) this.#ctx.background(left)
    this.#ctx.background(this.#scope.close())
  }
}
