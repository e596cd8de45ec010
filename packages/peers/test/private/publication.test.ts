import type { Published } from '@modmesh/fill'
import { parseModHash } from '@modmesh/module'
import * as fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { decodeFields, encodeFields, type Fields } from '../../src/membership/canonical-cbor.ts'
import { clockSkewMs } from '../../src/membership/limits.ts'
import { revocations } from '../../src/membership/statement.ts'
import { checkPublication, isMadeIn, signPublication } from '../../src/private/publication.ts'
import { gossip, meet, testNow } from '../support/member-node.ts'
import { hashOf, moduleOf } from '../support/memory-shelf.ts'
import { founder, joined, type PrivateMember } from '../support/publisher.ts'

const lib = moduleOf('git.example.com/team/lib@v1.2.0')
const zip = hashOf('zip')
const mod = parseModHash(hashOf('mod'))

let root: PrivateMember
let alice: PrivateMember
let bob: PrivateMember
let plain: PrivateMember
beforeAll(async () => {
  root = await founder()
  alice = await joined(root, 'alice', ['publisher'])
  bob = await joined(root, 'bob', ['private'])
  plain = await joined(root, 'plain', [])
})

/** What a member signs, whether it may or not. */
function sign(by: PrivateMember, atMs: number = testNow): Published {
  const signer = by.standing.signer()
  if (signer === undefined) throw new Error('it is in no mesh')
  return signPublication({ module: lib, zip, mod }, signer, atMs)
}

function check(at: PrivateMember, statement: Uint8Array, module = lib): Published {
  const against = at.standing.against()
  if (against === undefined) throw new Error('it is in no mesh')
  return checkPublication(statement, module, against)
}

/** The same record with other bytes at one place. */
function altered(statement: Uint8Array, change: (fields: Fields) => Fields): Uint8Array {
  return encodeFields(change(decodeFields(statement)))
}

const refused = (problem: string) => expect.objectContaining({ code: 'STATEMENT_REFUSED', problem })
const noMember = (reason: string) => expect.objectContaining({ code: 'NOT_A_MEMBER', reason })

describe('a statement about a private module', () => {
  test('says what a publisher of the mesh signed, to everybody who knows the mesh', () => {
    const { statement } = sign(alice, testNow + 0.7)
    const publisher = { peer: alice.peerId, name: 'alice', atMs: testNow }
    for (const at of [root, alice, bob]) {
      expect(check(at, statement)).toEqual({ zip, mod, publisher, statement })
    }
  })

  test('counts of an administrator, who could give himself the role', () => {
    expect(check(bob, sign(root).statement).publisher.name).toBe('root')
  })

  test.for([
    { who: 'with the role private alone', by: () => bob },
    { who: 'without a role', by: () => plain },
  ])('does not count of a member $who', ({ by }) => {
    expect(() => check(alice, sign(by()).statement)).toThrow(refused('no-role'))
    expect(() => by().standing.publisher()).toThrow('modmesh invite --roles publisher')
  })

  test('does not count for another version, path or mesh', async () => {
    const { statement } = sign(alice)
    for (const other of ['git.example.com/team/lib@v1.2.1', 'git.example.com/team/li@v1.2.0']) {
      expect(() => check(bob, statement, moduleOf(other))).toThrow(refused('other-module'))
    }
    const elsewhere = await joined(await founder(), 'alice', ['publisher'])
    expect(() => check(bob, sign(elsewhere).statement)).toThrow(refused('other-mesh'))
  })

  test('does not count with its own mesh’s chain under the name of ours', async () => {
    const elsewhere = await joined(await founder(), 'alice', ['publisher'])
    const signer = elsewhere.standing.signer()
    const mesh = alice.standing.signer()?.mesh
    if (signer === undefined || mesh === undefined) throw new Error('they are in no mesh')
    const forged = signPublication({ module: lib, zip, mod }, { ...signer, mesh }, testNow)
    expect(() => check(bob, forged.statement)).toThrow(noMember('other-mesh'))
  })

  test('does not count when somebody else signed it, or shows another’s chain', () => {
    const byAlice = decodeFields(sign(alice).statement)
    const byBob = decodeFields(sign(bob).statement)
    const mixes: Fields[] = [
      { ...byAlice, signature: byBob['signature'] },
      { ...byBob, body: byAlice['body'] },
    ]
    for (const mix of mixes) {
      expect(() => check(root, encodeFields(mix))).toThrow(refused('bad-signature'))
    }
    const borrowed = encodeFields({ ...byBob, by: byAlice['by'] })
    expect(() => check(root, borrowed)).toThrow(refused('no-role'))
    expect(() => check(plain, borrowed)).toThrow(refused('bad-signature'))
  })

  test('is passed on as its publisher would show it, whatever came with it', () => {
    const { statement } = sign(alice)
    const more = altered(statement, (fields) => ({ ...fields, also: new Uint8Array(100) }))
    const { by } = decodeFields(sign(bob).statement)
    const withOther = altered(statement, (fields) => ({ ...fields, by }))
    for (const dirty of [more, withOther]) expect(check(root, dirty).statement).toEqual(statement)
    expect(() => check(plain, withOther)).toThrow(refused('bad-signature'))
  })

  test('does not count as another kind of signed word, nor they as it', () => {
    const signer = alice.standing.signer()
    if (signer === undefined) throw new Error('it is in no mesh')
    const signed = revocations.sign({ v: 1, at: testNow, peer: signer.peer }, signer.seed)
    const record = altered(sign(alice).statement, (fields) => ({ ...fields, ...signed }))
    expect(() => check(bob, record)).toThrow(refused('malformed'))
    const { body } = decodeFields(sign(alice).statement)
    const swapped = altered(record, (fields) => ({ ...fields, body }))
    expect(() => check(bob, swapped)).toThrow(refused('bad-signature'))
  })

  test('does not count before its time, but for clocks that differ', () => {
    expect(check(bob, sign(alice, testNow + clockSkewMs).statement).zip).toBe(zip)
    const early = sign(alice, testNow + clockSkewMs + 1)
    expect(() => check(bob, early.statement)).toThrow(refused('from-the-future'))
  })

  test('with another bit says the same or nothing', () => {
    const { statement, publisher } = sign(alice)
    const said = (bytes: Uint8Array): Omit<Published, 'statement'> | undefined => {
      try {
        const { statement: _, ...rest } = check(plain, bytes)
        return rest
      } catch {
        return undefined // refused
      }
    }
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: statement.length - 1 }),
        fc.integer({ min: 0, max: 7 }),
        (at, bit) => {
          const wrong = Uint8Array.from(statement)
          wrong[at] = (wrong[at] ?? 0) ^ (1 << bit)
          expect([undefined, { zip, mod, publisher }]).toContainEqual(said(wrong))
        },
      ),
      { numRuns: 60 },
    )
  })

  test('is no statement when it is any bytes, or too many', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(() => check(bob, bytes)).toThrow(refused('malformed'))
        expect(isMadeIn(new Uint8Array(32), bytes)).toBe(false)
      }),
      { numRuns: 100 },
    )
    expect(() => check(bob, new Uint8Array(10_000))).toThrow(refused('malformed'))
  })
})

describe('who signed it', () => {
  test('is asked for his role of the time: revoked publishers vouch for nothing, whenever they say it was', async () => {
    const mesh = await founder()
    const eve = await joined(mesh, 'eve', ['publisher'])
    const reader = await joined(mesh, 'reader', ['private'])
    const before = sign(eve, testNow - 1_000)
    expect(check(reader, before.statement).zip).toBe(zip)
    await mesh.membership.administration.revoke({ peer: eve.peerId, why: undefined })
    await gossip(mesh, reader)
    for (const atMs of [testNow - 1_000, testNow, testNow + 1_000]) {
      expect(() => check(reader, sign(eve, atMs).statement)).toThrow(noMember('revoked'))
    }
  })

  test('may have left since he signed, but not before', async () => {
    const mesh = await founder()
    const eve = await joined(mesh, 'eve', ['publisher'])
    const reader = await joined(mesh, 'reader', ['private'])
    const signer = eve.standing.signer()
    if (signer === undefined) throw new Error('it is in no mesh')
    const record = await eve.membership.ownStatements.depart()
    await reader.membership.addRecord(record?.bytes ?? new Uint8Array())
    const say = (atMs: number) => signPublication({ module: lib, zip, mod }, signer, atMs)
    expect(check(reader, say(testNow).statement).zip).toBe(zip)
    expect(() => check(reader, say(testNow + 1).statement)).toThrow(noMember('revoked'))
  })

  test('counts as provisional until his ticket ends, and on when he was counter-signed by then', async () => {
    const mesh = await founder()
    const init = { isProvisional: true, expiresMs: 60_000 } as const
    const eve = await joined(mesh, 'eve', ['publisher'], init)
    const reader = await joined(mesh, 'reader', ['private'])
    const { statement } = sign(eve)
    expect(check(reader, statement).zip).toBe(zip)
    // Nobody saw when he signed: an ended ticket would sign for ever.
    reader.clock.ms += 60_001
    expect(() => check(reader, statement)).toThrow(noMember('expired'))
    await meet(mesh, eve)
    reader.membership.admitting.note(
      reader.membership.verify(eve.membership.chain() ?? new Uint8Array(), eve.peerId),
    )
    expect(check(reader, statement).zip).toBe(zip)
  })
})
