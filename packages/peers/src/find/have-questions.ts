import type { Clock, PeerId } from '@modmesh/fill'
import type { ZipHash } from '@modmesh/module'
import { contentKey, joinKeys, splitKeys } from '../control/content-set.ts'
import type { ControlSession } from '../control/control-session.ts'
import { controlLimits } from '../control/limits.ts'
import { askLimits } from '../limits.ts'

/** Who is asked. */
interface AskedPeer {
  readonly peer: PeerId
  readonly session: Pick<ControlSession, 'ask'>
}

interface Ask {
  readonly signal: AbortSignal
}

/** What peers without an inventory have: many contents are asked for with one message, ahead of those who need them. */
export class HaveQuestions {
  readonly #clock: Pick<Clock, 'monotonicMs'>
  /** Of each session what it said, by key. A new session is asked anew. */
  readonly #told = new WeakMap<object, Told>()

  constructor(components: { readonly clock: Pick<Clock, 'monotonicMs'> }) {
    this.#clock = components.clock
  }

  /** Asks a peer which of these it has, in as few messages as they fit in. Throws what the session throws. */
  async askAhead(
    { session }: AskedPeer,
    zipHashes: readonly ZipHash[],
    { signal }: Ask,
  ): Promise<void> {
    const has = new Map<string, boolean>()
    for (let at = 0; at < zipHashes.length; at += controlLimits.haveKeys) {
      const keys = zipHashes.slice(at, at + controlLimits.haveKeys).map(contentKey)
      const query = { kind: 'have-query', keys: joinKeys(keys) } as const
      const answer = await session.ask<'have-query'>(query, { signal })
      for (const key of keys) has.set(textOf(key), false)
      // What was not asked for counts for nothing.
      for (const key of splitKeys(answer.keys)) if (has.has(textOf(key))) has.set(textOf(key), true)
    }
    this.#told.set(session, { has, untilMs: this.#clock.monotonicMs() + askLimits.toldMs })
  }

  /** Whether a peer has a content: as it said a moment ago, else it is asked. Throws what the session throws. */
  async has({ session }: AskedPeer, zipHash: ZipHash, { signal }: Ask): Promise<boolean> {
    const key = contentKey(zipHash)
    const told = this.#find(session)?.get(textOf(key))
    if (told !== undefined) return told
    const answer = await session.ask<'have-query'>({ kind: 'have-query', keys: key }, { signal })
    return Buffer.from(answer.keys).equals(key)
  }

  #find(session: object): ReadonlyMap<string, boolean> | undefined {
    const told = this.#told.get(session)
    return told !== undefined && told.untilMs > this.#clock.monotonicMs() ? told.has : undefined
  }
}

interface Told {
  readonly has: ReadonlyMap<string, boolean>
  readonly untilMs: number
}

function textOf(key: Uint8Array): string {
  return Buffer.from(key).toString('base64')
}
