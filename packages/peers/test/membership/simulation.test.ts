import fc from 'fast-check'
import { expect, test } from 'vitest'
import { gossip, type MemberNode, meet, memberNode, show, testNow } from '../support/member-node.ts'

/** One step of a mesh's life; numbers choose among the hosts or tickets there are. */
type Step =
  | { readonly kind: 'invite'; readonly host: number; readonly admits: boolean }
  | { readonly kind: 'join'; readonly ticket: number }
  | { readonly kind: 'meet' | 'gossip'; readonly a: number; readonly b: number }
  | { readonly kind: 'revoke'; readonly host: number; readonly by: number }
  | { readonly kind: 'grant' | 'leave'; readonly host: number }
  | { readonly kind: 'rotate' }
  | { readonly kind: 'clock'; readonly host: number; readonly ms: number }

const number = fc.nat(20)
const oneOf = <K extends Step['kind']>(...kinds: readonly K[]) => fc.constantFrom(...kinds)

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({ kind: oneOf('invite'), host: number, admits: fc.boolean() }),
  },
  { weight: 5, arbitrary: fc.record({ kind: oneOf('join'), ticket: number }) },
  { weight: 8, arbitrary: fc.record({ kind: oneOf('meet', 'gossip'), a: number, b: number }) },
  { weight: 2, arbitrary: fc.record({ kind: oneOf('revoke'), host: number, by: number }) },
  { weight: 2, arbitrary: fc.record({ kind: oneOf('grant', 'leave'), host: number }) },
  { weight: 1, arbitrary: fc.record({ kind: oneOf('rotate') }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: oneOf('clock'),
      host: number,
      // Any two of them differ by less than the 5 minutes that a ticket tolerates.
      ms: fc.integer({ min: -140_000, max: 140_000 }),
    }),
  },
)

/** What a step may be answered with; anything else is a fault of ours. */
const refusals = new Set(['NOT_A_MEMBER', 'NOT_ALLOWED', 'INVALID_RECORD', 'INVALID_TICKET'])

async function tolerant(work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work()
    return true
  } catch (error) {
    expect(refusals).toContain((error as { code?: string }).code)
    return false
  }
}

/** As real gossip: what is refused is passed over. */
async function tell(from: MemberNode, to: MemberNode): Promise<void> {
  const { ledger } = from.membership
  for (const id of ledger?.ids() ?? []) {
    const record = ledger?.record(id)
    if (record !== undefined) await tolerant(() => to.membership.addRecord(record))
  }
}

/** A mesh with its founder, told what was done to whom. */
class World {
  readonly hosts: MemberNode[] = []
  readonly tickets: string[] = []
  /** Who is out for good. */
  readonly out = new Set<MemberNode>()
  /** Invites that an administrator has closed. */
  readonly unsure = new Set<string>()
  /** Whom the founder has counter-signed. */
  readonly known = new Set<MemberNode>()

  static async make(): Promise<World> {
    const world = new World()
    world.hosts.push(await memberNode({ name: 'founder' }))
    world.tickets.push(await world.founder.membership.invite({}, []))
    return world
  }

  get founder(): MemberNode {
    return this.#host(0)
  }

  get honest(): MemberNode[] {
    return this.hosts.filter((host) => {
      const invite = host.membership.self()?.invite ?? ''
      const isIn = host === this.founder || this.known.has(host)
      return isIn && !this.out.has(host) && !this.unsure.has(invite)
    })
  }

  async do(step: Step): Promise<void> {
    const { administration } = this.founder.membership
    switch (step.kind) {
      case 'invite':
        await tolerant(async () => {
          const roles = step.admits ? ['admit'] : []
          const { membership } = this.#host(step.host)
          // A lone node would make a mesh of its own.
          if (membership.meshId() !== undefined) {
            this.tickets.push(await membership.invite({ roles }, []))
          }
        })
        return
      case 'join': {
        const ticket = this.tickets[step.ticket % this.tickets.length] ?? ''
        if (this.hosts.length < 8) this.hosts.push(await memberNode({ ticket }))
        return
      }
      case 'meet':
        await this.meet(this.#host(step.a), this.#host(step.b))
        return
      case 'gossip':
        await tell(this.#host(step.a), this.#host(step.b))
        return
      case 'revoke': {
        const [host, by] = [this.#host(step.host), this.#host(step.by)]
        if (host === this.founder) return
        const { administration: office } = by.membership
        const isDone = await tolerant(() => office.revoke({ peer: host.peerId }))
        if (isDone && by === this.founder) this.out.add(host)
        // Its word may be void by the time that others hear it, and its clock may be slow.
        else if (isDone) this.unsure.add(host.membership.self()?.invite ?? '')
        return
      }
      case 'grant':
        await tolerant(() => administration.grant(this.#host(step.host).peerId))
        return
      case 'leave': {
        const host = this.#host(step.host)
        if (host === this.founder || !this.known.has(host)) return
        const record = await host.membership.ownStatements.depart()
        if (record === undefined) return
        // It may be the last thing that anybody hears of it.
        if (await tolerant(() => this.founder.membership.addRecord(record.bytes))) {
          this.out.add(host)
        }
        return
      }
      case 'rotate':
        await tolerant(() => administration.rotateRoot())
        return
      case 'clock':
        this.#host(step.host).clock.ms = testNow + step.ms
    }
  }

  async meet(a: MemberNode, b: MemberNode): Promise<void> {
    if (a === b || !(await tolerant(() => meet(a, b)))) return
    for (const host of [a, b]) {
      const isFounders = host !== this.founder && (a === this.founder || b === this.founder)
      if (isFounders) this.known.add(host)
    }
  }

  /** Everybody hears everything, and meets the founder. */
  async heal(): Promise<void> {
    for (let round = 0; round < 3; round++) {
      for (const a of this.hosts) for (const b of this.hosts) if (a !== b) await tell(a, b)
    }
    for (const host of this.honest) await this.meet(this.founder, host)
  }

  #host(at: number): MemberNode {
    const host = this.hosts[at % this.hosts.length]
    if (host === undefined) throw new Error('a world has a founder')
    return host
  }
}

function isAccepted(of: MemberNode, at: MemberNode): boolean {
  try {
    show(of, at)
    return true
  } catch (error) {
    expect(error).toMatchObject({ code: 'NOT_A_MEMBER' })
    return false
  }
}

test('whatever happens in which order: once healed, who is out is out everywhere, who is in is in', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 40 }), async (steps) => {
      const world = await World.make()
      for (const one of steps) await world.do(one)
      await world.heal()
      const { honest, out } = world
      for (const host of honest) {
        for (const other of out) expect(isAccepted(other, host)).toBe(false)
        for (const other of honest) if (other !== host) expect(isAccepted(other, host)).toBe(true)
        expect(host.membership.isMember()).toBe(true)
        expect(host.membership.ledger?.digest()).toEqual(world.founder.membership.ledger?.digest())
      }
    }),
    { numRuns: 30 },
  )
}, 60_000)

test('a node that is cut off while others revoke and rotate agrees once it is back', async () => {
  const world = await World.make()
  for (const _ of [1, 2, 3]) await world.do({ kind: 'join', ticket: 0 })
  for (const b of [1, 2, 3]) await world.do({ kind: 'meet', a: 0, b })
  await world.do({ kind: 'revoke', host: 2, by: 0 })
  await world.do({ kind: 'rotate' })
  await world.do({ kind: 'invite', host: 0, admits: false })
  await world.do({ kind: 'join', ticket: 1 })
  await world.do({ kind: 'meet', a: 0, b: 4 })
  const [founder, away, gone, , late] = world.hosts as [
    MemberNode,
    MemberNode,
    MemberNode,
    MemberNode,
    MemberNode,
  ]
  // It knows nothing yet, and takes the new member by the signed change of the root alone.
  expect(isAccepted(late, away)).toBe(true)
  expect(isAccepted(gone, away)).toBe(true)
  await gossip(founder, away)
  expect(isAccepted(gone, away)).toBe(false)
  await world.heal()
  expect(isAccepted(away, late)).toBe(true)
})
