import { describe, expect, test } from 'vitest'
import { decodeFields } from '../../src/membership/canonical-cbor.ts'
import {
  isInviteSigned,
  isMemberSigned,
  parseInvite,
  parseMember,
} from '../../src/membership/certificate.ts'
import { parseChain } from '../../src/membership/chain.ts'
import { peerBytes } from '../../src/membership/peer-text.ts'
import { parseRootKey } from '../../src/membership/root-key-text.ts'
import { newTestIdentity } from '../../testing/index.ts'
import { gossip, type MemberNode, meet, memberNode, show } from '../support/member-node.ts'

function refusal(reason: string) {
  return expect.objectContaining({ code: 'NOT_A_MEMBER', reason })
}

/** A copy of what a crash would leave on the disk now. */
function copyOf(of: MemberNode): Omit<MemberNode, 'membership'> {
  const { identity, peerId, clock, stores } = of
  const copy = <T extends object>(store: T): T =>
    Object.assign(Object.create(Object.getPrototypeOf(store)), store)
  const { store, ledger, roster } = stores
  return {
    identity,
    peerId,
    clock,
    stores: { store: copy(store), ledger: copy(ledger), roster: copy(roster) },
  }
}

describe('a change of the root', () => {
  test('that is cut at any write is there or not after the restart, and never half', async () => {
    for (const writes of [0, 1, 2, 3, 4, 5]) {
      const a = await memberNode({ name: 'a' })
      const b = await memberNode({ ticket: await a.membership.invite({}, []) })
      const gone = await memberNode({ ticket: await a.membership.invite({}, []) })
      await meet(a, b)
      await meet(a, gone)
      await a.membership.administration.revoke({ peer: gone.peerId })
      let left = writes
      for (const store of [a.stores.store, a.stores.ledger]) {
        const write = store.write.bind(store)
        store.write = (bytes) =>
          left-- > 0 ? write(bytes) : Promise.reject(new Error('power cut'))
      }
      await a.membership.administration.rotateRoot().catch((error: unknown) => {
        expect(error).toMatchObject({ message: 'power cut' })
      })
      const again = await memberNode({ name: 'a' }, copyOf({ ...a, stores: plain(a) }))
      expect({ writes, holdsRoot: again.membership.administration.holdsRoot() }).toEqual({
        writes,
        holdsRoot: true,
      })
      const c = await memberNode({ ticket: await again.membership.invite({}, []) })
      await meet(again, c)
      await gossip(again, b)
      await meet(again, b)
      expect(() => show(c, b)).not.toThrow()
      expect(() => show(b, c)).not.toThrow()
      expect(() => show(gone, again)).toThrow(expect.objectContaining({ code: 'NOT_A_MEMBER' }))
      expect(again.membership.ledger?.revocation(peerBytes(gone.peerId))).toBe('by-root')
      expect(b.membership.ledger?.digest()).toEqual(again.membership.ledger?.digest())
      // What others heard before the power went still counts: it comes back from them.
      await gossip(a, again).catch((error: unknown) => {
        expect(error).toMatchObject({ code: 'INVALID_RECORD' })
      })
      expect(again.membership.administration.holdsRoot()).toBe(true)
    }
  })

  test('repeats what was revoked under the old one, for those who come later', async () => {
    const a = await memberNode()
    const ticket = await a.membership.invite({ roles: ['admit'] }, [])
    const [b, c] = [await memberNode({ ticket }), await memberNode({ ticket })]
    await meet(a, b)
    await meet(a, c)
    await a.membership.administration.revoke({ peer: c.peerId, why: 'lost' })
    expect(await a.membership.administration.rotateRoot()).toEqual({ kept: 2 })
    // It has slept through everything, and rests on nothing but the first root.
    await gossip(a, b)
    expect(() => show(c, b)).toThrow(expect.objectContaining({ code: 'NOT_A_MEMBER' }))
    expect(b.membership.ledger?.revocation(peerBytes(c.peerId))).toBe('by-root')
    expect(() => show(a, b)).not.toThrow()
    expect(b.membership.ledger?.digest()).toEqual(a.membership.ledger?.digest())
  })

  test('is followed by who meets a new member before any other', async () => {
    const a = await memberNode()
    const b = await memberNode({ ticket: await a.membership.invite({}, []) })
    await meet(a, b)
    await a.membership.administration.rotateRoot()
    const c = await memberNode({ ticket: await a.membership.invite({}, []) })
    await meet(a, c)
    await gossip(a, c)
    expect(() => show(c, b)).not.toThrow()
    expect(() => show(b, c)).not.toThrow()
    const stranger = await memberNode()
    await stranger.membership.invite({}, [])
    expect(() => show(stranger, b)).toThrow(refusal('other-mesh'))
  })

  test('by a stolen key afterwards is refused by who knows of the first', async () => {
    const a = await memberNode()
    const b = await memberNode({ ticket: await a.membership.invite({}, []) })
    await meet(a, b)
    const thief = await memberNode()
    await thief.membership.administration.importRoot(a.membership.administration.exportRoot())
    await a.membership.administration.rotateRoot()
    await thief.membership.administration.rotateRoot()
    await gossip(a, b)
    await expect(gossip(thief, b)).rejects.toMatchObject({ code: 'INVALID_RECORD' })
    expect(() => show(thief, b)).toThrow(refusal('bad-signature'))
    expect(() => show(a, b)).not.toThrow()
  })
})

describe('a root key outside of a node', () => {
  test('is one word that is read again, and says nothing in its errors', async () => {
    const a = await memberNode()
    await a.membership.invite({}, [])
    const text = a.membership.administration.exportRoot()
    expect(text).toMatch(/^modmesh-root-1-[\w-]+$/u)
    expect(parseRootKey(`  ${text}\n`).root).toEqual(a.membership.ledger?.roots[0])
    const broken = [text.slice(0, -3), text.slice(5), '', text.replace(/.$/u, '~'), 'x'.repeat(1e5)]
    for (const bad of broken) {
      expect(() => parseRootKey(bad)).toThrow(expect.objectContaining({ code: 'INVALID_ROOT_KEY' }))
      try {
        parseRootKey(bad)
      } catch (error) {
        expect(String(error)).not.toContain(text.slice(20, 40))
      }
    }
  })

  test('of another mesh is refused by a member', async () => {
    const [a, b] = [await memberNode(), await memberNode()]
    await a.membership.invite({}, [])
    await b.membership.invite({}, [])
    const key = b.membership.administration.exportRoot()
    await expect(a.membership.administration.importRoot(key)).rejects.toMatchObject({
      code: 'OTHER_MESH',
    })
  })
})

describe('a change of a host’s key', () => {
  test('that is cut leaves the host with its old key', async () => {
    const a = await memberNode()
    const b = await memberNode({ ticket: await a.membership.invite({}, []) })
    await meet(a, b)
    const next = await newTestIdentity()
    await b.membership.ownStatements.changeKey(next.peerId)
    // The identity file was not replaced before the power went.
    const same = await memberNode({}, b)
    expect(() => show(same, a)).not.toThrow()
    const renewed = await memberNode({}, { ...b, identity: next })
    expect(show(renewed, a)).toMatchObject({ peerId: next.peerId, admittedMs: expect.any(Number) })
    await gossip(renewed, a)
    expect(() => show(same, a)).toThrow(refusal('revoked'))
  })

  test('follows a revocation of the old key: a thief cannot run from it', async () => {
    const a = await memberNode()
    const b = await memberNode({ ticket: await a.membership.invite({}, []) })
    await meet(a, b)
    const next = await newTestIdentity()
    await b.membership.ownStatements.changeKey(next.peerId)
    const renewed = await memberNode({}, { ...b, identity: next })
    await a.membership.administration.revoke({ peer: b.peerId })
    expect(() => show(renewed, a)).toThrow(refusal('revoked'))
  })

  test('is possible some times, then a new ticket is due; a provisional host cannot', async () => {
    const a = await memberNode()
    const ticket = await a.membership.invite({}, [])
    const guest = await memberNode({ ticket })
    const { peerId } = await newTestIdentity()
    const denied = { code: 'NOT_ALLOWED' }
    await expect(guest.membership.ownStatements.changeKey(peerId)).rejects.toMatchObject(denied)
    let b = await memberNode({ ticket })
    await meet(a, b)
    for (const _ of [1, 2, 3]) {
      const identity = await newTestIdentity()
      await b.membership.ownStatements.changeKey(identity.peerId)
      b = await memberNode({}, { ...b, identity })
      expect(() => show(b, a)).not.toThrow()
    }
    await expect(b.membership.ownStatements.changeKey(peerId)).rejects.toMatchObject(denied)
  })
})

test('what a program of the first version checks holds for whoever the root invited', async () => {
  const a = await memberNode({ name: 'a' })
  const b = await memberNode({ name: 'b', ticket: await a.membership.invite({}, []) })
  await meet(a, b)
  await a.membership.administration.grant(b.peerId)
  await meet(a, b)
  await a.membership.administration.rotateRoot()
  for (const node of [a, b]) {
    const bytes = node.membership.chain() ?? new Uint8Array()
    expect(decodeFields(bytes)).toMatchObject({ v: 1 })
    const { root, invite, member } = parseChain(bytes)
    expect(isInviteSigned(invite, root)).toBe(true)
    const { key } = parseInvite(invite.body)
    expect(isMemberSigned(member, key)).toBe(true)
    expect(parseMember(member.body).peer).toEqual(peerBytes(node.peerId))
  }
})

/** The stores without the writes that fail. */
function plain({ stores }: MemberNode): MemberNode['stores'] {
  for (const store of Object.values(stores)) Reflect.deleteProperty(store, 'write')
  return stores
}
