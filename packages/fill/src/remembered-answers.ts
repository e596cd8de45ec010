import type { ModuleNotFoundError } from './errors.ts'
import type { Source } from './fill-event.ts'
import { maxRememberedAnswers, maxRememberedBytes } from './limits.ts'

/** Something answered before. */
export type Remembered =
  | {
      readonly kind: 'found'
      readonly bytes: Uint8Array
      /** What a request is told that is answered with it. */
      readonly source: Source
      /** Whether the bytes are upstream's own, of whatever age. */
      readonly isUpstreams: boolean
    }
  | { readonly kind: 'not-found'; readonly error: ModuleNotFoundError }

interface Entry {
  readonly answer: Remembered
  readonly freshUntilMs: number
}

/** Mutable and negative answers with a life span, in memory: bounded in number and bytes, oldest out first. */
export class RememberedAnswers {
  readonly #entries = new Map<string, Entry>()
  readonly #limits: { readonly answers: number; readonly bytes: number }
  #bytes = 0

  constructor(limits: { readonly answers: number; readonly bytes: number } = defaultLimits) {
    this.#limits = limits
  }

  /** The answer under `key` while it is fresh. */
  fresh(key: string, nowMs: number): Remembered | undefined {
    const entry = this.#entries.get(key)
    return entry !== undefined && nowMs < entry.freshUntilMs ? entry.answer : undefined
  }

  /** Upstream's own answer under `key`, however old: for when it cannot be asked anew. */
  stale(key: string): Uint8Array | undefined {
    const answer = this.#entries.get(key)?.answer
    return answer?.kind === 'found' && answer.isUpstreams ? answer.bytes : undefined
  }

  /** Remembers an answer; a life of 0 keeps it only as stale. */
  remember(key: string, answer: Remembered, freshUntilMs: number): void {
    this.forget(key)
    this.#entries.set(key, { answer, freshUntilMs })
    this.#bytes += sizeOf(answer)
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#limits.answers && this.#bytes <= this.#limits.bytes) break
      this.forget(oldest)
    }
  }

  forget(key: string): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    this.#entries.delete(key)
    this.#bytes -= sizeOf(entry.answer)
  }
}

const defaultLimits = { answers: maxRememberedAnswers, bytes: maxRememberedBytes }

function sizeOf(answer: Remembered): number {
  return answer.kind === 'found' ? answer.bytes.length : 0
}
