import { minStallBytes, silenceProbeMs, stallMs } from '../limits.ts'
import { FetchError } from './fetch-error.ts'

/** Whose turn it is, and for how long. */
export interface TurnInit {
  /** For messages. */
  readonly name: string
  /** The caller's: its reason is passed on as it is. */
  readonly signal: AbortSignal
  /** After so long the turn is over unless bytes are coming, ms. */
  readonly shareMs: number
  /** After so long it is over in any case, ms. */
  readonly leftMs: number
  /**
   * Whether it says anything at all to anybody; never rejects. One that does not loses its turn early. Absent where
   * nobody could be asked instead: then patience costs nothing.
   */
  readonly answers?: (() => Promise<boolean>) | undefined
}

/** How often it is looked whether bytes still come, for each share of time. */
const looksPerShare = 4

/**
 * The time in which one of a list is asked. One that says nothing leaves time for those behind it; one whose
 * body is coming in keeps its turn, because to begin anew elsewhere would take longer.
 */
export class Turn implements Disposable {
  /** Aborts with a FetchError when the turn is over, or with the caller's reason. */
  readonly signal: AbortSignal
  readonly #over = new AbortController()
  readonly #init: TurnInit
  readonly #startedMs = performance.now()
  #timer: NodeJS.Timeout
  readonly #probe: NodeJS.Timeout
  #bytes = 0
  #hasMoved = false
  #isDisposed = false

  constructor(init: TurnInit) {
    this.#init = init
    this.signal = AbortSignal.any([init.signal, this.#over.signal])
    this.#timer = setTimeout(() => this.#look(), Math.min(init.shareMs, init.leftMs))
    this.#probe = setTimeout(() => void this.#probeSilent(), silenceProbeMs)
  }

  /** The failure that ended the turn; undefined while it is not over. */
  get end(): FetchError | undefined {
    const { signal } = this.#over
    return signal.aborted ? (signal.reason as FetchError) : undefined
  }

  /** Tells of bytes of a body that came. */
  moved(bytes: number): void {
    this.#bytes += bytes
    this.#hasMoved = true
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true
    clearTimeout(this.#timer)
    clearTimeout(this.#probe)
  }

  /** A new version may take long, and such an upstream still answers others. Never rejects. */
  async #probeSilent(): Promise<void> {
    const { name, answers } = this.#init
    if (this.#hasMoved || answers === undefined || (await answers())) return
    if (this.#isDisposed || this.#hasMoved) return
    this.#over.abort(new FetchError('timeout', `${name}: does not answer anything`))
  }

  #look(): void {
    const { name, shareMs, leftMs } = this.#init
    const leftNowMs = leftMs - (performance.now() - this.#startedMs)
    const gapMs = Math.min(shareMs / looksPerShare, stallMs)
    // The pace below which a body counts as stalled.
    if (leftNowMs <= 1 || this.#bytes < (minStallBytes * gapMs) / stallMs) {
      const seconds = Math.min(shareMs, leftMs) / 1_000
      const text = `${name}: no answer within ${Number(seconds.toPrecision(2))} s`
      this.#over.abort(new FetchError('timeout', text))
      return
    }
    this.#bytes = 0
    this.#timer = setTimeout(() => this.#look(), Math.min(gapMs, leftNowMs))
  }
}
