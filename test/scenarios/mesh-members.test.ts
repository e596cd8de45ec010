import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { MemberStatus } from '../../packages/peers/src/mesh-members.ts'
import { patiently } from '../../packages/peers/test/support/patience.ts'
import { startNode, type TestNode } from '../../packages/peers/test/support/test-node.ts'
import { newTestIdentity } from '../../packages/peers/testing/index.ts'
import { startStopwatch } from '../support/stopwatch.ts'

let cleanups: AsyncDisposableStack
let started: TestNode[]
beforeEach(() => {
  cleanups = new AsyncDisposableStack()
  started = []
})
afterEach(() => cleanups.disposeAsync())

type Init = NonNullable<Parameters<typeof startNode>[0]>

async function start(init: Init = {}): Promise<TestNode> {
  const node = cleanups.use(await startNode(init))
  started.push(node)
  return node
}

/** Starts it again with what it kept, at the same address, as a process does. */
async function restart(of: TestNode, init: Init = {}): Promise<TestNode> {
  await of.node.stop()
  const { identity, stores, address } = of
  const listen = address.split('/p2p/')[0] ?? ''
  const others = started.map((one) => one.address).filter((one) => one !== address)
  return start({ identity, stores, listen, peers: others, ...init })
}

/** What a node says of another one. */
function statusOf(of: TestNode, at: TestNode): MemberStatus | undefined {
  return at.node.members.list().find(({ peer }) => peer === of.node.peerId)
}

function self(of: TestNode): MemberStatus | undefined {
  return of.node.members.list().find(({ isSelf }) => isSelf)
}

function isConnected(a: TestNode, b: TestNode): boolean {
  return statusOf(b, a)?.isConnected === true && statusOf(a, b)?.isConnected === true
}

async function connected(...nodes: readonly TestNode[]): Promise<void> {
  await patiently(() => nodes.every((a) => nodes.every((b) => a === b || isConnected(a, b)))).toBe(
    true,
  )
}

async function admitted(...nodes: readonly TestNode[]): Promise<void> {
  await patiently(() => nodes.every((one) => self(one)?.admittedMs !== undefined)).toBe(true)
}

function peers(of: TestNode): string[] {
  return of.node.peers().flatMap(({ peer, isConnected: is }) => (is ? [peer] : []))
}

test('a member that went away was seen last when it went, not when it came', async () => {
  const a = await start({ name: 'a' })
  const b = await start({ name: 'b', ticket: await a.node.invite() })
  await connected(a, b)
  await admitted(b)
  await patiently(() => statusOf(b, a)?.admittedMs).toBeDefined()
  const cameMs = Date.now()
  await patiently(() => Date.now()).toBeGreaterThan(cameMs)
  await b.node.stop()
  await patiently(() => statusOf(b, a)?.isConnected).toBe(false)
  expect(statusOf(b, a)?.lastSeenMs).toBeGreaterThan(cameMs)
})

describe('counter-signing', () => {
  test('makes a provisional membership last, on first contact', async () => {
    const a = await start({ name: 'a' })
    const b = await start({ name: 'b', ticket: await a.node.invite({ expiresMs: 60_000 }) })
    await admitted(b)
    expect(self(b)).toMatchObject({ name: 'b', expiresMs: undefined, refusal: undefined })
    await patiently(() => statusOf(b, a)).toMatchObject({ expiresMs: undefined })
    const again = await restart(b, { name: 'b' })
    expect(self(again)?.admittedMs).toBe(self(b)?.admittedMs)
  })

  test('is done by a joined node with the role, which may invite others, too', async () => {
    const a = await start({ name: 'a' })
    const b = await start({ name: 'b', ticket: await a.node.invite({ roles: ['admit'] }) })
    await admitted(b)
    await connected(a, b)
    const ticket = await b.node.invite()
    await a.node.stop()
    const c = await start({ name: 'c', ticket })
    await admitted(c)
    const d = await start({ name: 'd', ticket })
    await admitted(d)
    await connected(b, c, d)
    const back = await restart(a, { name: 'a' })
    await connected(back, c)
    // Whoever holds the root key signs again, so that nobody rests on b.
    await patiently(() => statusOf(c, back)?.refusal).toBeUndefined()
    await patiently(() => back.node.members.list().length).toBe(4)
  })

  test('counts the uses of a ticket: of five hosts at once three come in', async () => {
    const a = await start({ name: 'a' })
    const ticket = await a.node.invite({ uses: 3 })
    const fleet = await Promise.all([1, 2, 3, 4, 5].map(() => start({ ticket })))
    await patiently(() => fleet.filter((one) => self(one)?.admittedMs !== undefined).length).toBe(3)
    const inside = fleet.filter((one) => self(one)?.admittedMs !== undefined)
    const outside = fleet.filter((one) => self(one)?.admittedMs === undefined)
    await connected(a, ...inside)
    await patiently(() => outside.flatMap(peers)).toEqual([])
    expect(inside).toHaveLength(3)
    const again = await restart(a)
    const late = await start({ ticket })
    await patiently(() => late.events).toContainEqual(expect.objectContaining({ kind: 'refused' }))
    expect(peers(late)).toEqual([])
    await connected(again, ...inside)
  })
})

describe('a revoked member', () => {
  test('is cut at once by everybody, and stays out with a new key and its old ticket', async () => {
    const a = await start({ name: 'a' })
    const ticket = await a.node.invite()
    const [b, c] = [await start({ name: 'b', ticket }), await start({ name: 'c', ticket })]
    await admitted(b, c)
    await connected(a, b, c)
    const took = startStopwatch()
    expect(await a.node.members.revoke('b')).toMatchObject({ peer: b.node.peerId, name: 'b' })
    await patiently(() => [...peers(a), ...peers(c)].includes(b.node.peerId)).toBe(false)
    expect(took()).toBeLessThan(5_000)
    expect(peers(a)).toEqual([c.node.peerId])

    const disguised = await start({ name: 'x', ticket })
    const clean = await start({ name: 'y', ticket: await a.node.invite() })
    await connected(a, c, clean)
    expect(peers(disguised)).toEqual([])
    expect(self(disguised)?.admittedMs).toBeUndefined()
    await patiently(() => disguised.events).toContainEqual(
      expect.objectContaining({
        kind: 'refused',
        refusal: expect.objectContaining({ cause: { kind: 'refused-by-peer', reason: 'revoked' } }),
      }),
    )
  })

  test('stays out after everybody has restarted', async () => {
    const a = await start({ name: 'a' })
    const ticket = await a.node.invite()
    const [b, c] = [await start({ name: 'b', ticket }), await start({ name: 'c', ticket })]
    await admitted(b, c)
    await connected(a, b, c)
    await a.node.members.revoke(b.node.peerId)
    await patiently(() => [...peers(a), ...peers(c)].includes(b.node.peerId)).toBe(false)
    await patiently(() => statusOf(b, c)?.refusal).toBe('revoked')
    await b.node.stop()
    const again = [await restart(c), await restart(a)]
    const back = await restart(b, { peers: again.flatMap(({ node }) => node.addresses()) })
    await patiently(() => back.events.filter(({ kind }) => kind === 'refused').length >= 2).toBe(
      true,
    )
    expect(again.flatMap(peers).includes(back.node.peerId)).toBe(false)
  })

  test('is out for who was away, as soon as it hears of it', async () => {
    const a = await start({ name: 'a' })
    const ticket = await a.node.invite()
    const [b, c] = [await start({ name: 'b', ticket }), await start({ name: 'c', ticket })]
    await admitted(b, c)
    await connected(a, b, c)
    await c.node.stop()
    await a.node.members.revoke('b')
    await patiently(() => peers(a)).toEqual([])
    // It meets the revoked one alone, and learns the news later.
    await a.node.stop()
    const away = await restart(c)
    await patiently(() => peers(away)).toEqual([b.node.peerId])
    const back = await restart(a)
    await patiently(() => peers(away)).toEqual([back.node.peerId])
    await patiently(() => peers(b)).toEqual([])
  })

  test('that vouched for others leaves them in the mesh', async () => {
    const a = await start({ name: 'a' })
    const b = await start({ name: 'b', ticket: await a.node.invite({ roles: ['admit'] }) })
    await admitted(b)
    await connected(a, b)
    const ticketOfB = await b.node.invite()
    await a.node.stop()
    const c = await start({ name: 'c', ticket: ticketOfB })
    await admitted(c)
    const back = await restart(a, { name: 'a' })
    await patiently(() => back.node.members.list().map(({ name }) => name)).toContain('c')
    await back.node.members.revoke('b')
    await patiently(() => peers(back)).toEqual([c.node.peerId])
    await patiently(() => peers(c)).toEqual([back.node.peerId])
    // But nobody else comes in by its word.
    const late = await start({ name: 'late', ticket: ticketOfB, peers: back.node.addresses() })
    await patiently(() => late.events).toContainEqual(expect.objectContaining({ kind: 'refused' }))
    expect(peers(late)).toEqual([])
  })
})

test('a revoked invite ends who is not counter-signed, and nobody else', async () => {
  const a = await start({ name: 'a' })
  const { ticket, invite } = await a.node.members.invite()
  const b = await start({ name: 'b', ticket })
  await admitted(b)
  await connected(a, b)
  expect(await a.node.members.revoke(invite.slice(0, 8))).toEqual({
    peer: undefined,
    invite,
    name: undefined,
  })
  const late = await start({ ticket })
  await patiently(() => late.events).toContainEqual(expect.objectContaining({ kind: 'refused' }))
  expect(peers(late)).toEqual([])
  await connected(a, b)
})

describe('administrators', () => {
  test('granted by the root revoke others, but not one another', async () => {
    const a = await start({ name: 'a' })
    const ticket = await a.node.invite()
    const [b, c, d] = [
      await start({ name: 'b', ticket }),
      await start({ name: 'c', ticket }),
      await start({ name: 'd', ticket }),
    ]
    await admitted(b, c, d)
    await connected(a, b, c, d)
    await expect(b.node.members.revoke('c')).rejects.toMatchObject({ code: 'NOT_ALLOWED' })
    await a.node.members.grant('b')
    await a.node.members.grant('d')
    await patiently(() => self(b)?.roles).toContain('admin')
    await patiently(() => self(d)?.roles).toContain('admin')
    await a.node.stop()
    await patiently(() => statusOf(d, b)?.roles).toContain('admin')
    await expect(b.node.members.revoke('d')).rejects.toMatchObject({ code: 'NOT_ALLOWED' })
    await b.node.members.revoke('c')
    await patiently(() => peers(c)).toEqual([])
    await connected(b, d)
    const back = await restart(a, { name: 'a' })
    await connected(back, b, d)
    await patiently(() => statusOf(c, back)?.refusal).toBe('revoked')
  })

  test('with an exported root key rule the mesh when the first one is gone', async () => {
    const a = await start({ name: 'a' })
    const ticket = await a.node.invite()
    const b = await start({ name: 'b', ticket })
    await admitted(b)
    const key = a.node.members.exportRoot()
    await a.node.stop()
    await expect(b.node.invite()).rejects.toMatchObject({ code: 'NOT_ALLOWED' })
    await b.node.members.importRoot(key)
    const c = await start({ name: 'c', ticket: await b.node.invite() })
    await connected(b, c)
    const again = await restart(b, { name: 'b' })
    expect(again.node.members.holdsRoot()).toBe(true)
    const lone = await start({ name: 'e' })
    await lone.node.members.importRoot(key)
    expect(lone.node.meshId()).toBe(again.node.meshId())
    const d = await start({
      name: 'd',
      ticket: await lone.node.invite(),
      peers: c.node.addresses(),
    })
    await connected(c, d)
  })

  test('change the root key; who was away during it comes back, who was not known stays out', async () => {
    const a = await start({ name: 'a' })
    const ticket = await a.node.invite()
    const [b, c] = [await start({ name: 'b', ticket }), await start({ name: 'c', ticket })]
    await admitted(b, c)
    await connected(a, b, c)
    const stolen = a.node.members.exportRoot()
    await c.node.stop()
    expect(await a.node.members.rotateRoot()).toEqual({ kept: 3 })
    await connected(a, b)
    const away = await restart(c, { name: 'c' })
    await connected(a, b, away)
    // A ticket of the old root admits nobody, not even one made with the stolen key.
    const thief = await start({ name: 'thief' })
    await thief.node.members.importRoot(stolen)
    const forged = await thief.node.invite()
    const guest = await start({ ticket: forged, peers: a.node.addresses() })
    await patiently(() => guest.events).toContainEqual(
      expect.objectContaining({
        kind: 'refused',
        refusal: expect.objectContaining({
          cause: { kind: 'refused-by-peer', reason: 'old-root' },
        }),
      }),
    )
    expect(peers(a).includes(guest.node.peerId)).toBe(false)
    await expect(b.node.members.importRoot(stolen)).rejects.toMatchObject({ code: 'NOT_ALLOWED' })
    // The new one invites, and still rules after a restart.
    const again = await restart(a, { name: 'a' })
    const d = await start({ name: 'd', ticket: await again.node.invite() })
    await connected(again, b, away, d)
  })
})

describe('leaving', () => {
  test('tells the others, and the old ticket does not bring it back; a new one does', async () => {
    const a = await start({ name: 'a' })
    const ticket = await a.node.invite()
    const [b, c] = [await start({ name: 'b', ticket }), await start({ name: 'c', ticket })]
    await admitted(b, c)
    await connected(a, b, c)
    await b.node.members.leave()
    expect(b.node.meshId()).toBeUndefined()
    expect(b.node.members.list()).toEqual([])
    await patiently(() => peers(b)).toEqual([])
    await patiently(() => statusOf(b, a)?.refusal).toBe('revoked')
    await patiently(() => statusOf(b, c)?.refusal).toBe('revoked')
    await b.node.join(ticket)
    await patiently(() => b.events).toContainEqual(expect.objectContaining({ kind: 'refused' }))
    expect(peers(b)).toEqual([])
    await b.node.members.leave()
    await b.node.join(await a.node.invite())
    await connected(a, b, c)
  })

  test('takes the root key only when told to', async () => {
    const a = await start({ name: 'a' })
    await a.node.invite()
    await expect(a.node.members.leave()).rejects.toMatchObject({ code: 'NOT_ALLOWED' })
    expect(a.node.meshId()).toBeDefined()
    await a.node.members.leave({ forgetRoot: true })
    expect(a.node.meshId()).toBeUndefined()
    const again = await restart(a)
    expect(again.node.meshId()).toBeUndefined()
  })
})

test('a node with a new key is the same member, and its old key is out', async () => {
  const a = await start({ name: 'a' })
  const ticket = await a.node.invite({ uses: 1 })
  const b = await start({ name: 'b', ticket })
  await admitted(b)
  await connected(a, b)
  const identity = await newTestIdentity()
  await b.node.members.changeKey(identity.privateKey)
  expect(self(b)?.peer).toBe(b.node.peerId)
  const renewed = await restart(b, { identity })
  expect(renewed.node.peerId).toBe(identity.peerId)
  await connected(a, renewed)
  await patiently(() => statusOf(b, a)?.refusal).toBe('revoked')
  const again = await restart(renewed)
  await connected(a, again)
  // Who has the old key and the old files gets nowhere.
  const thief = await start({ identity: b.identity, ticket })
  await patiently(() => thief.events).toContainEqual(expect.objectContaining({ kind: 'refused' }))
  expect(peers(thief)).toEqual([])
})
