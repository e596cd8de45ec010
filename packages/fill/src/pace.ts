import { paceStepMs } from './limits.ts'

/** How fast bytes come by now: over the last one to two steps, so that what slowed down shows soon. */
export class Pace {
  #before: Mark
  #last: Mark
  #bytes = 0

  constructor(nowMs: number) {
    this.#before = { ms: nowMs, bytes: 0 }
    this.#last = this.#before
  }

  /** Counts bytes. */
  add(bytes: number, nowMs: number): void {
    this.#look(nowMs)
    this.#bytes += bytes
  }

  /** Bytes per ms; undefined until there was time to see. */
  perMs(nowMs: number): number | undefined {
    this.#look(nowMs)
    const tookMs = nowMs - this.#before.ms
    return tookMs < paceStepMs ? undefined : (this.#bytes - this.#before.bytes) / tookMs
  }

  #look(nowMs: number): void {
    if (nowMs - this.#last.ms < paceStepMs) return
    this.#before = this.#last
    this.#last = { ms: nowMs, bytes: this.#bytes }
  }
}

interface Mark {
  readonly ms: number
  readonly bytes: number
}
