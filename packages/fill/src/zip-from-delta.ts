import type { ModuleVersion, ZipHash } from '@modmesh/module'
import { pickForm } from './delta-rule.ts'
import { PeerError } from './errors.ts'
import type { FillContext } from './fill-context.ts'
import { maxDeltaTries } from './limits.ts'
import type { DeltaLink, DeltaTalk, PeerDeltas, PeerId } from './peers.ts'
import { StoreFailure } from './store-failure.ts'
import {
  type DeltaForm,
  DeltaRefusedError,
  type ToldManifest,
  type ZipDeltas,
  type ZipRebuild,
} from './zip-deltas.ts'
import { type Patience, patiently } from './zip-progress.ts'
import { type ArrivingZip, isWrong, type Transfer } from './zip-transfer.ts'

type Waiting = { readonly signal: AbortSignal }

/** A zip that a peer of another site is to tell. */
export interface DeltaJob extends Transfer, Patience {
  readonly module: ModuleVersion
  readonly zipHash: ZipHash
  readonly peer: PeerId
}

/**
 * Brings a zip from a peer of another site as far as it is not held (design, section 5, "Delta over the
 * WAN"), and verifies it. False where the whole zip is to be fetched: the peer cannot, it is near, or it
 * came to nothing without anybody's fault. What came of one that was cut is kept for the next. Throws
 * PeerError (`protocol` for what does not verify), StoreFailure, the signal's reason.
 */
export async function fetchChanges(
  ctx: FillContext,
  job: DeltaJob,
  zip: ArrivingZip,
  options: Waiting,
): Promise<boolean> {
  const { deltas: peers } = ctx.peers
  const { deltas: store } = ctx.store
  if (peers === undefined || store === undefined || job.cut !== undefined) return false
  const link = await peers.link(job.peer, options)
  if (link === undefined) return false
  zip.begin()
  const rebuild = await waitForRebuild(ctx, job, store, options)
  const changes = new Changes(ctx, { job, peers, rebuild, link, zip })
  let isFinished = false
  try {
    const isDone = await changes.run(options)
    isFinished = true
    return isDone
  } catch (error) {
    options.signal.throwIfAborted()
    if (error instanceof PeerError || error instanceof StoreFailure) throw error
    // Our own trouble: the whole zip needs none of what failed.
    isFinished = true
    await beginAnew(zip)
    return false
  } finally {
    await rebuild.release(isFinished)
  }
}

/** Another fetch of the same zip may be at it: this one shows that it is alive, and goes on where that one stops. */
async function waitForRebuild(
  ctx: FillContext,
  { module, zipHash, progress }: DeltaJob,
  store: ZipDeltas,
  options: Waiting,
): Promise<ZipRebuild> {
  progress.isWriting = true
  try {
    return await store.rebuild(module, zipHash, options)
  } finally {
    progress.isWriting = false
    progress.sign(0, ctx.clock.monotonicMs())
  }
}

/** Nobody is late who comes after us. */
async function beginAnew(zip: ArrivingZip): Promise<void> {
  await zip.reset()
  zip.begin()
}

/** How a peer gave a zip; `elsewhere`: not here. */
type Given = 'parts' | 'whole' | 'elsewhere'

interface ChangesInit {
  readonly job: DeltaJob
  readonly peers: PeerDeltas
  readonly rebuild: ZipRebuild
  readonly link: DeltaLink
  readonly zip: ArrivingZip
}

/** One zip told by one peer, in as many talks as it takes. */
class Changes {
  readonly #ctx: FillContext
  readonly #init: ChangesInit
  #receivedBytes = 0
  /** Sketches may make two lines look alike; against nothing a manifest is told always. */
  #mayBeTold: 'shortly' | 'whole' = 'shortly'
  #mayPatch = true
  #form: DeltaForm | undefined

  constructor(ctx: FillContext, init: ChangesInit) {
    this.#ctx = ctx
    this.#init = init
  }

  /** False where the whole zip is to be fetched. */
  async run({ signal }: Waiting): Promise<boolean> {
    const { job, zip, rebuild, peers } = this.#init
    const stalled = () => new PeerError(job.peer, 'stalled', { fault: 'unable' })
    const given = await patiently(this.#ctx, job, signal, stalled, (patient) =>
      this.#talks({ signal: patient }),
    )
    if (given === 'elsewhere') return false
    const isWhole = given === 'whole'
    if (!isWhole) await this.#ours(() => rebuild.writeTo(zip, { signal }))
    const isVerified = await this.#verify(isWhole)
    if (!isVerified) return false
    const saved = zip.size - this.#receivedBytes
    job.progress.changes = {
      form: isWhole ? 'whole' : (this.#form ?? 'none'),
      receivedBytes: this.#receivedBytes,
    }
    if (!isWhole) peers.saved(job.peer, saved)
    return true
  }

  /** Talks until all is there. */
  async #talks(options: Waiting): Promise<Given> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#talk(options)
      } catch (error) {
        if (!(error instanceof DeltaRefusedError)) throw error
        const isMended = tries < maxDeltaTries && this.#mend(error)
        if (!isMended) throw this.#lie(error)
      }
    }
  }

  /** Whether what was refused may go another way: an honest peer's may. */
  #mend({ why }: DeltaRefusedError): boolean {
    if (why === 'collision' && this.#mayBeTold === 'shortly') {
      this.#mayBeTold = 'whole'
      return true
    }
    if (why !== 'codec' || this.#form !== 'P' || !this.#mayPatch) return false
    this.#mayPatch = false
    return true
  }

  #lie(error: Error): PeerError {
    const { peer } = this.#init.job
    return new PeerError(peer, error.message, { cause: error, fault: 'protocol' })
  }

  async #talk(options: Waiting): Promise<Given> {
    const { job, peers, rebuild, zip } = this.#init
    const { zipHash, peer, progress } = job
    const { hasManifest } = rebuild
    const bases = await this.#ours(() => this.#bases(options))
    const onBytes = (bytes: number) => progress.sign(bytes, this.#ctx.clock.monotonicMs())
    const question = { zipHash, bases, hasManifest }
    const talk = await peers.talk(peer, question, { ...options, onBytes })
    try {
      const { answer } = talk
      if (answer.kind === 'elsewhere') return 'elsewhere'
      if (answer.kind === 'whole') {
        await talk.zip(zip, options)
        return 'whole'
      }
      const { told } = answer
      if (!hasManifest) await this.#ours(() => rebuild.takeManifest(told, options))
      await this.#files(talk, told, options)
      return 'parts'
    } finally {
      await talk[Symbol.asyncDispose]()
      this.#receivedBytes += talk.receivedBytes
    }
  }

  async #bases(options: Waiting): Promise<Parameters<PeerDeltas['talk']>[1]['bases']> {
    const { rebuild, peers, job } = this.#init
    const { bases, hasManifest } = rebuild
    const isShared = bases.some(({ zipHash }) => peers.holds(job.peer, zipHash))
    const isSketched = !isShared && !hasManifest && this.#mayBeTold === 'shortly'
    const [first] = bases
    const sketch = isSketched && first ? await rebuild.sketch(first, options) : undefined
    return bases.map(({ zipHash }, at) => (at === 0 ? { zipHash, sketch } : { zipHash }))
  }

  async #files(talk: DeltaTalk, told: ToldManifest, options: Waiting): Promise<void> {
    const { link, rebuild } = this.#init
    const isBaseShared = told.isBaseShared && told.base !== undefined && this.#mayPatch
    const form = pickForm({ ...told, ...link, isBaseShared })
    this.#form = form
    const { changed, added, all, allCount, changedCount, addedCount } = rebuild.missing()
    if (form !== 'P') {
      if (allCount > 0) await this.#take(talk, { form, base: undefined, files: all }, options)
      return
    }
    if (changedCount > 0) await this.#take(talk, { form, base: told.base, files: changed }, options)
    // They have no old file to be packed against, and pack best together.
    const asked = { form: 'S', base: undefined, files: added } as const
    if (addedCount > 0) await this.#take(talk, asked, options)
  }

  async #take(
    talk: DeltaTalk,
    asked: Parameters<DeltaTalk['files']>[0],
    options: Waiting,
  ): Promise<void> {
    const sink = this.#init.rebuild.receive(asked.form, asked.files, options)
    await talk.files(asked, sink, options)
    await this.#ours(() => sink.end())
  }

  /** What was put together of verified parts can be wrong through our own disk only; what came whole is the peer's. */
  async #verify(isWhole: boolean): Promise<boolean> {
    const { zip, job } = this.#init
    try {
      await zip.verify(job.zipHash)
      return true
    } catch (error) {
      if (!isWrong(error)) throw error
      if (isWhole) throw this.#lie(error)
      await beginAnew(zip)
      return false
    }
  }

  /** Time of ours, in which the peer is not expected to send anything. */
  async #ours<T>(work: () => Promise<T>): Promise<T> {
    const { progress } = this.#init.job
    progress.isWriting = true
    try {
      return await work()
    } finally {
      progress.isWriting = false
      progress.sign(0, this.#ctx.clock.monotonicMs())
    }
  }
}
