import { type ModuleVersion, type ZipHash, ZipRulesError } from '@modmesh/module'
import type { CutZip, CutZips } from './cut-zips.ts'
import { HashMismatchError, PeerError } from './errors.ts'
import type { FillContext } from './fill-context.ts'
import type { Source } from './fill-event.ts'
import type { ResumePoint, ZipBytes, ZipResume } from './peers.ts'
import { abortable, handled, noLongerNeeded } from './scope.ts'
import { StoreFailure } from './store-failure.ts'
import type { Progress } from './zip-progress.ts'
import type { ByteSink, StagedZip } from './zip-store.ts'

/** A zip that comes, and where it is told how it comes along. */
export interface Transfer {
  readonly module: ModuleVersion
  readonly progress: Progress
  /** Called when its first byte has come. */
  readonly onProgress: () => void
  /** Called with where the bytes go. */
  readonly onStaged?: (staged: StagedZip) => void
  /** Called when its body begins: what the source declares, and how many bytes of it are there. */
  readonly onBody?: (whole: ZipBytes, base: number) => void
  /** What it goes on from, where there is something. */
  readonly cut?: CutZip | undefined
  /** Where it is left when it is cut itself. */
  readonly cuts?: CutZips
}

/** A verified zip that waits for its commit. */
export interface VerifiedZip {
  readonly staged: StagedZip
  readonly zipHash: ZipHash
  readonly source: Source
}

/**
 * Gives a source a staged zip of its own, or that of one that was cut, and removes it unless the source
 * delivers, or is cut where another one can go on. Throws StoreFailure.
 */
export async function receiveZip(
  ctx: FillContext,
  transfer: Transfer,
  signal: AbortSignal,
  receive: (zip: ArrivingZip) => Promise<Omit<VerifiedZip, 'staged'>>,
): Promise<VerifiedZip> {
  const staged = transfer.cut?.staged ?? (await stage(ctx, transfer.module))
  transfer.progress.goOn(transfer.cut?.point.size ?? 0)
  transfer.onStaged?.(staged)
  const zip = new ArrivingZip(ctx, staged, transfer, signal)
  try {
    signal.throwIfAborted()
    return { staged, ...(await receive(zip)) }
  } catch (error) {
    const reason = zip.failure ?? error
    const point = await zip.leave(reason)
    if (point !== undefined && !signal.aborted) transfer.cuts?.keep({ staged, point })
    else ctx.background(zip.idle().then(() => staged.discard()))
    throw reason
  }
}

/** Whether the bytes are at fault. */
export function isWrong(error: unknown): error is HashMismatchError | ZipRulesError {
  return error instanceof HashMismatchError || error instanceof ZipRulesError
}

/** Takes a source's bytes as long as it is wanted; tells our own disk's failures from the source's. */
export class ArrivingZip implements ByteSink {
  /** What our side of the transfer failed with; counts before whatever the source says then. */
  failure: Error | undefined
  readonly #ctx: FillContext
  readonly #staged: StagedZip
  readonly #transfer: Transfer
  readonly #signal: AbortSignal
  readonly #writing = new Set<Promise<void>>()
  #isLeft = false
  /** What it joins, until that is thrown away. */
  #from: ResumePoint | undefined
  /** How far it has come. */
  #point: (() => ResumePoint) | undefined

  constructor(ctx: FillContext, staged: StagedZip, transfer: Transfer, signal: AbortSignal) {
    this.#ctx = ctx
    this.#staged = staged
    this.#transfer = transfer
    this.#signal = signal
    this.#from = transfer.cut?.point
  }

  /** How it goes on where another one was cut, and is left so that another one can. */
  get resume(): ZipResume {
    return {
      from: this.#from,
      onBody: (point, whole) => {
        this.#point = point
        this.#transfer.onBody?.(whole, this.#from?.size ?? 0)
      },
      onReset: async (why) => {
        if (this.#isLeft) throw noLongerNeeded
        if (why === 'mismatch') this.#transfer.cuts?.end()
        this.#from = undefined
        this.#point = undefined
        const emptied = this.reset()
        this.begin()
        await emptied
      },
    }
  }

  /** Bytes that are there. */
  get size(): number {
    return this.#staged.size
  }

  /** The source has begun, whether or not it has sent a byte. */
  readonly begin = (): void => {
    const { progress, onProgress } = this.#transfer
    if (progress.hasFirstByte) return
    progress.begin(this.#ctx.clock.monotonicMs())
    onProgress()
  }

  async write(chunk: Uint8Array): Promise<void> {
    await this.#put(chunk, this.#transfer.progress, () => this.#staged.write(chunk))
  }

  /** Takes bytes of one of several sources at their place; all before `front` is there then. */
  async place(
    chunk: Uint8Array,
    at: number,
    { progress, front }: { readonly progress: Progress; readonly front: number },
  ): Promise<void> {
    const staged = this.#staged
    await this.#put(chunk, progress, async () => {
      await (at === staged.size ? staged.write(chunk) : staged.writeAhead(chunk, at))
      if (front > staged.size) await staged.join(front)
    })
    this.#transfer.progress.reach(front)
  }

  /** What is there of the whole, as `size` bytes with this digest. */
  async digest(): Promise<ZipBytes> {
    return { zipDigest: await this.#staged.digest(), size: this.#staged.size }
  }

  /** Reads what came, for those who have to know what it is. */
  async read(start: number, end: number): Promise<Uint8Array> {
    return await this.#staged.readSoFar({ start, end })
  }

  async #put(chunk: Uint8Array, progress: Progress, put: () => Promise<void>): Promise<void> {
    this.#signal.throwIfAborted()
    // Whoever ignores its signal writes into what another one goes on with.
    if (this.#isLeft) throw noLongerNeeded
    this.begin()
    progress.isWriting = true
    const writing = handled(put())
    this.#writing.add(writing)
    try {
      await writing
    } catch (error) {
      this.failure ??= error instanceof ZipRulesError ? error : new StoreFailure(error)
      throw this.failure
    } finally {
      this.#writing.delete(writing)
      progress.isWriting = false
      progress.add(chunk.length, this.#ctx.clock.monotonicMs())
    }
  }

  /** Forgets what came: the source begins anew. */
  readonly reset = async (): Promise<void> => {
    this.#transfer.progress.restart(this.#ctx.clock.monotonicMs())
    await this.#staged.reset()
  }

  /** Returns the h1 of what came. Throws HashMismatchError, ZipRulesError, StoreFailure. */
  async verify(expected: ZipHash | undefined): Promise<ZipHash> {
    const signal = this.#signal
    try {
      return await abortable(this.#staged.verify(expected, { signal }), signal)
    } catch (error) {
      throw signal.aborted || isWrong(error) ? error : new StoreFailure(error)
    }
  }

  /**
   * Takes nothing more. Gives the point that another one can go on from: where the peer was cut; where it
   * began, if it broke the protocol before it sent a byte. Undefined when there is none.
   */
  async leave(reason: unknown): Promise<ResumePoint | undefined> {
    this.#isLeft = true
    if (this.#transfer.cuts === undefined || !(reason instanceof PeerError)) return undefined
    try {
      await abortable(this.idle(), this.#signal)
    } catch {
      return undefined // aborted: nobody goes on
    }
    const point = reason.fault === 'protocol' ? this.#from : (this.#point?.() ?? this.#from)
    const { size } = this.#staged
    return size > 0 && point?.size === size ? point : undefined
  }

  /** Resolves when no write is under way. */
  async idle(): Promise<void> {
    // A write's own caller was told what became of it.
    await Promise.allSettled(this.#writing)
  }
}

async function stage(ctx: FillContext, module: ModuleVersion): Promise<StagedZip> {
  try {
    return await ctx.store.stageZip(module)
  } catch (error) {
    throw new StoreFailure(error)
  }
}
