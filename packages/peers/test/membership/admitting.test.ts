import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { sha256 } from '../../src/membership/bytes.ts'
import { parseInvite } from '../../src/membership/certificate.ts'
import type { Chain, Member } from '../../src/membership/chain.ts'
import { encodeChain, parseChain } from '../../src/membership/chain.ts'
import { newSeed } from '../../src/membership/ed25519.ts'
import { clockSkewMs, defaultUses } from '../../src/membership/limits.ts'
import { seedOfPrivateKey } from '../../src/membership/peer-key.ts'
import { peerBytes } from '../../src/membership/peer-text.ts'
import type { Admission } from '../../src/membership/statement.ts'
import { admissions } from '../../src/membership/statement.ts'
import { gossip, type MemberNode, meet, memberNode, show, testNow } from '../support/member-node.ts'

function refusal(reason: string) {
  return expect.objectContaining({ code: 'NOT_A_MEMBER', reason })
}

function chainOf(of: MemberNode): Chain {
  return parseChain(of.membership.chain() ?? new Uint8Array())
}

/** A mesh of an administrator, a member that may admit and an ordinary one, all counter-signed. */
async function threeOf(): Promise<[MemberNode, MemberNode, MemberNode]> {
  const a = await memberNode({ name: 'a' })
  const ticket = await a.membership.invite({ roles: ['admit'] }, [])
  const b = await memberNode({ name: 'b', ticket })
  const c = await memberNode({ name: 'c', ticket: await a.membership.invite({}, []) })
  await meet(a, b)
  await meet(a, c)
  return [a, b, c]
}

function verdict(verify: () => Member): Member | 'refused' {
  try {
    return verify()
  } catch (error) {
    expect(error).toMatchObject({ code: 'NOT_A_MEMBER' })
    return 'refused'
  }
}

/** What a member says of another one, as it likes. */
function admission(by: MemberNode, of: MemberNode, changes: Partial<Admission> = {}): Chain {
  const chain = chainOf(of)
  const body = {
    v: 1 as const,
    peer: peerBytes(of.peerId),
    invite: sha256(chain.invite.body),
    at: testNow,
    ...changes,
  }
  const signed = admissions.sign(body, seedOfPrivateKey(by.identity.privateKey))
  return { ...chain, admission: signed, by: by.membership.chain() }
}

describe('a counter-signed membership', () => {
  test('outlives its invite, everywhere; a provisional one does not', async () => {
    const [a, b, c] = await threeOf()
    const late = await memberNode({ ticket: await a.membership.invite({ expiresMs: 1000 }, []) })
    for (const { clock } of [a, b, c, late]) clock.ms += 40 * 24 * 3_600_000
    expect(show(c, b)).toMatchObject({ name: 'c', admittedMs: testNow, expiresMs: undefined })
    expect(c.membership.isMember()).toBe(true)
    expect(() => show(late, b)).toThrow(refusal('expired'))
    expect(late.membership.isMember()).toBe(false)
  })

  test('by a member is verified by who has never met that member', async () => {
    const [a, b, c] = await threeOf()
    const d = await memberNode({ ticket: await b.membership.invite({}, []) })
    await meet(b, d)
    expect(show(d, c)).toMatchObject({ admittedMs: testNow, rank: 1 })
    // The holder of the root key takes it over, and the chain gets short.
    const before = d.membership.chain()?.byteLength ?? 0
    await meet(a, d)
    expect(show(d, c)).toMatchObject({ rank: 2 })
    expect(d.membership.chain()?.byteLength).toBeLessThan(before)
  })

  test('is given back to who lost it, by whoever has seen it', async () => {
    const [a, b, c] = await threeOf()
    await meet(b, c)
    const { identity, clock } = c
    const bare = parseChain(c.membership.chain() ?? new Uint8Array())
    for (const one of [a, b]) one.clock.ms += 40 * 24 * 3_600_000
    const lost = encodeChain({ ...bare, admission: undefined })
    expect(b.membership.verify(lost, identity.peerId)).toMatchObject({ admittedMs: testNow })
    expect(clock.ms).toBe(testNow)
    const stranger = await memberNode({ ticket: await a.membership.invite({}, []) })
    expect(() => stranger.membership.verify(lost, identity.peerId)).not.toThrow()
    stranger.clock.ms = a.clock.ms
    expect(() => stranger.membership.verify(lost, identity.peerId)).toThrow(refusal('expired'))
  })

  test('keeps its date of first contact, whoever signs again', async () => {
    const [a, b] = await threeOf()
    const d = await memberNode({ ticket: await b.membership.invite({}, []) })
    await meet(b, d)
    for (const one of [a, b, d]) one.clock.ms += 5000
    await meet(a, d)
    expect(show(d, b).admittedMs).toBe(testNow)
  })

  test('keeps the counter-signature under another name', async () => {
    const a = await memberNode({ name: 'a' })
    const ticket = await a.membership.invite({}, [])
    const b = await memberNode({ name: 'b', ticket })
    await meet(a, b)
    const renamed = await memberNode({ name: 'other', ticket }, b)
    expect(show(renamed, a)).toMatchObject({ name: 'other', admittedMs: testNow })
  })
})

describe('a counter-signature is refused', () => {
  test('by a member without the role', async () => {
    const [a, b, c] = await threeOf()
    const d = await memberNode({ ticket: await a.membership.invite({}, []) })
    const forged = encodeChain(admission(c, d))
    expect(() => b.membership.verify(forged, d.peerId)).toThrow(refusal('bad-signature'))
  })

  test('by a stranger who shows the chain of a member that may', async () => {
    const [a, b, c] = await threeOf()
    const d = await memberNode({ ticket: await a.membership.invite({}, []) })
    const forged = encodeChain({ ...admission(c, d), by: b.membership.chain() })
    expect(() => c.membership.verify(forged, d.peerId)).toThrow(refusal('bad-signature'))
  })

  test('without a signer’s chain, unless the root signed', async () => {
    const [a, b, c] = await threeOf()
    const d = await memberNode({ ticket: await a.membership.invite({}, []) })
    const forged = encodeChain({ ...admission(b, d), by: undefined })
    expect(() => c.membership.verify(forged, d.peerId)).toThrow(refusal('bad-signature'))
  })

  test('for another peer, or another invite', async () => {
    const [a, b, c] = await threeOf()
    const d = await memberNode({ ticket: await a.membership.invite({}, []) })
    const other = encodeChain(admission(b, d, { peer: peerBytes(c.peerId) }))
    expect(() => c.membership.verify(other, d.peerId)).toThrow(refusal('wrong-peer'))
    const swapped = encodeChain(admission(b, d, { invite: sha256(chainOf(c).invite.body) }))
    expect(() => c.membership.verify(swapped, d.peerId)).toThrow(refusal('malformed'))
  })

  test('dated after the invite ended, or long before it began', async () => {
    const [a, b, c] = await threeOf()
    const d = await memberNode({ ticket: await a.membership.invite({ expiresMs: 1000 }, []) })
    const late = admission(b, d, { at: testNow + 1000 + clockSkewMs })
    expect(() => c.membership.verify(encodeChain(late), d.peerId)).toThrow(refusal('expired'))
    const inTime = admission(b, d, { at: testNow + 999 + clockSkewMs })
    expect(c.membership.verify(encodeChain(inTime), d.peerId).admittedMs).toBeDefined()
  })

  test('when a member gives roles: those of its own invites only, and never to administer', async () => {
    const [a, b, c] = await threeOf()
    await expect(b.membership.invite({ roles: ['publisher'] }, [])).rejects.toMatchObject({
      code: 'NOT_ALLOWED',
    })
    const d = await memberNode({ ticket: await a.membership.invite({}, []) })
    const raised = encodeChain(admission(b, d, { roles: ['admin', 'admit'] }))
    expect(c.membership.verify(raised, d.peerId).roles).toEqual([])
  })

  test('when signers stand too deep on one another', async () => {
    let by = await memberNode()
    const root = by
    for (const _ of [1, 2, 3]) {
      const next = await memberNode({
        ticket: await by.membership.invite({ roles: ['admit'] }, []),
      })
      await meet(by, next)
      by = next
    }
    expect(show(by, root)).toMatchObject({ rank: 1, roles: ['admit'] })
    // Nobody could verify what it signs, so it signs nothing.
    expect(by.membership.admitting.mayAdmit()).toBe(false)
    await expect(by.membership.invite({}, [])).rejects.toMatchObject({ code: 'NOT_ALLOWED' })
    await meet(root, by)
    expect(by.membership.admitting.mayAdmit()).toBe(true)
  })

  test('whatever byte of a chain is changed, or it says the same as before', async () => {
    const [a, b, c] = await threeOf()
    const d = await memberNode({ ticket: await b.membership.invite({}, []) })
    await meet(b, d)
    const chain = d.membership.chain() ?? new Uint8Array()
    const sound = show(d, c)
    const byte = fc.tuple(fc.nat(chain.byteLength - 1), fc.integer({ min: 1, max: 255 }))
    fc.assert(
      fc.property(byte, ([at, change]) => {
        const changed = chain.with(at, (chain[at] ?? 0) ^ change)
        const outcome = verdict(() => c.membership.verify(changed, d.peerId))
        if (outcome !== 'refused') expect({ ...outcome, chain }).toEqual({ ...sound, chain })
      }),
      { numRuns: 200 },
    )
    expect(a.membership.roster.all().length).toBe(2)
  })

  test('random bytes and random structures are no chain, and nothing else breaks', async () => {
    const [, b, c] = await threeOf()
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        expect(() => b.membership.verify(bytes, c.peerId)).toThrow(
          expect.objectContaining({ code: 'NOT_A_MEMBER' }),
        )
        expect(() => b.membership.admitting.learn(bytes)).toThrow(
          expect.objectContaining({ code: 'NOT_A_MEMBER' }),
        )
      }),
      { numRuns: 200 },
    )
  })
})

describe('the uses of an invite', () => {
  test('are counted by host, over restarts, and the next one is refused at the gate', async () => {
    const a = await memberNode()
    const ticket = await a.membership.invite({ uses: 2 }, [])
    const [b, c, d] = [
      await memberNode({ ticket }),
      await memberNode({ ticket }),
      await memberNode({ ticket }),
    ]
    await meet(a, b)
    await meet(a, b)
    await meet(a, c)
    await expect(meet(a, d)).rejects.toThrow(refusal('used-up'))
    const again = await memberNode({}, a)
    expect(() => show(d, again)).toThrow(refusal('used-up'))
    expect(() => show(c, again)).not.toThrow()
    // Who cannot count hears of it.
    expect(() => show(d, c)).not.toThrow()
    await expect.poll(() => again.membership.ledger?.size).toBe(1)
    await gossip(again, c)
    expect(() => show(d, c)).toThrow(refusal('used-up'))
    expect(() => show(b, c)).not.toThrow()
  })

  test('do not shut out a host that was counted, and hears of the end before of its admission', async () => {
    const a = await memberNode()
    const ticket = await a.membership.invite({ uses: 1 }, [])
    const [b, c] = [await memberNode({ ticket }), await memberNode({ ticket })]
    const chain = await a.membership.admitting.admit(show(b, a))
    expect(() => show(c, a)).toThrow(refusal('used-up'))
    await expect.poll(() => a.membership.ledger?.size).toBe(1)
    await gossip(a, b)
    expect(b.membership.refusal()).toMatchObject({ reason: 'used-up' })
    // It goes on trying, and is let in by who counted it.
    expect(b.membership.isMember()).toBe(true)
    expect(show(b, a).admittedMs).toBeDefined()
    expect(await b.membership.admitting.accept(chain ?? new Uint8Array())).toBe(true)
    expect(b.membership.refusal()).toBeUndefined()
    await a.membership.administration.revoke({ peer: b.peerId })
    await gossip(a, b)
    expect(b.membership.isMember()).toBe(false)
  })

  test('are counted together by those who may admit, once they have talked', async () => {
    const a = await memberNode()
    const b = await memberNode({ ticket: await a.membership.invite({ roles: ['admit'] }, []) })
    await meet(a, b)
    const ticket = await a.membership.invite({ uses: 1 }, [])
    const c = await memberNode({ ticket })
    await meet(b, c)
    const chain = c.membership.chain() ?? new Uint8Array()
    expect(a.membership.admitting.learn(chain)).toBe(true)
    expect(a.membership.admitting.learn(chain)).toBe(false)
    const d = await memberNode({ ticket })
    expect(() => show(d, a)).toThrow(refusal('used-up'))
  })

  test('are bounded also when an invite names no number', async () => {
    const a = await memberNode()
    // Four stolen tickets would be needed to fill what members remember.
    const invite = parseInvite(
      chainOf(await memberNode({ ticket: await a.membership.invite({}, []) })).invite.body,
    )
    expect(invite.uses).toBeUndefined()
    expect(defaultUses).toBeLessThan(4096 / 2)
  })
})

describe('a chain that another member hands us', () => {
  test('is taken only when it says more of us', async () => {
    const [a, b, c] = await threeOf()
    await a.membership.administration.grant(c.peerId)
    const best = a.membership.roster.get(c.peerId)?.member.chain ?? new Uint8Array()
    const before = c.membership.chain() ?? new Uint8Array()
    expect(await c.membership.admitting.accept(best)).toBe(true)
    expect(c.membership.self()?.roles).toEqual(['admin', 'admit'])
    // An older word of the root's takes nothing away, nor does a member's.
    expect(await c.membership.admitting.accept(before)).toBe(false)
    const weaker = encodeChain({ ...admission(b, c), rotations: undefined })
    expect(await c.membership.admitting.accept(weaker)).toBe(false)
    await expect(c.membership.admitting.accept(b.membership.chain()!)).rejects.toThrow(
      refusal('wrong-peer'),
    )
    expect(c.membership.self()?.roles).toEqual(['admin', 'admit'])
  })

  test('of a stranger’s root is refused', async () => {
    const [, , c] = await threeOf()
    const forged = admissions.sign(
      {
        v: 1,
        peer: peerBytes(c.peerId),
        invite: sha256(chainOf(c).invite.body),
        at: testNow,
        roles: ['admin'],
      },
      newSeed(),
    )
    const chain = encodeChain({ ...chainOf(c), admission: forged })
    await expect(c.membership.admitting.accept(chain)).rejects.toThrow(refusal('bad-signature'))
  })
})
