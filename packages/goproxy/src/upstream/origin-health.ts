import {
  backgroundProbeMs,
  forgottenProbeMs,
  probeWaitMs,
  refusedProbeGapMs,
  silentProbeGapMs,
} from '../limits.ts'
import { FetchError } from './fetch-error.ts'

interface DeadOrigin {
  readonly reason: string
  readonly sinceMs: number
  readonly gapMs: number
  lastProbeMs: number
  askedMs: number
  probe: Promise<boolean> | undefined
  timer: NodeJS.Timeout | undefined
}

/** An origin that is not asked for the time being. */
export interface OriginTrouble {
  readonly origin: string
  readonly reason: string
  /** How long already, ms. */
  readonly forMs: number
}

/**
 * A circuit breaker for each origin, so that no request waits for a network that is known to be gone. While it is
 * open one probe at a time looks whether the origin is back, on a timer and when a request comes.
 */
export class OriginHealth implements Disposable {
  readonly #dead = new Map<string, DeadOrigin>()
  readonly #answeredMs = new Map<string, number>()
  readonly #probe: (origin: string) => Promise<boolean>
  readonly #probes = new Map<string, Promise<boolean>>()

  /** `probe` says whether an origin answers anything at all; it has its own time limit and never rejects. */
  constructor(probe: (origin: string) => Promise<boolean>) {
    this.#probe = probe
  }

  /** Passes for a living origin; else throws FetchError within probeWaitMs. */
  async admit(origin: string): Promise<void> {
    const dead = this.#dead.get(origin)
    if (dead === undefined) return
    dead.askedMs = performance.now()
    this.#watch(origin, dead)
    if (dead.probe === undefined && performance.now() - dead.lastProbeMs >= dead.gapMs) {
      this.#startProbe(origin, dead)
    }
    if (dead.probe !== undefined && (await within(dead.probe, probeWaitMs))) return
    throw new FetchError('unreachable', `${origin}: ${dead.reason} a moment ago`)
  }

  /** Whether an origin says anything at all. Those who ask at the same time share one probe. Never rejects. */
  answers(origin: string): Promise<boolean> {
    const running = this.#probes.get(origin)
    if (running !== undefined) return running
    const probe = this.#probe(origin).then((isAlive) => {
      this.#probes.delete(origin)
      if (isAlive) this.sawAnswer(origin)
      return isAlive
    })
    this.#probes.set(origin, probe)
    return probe
  }

  /** The origins that are not asked now. */
  troubles(): readonly OriginTrouble[] {
    const now = performance.now()
    return Array.from(this.#dead, ([origin, { reason, sinceMs }]) => ({
      origin,
      reason,
      forMs: now - sinceMs,
    }))
  }

  /** An answer of any status. */
  sawAnswer(origin: string): void {
    const dead = this.#dead.get(origin)
    if (dead !== undefined) clearInterval(dead.timer)
    this.#dead.delete(origin)
    this.#answeredMs.set(origin, performance.now())
  }

  /** A request begun at `startedMs` that nobody answered. One slow answer among good ones kills nothing. */
  sawFailure(origin: string, startedMs: number, failure: FetchError): void {
    const dies = failure.failure === 'unreachable' || failure.failure === 'timeout'
    if (!dies || this.#dead.has(origin)) return
    if ((this.#answeredMs.get(origin) ?? 0) > startedMs) return
    const silent = failure.failure === 'timeout'
    const now = performance.now()
    const dead: DeadOrigin = {
      reason: silent ? 'did not answer' : 'could not be reached',
      sinceMs: now,
      gapMs: silent ? silentProbeGapMs : refusedProbeGapMs,
      lastProbeMs: now,
      askedMs: now,
      probe: undefined,
      timer: undefined,
    }
    this.#dead.set(origin, dead)
    this.#watch(origin, dead)
  }

  [Symbol.dispose](): void {
    for (const { timer } of this.#dead.values()) clearInterval(timer)
    this.#dead.clear()
  }

  /** Probes on a timer for as long as somebody still asks: the request after the recovery finds it known. */
  #watch(origin: string, dead: DeadOrigin): void {
    if (dead.timer !== undefined || this.#dead.get(origin) !== dead) return
    dead.timer = setInterval(() => {
      if (performance.now() - dead.askedMs > forgottenProbeMs) {
        clearInterval(dead.timer)
        dead.timer = undefined
      } else if (dead.probe === undefined) {
        this.#startProbe(origin, dead)
      }
    }, backgroundProbeMs)
    dead.timer.unref()
  }

  #startProbe(origin: string, dead: DeadOrigin): void {
    dead.probe = this.answers(origin).then((alive) => {
      dead.lastProbeMs = performance.now()
      dead.probe = undefined
      return alive
    })
  }
}

async function within(promise: Promise<boolean>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), ms)
  })
  const result = await Promise.race([promise, late])
  clearTimeout(timer)
  return result
}
