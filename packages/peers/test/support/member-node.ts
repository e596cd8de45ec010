import { Membership } from '../../src/membership/membership.ts'
import type { TestIdentity } from '../../testing/index.ts'
import { MemoryMembershipStore, newTestIdentity } from '../../testing/index.ts'

/** The time at which tests of memberships begin. */
export const testNow = 1_800_000_000_000

/** A membership without a network, with a clock of its own. */
export interface MemberNode {
  readonly membership: Membership
  readonly identity: TestIdentity
  readonly peerId: string
  readonly clock: { ms: number }
  readonly stores: {
    readonly store: MemoryMembershipStore
    readonly ledger: MemoryMembershipStore
    readonly roster: MemoryMembershipStore
  }
}

/** Opens a membership, a new one or that of `of` again. */
export async function memberNode(
  init: { readonly name?: string; readonly ticket?: string } = {},
  of: Partial<Omit<MemberNode, 'membership'>> = {},
): Promise<MemberNode> {
  const { identity = await newTestIdentity(), clock = { ms: testNow } } = of
  const {
    stores = {
      store: new MemoryMembershipStore(),
      ledger: new MemoryMembershipStore(),
      roster: new MemoryMembershipStore(),
    },
  } = of
  const { peerId, privateKey } = identity
  const nowMs = (): number => clock.ms
  const membership = await Membership.open(stores, { peerId, privateKey, name: init.name, nowMs })
  if (init.ticket !== undefined) await membership.join(init.ticket)
  return { membership, identity, peerId, clock, stores }
}

/** What `at` makes of what `of` shows at the gate. Throws NotAMemberError. */
export function show(of: MemberNode, at: MemberNode): ReturnType<Membership['verify']> {
  return at.membership.verify(of.membership.chain() ?? new Uint8Array(), of.peerId)
}

/** Lets two members meet: each proves itself, and who may counter-sign does. Throws NotAMemberError. */
export async function meet(a: MemberNode, b: MemberNode): Promise<void> {
  const [atA, atB] = [show(b, a), show(a, b)]
  a.membership.admitting.note(atA)
  b.membership.admitting.note(atB)
  const forB = await a.membership.admitting.admit(atA)
  if (forB !== undefined) await b.membership.admitting.accept(forB)
  const forA = await b.membership.admitting.admit(atB)
  if (forA !== undefined) await a.membership.admitting.accept(forA)
}

/** Gives a node all records that another one has. */
export async function gossip(from: MemberNode, to: MemberNode): Promise<void> {
  const { ledger } = from.membership
  for (const id of ledger?.ids() ?? []) {
    const record = ledger?.record(id)
    if (record !== undefined) await to.membership.addRecord(record)
  }
}
