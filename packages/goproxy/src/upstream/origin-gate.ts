import {
  gateRecheckMs,
  idleLeaseMs,
  maxBusy,
  maxBusyZips,
  maxOriginConnections,
  maxZipConnections,
} from '../limits.ts'

/** The right to use one connection to an origin. */
export interface Lease {
  /** Something came from the origin: this request counts as busy again. */
  touch(): void
  /** Gives it back; further calls do nothing. */
  release(): void
}

/** For whom a lease is. */
export interface LeaseRequest {
  /** Requests of one module take turns with those of others. */
  readonly module: string
  readonly isZip: boolean
  readonly signal: AbortSignal
}

interface Running {
  readonly isZip: boolean
  progressMs: number
}

interface Waiter {
  readonly request: LeaseRequest
  readonly grant: (lease: Lease) => void
}

interface Origin {
  readonly running: Set<Running>
  /** By module, in the order of their turns. */
  readonly waiting: Map<string, Waiter[]>
  recheck: NodeJS.Timeout | undefined
}

/**
 * Bounds how many requests an origin has at a time. Those that get nothing for a while stop to count, up to the
 * hard bound of connections: slow modules delay nobody. Zips leave room for small files.
 */
export class OriginGate implements Disposable {
  readonly #origins = new Map<string, Origin>()

  /** Waits for a turn. Rejects with the signal's reason. */
  async enter(origin: string, request: LeaseRequest): Promise<Lease> {
    request.signal.throwIfAborted()
    const state = this.#stateOf(origin)
    if (state.waiting.size === 0 && mayStart(state, request.isZip)) {
      return this.#start(origin, state, request)
    }
    const { promise, resolve, reject } = Promise.withResolvers<Lease>()
    const waiter: Waiter = { request, grant: resolve }
    const onAbort = (): void => {
      forget(state, waiter)
      reject(request.signal.reason)
    }
    request.signal.addEventListener('abort', onAbort, { once: true })
    enqueue(state, waiter)
    this.#admitWaiting(origin, state)
    try {
      return await promise
    } finally {
      request.signal.removeEventListener('abort', onAbort)
    }
  }

  [Symbol.dispose](): void {
    for (const { recheck } of this.#origins.values()) clearTimeout(recheck)
    this.#origins.clear()
  }

  #stateOf(origin: string): Origin {
    const known = this.#origins.get(origin)
    if (known !== undefined) return known
    const state: Origin = { running: new Set(), waiting: new Map(), recheck: undefined }
    this.#origins.set(origin, state)
    return state
  }

  #start(origin: string, state: Origin, { isZip }: LeaseRequest): Lease {
    const running: Running = { isZip, progressMs: performance.now() }
    state.running.add(running)
    return {
      touch: () => {
        running.progressMs = performance.now()
      },
      release: () => {
        if (state.running.delete(running)) this.#admitWaiting(origin, state)
      },
    }
  }

  #admitWaiting(origin: string, state: Origin): void {
    for (let next = takeNext(state); next !== undefined; next = takeNext(state)) {
      next.grant(this.#start(origin, state, next.request))
    }
    // Time alone makes room, too.
    if (state.waiting.size > 0 && state.recheck === undefined) {
      state.recheck = setTimeout(() => {
        state.recheck = undefined
        this.#admitWaiting(origin, state)
      }, gateRecheckMs)
    }
  }
}

function mayStart({ running }: Origin, isZip: boolean): boolean {
  if (running.size >= maxOriginConnections) return false
  if (isZip && running.size >= maxZipConnections && zipsOf(running) >= maxZipConnections)
    return false
  if (running.size < (isZip ? maxBusyZips : maxBusy)) return true
  const sinceMs = performance.now() - idleLeaseMs
  const busy = Array.from(running).filter(({ progressMs }) => progressMs > sinceMs)
  if (busy.length >= maxBusy) return false
  return !isZip || zipsOf(busy) < maxBusyZips
}

function zipsOf(running: Iterable<Running>): number {
  let zips = 0
  for (const { isZip } of running) if (isZip) zips++
  return zips
}

function enqueue({ waiting }: Origin, waiter: Waiter): void {
  const { module } = waiter.request
  waiting.set(module, [...(waiting.get(module) ?? []), waiter])
}

function forget({ waiting }: Origin, waiter: Waiter): void {
  const { module } = waiter.request
  const left = (waiting.get(module) ?? []).filter((other) => other !== waiter)
  if (left.length === 0) waiting.delete(module)
  else waiting.set(module, left)
}

/** Takes the first waiter that may start; its module goes to the end of the line. */
function takeNext(state: Origin): Waiter | undefined {
  // Where a zip may start, a small file may, too.
  if (!mayStart(state, false)) return undefined
  const mayZip = mayStart(state, true)
  for (const waiters of state.waiting.values()) {
    const next = waiters.find(({ request }) => mayZip || !request.isZip)
    if (next === undefined) continue
    forget(state, next)
    const { module } = next.request
    const left = state.waiting.get(module)
    if (left !== undefined) {
      state.waiting.delete(module)
      state.waiting.set(module, left)
    }
    return next
  }
  return undefined
}
