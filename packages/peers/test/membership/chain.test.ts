import { peerIdFromString } from '@libp2p/peer-id'
import { encode } from 'cborg'
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { decodeFields, encodeFields } from '../../src/membership/canonical-cbor.ts'
import type { Invite, MemberClaim } from '../../src/membership/certificate.ts'
import { signInvite, signMember } from '../../src/membership/certificate.ts'
import type { Chain } from '../../src/membership/chain.ts'
import { encodeChain, parseChain } from '../../src/membership/chain.ts'
import { newSeed, publicKeyOf, signBody } from '../../src/membership/ed25519.ts'
import { verifyChain } from '../../src/membership/judge.ts'
import { clockSkewMs, maxChainBytes } from '../../src/membership/limits.ts'
import { bareView } from '../../src/membership/mesh-view.ts'
import { newTestIdentity } from '../../testing/index.ts'

const now = 1_800_000_000_000
const rootSeed = newSeed()
const inviteSeed = newSeed()
const root = publicKeyOf(rootSeed)
let peerId = ''
let peer = new Uint8Array()

beforeAll(async () => {
  ;({ peerId } = await newTestIdentity())
  peer = peerIdFromString(peerId).toMultihash().bytes
})

function invite(changes: Partial<Invite> & Record<string, unknown> = {}): Invite {
  const key = publicKeyOf(inviteSeed)
  return {
    v: 1,
    serial: new Uint8Array(16),
    key,
    from: now,
    until: now + 1000,
    roles: [],
    ...changes,
  }
}

function claim(changes: Partial<MemberClaim> & Record<string, unknown> = {}): MemberClaim {
  return { v: 1, peer, name: 'host', site: 'default', at: now, ...changes }
}

function chain(changes: Partial<Chain> = {}): Chain {
  return {
    root,
    invite: signInvite(invite(), rootSeed),
    member: signMember(claim(), inviteSeed),
    ...changes,
  }
}

function verify(bytes: Uint8Array, nowMs: number = now) {
  return verifyChain(bytes, { view: bareView(root), peerId, peer }, nowMs)
}

function refusal(reason: string) {
  return expect.objectContaining({ code: 'NOT_A_MEMBER', reason })
}

test('a chain proves who showed it', () => {
  expect(verify(encodeChain(chain()))).toMatchObject({ peerId, name: 'host', site: 'default' })
})

describe('a forged link is refused', () => {
  const stranger = newSeed()
  test.for<[string, () => Chain]>([
    ['an invite signed by another key', () => chain({ invite: signInvite(invite(), stranger) })],
    ['a membership signed by another key', () => chain({ member: signMember(claim(), stranger) })],
    ['a membership signed by the root', () => chain({ member: signMember(claim(), rootSeed) })],
    [
      'an invite changed after signing',
      () =>
        chain({
          invite: {
            ...signInvite(invite(), rootSeed),
            body: signInvite(invite({ until: now * 2 }), rootSeed).body,
          },
        }),
    ],
    [
      'a membership changed after signing',
      () =>
        chain({
          member: {
            ...signMember(claim(), inviteSeed),
            body: signMember(claim({ name: 'other' }), inviteSeed).body,
          },
        }),
    ],
    [
      'a membership signature over an invite’s domain',
      () => {
        const { body } = signMember(claim(), inviteSeed)
        return chain({
          member: { body, signature: signBody('modmesh invite 1\n', body, inviteSeed) },
        })
      },
    ],
    [
      'a signature without a domain',
      () => {
        const { body } = signInvite(invite(), rootSeed)
        return chain({ invite: { body, signature: signBody('', body, rootSeed) } })
      },
    ],
  ])('%s', ([, forge]) => {
    expect(() => verify(encodeChain(forge()))).toThrow(refusal('bad-signature'))
  })
})

test('a chain of another mesh is refused, however well it is signed', () => {
  const otherSeed = newSeed()
  const other = chain({ root: publicKeyOf(otherSeed), invite: signInvite(invite(), otherSeed) })
  expect(() => verify(encodeChain(other))).toThrow(refusal('other-mesh'))
})

test('the chain of one peer shown by another is refused', async () => {
  const thief = await newTestIdentity()
  const thiefPeer = peerIdFromString(thief.peerId).toMultihash().bytes
  const expected = { view: bareView(root), peerId: thief.peerId, peer: thiefPeer }
  expect(() => verifyChain(encodeChain(chain()), expected, now)).toThrow(refusal('wrong-peer'))
})

test('a chain is valid from its first to its last millisecond, with tolerance for young clocks only', () => {
  const bytes = encodeChain(chain())
  expect(() => verify(bytes, now + 999)).not.toThrow()
  expect(() => verify(bytes, now + 1000)).toThrow(refusal('expired'))
  expect(() => verify(bytes, now - clockSkewMs)).not.toThrow()
  expect(() => verify(bytes, now - clockSkewMs - 1)).toThrow(refusal('not-yet-valid'))
})

test('a membership in another site than its invite says is refused', () => {
  const sited = signInvite(invite({ site: 'north' }), rootSeed)
  expect(() => verify(encodeChain(chain({ invite: sited })))).toThrow(refusal('malformed'))
})

test('fields of later versions are signed over, kept and no reason to refuse', () => {
  const member = signMember(claim({ later: [1, 'two'] }), inviteSeed)
  const fields = {
    ...decodeFields(encodeChain(chain({ member }))),
    counterSignature: Buffer.alloc(64),
  }
  const bytes = encodeFields(fields)
  expect(verify(bytes).name).toBe('host')
  expect(decodeFields(parseChain(bytes).member.body)['later']).toEqual([1, 'two'])
})

test('a chain of a later version is refused as such', () => {
  const bytes = encodeFields({ ...decodeFields(encodeChain(chain())), v: 2 })
  expect(() => verify(bytes)).toThrow(refusal('version'))
})

test('a chain of one byte too many is refused before it is read', () => {
  expect(() => verify(new Uint8Array(maxChainBytes + 1))).toThrow(refusal('too-large'))
  expect(() => verify(new Uint8Array(maxChainBytes))).toThrow(refusal('malformed'))
})

describe('other bytes than canonical CBOR of a chain are refused', () => {
  test.for<[string, () => Uint8Array]>([
    ['nothing', () => new Uint8Array()],
    ['a list', () => encode([1, 2])],
    ['an indefinite map', () => Buffer.from('bf617601ff', 'hex')],
    ['a number longer than needed', () => Buffer.from('a161761801', 'hex')],
    ['the same key twice', () => Buffer.from('a2617601617601', 'hex')],
    ['keys out of order', () => Buffer.from('a2626161016176f6', 'hex')],
    ['bytes after the end', () => Buffer.concat([encodeChain(chain()), Buffer.from([0])])],
    ['4,000 nested lists', () => new Uint8Array(4000).fill(0x81)],
    ['a list that claims 4 billion items', () => Buffer.from('9affffffff', 'hex')],
    ['text that is not UTF-8', () => Buffer.from('a1617662c328', 'hex')],
  ])('%s', ([, bytes]) => {
    expect(() => verify(bytes())).toThrow(refusal('malformed'))
  })
})

test('random bytes never get in and never break anything', () => {
  const whole = encodeChain(chain())
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
      expect(() => verify(bytes)).toThrow(expect.objectContaining({ code: 'NOT_A_MEMBER' }))
    }),
  )
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const flipped = whole.with(at, (whole[at] ?? 0) ^ flip)
      expect(() => verify(flipped)).toThrow(expect.objectContaining({ code: 'NOT_A_MEMBER' }))
    }),
  )
})
