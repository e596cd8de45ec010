import type { Clock } from '@modmesh/fill'
import { speedLimits } from './limits.ts'

/** How fast one peer is with us: its bytes while bodies of it come, and its first bytes. */
export class PeerSpeed {
  readonly #clock: Pick<Clock, 'monotonicMs'>
  /** Bodies that have begun. */
  #bodies = 0
  #sinceMs = 0
  #bytes = 0
  #perMs: number | undefined
  #measuredMs = 0
  /** The last ones, milliseconds after the question. */
  #firstBytes: { readonly tookMs: number; readonly atMs: number }[] = []

  constructor(components: { readonly clock: Pick<Clock, 'monotonicMs'> }) {
    this.#clock = components.clock
  }

  /** A body begins. */
  begin(tookMs: number): void {
    const atMs = this.#clock.monotonicMs()
    this.#firstBytes = [...this.#firstBytes, { tookMs, atMs }].slice(-speedLimits.firstBytes)
    if (this.#bodies === 0) this.#restart()
    this.#bodies += 1
  }

  moved(bytes: number): void {
    this.#bytes += bytes
    if (this.#clock.monotonicMs() - this.#sinceMs >= speedLimits.sampleMs) this.#measure()
  }

  /** A body that had begun is over. */
  end(): void {
    this.#bodies -= 1
    if (this.#bodies === 0) this.#measure()
  }

  /** Of all its bodies together, lately; undefined when nothing large came for long. */
  get bytesPerMs(): number | undefined {
    const isFresh = this.#clock.monotonicMs() - this.#measuredMs < speedLimits.freshMs
    return isFresh ? this.#perMs : undefined
  }

  /** Nine of ten of its first bytes came within this time; undefined before there are enough. */
  get usualFirstByteMs(): number | undefined {
    const oldestMs = this.#clock.monotonicMs() - speedLimits.freshMs
    const fresh = this.#firstBytes.filter(({ atMs }) => atMs > oldestMs)
    if (fresh.length < speedLimits.enoughFirstBytes) return undefined
    const sorted = fresh.map(({ tookMs }) => tookMs).sort((a, b) => a - b)
    return sorted[Math.ceil(sorted.length * 0.9) - 1]
  }

  #measure(): void {
    const tookMs = this.#clock.monotonicMs() - this.#sinceMs
    // What comes at once may lie in buffers since long.
    if (this.#bytes >= speedLimits.sampleBytes && tookMs > 0) {
      const perMs = this.#bytes / tookMs
      const before = this.bytesPerMs ?? perMs
      this.#perMs = before + (perMs - before) * speedLimits.newShare
      this.#measuredMs = this.#clock.monotonicMs()
    }
    this.#restart()
  }

  #restart(): void {
    this.#sinceMs = this.#clock.monotonicMs()
    this.#bytes = 0
  }
}
