import { type ModuleVersion, type ZipHash, ZipRulesError } from '@modmesh/module'
import { HashMismatchError, PeerError, RemoteError, UpstreamRefusedError } from './errors.ts'
import type { FillContext } from './fill-context.ts'
import { type Source, sourceOf } from './fill-event.ts'
import { minProgressBytes } from './limits.ts'
import { NobodyHasItError } from './nobody-has-it.ts'
import type { PeerId } from './peers.ts'
import type { RemoteLevel } from './remote-level.ts'
import { abortable, handled, Scope } from './scope.ts'
import { StoreFailure } from './store-failure.ts'
import type { ByteSink, StagedZip } from './zip-store.ts'

/** How a body comes along; read by the race while it runs. */
export class Progress {
  /** Resolves when the body begins. */
  readonly began: Promise<void>
  readonly #begin = Promise.withResolvers<void>()
  hasFirstByte = false
  bytes = 0
  #marked = 0
  #markedMs: number
  isWriting = false
  /** How often it began anew. */
  restarts = 0

  constructor(nowMs: number) {
    this.#markedMs = nowMs
    this.began = this.#begin.promise
  }

  begin(nowMs: number): void {
    this.hasFirstByte = true
    this.mark(nowMs)
    this.#begin.resolve()
  }

  /** Counts bytes; only a step of minProgressBytes restarts the patience. */
  add(bytes: number, nowMs: number): void {
    this.bytes += bytes
    if (this.bytes - this.#marked >= minProgressBytes || this.#marked === 0) this.mark(nowMs)
  }

  mark(nowMs: number): void {
    this.#marked = this.bytes
    this.#markedMs = nowMs
  }

  idleMs(nowMs: number): number {
    return nowMs - this.#markedMs
  }

  restart(nowMs: number): void {
    this.restarts += 1
    this.hasFirstByte = false
    this.bytes = 0
    this.mark(nowMs)
  }
}

/** Where a transfer tells how it comes along. */
export interface Transfer {
  readonly progress: Progress
  /** Called when its first byte has come. */
  readonly onProgress: () => void
  /** Called with where the bytes go. */
  readonly onStaged?: (staged: StagedZip) => void
}

/** A verified zip that waits for its commit. */
export interface VerifiedZip {
  readonly staged: StagedZip
  readonly zipHash: ZipHash
  readonly source: Source
}

/** Fetches from one peer and verifies. Throws PeerError, HashMismatchError, ZipRulesError, StoreFailure. */
export async function fetchFromPeer(
  ctx: FillContext,
  job: {
    readonly module: ModuleVersion
    readonly zipHash: ZipHash
    readonly peer: PeerId
    /** How long the first byte may take before the attempt is given up. */
    readonly patienceMs: number
  } & Transfer,
  options: { readonly signal: AbortSignal },
): Promise<VerifiedZip> {
  const { module, zipHash, peer } = job
  return await withStaged(ctx, module, job, options.signal, async (staged, sink) => {
    const onFirstByte = () => firstByte(ctx, job)
    const stalled = () => new PeerError(peer, 'stalled', unable)
    await patiently(ctx, job, options.signal, stalled, (signal) =>
      ctx.peers.fetchZip(peer, zipHash, sink, { signal, onFirstByte }),
    )
    await verify(staged, zipHash, options)
    return { zipHash, source: { kind: 'peer', peer } }
  })
}

/** Takes the bytes that a peer sent along with an answer, and verifies. Throws as `fetchFromPeer` does. */
export async function takeFromPeer(
  ctx: FillContext,
  job: {
    readonly module: ModuleVersion
    readonly zipHash: ZipHash
    readonly peer: PeerId
    readonly bytes: Uint8Array
  } & Transfer,
  options: { readonly signal: AbortSignal },
): Promise<VerifiedZip> {
  const { module, zipHash, peer, bytes } = job
  return await withStaged(ctx, module, job, options.signal, async (staged, sink) => {
    await sink.write(bytes)
    await verify(staged, zipHash, options)
    return { zipHash, source: { kind: 'peer', peer } }
  })
}

/**
 * Takes from a peer what it is still receiving, and verifies. The origin of wrong bytes is not known:
 * nobody is to blame. Throws as `fetchFromPeer` does.
 */
export async function takeComing(
  ctx: FillContext,
  job: {
    readonly module: ModuleVersion
    readonly zipHash: ZipHash
    readonly peer: PeerId
  } & Transfer,
  options: { readonly signal: AbortSignal },
): Promise<VerifiedZip> {
  const { module, zipHash, peer } = job
  return await withStaged(ctx, module, job, options.signal, async (staged, sink) => {
    await abortable(ctx.peers.fetchComing(peer, module, sink, options), options.signal)
    await verify(staged, zipHash, options)
    return { zipHash, source: { kind: 'peer', peer, via: 'owner' } }
  })
}

/**
 * Fetches from the remote store and verifies against the hash that `expected` resolves to. Throws
 * NobodyHasItError, RemoteError, HashMismatchError, ZipRulesError, StoreFailure.
 */
export async function fetchFromRemote(
  ctx: FillContext,
  job: {
    readonly module: ModuleVersion
    readonly level: RemoteLevel
    readonly expected: Promise<ZipHash>
    /** How long the first byte may take before the attempt is given up. */
    readonly patienceMs: number
  } & Transfer,
  options: { readonly signal: AbortSignal },
): Promise<VerifiedZip> {
  const { module, level, progress } = job
  return await withStaged(ctx, module, job, options.signal, async (staged, sink) => {
    const onReset = async () => {
      progress.restart(ctx.clock.monotonicMs())
      await staged.reset()
    }
    const found = await patiently(ctx, job, options.signal, unableRemote, (signal) =>
      level.fetchZip(module, sink, { signal, onReset }),
    )
    if (!found) throw new NobodyHasItError()
    const expected = await abortable(job.expected, options.signal)
    try {
      await verify(staged, expected, options)
    } catch (error) {
      if (isWrong(error)) level.refuse(module, 'zip', error.message)
      throw error
    }
    level.accept(module, 'zip')
    return { zipHash: expected, source: { kind: 'remote', from: level.name } }
  })
}

/**
 * Fetches from upstream and verifies against the hash that `expected` resolves to; undefined accepts
 * upstream's word. Throws UpstreamRefusedError and what the port throws, StoreFailure.
 */
export async function fetchFromUpstream(
  ctx: FillContext,
  job: {
    readonly module: ModuleVersion
    readonly expected: Promise<ZipHash | undefined>
  } & Transfer,
  options: { readonly signal: AbortSignal },
): Promise<VerifiedZip> {
  const { module, progress } = job
  return await withStaged(ctx, module, job, options.signal, async (staged, sink) => {
    const onReset = async () => {
      progress.restart(ctx.clock.monotonicMs())
      await staged.reset()
    }
    const fetching = ctx.upstream.fetchZip(module, sink, { signal: options.signal, onReset })
    const given = await abortable(fetching, options.signal)
    const expected = await abortable(job.expected, options.signal)
    try {
      const zipHash = await verify(staged, expected, options)
      return { zipHash, source: sourceOf(given) }
    } catch (error) {
      throw refusal(ctx, module, { from: given.from, expected }, error)
    }
  })
}

const unable = { fault: 'unable' } as const

function unableRemote(): RemoteError {
  return new RemoteError('stalled', unable)
}

/** Waits for a body as long as it makes progress; else throws what `stalled` makes. */
async function patiently<T>(
  ctx: FillContext,
  job: { readonly patienceMs: number } & Transfer,
  outer: AbortSignal,
  stalled: () => Error,
  fetch: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const scope = new Scope(outer)
  try {
    const body = scope.start((signal) => abortable(fetch(signal), signal))
    const late = scope.start((signal) => watch(ctx, job.progress, job.patienceMs, signal, stalled))
    return await abortable(Promise.race([body, late]), outer)
  } finally {
    ctx.background(scope.close())
  }
}

/** Gives a source a staged zip of its own, and removes it unless the source delivers. */
async function withStaged(
  ctx: FillContext,
  module: ModuleVersion,
  job: Transfer,
  signal: AbortSignal,
  fetch: (staged: StagedZip, sink: ByteSink) => Promise<Omit<VerifiedZip, 'staged'>>,
): Promise<VerifiedZip> {
  const staged = await stage(ctx, module)
  job.onStaged?.(staged)
  const sink = new GuardedSink(ctx, staged, job, signal)
  try {
    signal.throwIfAborted()
    return { staged, ...(await fetch(staged, sink)) }
  } catch (error) {
    ctx.background(sink.idle().then(() => staged.discard()))
    throw sink.failure ?? error
  }
}

async function verify(
  staged: StagedZip,
  expected: ZipHash | undefined,
  options: { readonly signal: AbortSignal },
): Promise<ZipHash> {
  try {
    return await abortable(staged.verify(expected, options), options.signal)
  } catch (error) {
    throw options.signal.aborted || isWrong(error) ? error : new StoreFailure(error)
  }
}

/** Whether the bytes are at fault. */
export function isWrong(error: unknown): error is HashMismatchError | ZipRulesError {
  return error instanceof HashMismatchError || error instanceof ZipRulesError
}

async function stage(ctx: FillContext, module: ModuleVersion): Promise<StagedZip> {
  try {
    return await ctx.store.stageZip(module)
  } catch (error) {
    throw new StoreFailure(error)
  }
}

function firstByte(ctx: FillContext, job: Transfer): void {
  if (job.progress.hasFirstByte) return
  job.progress.begin(ctx.clock.monotonicMs())
  job.onProgress()
}

/** Takes a source's bytes as long as it is wanted; tells our own disk's failures from the source's. */
class GuardedSink implements ByteSink {
  /** What our side of the transfer failed with; counts before whatever the source says then. */
  failure: Error | undefined
  readonly #ctx: FillContext
  readonly #staged: StagedZip
  readonly #job: Transfer
  readonly #signal: AbortSignal
  #writing: Promise<void> = Promise.resolve()

  constructor(ctx: FillContext, staged: StagedZip, job: Transfer, signal: AbortSignal) {
    this.#ctx = ctx
    this.#staged = staged
    this.#job = job
    this.#signal = signal
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#signal.throwIfAborted()
    const { progress } = this.#job
    firstByte(this.#ctx, this.#job)
    progress.isWriting = true
    try {
      this.#writing = handled(this.#staged.write(chunk))
      await this.#writing
    } catch (error) {
      this.failure ??= error instanceof ZipRulesError ? error : new StoreFailure(error)
      throw this.failure
    } finally {
      progress.isWriting = false
      progress.add(chunk.length, this.#ctx.clock.monotonicMs())
    }
  }

  /** Resolves when no write is under way. */
  async idle(): Promise<void> {
    await this.#writing.catch(() => {
      // The write's own caller was told.
    })
  }
}

/** Throws when the body makes no progress for too long; the time our own disk takes does not count. */
async function watch(
  ctx: FillContext,
  progress: Progress,
  firstByteMs: number,
  signal: AbortSignal,
  stalled: () => Error,
): Promise<never> {
  const first = new Scope(signal)
  const late = first.start((ended) => ctx.clock.sleep(firstByteMs, { signal: ended }))
  try {
    await Promise.race([progress.began, late])
  } finally {
    ctx.background(first.close())
  }
  while (progress.hasFirstByte) {
    if (progress.isWriting) progress.mark(ctx.clock.monotonicMs())
    const leftMs = ctx.budgets.stallMs - progress.idleMs(ctx.clock.monotonicMs())
    if (leftMs <= 0) break
    await ctx.clock.sleep(leftMs, { signal })
  }
  throw stalled()
}

function refusal(
  ctx: FillContext,
  module: ModuleVersion,
  due: { readonly from: string; readonly expected: ZipHash | undefined },
  error: unknown,
): unknown {
  if (!isWrong(error)) return error
  const actual = error instanceof HashMismatchError ? error.actual : error.message
  const expected = due.expected ?? 'a module zip'
  const refused = new UpstreamRefusedError(
    module,
    { expected, actual, from: due.from },
    { cause: error },
  )
  ctx.emit({ kind: 'upstream-refused', module, reason: refused.message })
  return refused
}
