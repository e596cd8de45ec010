import type { FillContext } from './fill-context.ts'
import type { AskOptions } from './module-source.ts'
import type { OwnerSubject } from './owner.ts'
import type { PeerId } from './peers.ts'
import { handled, type Scope } from './scope.ts'
import { SingleFlight } from './single-flight.ts'

/** Two ways to one answer: through the owner, or on our own. */
export interface Ways<T> {
  /** Undefined when nothing came of it. Throws only when the scope ends. */
  readonly relay: (owner: PeerId, scope: Scope) => Promise<T | undefined>
  /** Asks no owner: so nobody ever waits in a circle, however views disagree. */
  readonly direct: () => Promise<T>
  /** Called once, when neither is under way any more. */
  readonly end?: () => void
}

/** What is asked for. */
export interface FlightSubject extends OwnerSubject {
  /** Equal requests have equal ones. */
  readonly key: string
  /** For messages. */
  readonly name: string
}

/** Equal requests share one piece of work: the owner's where there is one, else our own. */
export class OwnerFlight<T> {
  readonly #ctx: FillContext
  readonly #flights = new SingleFlight<T>()

  constructor(ctx: FillContext) {
    this.#ctx = ctx
  }

  /**
   * Joins what is under way, else asks the owner, else takes off. Flights that ask an owner have keys of
   * their own, and who was asked by a peer joins none of them: two nodes that take each other for the
   * owner would wait for each other.
   */
  async join(subject: FlightSubject, ways: Ways<T>, options: AskOptions): Promise<T> {
    const { key } = subject
    const direct = (waiting: Pick<AskOptions, 'signal'>) =>
      this.#flights.join(key, ways.direct, waiting)
    const isDirect = options.isForwarded === true || this.#flights.has(key)
    const first = isDirect ? undefined : this.#ctx.ownerOf(subject)
    if (first === undefined) return await direct(options)
    const shared = { relay: ways.relay, direct: () => direct({ signal: this.#ctx.closing }) }
    const start = () => viaOwner(this.#ctx, subject, first, shared).finally(ways.end)
    return await this.#flights.join(`owner ${key}`, start, options)
  }

  /** Whether what `key` names is under way. */
  has(key: string): boolean {
    return this.#flights.has(key) || this.#flights.has(`owner ${key}`)
  }

  /** Resolves when all work under way has ended, well or not. */
  async settled(): Promise<void> {
    await this.#flights.settled()
  }
}

/**
 * Asks the owner, should that one fail the next, then helps itself. Owners that still work after half
 * of the time there is, and of whom nothing comes, get company: whoever is first answers.
 */
async function viaOwner<T>(
  ctx: FillContext,
  subject: FlightSubject,
  owner: PeerId,
  ways: Ways<T>,
): Promise<T> {
  return await ctx.withDeadline(subject.name, async (scope) => {
    const asked = scope.start(() => askOwners(ctx, subject, owner, ways, scope))
    const late = scope.start((signal) => untilStill(ctx, subject, signal))
    const first = await Promise.race([asked.then((value) => ({ value })), late])
    if (first !== undefined) return first.value ?? (await ways.direct())
    ctx.owners.failed(owner)
    const direct = handled(ways.direct())
    const either = Promise.any([asked.then((value) => value ?? direct), direct])
    return await either.catch(() => direct)
  })
}

/** Half of the time there is, and as long as something comes then: asked again, it would come once more from its beginning. */
async function untilStill(
  ctx: FillContext,
  { key }: FlightSubject,
  signal: AbortSignal,
): Promise<void> {
  await ctx.clock.sleep(ctx.budgets.fetchTimeoutMs / 2, { signal })
  while (ctx.moving.has(key)) await ctx.clock.sleep(ctx.budgets.ownerSilenceMs, { signal })
}

/** All who lost an owner turn to the same next one: so even then upstream is asked once. */
async function askOwners<T>(
  ctx: FillContext,
  subject: OwnerSubject,
  owner: PeerId,
  ways: Ways<T>,
  scope: Scope,
): Promise<T | undefined> {
  const value = await ways.relay(owner, scope)
  if (value !== undefined) return value
  const next = ctx.ownerOf(subject)
  return next === undefined || next === owner ? undefined : await ways.relay(next, scope)
}
