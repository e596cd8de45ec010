import * as v from 'valibot'
import { decodeFields, encodeFields, someBytes } from './canonical-cbor.ts'
import type { Member } from './chain.ts'
import { MembershipStateError } from './errors.ts'
import { maxChainBytes, maxKnownMembers, maxPeerIdBytes } from './limits.ts'

/** A member that we have seen, or that a counter-signer told us of. Times are milliseconds since 1970. */
export interface KnownMember {
  readonly member: Member
  /** Bytes of its peer id. */
  readonly peer: Uint8Array
  readonly firstSeenMs: number
  readonly lastSeenMs: number
}

/** What is stored of one; the rest is read out of its chain. */
export interface StoredMember {
  readonly peer: Uint8Array
  readonly chain: Uint8Array
  readonly firstSeenMs: number
  readonly lastSeenMs: number
}

const timeMs = v.pipe(v.number(), v.safeInteger(), v.minValue(0))

const rosterSchema = v.looseObject({
  v: v.literal(1),
  members: v.pipe(
    v.array(v.strictTuple([someBytes(maxPeerIdBytes), someBytes(maxChainBytes), timeMs, timeMs])),
    v.maxLength(maxKnownMembers),
  ),
})

/** Reads stored members. Throws MembershipStateError. */
export function decodeRoster(bytes: Uint8Array): readonly StoredMember[] {
  try {
    return v
      .parse(rosterSchema, decodeFields(bytes))
      .members.map(([peer, chain, firstSeenMs, lastSeenMs]) => ({
        peer,
        chain,
        firstSeenMs,
        lastSeenMs,
      }))
  } catch (cause) {
    throw new MembershipStateError('the stored list of members cannot be read', { cause })
  }
}

/** Whether a chain of a member says more than another one; of equals everybody prefers the same. */
export function isBetter(member: Member, other: Member): boolean {
  if (member.rank !== other.rank) return member.rank > other.rank
  if (member.roles.length !== other.roles.length) return member.roles.length > other.roles.length
  return Buffer.compare(member.chain, other.chain) < 0
}

/**
 * The members that this node knows, with the best chain of each. It names people's hosts, counts
 * the uses of invites, and gives back to a member the counter-signature that it lost; what is in it
 * is judged again whenever it is used.
 */
export class Roster {
  readonly #members = new Map<string, KnownMember>()
  /** Counter-signed members of each invite. */
  readonly #uses = new Map<string, Set<string>>()
  #changes = 0

  /** Grows with each change that others should hear of: a new member, a new chain. */
  get changes(): number {
    return this.#changes
  }

  get(peerId: string): KnownMember | undefined {
    return this.#members.get(peerId)
  }

  all(): readonly KnownMember[] {
    return [...this.#members.values()]
  }

  /** How many hosts were counter-signed by an invite, those that are gone included. */
  uses(invite: string): number {
    return this.#uses.get(invite)?.size ?? 0
  }

  /**
   * Notes a member; a better chain that still counts is kept. Returns false when there is no room, or
   * nothing new to store.
   */
  note(
    member: Member,
    peer: Uint8Array,
    seen: Partial<StoredMember> & {
      readonly nowMs: number
      /** Whether a chain that we know still counts. */
      readonly counts?: ((known: Member) => boolean) | undefined
    },
  ): boolean {
    const old = this.#members.get(member.peerId)
    if (old === undefined && !this.#hasRoom()) return false
    const { nowMs, firstSeenMs = nowMs, lastSeenMs = nowMs, counts = () => true } = seen
    const isWorse = old !== undefined && !isBetter(member, old.member) && counts(old.member)
    const best = isWorse ? old.member : member
    const isNew = old === undefined || Buffer.compare(best.chain, old.member.chain) !== 0
    this.#members.set(member.peerId, {
      member: best,
      peer,
      firstSeenMs: Math.min(old?.firstSeenMs ?? firstSeenMs, firstSeenMs),
      lastSeenMs: Math.max(old?.lastSeenMs ?? 0, lastSeenMs),
    })
    if (best.admittedMs !== undefined) this.#countUse(best)
    if (isNew) this.#changes += 1
    return isNew
  }

  clear(): void {
    this.#members.clear()
    this.#uses.clear()
    this.#changes += 1
  }

  encode(): Uint8Array {
    const members = this.all().map(({ member, peer, firstSeenMs, lastSeenMs }) => [
      peer,
      member.chain,
      firstSeenMs,
      lastSeenMs,
    ])
    return encodeFields({ v: 1, members })
  }

  /** A host that changed its key is still one. */
  #countUse({ invite, origin }: Member): void {
    const users = this.#uses.get(invite) ?? new Set<string>()
    this.#uses.set(invite, users.add(origin))
  }

  /** Whoever has a ticket can show keys without end: those that nobody counter-signed give way. */
  #hasRoom(): boolean {
    if (this.#members.size < maxKnownMembers) return true
    for (const [peerId, { member }] of this.#members) {
      if (member.admittedMs !== undefined) continue
      this.#members.delete(peerId)
      return true
    }
    return false
  }
}
