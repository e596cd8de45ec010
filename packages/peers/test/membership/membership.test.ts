import { describe, expect, test } from 'vitest'
import { defaultInviteMs, maxChainBytes } from '../../src/membership/limits.ts'
import { Membership } from '../../src/membership/membership.ts'
import { MemoryMembershipStore, newTestIdentity } from '../../testing/index.ts'

const now = 1_800_000_000_000
const address = '/ip4/192.0.2.1/tcp/4771/p2p/12D3KooWC3utSZ54PyDhSrPSyQ66RNSKcUmfDSCS78R1bVogABYg'

interface Node {
  readonly peerId: string
  readonly store: MemoryMembershipStore
  readonly clock: { ms: number }
  readonly membership: Membership
}

async function node(init: { name?: string; site?: string; clock?: { ms: number } } = {}) {
  const { peerId } = await newTestIdentity()
  const store = new MemoryMembershipStore()
  const clock = init.clock ?? { ms: now }
  return reopen({ peerId, store, clock }, init)
}

async function reopen(
  of: Omit<Node, 'membership'>,
  init: { name?: string; site?: string } = {},
): Promise<Node> {
  const { name, site } = init
  const { peerId, store, clock } = of
  const nowMs = (): number => clock.ms
  const membership = await Membership.open({ store }, { peerId, name, site, nowMs })
  return { ...of, membership }
}

describe('a lone node', () => {
  test('belongs to no mesh and admits nobody', async () => {
    const lone = await node()
    const other = await node()
    await other.membership.invite({}, [])
    expect(lone.membership.meshId()).toBeUndefined()
    expect(lone.membership.chain()).toBeUndefined()
    expect(lone.membership.isMember()).toBe(false)
    const chain = other.membership.chain() ?? new Uint8Array()
    expect(() => lone.membership.verify(chain, other.peerId)).toThrow(
      expect.objectContaining({ code: 'NOT_A_MEMBER', reason: 'no-mesh' }),
    )
  })

  test('becomes a mesh by its first invite and tells its listeners', async () => {
    const lone = await node()
    let changes = 0
    lone.membership.onChange(() => changes++)
    await lone.membership.invite({}, [])
    expect(lone.membership.meshId()).toMatch(/^[a-z2-7]{16}$/)
    expect(lone.membership.self()).toMatchObject({
      roles: ['admin', 'admit'],
      expiresMs: undefined,
    })
    expect(changes).toBe(1)
  })

  test('makes one root when asked for many invites at once', async () => {
    const lone = await node()
    const tickets = await Promise.all([1, 2, 3].map(() => lone.membership.invite({}, [])))
    const joined = await Promise.all(tickets.map(() => node()))
    await Promise.all(joined.map((one, index) => one.membership.join(tickets[index]!)))
    const ids = new Set([lone, ...joined].map((one) => one.membership.meshId()))
    expect(ids.size).toBe(1)
    expect(new Set(tickets).size).toBe(3)
  })

  test('stays lone when the mesh cannot be stored', async () => {
    const lone = await node()
    lone.store.write = () => Promise.reject(new Error('disk full'))
    await expect(lone.membership.invite({}, [])).rejects.toThrow('disk full')
    expect(lone.membership.meshId()).toBeUndefined()
    await expect(lone.membership.invite({}, [])).rejects.toThrow('disk full')
  })
})

describe('joining', () => {
  test('needs only the ticket, and both sides then accept each other', async () => {
    const a = await node({ name: 'a', site: 'north' })
    const b = await node({ name: 'b', site: 'south' })
    const answer = await b.membership.join(await a.membership.invite({}, [address]))
    expect(answer.addresses).toEqual([address])
    expect(b.membership.meshId()).toBe(a.membership.meshId())
    expect(a.membership.verify(b.membership.chain()!, b.peerId)).toMatchObject({
      peerId: b.peerId,
      name: 'b',
      site: 'south',
      roles: [],
      expiresMs: now + defaultInviteMs,
    })
    expect(b.membership.verify(a.membership.chain()!, a.peerId).name).toBe('a')
    expect(b.membership.chain()!.byteLength).toBeLessThan(maxChainBytes)
  })

  test('puts the host in the ticket’s site rather than its own', async () => {
    const a = await node()
    const b = await node({ site: 'mine' })
    await b.membership.join(await a.membership.invite({ site: 'theirs' }, []))
    expect(b.membership.site()).toBe('theirs')
    expect(a.membership.verify(b.membership.chain()!, b.peerId).site).toBe('theirs')
  })

  test('works for a fleet with one ticket', async () => {
    const a = await node()
    const ticket = await a.membership.invite({ uses: 2 }, [])
    for (const _ of [1, 2, 3]) {
      const host = await node()
      await host.membership.join(ticket)
      expect(a.membership.verify(host.membership.chain()!, host.peerId).peerId).toBe(host.peerId)
    }
  })

  test('survives a restart', async () => {
    const a = await node()
    const b = await node({ name: 'b' })
    await b.membership.join(await a.membership.invite({}, [address]))
    const again = await reopen(b, { name: 'b' })
    expect(again.membership.chain()).toEqual(b.membership.chain())
    expect(again.membership.ticketAddresses()).toEqual([address])
    expect(again.membership.isMember()).toBe(true)
  })

  test('twice with the same ticket changes nothing, also after the ticket has expired', async () => {
    const a = await node()
    const b = await node()
    const short = await a.membership.invite({ expiresMs: 1000 }, [])
    const long = await a.membership.invite({ expiresMs: 5000 }, [])
    await b.membership.join(short)
    await b.membership.join(long)
    const chain = b.membership.chain()
    await b.membership.join(short)
    b.clock.ms += 2000
    await b.membership.join(short)
    await b.membership.join(long)
    expect(b.membership.chain()).toBe(chain)
  })

  test('with a later ticket renews a membership that has expired', async () => {
    const clock = { ms: now }
    const a = await node({ clock })
    const b = await node({ clock })
    await b.membership.join(await a.membership.invite({ expiresMs: 1000 }, []))
    clock.ms += 1000
    expect(b.membership.isMember()).toBe(false)
    await b.membership.join(await a.membership.invite({ expiresMs: 1000 }, []))
    expect(b.membership.isMember()).toBe(true)
  })

  test('with an expired ticket is refused with the date', async () => {
    const a = await node()
    const b = await node()
    const ticket = await a.membership.invite({ expiresMs: 1000 }, [])
    b.clock.ms += 1000
    const refused = expect.objectContaining({ code: 'INVALID_TICKET', problem: 'expired' })
    await expect(b.membership.join(ticket)).rejects.toThrow(refused)
    await expect(b.membership.join(ticket)).rejects.toThrow('2027-01-15T08:00:01.000Z')
    expect(b.membership.meshId()).toBeUndefined()
  })

  test('a second mesh is refused, for members and founders', async () => {
    const [a, b, c] = [await node(), await node(), await node()]
    const ticket = await a.membership.invite({}, [])
    await b.membership.join(await c.membership.invite({}, []))
    const refused = expect.objectContaining({ code: 'OTHER_MESH' })
    await expect(b.membership.join(ticket)).rejects.toThrow(refused)
    await expect(c.membership.join(ticket)).rejects.toThrow(refused)
  })

  test('gives no right to invite, and makes no second root', async () => {
    const a = await node()
    const b = await node()
    await b.membership.join(await a.membership.invite({ roles: ['admit'] }, []))
    const meshId = b.membership.meshId()
    await expect(b.membership.invite({}, [])).rejects.toThrow(
      expect.objectContaining({ code: 'NOT_ALLOWED' }),
    )
    expect(b.membership.meshId()).toBe(meshId)
  })
})

describe('the founder', () => {
  test('keeps the root key over a restart and invites into the same mesh', async () => {
    const a = await node()
    await a.membership.invite({}, [])
    const again = await reopen(a)
    const b = await node()
    await b.membership.join(await again.membership.invite({}, []))
    expect(b.membership.meshId()).toBe(a.membership.meshId())
  })

  test('takes a new name and site without a ticket', async () => {
    const a = await node({ name: 'old', site: 'north' })
    await a.membership.invite({}, [])
    const again = await reopen(a, { name: 'new', site: 'south' })
    expect(again.membership.self()).toMatchObject({ name: 'new', site: 'south' })
    expect(again.membership.meshId()).toBe(a.membership.meshId())
  })

  test('joining its own mesh changes nothing', async () => {
    const a = await node()
    const ticket = await a.membership.invite({}, [])
    const chain = a.membership.chain()
    await a.membership.join(ticket)
    expect(a.membership.chain()).toBe(chain)
    await expect(a.membership.invite({}, [])).resolves.toMatch(/^modmesh1/)
  })

  test('never expires', async () => {
    const a = await node()
    await a.membership.invite({}, [])
    expect(a.membership.isMember(now * 10)).toBe(true)
  })
})

describe('a stored membership', () => {
  test('that is damaged is an error, never a lone node', async () => {
    const a = await node()
    await a.membership.invite({}, [])
    const whole = a.store.bytes!
    const broken = [
      whole.subarray(0, -1),
      whole.with(10, 0xff),
      new Uint8Array(),
      new Uint8Array(20_000),
    ]
    for (const bytes of broken) {
      const store = new MemoryMembershipStore(bytes)
      await expect(reopen({ ...a, store })).rejects.toThrow(
        expect.objectContaining({ code: 'MEMBERSHIP_STATE' }),
      )
    }
  })

  test('of another identity is an error', async () => {
    const a = await node()
    await a.membership.invite({}, [])
    const { peerId } = await newTestIdentity()
    await expect(reopen({ ...a, peerId })).rejects.toThrow('another identity')
  })
})

test.for([
  { title: 'an empty site', options: { site: '' } },
  { title: 'a site with a line break', options: { site: 'a\nb' } },
  { title: 'a site of 64 bytes', options: { site: 'x'.repeat(64) } },
  { title: 'an unknown role', options: { roles: ['root'] } },
  { title: 'no life', options: { expiresMs: 0 } },
  { title: 'a life of centuries', options: { expiresMs: 1e13 } },
  { title: 'a life that is no number', options: { expiresMs: NaN } },
  { title: 'no uses', options: { uses: 0 } },
  { title: 'half a use', options: { uses: 1.5 } },
])('an invite with $title is refused and makes no mesh', async ({ options }) => {
  const lone = await node()
  await expect(lone.membership.invite(options, [])).rejects.toThrow(
    expect.objectContaining({ code: 'INVALID_MEMBERSHIP_OPTION' }),
  )
  expect(lone.membership.meshId()).toBeUndefined()
})

test('a name or site that no certificate could carry is refused at start', async () => {
  await expect(node({ name: 'x'.repeat(254) })).rejects.toThrow('a name is')
  await expect(node({ site: '\u202eevil' })).rejects.toThrow('a site is')
})
