import type { FillContext } from './fill-context.ts'
import type { ResumePoint } from './peers.ts'
import type { StagedZip } from './zip-store.ts'

/** What came of a zip whose holder was cut. */
export interface CutZip {
  readonly staged: StagedZip
  readonly point: ResumePoint
}

/** Keeps what came of a zip until the next holder goes on with it: of several, the one that came furthest. */
export class CutZips {
  readonly #ctx: FillContext
  #kept: CutZip | undefined
  #isOver = false

  constructor(ctx: FillContext) {
    this.#ctx = ctx
  }

  /** Takes care of what was cut. */
  keep(cut: CutZip): void {
    if (this.#isOver) return this.#discard(cut)
    const isFurther = cut.point.size > (this.#kept?.point.size ?? 0)
    this.#discard(isFurther ? this.#kept : cut)
    if (isFurther) this.#kept = cut
  }

  /** Gives it away; whoever gets it keeps it again or discards it. */
  take(): CutZip | undefined {
    const cut = this.#kept
    this.#kept = undefined
    return cut
  }

  /** Keeps nothing any more: the zip is there, or somebody lied about its bytes. */
  end(): void {
    this.#isOver = true
    this.#discard(this.take())
  }

  #discard(cut: CutZip | undefined): void {
    if (cut !== undefined) this.#ctx.background(cut.staged.discard())
  }
}
