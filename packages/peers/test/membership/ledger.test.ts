import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { sha256 } from '../../src/membership/bytes.ts'
import { newSeed, publicKeyOf } from '../../src/membership/ed25519.ts'
import { keepList } from '../../src/membership/kept-peers.ts'
import { Ledger } from '../../src/membership/ledger.ts'
import { formatRecord, recordId } from '../../src/membership/ledger-record.ts'
import { maxMinorPerSigner, maxRecordBytes, maxRotations } from '../../src/membership/limits.ts'
import { seedOfPrivateKey } from '../../src/membership/peer-key.ts'
import { peerBytes } from '../../src/membership/peer-text.ts'
import type { Revocation } from '../../src/membership/statement.ts'
import {
  departures,
  exhaustions,
  revocations,
  rotations,
  successions,
} from '../../src/membership/statement.ts'
import { newTestIdentity } from '../../testing/index.ts'
import { type MemberNode, meet, memberNode, show, testNow } from '../support/member-node.ts'

/** The founder, an administrator, a member that may admit, two ordinary ones and a provisional one. */
let a: MemberNode
let admin: MemberNode
let admit: MemberNode
let c: MemberNode
let d: MemberNode
let guest: MemberNode
let root: Uint8Array
let rootSeed: Uint8Array

beforeAll(async () => {
  a = await memberNode({ name: 'a' })
  const ticket = await a.membership.invite({}, [])
  admin = await memberNode({ ticket })
  admit = await memberNode({ ticket: await a.membership.invite({ roles: ['admit'] }, []) })
  c = await memberNode({ ticket })
  d = await memberNode({ ticket })
  guest = await memberNode({ ticket })
  for (const one of [admin, admit, c, d]) await meet(a, one)
  await a.membership.administration.grant(admin.peerId)
  await meet(a, admin)
  root = a.membership.ledger?.roots[0] ?? new Uint8Array()
  rootSeed = seedFrom(a.membership.administration.exportRoot())
})

/** The seed inside an exported root key: the only byte string of 32 bytes after the text `seed`. */
function seedFrom(text: string): Uint8Array {
  const bytes = Buffer.from(text.slice('modmesh-root-1-'.length), 'base64url')
  const at = bytes.indexOf('seed') + 'seed'.length + 2
  return new Uint8Array(bytes.subarray(at, at + 32))
}

const seedOf = (of: MemberNode): Uint8Array => seedOfPrivateKey(of.identity.privateKey)
const chainOf = (of: MemberNode): Uint8Array => of.membership.chain() ?? new Uint8Array()
const serial = (fill: number): Uint8Array => new Uint8Array(16).fill(fill)

function revoke(body: Partial<Revocation>, by?: MemberNode): Uint8Array {
  const seed = by === undefined ? rootSeed : seedOf(by)
  const signed = revocations.sign({ v: 1, at: testNow, ...body }, seed)
  return formatRecord('revoke', signed, by === undefined ? {} : { by: chainOf(by) })
}

function leave(of: MemberNode, by: MemberNode = of): Uint8Array {
  const invite = new Uint8Array(Buffer.from(of.membership.self()?.invite ?? '', 'hex'))
  const body = { v: 1 as const, at: testNow, peer: peerBytes(of.peerId), invite }
  return formatRecord('leave', departures.sign(body, seedOf(by)), { by: chainOf(by) })
}

function spend(invite: Uint8Array, by: MemberNode): Uint8Array {
  const signed = exhaustions.sign({ v: 1, at: testNow, invite }, seedOf(by))
  return formatRecord('spend', signed, { by: chainOf(by) })
}

function succeed(of: MemberNode, next: Uint8Array, by: MemberNode = of): Uint8Array {
  const body = { v: 1 as const, peer: peerBytes(of.peerId), next, at: testNow }
  return formatRecord('succeed', successions.sign(body, seedOf(by)), { by: chainOf(by) })
}

function rotate(old: Uint8Array, next: Uint8Array, seq: number, peers: readonly Uint8Array[]) {
  const keep = keepList(peers)
  const body = {
    v: 1 as const,
    seq,
    old: publicKeyOf(old),
    next: publicKeyOf(next),
    at: testNow,
    keep: sha256(keep),
  }
  return formatRecord('rotate', rotations.sign(body, old), { keep })
}

function outcome(ledger: Ledger, record: Uint8Array): string {
  try {
    return ledger.add(record)
  } catch (error) {
    expect(['INVALID_RECORD', 'NOT_A_MEMBER']).toContain((error as { code?: string }).code)
    return 'refused'
  }
}

describe('records that their signer may not make are refused', () => {
  test.for<[string, () => Uint8Array]>([
    ['a revocation by an ordinary member', () => revoke({ peer: peerBytes(d.peerId) }, c)],
    ['one by a member that may admit', () => revoke({ peer: peerBytes(d.peerId) }, admit)],
    ['one by a provisional member', () => revoke({ peer: peerBytes(d.peerId) }, guest)],
    [
      'one by a stranger with a root key of its own',
      () => formatRecord('revoke', revocations.sign({ v: 1, at: 1, invite: serial(1) }, newSeed())),
    ],
    [
      'one by a member in the name of an administrator',
      () => {
        const signed = revocations.sign({ v: 1, at: testNow, invite: serial(1) }, seedOf(c))
        return formatRecord('revoke', signed, { by: chainOf(admin) })
      },
    ],
    ['a departure that another member signed', () => leave(d, c)],
    ['a departure of a provisional member', () => leave(guest)],
    ['a new key that another member names', () => succeed(d, peerBytes(c.peerId), c)],
    ['a spent invite, by an ordinary member', () => spend(serial(1), c)],
    ['a change of the root by a stranger', () => rotate(newSeed(), newSeed(), 1, [])],
    [
      'a change of the root with another list of members than the signed one',
      () => {
        const signed = rotations.sign(
          {
            v: 1,
            seq: 1,
            old: root,
            next: publicKeyOf(newSeed()),
            at: testNow,
            keep: sha256(keepList([peerBytes(c.peerId)])),
          },
          rootSeed,
        )
        return formatRecord('rotate', signed, { keep: keepList([peerBytes(d.peerId)]) })
      },
    ],
    [
      'a revocation of nothing',
      () => formatRecord('spend', { body: serial(1), signature: new Uint8Array(64) }),
    ],
    ['more bytes than a record has', () => new Uint8Array(maxRecordBytes + 1)],
    ['no bytes', () => new Uint8Array()],
  ])('%s', ([, record]) => {
    const ledger = new Ledger(root)
    expect(outcome(ledger, record())).toBe('refused')
    expect(ledger.size).toBe(0)
  })

  test('whatever byte of them is changed', () => {
    const records = [
      revoke({ peer: peerBytes(c.peerId), invite: serial(7), why: 'lost' }),
      revoke({ peer: peerBytes(c.peerId) }, admin),
      leave(c),
      succeed(c, peerBytes(d.peerId)),
      spend(serial(3), admit),
      rotate(rootSeed, newSeed(), 1, [peerBytes(c.peerId)]),
    ]
    const change = fc.tuple(fc.constantFrom(...records), fc.nat(), fc.integer({ min: 1, max: 255 }))
    fc.assert(
      fc.property(change, ([record, place, bits]) => {
        const at = place % record.byteLength
        const ledger = new Ledger(root)
        const result = outcome(ledger, record.with(at, (record[at] ?? 0) ^ bits))
        // In the chain of the signer are signatures that nobody needs; the word itself stays what it was.
        if (result === 'refused') return
        const [id = ''] = ledger.ids()
        const kept = ledger.record(id) ?? new Uint8Array()
        expect(bodyOf(kept)).toEqual(bodyOf(record))
      }),
      { numRuns: 300 },
    )
  })
})

/** The signed bytes of a record: what follows `body` in its encoding, as far as all records are long. */
function bodyOf(record: Uint8Array): string {
  const text = Buffer.from(record)
  const at = text.indexOf('body')
  return text.subarray(at, at + 60).toString('hex')
}

describe('what is known', () => {
  test('does not depend on the order in which it came', async () => {
    const { peerId } = await newTestIdentity()
    const records = [
      revoke({ peer: peerBytes(c.peerId), invite: serial(7) }),
      revoke({ peer: peerBytes(c.peerId), invite: serial(7), at: testNow + 1 }),
      revoke({ peer: peerBytes(c.peerId) }, admin),
      revoke({ peer: peerBytes(peerId) }, admin),
      revoke({ invite: serial(8), at: testNow + 5 }),
      revoke({ invite: serial(8), at: testNow + 9 }, admin),
      leave(d),
      succeed(d, peerBytes(peerId)),
      spend(serial(9), admit),
      spend(serial(9), admin),
    ]
    const inOrder = new Ledger(root)
    for (const record of records) expect(outcome(inOrder, record)).not.toBe('refused')
    const peers = [c, d, admin, admit].map((one) => peerBytes(one.peerId))
    const view = (ledger: Ledger) => [
      ledger.digest(),
      ledger.closedMs(serial(7)),
      ledger.closedMs(serial(8)),
      ledger.isSpent(serial(9)),
      ...peers.map((peer) => [ledger.revocation(peer), ledger.successor(peer)]),
    ]
    fc.assert(
      fc.property(fc.shuffledSubarray(records, { minLength: records.length }), (shuffled) => {
        const ledger = new Ledger(root)
        for (const record of [...shuffled, ...shuffled]) outcome(ledger, record)
        expect(view(ledger)).toEqual(view(inOrder))
        expect(view(Ledger.decode(ledger.encode(), root))).toEqual(view(inOrder))
      }),
      { numRuns: 30 },
    )
  })

  test('is not taken back by what is older, nor said twice', () => {
    const ledger = new Ledger(root)
    const record = revoke({ peer: peerBytes(c.peerId) })
    expect(ledger.add(record)).toBe('added')
    expect(ledger.add(record)).toBe('known')
    const next = newSeed()
    const rotation = rotate(rootSeed, next, 1, [peerBytes(d.peerId)])
    expect(ledger.add(rotation)).toBe('added')
    expect(ledger.add(rotation)).toBe('known')
    // The old root has no word any more, and cannot name another successor.
    expect(outcome(ledger, revoke({ peer: peerBytes(d.peerId) }))).toBe('refused')
    expect(outcome(ledger, rotate(rootSeed, newSeed(), 1, []))).toBe('refused')
    expect(outcome(ledger, rotate(rootSeed, newSeed(), 2, []))).toBe('refused')
    expect(ledger.revocation(peerBytes(c.peerId))).toBe('by-root')
    expect(ledger.isKept(peerBytes(d.peerId), 0)).toBe(true)
    expect(ledger.isKept(peerBytes(admit.peerId), 0)).toBe(false)
    expect(ledger.isKept(peerBytes(admit.peerId), 1)).toBe(true)
  })

  test('of a host’s new key is what was heard first', () => {
    const ledger = new Ledger(root)
    expect(ledger.add(succeed(c, peerBytes(d.peerId)))).toBe('added')
    expect(ledger.add(succeed(c, peerBytes(admit.peerId)))).toBe('known')
    expect(ledger.successor(peerBytes(c.peerId))?.next).toEqual(peerBytes(d.peerId))
  })

  test('comes back from the disk, and a damaged file stops the start', () => {
    const ledger = new Ledger(root)
    ledger.add(revoke({ peer: peerBytes(c.peerId), invite: serial(7) }))
    const bytes = ledger.encode()
    const again = Ledger.decode(bytes, root)
    expect(again.ids()).toEqual(ledger.ids())
    expect(again.closedMs(serial(7))).toBe(testNow)
    const state = expect.objectContaining({ code: 'MEMBERSHIP_STATE' })
    expect(() => Ledger.decode(bytes.subarray(1), root)).toThrow(state)
    expect(Ledger.decode(bytes, publicKeyOf(newSeed())).size).toBe(0)
  })

  test('is bounded: one member cannot fill it, and a mesh changes its root so many times', () => {
    const ledger = new Ledger(root)
    const outcomes = Array.from({ length: maxMinorPerSigner + 1 }, (_, i) => {
      const invite = new Uint8Array(16)
      new DataView(invite.buffer).setUint32(0, i)
      return ledger.add(spend(invite, admit))
    })
    expect(outcomes.at(-2)).toBe('added')
    expect(outcomes.at(-1)).toBe('full')
    expect(ledger.add(spend(serial(9), admin))).toBe('added')
    let old = rootSeed
    for (let seq = 1; seq <= maxRotations; seq++) {
      const next = newSeed()
      expect(ledger.add(rotate(old, next, seq, []))).toBe('added')
      old = next
    }
    expect(ledger.add(rotate(old, newSeed(), maxRotations + 1, []))).toBe('full')
  })

  test('names records by their bytes', () => {
    const record = revoke({ invite: serial(1) })
    const ledger = new Ledger(root)
    ledger.add(record)
    expect(ledger.ids()).toEqual([recordId(record)])
    expect(ledger.record(recordId(record))).toEqual(record)
  })
})

describe('clocks that are wrong by minutes', () => {
  test('do not put out who was counter-signed just before an invite was closed', async () => {
    const founder = await memberNode()
    const ticket = await founder.membership.invite({}, [])
    const [x, y] = [await memberNode({ ticket }), await memberNode({ ticket })]
    await meet(founder, x)
    await meet(founder, y)
    founder.clock.ms -= 4 * 60_000
    await founder.membership.administration.revoke({ peer: y.peerId })
    expect(() => show(x, founder)).not.toThrow()
    expect(() => show(y, founder)).toThrow(expect.objectContaining({ reason: 'revoked' }))
    const late = await memberNode({ ticket })
    expect(() => show(late, founder)).toThrow(expect.objectContaining({ reason: 'revoked' }))
  })
})
