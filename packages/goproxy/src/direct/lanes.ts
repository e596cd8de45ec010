import { maxHostRuns, maxRuns, maxSlowRuns, slowRunMs } from './limits.ts'

interface Waiting {
  readonly host: string
  readonly go: () => void
}

/** Something that runs. */
interface Running {
  readonly host: string
  isSlow: boolean
}

interface LanesInit {
  readonly max?: number
  readonly maxPerHost?: number
  readonly slowMs?: number
  readonly maxSlow?: number
}

/**
 * Bounds how much runs at once, in all and for one host; whoever waits goes in order where its host has room. What
 * turns out to be slow is set aside, up to a number: thirty clones that hang must not hold up a thirty-first.
 */
export class Lanes {
  readonly #max: number
  readonly #maxPerHost: number
  readonly #slowMs: number
  readonly #maxSlow: number
  readonly #running = new Map<string, number>()
  #waiting: Waiting[] = []
  #total = 0
  #slow = 0
  #closed = false

  constructor(init: LanesInit = {}) {
    this.#max = init.max ?? maxRuns
    this.#maxPerHost = init.maxPerHost ?? maxHostRuns
    this.#slowMs = init.slowMs ?? slowRunMs
    this.#maxSlow = init.maxSlow ?? maxSlowRuns
  }

  /** Runs work when there is room. Throws what the work throws, or the signal's reason while it waits. */
  async run<T>(
    host: string,
    work: () => Promise<T>,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<T> {
    await this.#enter(host, signal)
    const running: Running = { host, isSlow: false }
    // Again and again: there may be no room for one more slow one yet.
    const timer = setInterval(() => this.#setAside(running), this.#slowMs)
    try {
      return await work()
    } finally {
      clearInterval(timer)
      if (running.isSlow) this.#slow--
      else this.#leave(host)
    }
  }

  /** Runs work while nothing else does, if nothing does now; whatever comes in between waits. */
  async whileIdle(work: () => Promise<void>): Promise<void> {
    if (this.#total + this.#slow > 0 || this.#closed) return
    this.#closed = true
    try {
      await work()
    } finally {
      this.#closed = false
      this.#admit()
    }
  }

  async #enter(host: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const waiting: Waiting = { host, go: resolve }
    this.#waiting.push(waiting)
    const onAbort = (): void => {
      this.#waiting = this.#waiting.filter((other) => other !== waiting)
      reject(signal.reason)
    }
    signal.addEventListener('abort', onAbort, { once: true })
    this.#admit()
    try {
      await promise
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  #setAside(running: Running): void {
    if (running.isSlow || this.#slow >= this.#maxSlow) return
    running.isSlow = true
    this.#slow++
    this.#leave(running.host)
  }

  #leave(host: string): void {
    this.#total--
    const left = (this.#running.get(host) ?? 1) - 1
    if (left === 0) this.#running.delete(host)
    else this.#running.set(host, left)
    this.#admit()
  }

  #admit(): void {
    const stay: Waiting[] = []
    for (const waiting of this.#waiting) {
      if (this.#hasRoom(waiting.host)) this.#start(waiting)
      else stay.push(waiting)
    }
    this.#waiting = stay
  }

  #hasRoom(host: string): boolean {
    if (this.#closed || this.#total >= this.#max) return false
    return (this.#running.get(host) ?? 0) < this.#maxPerHost
  }

  #start({ host, go }: Waiting): void {
    this.#total++
    this.#running.set(host, (this.#running.get(host) ?? 0) + 1)
    go()
  }
}
