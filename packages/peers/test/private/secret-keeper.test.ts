import { beforeEach, describe, expect, test } from 'vitest'
import { makeSecret } from '../../src/private/name-secret.ts'
import { SecretKeeper } from '../../src/private/secret-keeper.ts'
import { MemoryMembershipStore } from '../../testing/index.ts'
import { gossip, testNow } from '../support/member-node.ts'
import { founder, joined, type PrivateMember } from '../support/publisher.ts'

let root: PrivateMember
let alice: PrivateMember
let bob: PrivateMember
let plain: PrivateMember
beforeEach(async () => {
  root = await founder()
  alice = await joined(root, 'alice', ['publisher'])
  bob = await joined(root, 'bob', ['private'])
  plain = await joined(root, 'plain', [])
})

const keeperOf = ({ standing }: PrivateMember, store?: MemoryMembershipStore) =>
  new SecretKeeper({ standing, store })

/** A secret that a member makes, whether it may or not. */
async function made(by: PrivateMember): Promise<Uint8Array> {
  const signer = by.standing.signer()
  const endings = by.standing.endings()
  if (signer === undefined || endings === undefined) throw new Error('it is in no mesh')
  return makeSecret(signer, endings, testNow).record
}

describe('the secret for the names of private modules', () => {
  test('is made once, kept over a restart, and the same for who is handed it', async () => {
    const store = new MemoryMembershipStore()
    const first = keeperOf(alice, store)
    const secret = await first.have()
    expect(secret?.secret).toHaveLength(32)
    expect(await first.have()).toBe(secret)
    const again = keeperOf(alice, store)
    await again.restore()
    expect(again.current()?.secret).toEqual(secret?.secret)
    const other = keeperOf(bob)
    await other.offered(secret?.record ?? new Uint8Array())
    expect(other.current()?.secret).toEqual(secret?.secret)
  })

  test('made twice at once becomes one, whoever hears of the other', async () => {
    const [a, b] = [keeperOf(alice), keeperOf(bob)]
    const [ofA, ofB] = [await a.have(), await b.have()]
    expect(ofA?.secret).not.toEqual(ofB?.secret)
    await a.offered(ofB?.record ?? new Uint8Array())
    await b.offered(ofA?.record ?? new Uint8Array())
    expect(a.current()?.secret).toEqual(b.current()?.secret)
  })

  test('is neither made, taken nor kept by a member without the role', async () => {
    const keeper = keeperOf(plain)
    expect(await keeper.have()).toBeUndefined()
    await keeper.offered(await made(alice))
    expect(keeper.current()).toBeUndefined()
  })

  test('of a member without the role, of another mesh, or of any bytes is not taken', async () => {
    const elsewhere = await joined(await founder(), 'alice', ['publisher'])
    const keeper = keeperOf(bob)
    for (const record of [await made(plain), await made(elsewhere), new Uint8Array(40)]) {
      await keeper.offered(record)
      expect(keeper.current()).toBeUndefined()
    }
  })

  test('ends with any member that is revoked, its maker or not, and a new one is made', async () => {
    const keeper = keeperOf(bob)
    const store = new MemoryMembershipStore()
    const stolen = keeperOf(alice, store)
    const old = await keeper.have()
    await stolen.offered(old?.record ?? new Uint8Array())
    await root.membership.administration.revoke({ peer: plain.peerId, why: undefined })
    await gossip(root, bob)
    expect(keeper.current()).toBeUndefined()
    const next = await keeper.have()
    expect(next?.secret).not.toEqual(old?.secret)
    // Who has not heard of it yet cannot bring the old one back, and takes the new one when it has.
    await keeper.offered(old?.record ?? new Uint8Array())
    expect(keeper.current()).toEqual(next)
    await stolen.offered(next?.record ?? new Uint8Array())
    expect(stolen.current()?.secret).toEqual(old?.secret)
    await gossip(root, alice)
    await stolen.offered(next?.record ?? new Uint8Array())
    expect(stolen.current()?.secret).toEqual(next?.secret)
  })

  test('of a revoked member is taken by nobody, also under the newest endings', async () => {
    const elsewhere = await joined(root, 'eve', ['private'])
    await root.membership.administration.revoke({ peer: elsewhere.peerId, why: undefined })
    for (const node of [bob, elsewhere]) await gossip(root, node)
    const keeper = keeperOf(bob)
    await keeper.offered(await made(elsewhere))
    expect(keeper.current()).toBeUndefined()
  })
})
