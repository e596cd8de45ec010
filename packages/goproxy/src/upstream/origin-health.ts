import { probeWaitMs, refusedProbeGapMs, silentProbeGapMs } from '../limits.ts'
import { FetchError } from './fetch-error.ts'

interface DeadOrigin {
  readonly reason: string
  readonly gapMs: number
  lastProbeMs: number
  probe: Promise<boolean> | undefined
}

/**
 * Remembers which origins did not answer, so that no request waits for a network that is known to be gone. A
 * later request starts a probe and waits for it as long as an origin that is back needs to answer.
 */
export class OriginHealth {
  readonly #dead = new Map<string, DeadOrigin>()
  readonly #answeredMs = new Map<string, number>()
  readonly #probe: (origin: string) => Promise<boolean>

  /** `probe` says whether an origin answers anything at all; it has its own time limit and never rejects. */
  constructor(probe: (origin: string) => Promise<boolean>) {
    this.#probe = probe
  }

  /** Passes for a living origin; else throws FetchError within probeWaitMs. */
  async admit(origin: string): Promise<void> {
    const dead = this.#dead.get(origin)
    if (dead === undefined) return
    if (dead.probe === undefined && performance.now() - dead.lastProbeMs >= dead.gapMs) {
      dead.probe = this.#runProbe(origin, dead)
    }
    if (dead.probe !== undefined && (await within(dead.probe, probeWaitMs))) return
    throw new FetchError('unreachable', `${origin}: ${dead.reason} a moment ago`)
  }

  /** An answer of any status. */
  sawAnswer(origin: string): void {
    this.#dead.delete(origin)
    this.#answeredMs.set(origin, performance.now())
  }

  /** A request begun at `startedMs` that nobody answered. One slow answer among good ones kills nothing. */
  sawFailure(origin: string, startedMs: number, failure: FetchError): void {
    const dies = failure.failure === 'unreachable' || failure.failure === 'timeout'
    if (!dies || this.#dead.has(origin)) return
    if ((this.#answeredMs.get(origin) ?? 0) > startedMs) return
    const silent = failure.failure === 'timeout'
    this.#dead.set(origin, {
      reason: silent ? 'did not answer' : 'could not be reached',
      gapMs: silent ? silentProbeGapMs : refusedProbeGapMs,
      lastProbeMs: performance.now(),
      probe: undefined,
    })
  }

  async #runProbe(origin: string, dead: DeadOrigin): Promise<boolean> {
    const alive = await this.#probe(origin)
    if (alive) this.sawAnswer(origin)
    dead.lastProbeMs = performance.now()
    dead.probe = undefined
    return alive
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
