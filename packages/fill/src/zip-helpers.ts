import type { ModuleVersion } from '@modmesh/module'
import { asError } from './errors.ts'
import type { FillContext } from './fill-context.ts'
import type { HolderList, KnownHolder } from './holder-list.ts'
import type { PeerId } from './peers.ts'
import { findLiars, MixedBytesError, type SentParts } from './sent-parts.ts'
import { SplitZip } from './split-zip.ts'
import { blameLiar } from './zip-attempt.ts'
import type { RunningAttempt, ZipBodies } from './zip-bodies.ts'
import { firstByteWindowMs, isBusy } from './zip-patience.ts'
import type { Patience } from './zip-progress.ts'
import type { HeldZip } from './zip-store.ts'

export interface ZipHelpersInit {
  readonly module: ModuleVersion
  readonly onChange: () => void
  /** Told how the part of one of several sources ended. */
  readonly tell: (
    attempt: RunningAttempt,
    outcome: 'gave' | 'failed' | 'unneeded',
    error?: Error,
  ) => void
}

/** Who helps with the bodies of one zip, and what is known when they brought wrong bytes together. */
export class ZipHelpers {
  readonly #ctx: FillContext
  readonly #holders: HolderList
  readonly #bodies: ZipBodies
  readonly #init: ZipHelpersInit
  readonly #helping = new Map<RunningAttempt, KnownHolder>()
  /** What several sent together that was wrong. */
  #sent: SentParts | undefined

  constructor(
    ctx: FillContext,
    components: { readonly holders: HolderList; readonly bodies: ZipBodies },
    init: ZipHelpersInit,
  ) {
    this.#ctx = ctx
    this.#holders = components.holders
    this.#bodies = components.bodies
    this.#init = init
  }

  /** Whether several may bring one zip: not once that went wrong. */
  get maySplit(): boolean {
    return this.#sent === undefined
  }

  /** Makes a body one that others can help with. */
  splitOf(
    attempt: RunningAttempt,
    holder: KnownHolder,
    patience: Omit<Patience, 'progress'>,
  ): SplitZip {
    const { peer, bytesPerMs, zipHash } = holder
    const main = { peer, bytesPerMs, ...patience, progress: attempt.progress }
    const split = new SplitZip(this.#ctx, {
      zipHash,
      main,
      onFailed: (failed, error) => this.#failed(attempt, failed, error),
      onNeed: () => this.add(attempt, split),
    })
    attempt.split = split
    return split
  }

  /** Lets the next holder bring a part; false when nobody is left to ask. */
  add(main: RunningAttempt, split: SplitZip): boolean {
    const holder = this.#holders.next()
    if (holder === undefined) return false
    const { peer, bytesPerMs } = holder
    const windowMs = firstByteWindowMs(holder, this.#ctx.budgets)
    const attempt = this.#bodies.begin({ kind: 'peer', peer }, windowMs, { helps: main })
    const { progress } = attempt
    this.#helping.set(attempt, holder)
    split.help({ peer, bytesPerMs, progress, patienceMs: windowMs + this.#ctx.budgets.stallMs })
    return true
  }

  /**
   * Joined bytes were wrong. Nobody may have any: the next sources bring all of it each. Once it is there
   * in these bytes, it shows who sent other ones.
   */
  suspect(main: KnownHolder, { sent }: MixedBytesError): void {
    const { module } = this.#init
    const sources = new Set(sent.parts.map(({ source }) => source))
    if (sent.isAsDeclared) {
      for (const peer of sources) this.#ctx.blame(peer, module, 'declared the bytes of another zip')
      return
    }
    this.#sent = sent
    for (const holder of [...this.#helping.values(), main]) {
      if (sources.delete(holder.peer)) this.#holders.again(holder)
    }
  }

  /** The true zip is there: whoever sent other bytes before is found. */
  compare(zip: HeldZip): void {
    if (this.#sent !== undefined) this.#ctx.background(this.#nameLiars(this.#sent, zip))
  }

  /** A body has ended, and with it those who helped. */
  end(main: RunningAttempt): void {
    for (const attempt of this.#bodies.helpersOf(main)) {
      this.#init.tell(attempt, attempt.progress.bytes > 0 ? 'gave' : 'unneeded')
      this.#bodies.end(attempt)
    }
  }

  async #nameLiars(sent: SentParts, zip: HeldZip): Promise<void> {
    for (const peer of await findLiars(sent, zip)) {
      this.#ctx.blame(peer, this.#init.module, 'sent other bytes than it declared')
    }
  }

  /** One of several sources failed; the others go on. */
  #failed(main: RunningAttempt, peer: PeerId, error: unknown): void {
    const all = [main, ...this.#bodies.helpersOf(main)]
    const attempt = all.find(({ asked }) => 'peer' in asked && asked.peer === peer)
    if (attempt === undefined) return
    const { module, tell, onChange } = this.#init
    tell(attempt, 'failed', asError(error))
    blameLiar(this.#ctx, peer, module, error)
    const holder = this.#helping.get(attempt)
    if (holder !== undefined && isBusy(error)) this.#holders.again(holder)
    onChange()
  }
}
