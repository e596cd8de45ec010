import { DurableValue, ForgetfulStore } from '../membership/durable-value.ts'
import { NotAMemberError } from '../membership/errors.ts'
import type { MembershipStore } from '../membership/membership-store.ts'
import { StatementRefusedError } from './errors.ts'
import { checkSecret, makeSecret, type NameSecret } from './name-secret.ts'
import type { PrivateStanding } from './private-standing.ts'

/**
 * Keeps the secret under which private modules are announced. Members that may have those hand it to one
 * another; whoever lacks one makes one, and of several all take the same. When a member is revoked or
 * leaves, it is good no more.
 */
export class SecretKeeper {
  readonly #standing: PrivateStanding
  readonly #store: MembershipStore
  readonly #file: DurableValue
  readonly #listeners = new Set<() => void>()
  #current: NameSecret | undefined
  /** The moment at which it was found good. */
  #goodAt: string | undefined

  constructor(components: {
    readonly standing: PrivateStanding
    /** Absent: not over a restart. */
    readonly store?: MembershipStore | undefined
  }) {
    this.#standing = components.standing
    this.#store = components.store ?? new ForgetfulStore()
    this.#file = new DurableValue(this.#store, () => this.#current?.record ?? new Uint8Array())
  }

  /** Reads what is stored; what does not count any more is forgotten. Throws what the store throws. */
  async restore(): Promise<void> {
    const stored = await this.#store.read()
    if (stored !== undefined && stored.byteLength > 0) this.#current ??= this.#check(stored)
  }

  /** The secret that is good now; undefined where this node may have none, or nobody made one yet. */
  current(): NameSecret | undefined {
    if (!this.#standing.isAllowed()) return undefined
    const known = this.#current
    const moment = this.#standing.moment()
    if (known !== undefined && moment !== this.#goodAt) {
      if (this.#check(known.record) === undefined) this.#current = undefined
      this.#goodAt = moment
    }
    return this.#current
  }

  /** As `current`, and makes one where there is none. */
  async have(): Promise<NameSecret | undefined> {
    const known = this.current()
    const signer = this.#standing.signer()
    const endings = this.#standing.endings()
    if (known !== undefined || signer === undefined || endings === undefined) return known
    const made = makeSecret(signer, endings, this.#standing.nowMs())
    await this.#take(made)
    return this.current()
  }

  /** Takes a secret that a member handed over, if it is good and comes before ours. */
  async offered(record: Uint8Array): Promise<void> {
    const known = this.current()
    if (!this.#standing.isAllowed()) return
    const offered = this.#check(record)
    if (offered === undefined) return
    if (known === undefined || Buffer.compare(offered.order, known.order) < 0) {
      await this.#take(offered)
    }
  }

  /** Calls the listener when another secret counts; returns a function that stops it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  async #take(secret: NameSecret): Promise<void> {
    this.#current = secret
    this.#goodAt = undefined
    for (const listener of this.#listeners) listener()
    await this.#file.save()
  }

  /** Undefined for one that does not count: its maker or somebody else has gone, or it never did. */
  #check(record: Uint8Array): NameSecret | undefined {
    const endings = this.#standing.endings()
    const against = this.#standing.against()
    if (endings === undefined || against === undefined) return undefined
    try {
      return checkSecret(record, endings, against)
    } catch (error) {
      if (error instanceof StatementRefusedError || error instanceof NotAMemberError)
        return undefined
      throw error
    }
  }
}
