import { encode } from 'cborg'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeMessage, encodeMessage } from '../../src/control/frame.ts'
import { controlLimits as limits } from '../../src/control/limits.ts'
import type { Message } from '../../src/control/message.ts'
import { ProtocolError } from '../../src/errors.ts'

const bytes = (length: number) => new Uint8Array(length).fill(7)
const text = (length: number) => 'x'.repeat(length)
const list = <T>(length: number, item: T): T[] => Array.from({ length }, () => item)

const hello = {
  kind: 'hello',
  versions: [1],
  capabilities: ['inventory'],
  site: 's',
  name: 'n',
  clockMs: 1,
  boot: bytes(8),
} as const
const member = { peer: 'p', site: 's', addresses: ['/ip4/10.0.0.1/tcp/1'] }
const proof = { database: 'd', id: 1, text: 't', hashes: bytes(32), head: 'h' }
const inventory = {
  kind: 'inventory',
  seq: 0,
  full: true,
  last: true,
  added: bytes(8),
  removed: bytes(0),
} as const
const record = { kind: 'record-answer', re: 1, holdsZip: true } as const

/** One message per kind, with every field. */
const samples: readonly Message[] = [
  hello,
  inventory,
  { kind: 'inventory-resync' },
  { kind: 'tree-head', database: 'd', note: 'n' },
  { kind: 'peers', peers: [member] },
  { kind: 'peers', peers: [], left: ['p'] },
  { kind: 'have-query', id: 1, keys: bytes(16) },
  { kind: 'record-query', id: 1, path: 'p', version: 'v' },
  { kind: 'versions-query', id: 1, path: 'p' },
  { kind: 'tile-query', id: 1, database: 'd', path: 'p' },
  { kind: 'heartbeat', id: 1 },
  { kind: 'have-answer', re: 1, keys: bytes(8) },
  { ...record, info: bytes(3), mod: bytes(4), record: proof },
  record,
  { kind: 'versions-answer', re: 1, versions: 'v1.0.0\n' },
  { kind: 'tile-answer', re: 1, tile: bytes(32) },
  { kind: 'tile-answer', re: 1 },
  { kind: 'heartbeat-answer', re: 1 },
  { kind: 'error', re: 1, reason: 'busy' },
]

/** A field of a message as large as it may be, from its size. */
const sized: readonly (readonly [string, number, (size: number) => unknown])[] = [
  ['hello versions', limits.helloItems, (n) => ({ ...hello, versions: list(n, 1) })],
  ['hello capabilities', limits.helloItems, (n) => ({ ...hello, capabilities: list(n, 'c') })],
  ['a capability', limits.wordLength, (n) => ({ ...hello, capabilities: [text(n)] })],
  ['a site', limits.wordLength, (n) => ({ ...hello, site: text(n) })],
  ['a name', limits.nameLength, (n) => ({ ...hello, name: text(n) })],
  ['a boot nonce', 8, (n) => ({ ...hello, boot: bytes(n) })],
  ['added', limits.inventoryFrameEntries, (n) => ({ ...inventory, added: bytes(8 * n) })],
  ['removed', limits.inventoryFrameEntries, (n) => ({ ...inventory, removed: bytes(8 * n) })],
  ['a note', limits.noteBytes, (n) => ({ kind: 'tree-head', database: 'd', note: text(n) })],
  [
    'a database',
    limits.databaseLength,
    (n) => ({ kind: 'tree-head', database: text(n), note: '' }),
  ],
  ['peers', limits.peersItems, (n) => ({ kind: 'peers', peers: list(n, member) })],
  ['left', limits.peersItems, (n) => ({ kind: 'peers', peers: [], left: list(n, 'p') })],
  [
    'addresses',
    limits.peerAddresses,
    (n) => ({ kind: 'peers', peers: [{ ...member, addresses: list(n, 'a') }] }),
  ],
  [
    'an address',
    limits.addressLength,
    (n) => ({ kind: 'peers', peers: [{ ...member, addresses: [text(n)] }] }),
  ],
  ['have-query keys', limits.haveKeys, (n) => ({ kind: 'have-query', id: 1, keys: bytes(8 * n) })],
  [
    'have-answer keys',
    limits.haveKeys,
    (n) => ({ kind: 'have-answer', re: 1, keys: bytes(8 * n) }),
  ],
  [
    'a path',
    limits.moduleTextLength,
    (n) => ({ kind: 'record-query', id: 1, path: text(n), version: 'v' }),
  ],
  [
    'a version',
    limits.moduleTextLength,
    (n) => ({ kind: 'record-query', id: 1, path: 'p', version: text(n) }),
  ],
  [
    'a path of versions',
    limits.moduleTextLength,
    (n) => ({ kind: 'versions-query', id: 1, path: text(n) }),
  ],
  [
    'a tile path',
    limits.tilePathLength,
    (n) => ({ kind: 'tile-query', id: 1, database: 'd', path: text(n) }),
  ],
  ['an info', limits.infoBytes, (n) => ({ ...record, info: bytes(n) })],
  ['a mod', limits.modBytes, (n) => ({ ...record, mod: bytes(n) })],
  ['a record', limits.recordBytes, (n) => ({ ...record, record: { ...proof, text: text(n) } })],
  ['a head', limits.noteBytes, (n) => ({ ...record, record: { ...proof, head: text(n) } })],
  [
    'a proof',
    limits.proofHashes,
    (n) => ({ ...record, record: { ...proof, hashes: bytes(32 * n) } }),
  ],
  [
    'versions',
    limits.versionsBytes,
    (n) => ({ kind: 'versions-answer', re: 1, versions: text(n) }),
  ],
  ['a tile', limits.tileBytes, (n) => ({ kind: 'tile-answer', re: 1, tile: bytes(n) })],
]

/** The fastest of several runs, milliseconds: other programs have the core at times. */
function quickest(work: () => void): number {
  const runs = Array.from({ length: 7 }, () => {
    const began = performance.now()
    work()
    return performance.now() - began
  })
  return Math.min(...runs)
}

describe('messages', () => {
  test.for(samples.map((message) => [message.kind, message] as const))(
    'read back what was written: %s',
    ([, message]) => {
      expect(decodeMessage(encodeMessage(message))).toEqual(message)
    },
  )

  test('of every kind have a sample here', () => {
    const kinds = new Set(samples.map((message) => message.kind))
    expect(kinds.size).toBe(16)
  })

  test('all fields at their limits at once fit a frame', () => {
    const largest: Message = {
      ...record,
      info: bytes(limits.infoBytes),
      mod: bytes(limits.modBytes),
      record: {
        database: text(limits.databaseLength),
        id: Number.MAX_SAFE_INTEGER,
        text: text(limits.recordBytes),
        hashes: bytes(32 * limits.proofHashes),
        head: text(limits.noteBytes),
      },
    }
    const addresses = list(limits.peerAddresses, text(limits.addressLength))
    const name = text(limits.nameLength)
    const peers = list(limits.peersItems, { peer: name, site: text(limits.wordLength), addresses })
    const added = bytes(8 * limits.inventoryFrameEntries)
    const half = added.subarray(0, added.length / 2)
    for (const message of [
      largest,
      { kind: 'peers', peers },
      { ...inventory, added, removed: half },
    ]) {
      expect(decodeMessage(encodeMessage(message as Message))).toEqual(message)
    }
  })

  test.for(sized)('are taken with %s at the limit and refused above', ([, limit, make]) => {
    expect(decodeMessage(encode(make(limit)))).toBeDefined()
    expect(() => decodeMessage(encode(make(limit + 1)))).toThrow(ProtocolError)
  })

  test.for([
    ['keys that are cut', { kind: 'have-query', id: 1, keys: bytes(9) }],
    ['a proof that is cut', { ...record, record: { ...proof, hashes: bytes(33) } }],
    ['a negative number', { kind: 'heartbeat', id: -1 }],
    ['a fraction', { kind: 'heartbeat', id: 1.5 }],
    ['a number beyond 2^53', { kind: 'heartbeat', id: 2n ** 60n }],
    ['a missing field', { kind: 'record-query', id: 1, path: 'p' }],
    ['a field of another type', { kind: 'record-query', id: 1, path: 'p', version: 1 }],
    ['an unknown reason', { kind: 'error', re: 1, reason: 'because' }],
    ['no kind', { id: 1 }],
    ['a kind that is no text', { kind: 1 }],
    ['null', null],
    ['a list', [1]],
  ] as const)('are refused with %s', ([, value]) => {
    expect(() => decodeMessage(encode(value))).toThrow(ProtocolError)
  })

  test.for([
    ['an indefinite list', [0x9f, 0x01, 0xff]],
    ['undefined', [0xf7]],
    ['not a number', [0xf9, 0x7e, 0x00]],
    ['a tag', [0xc0, 0x60]],
    ['two items', [0x01, 0x02]],
    ['a length beyond the bytes', [0x5b, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]],
    ['a number not written shortest', [0x18, 0x01]],
    ['a key twice', [0xa2, 0x61, 0x61, 0x01, 0x61, 0x61, 0x02]],
    ['nothing', []],
  ] as const)('are refused as %s', ([, raw]) => {
    expect(() => decodeMessage(Uint8Array.from(raw))).toThrow(ProtocolError)
  })

  test('drop fields they do not know, and prototypes are out of reach', () => {
    const message = { kind: 'heartbeat', id: 1, later: { deep: [1] }, ['__proto__']: { id: 2 } }
    expect(decodeMessage(encode(message))).toEqual({ kind: 'heartbeat', id: 1 })
  })

  test('of unknown kinds are told from broken ones', () => {
    expect(decodeMessage(encode({ kind: 'later', id: 3 }))).toEqual({ kind: 'unknown', id: 3 })
    expect(decodeMessage(encode({ kind: 'constructor' }))).toEqual({
      kind: 'unknown',
      id: undefined,
    })
  })

  test.for([
    ['empty maps', 0xa0],
    ['empty lists', 0x80],
    ['numbers', 0x01],
    ['empty texts', 0x60],
    ['nested lists', 0x81],
  ] as const)('made of many %s cost no memory', ([, byte]) => {
    const frame = new Uint8Array(limits.frameBytes).fill(byte)
    // A list that claims as many items as there are bytes.
    frame.set([0x9a, 0, 3, 0xff, 0xfb])
    const before = process.memoryUsage().heapUsed
    expect(() => decodeMessage(frame)).toThrow(ProtocolError)
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(4 * limits.frameBytes)
    const fastest = quickest(() => expect(() => decodeMessage(frame)).toThrow(ProtocolError))
    expect(fastest).toBeLessThan(50)
  })

  test.for([
    ['keys', (size: number) => ({ ...inventory, added: bytes(size - (size % 8)) })],
    ['text', (size: number) => ({ kind: 'later', note: text(size) })],
    ['unknown bytes', (size: number) => ({ kind: 'later', filler: bytes(size) })],
  ] as const)('of %s take time in proportion to their size', ([, make]) => {
    const times = [1, 2, 4].map((times) => {
      const frame = encode(make(times * 30_000))
      return quickest(() => decodeMessage(frame))
    })
    // Ten times for four times the size: quadratic would be sixteen; a millisecond is noise.
    expect(times[2]).toBeLessThan(10 * (times[0] ?? 0) + 1)
  })

  test('beyond the frame limit are refused before they are looked at', () => {
    const frame = new Uint8Array(limits.frameBytes + 1)
    expect(() => decodeMessage(frame)).toThrow('too long')
    const tile = bytes(limits.frameBytes)
    expect(() => encodeMessage({ kind: 'tile-answer', re: 1, tile })).toThrow(ProtocolError)
  })

  test('made of random bytes throw ProtocolError and nothing else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (raw) => {
        try {
          decodeMessage(raw)
        } catch (error) {
          expect(error).toBeInstanceOf(ProtocolError)
        }
      }),
      { numRuns: 2_000 },
    )
  })

  test('with random changes throw ProtocolError or are messages', () => {
    const change = fc.tuple(fc.nat(samples.length - 1), fc.nat(400), fc.nat(255))
    fc.assert(
      fc.property(change, ([which, at, value]) => {
        const raw = Uint8Array.from(encodeMessage(samples[which] as Message))
        raw[at % raw.length] = value
        try {
          expect(typeof decodeMessage(raw).kind).toBe('string')
        } catch (error) {
          expect(error).toBeInstanceOf(ProtocolError)
        }
      }),
      { numRuns: 2_000 },
    )
  })

  test('read back whatever valid fields they have', () => {
    const words = fc.string({ maxLength: 60, unit: 'grapheme' })
    const anyHello = fc.record({
      kind: fc.constant('hello' as const),
      versions: fc.array(fc.nat(), { maxLength: 32 }),
      capabilities: fc.array(fc.string({ maxLength: 20 }), { maxLength: 32 }),
      site: fc.string({ maxLength: 20 }),
      name: words.filter((word) => word.length <= 256),
      clockMs: fc.nat(),
      boot: fc.uint8Array({ minLength: 8, maxLength: 8 }),
    })
    fc.assert(
      fc.property(anyHello, (message) => {
        expect(decodeMessage(encodeMessage(message))).toEqual(message)
      }),
    )
  })
})
