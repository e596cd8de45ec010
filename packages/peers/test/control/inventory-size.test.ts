import { createHash } from 'node:crypto'
import { type ZipHash, zipHashFromBytes } from '@modmesh/module'
import { expect, test } from 'vitest'
import { ContentSet, contentKey, joinKeys } from '../../src/control/content-set.ts'
import { encodeMessage } from '../../src/control/frame.ts'
import { InventoryFeed } from '../../src/control/inventory-feed.ts'
import { controlLimits, controlTimes } from '../../src/control/limits.ts'
import type { InventoryFrame, Notice } from '../../src/control/message.ts'
import { OwnInventory } from '../../src/control/own-inventory.ts'
import { PeerInventory } from '../../src/control/peer-inventory.ts'
import { ProtocolError } from '../../src/errors.ts'
import { ManualClock } from '../support/manual-clock.ts'

const held = 100_000
const hashes: ZipHash[] = []
const hash = (n: number): ZipHash => (hashes[n] ??= newHash(n))

function newHash(n: number): ZipHash {
  return zipHashFromBytes(createHash('sha256').update(String(n)).digest())
}

/** A node that holds 100,000 module versions, and a peer's picture of it; counts what goes over the wire. */
async function large(options: { readonly drop?: (sent: number) => boolean } = {}) {
  const own = new OwnInventory()
  for (let n = 0; n < held; n++) own.add(hash(n))
  const clock = new ManualClock()
  const stop = new AbortController()
  const picture = new PeerInventory()
  const wire = { frames: 0, bytes: 0, largest: 0 }
  const session = {
    signal: stop.signal,
    room: async () => {},
    tell(notice: Notice) {
      const { length } = encodeMessage(notice)
      wire.frames += 1
      wire.bytes += length
      wire.largest = Math.max(wire.largest, length)
      if (notice.kind !== 'inventory' || options.drop?.(wire.frames) === true) return
      if (picture.apply(notice) === 'gap') feed.resync()
    },
  }
  const feed = new InventoryFeed({ own, session, clock }, { times: controlTimes })
  const running = feed.run()
  await clock.advance(1_000)
  return {
    own,
    clock,
    picture,
    wire,
    [Symbol.asyncDispose]: async () => {
      stop.abort(new Error('end'))
      await running
    },
  }
}

test('an inventory of 100,000 takes 8 bytes each on the wire, and a change a frame', async () => {
  await using all = await large()
  const { own, clock, picture, wire } = all
  expect(picture.size).toBe(held)
  expect(picture.isComplete).toBe(true)
  expect(wire.bytes).toBeLessThan(held * 8 * 1.01)
  expect(wire.largest).toBeLessThan(controlLimits.frameBytes)
  const before = { ...wire }
  own.add(hash(held))
  own.remove(hash(0))
  await clock.advance(controlTimes.inventoryDelayMs)
  expect(wire.frames - before.frames).toBe(1)
  expect(wire.bytes - before.bytes).toBeLessThan(150)
  expect(picture.has(contentKey(hash(0)))).toBe(false)
})

test('a gap in an inventory of 100,000 is healed by one more full one', async () => {
  await using all = await large()
  const { own, clock, picture, wire } = all
  const full = wire.bytes
  picture.apply({ ...empty, seq: 1_000_000 }) // as if the frames between had been lost
  expect(picture.size).toBe(0)
  own.add(hash(held))
  await clock.advance(1_000)
  expect(picture.size).toBe(held + 1)
  expect(picture.isComplete).toBe(true)
  expect(wire.bytes).toBeLessThan(2.01 * full)
})

test('an inventory of 100,000 takes at most 22 bytes of memory each, one of the limit 16 MiB', () => {
  const set = new ContentSet()
  for (let n = 0; n < held; n++) set.add(contentKey(hash(n)))
  expect(set.byteLength).toBeLessThanOrEqual(held * 22)
  const key = new Uint8Array(8)
  const view = new DataView(key.buffer)
  for (let n = 0; n < controlLimits.inventoryEntries; n++) {
    view.setUint32(0, Math.imul(n, 0x9e37_79b1))
    view.setUint32(4, n)
    set.add(key)
  }
  expect(set.byteLength).toBeLessThanOrEqual(16 * 2 ** 20)
})

const empty: InventoryFrame = {
  kind: 'inventory',
  seq: 0,
  full: false,
  last: false,
  added: new Uint8Array(),
  removed: new Uint8Array(),
}

test('an inventory that never ends is a breach, and takes no more memory than the largest', () => {
  const inventory = new PeerInventory(1_000)
  const added = joinKeys(Array.from({ length: 100 }, (_, n) => contentKey(hash(n))))
  const endless = () => {
    inventory.apply({ ...empty, full: true, added })
    for (let seq = 1; seq < 1_000; seq++) inventory.apply({ ...empty, seq, added })
  }
  expect(endless).toThrow(ProtocolError)
  expect(inventory.size).toBeLessThanOrEqual(1_000)
})

test('an inventory of empty frames that never ends is a breach, too', () => {
  const inventory = new PeerInventory()
  const endless = () => {
    inventory.apply({ ...empty, full: true })
    for (let seq = 1; seq < 1_000_000; seq++) inventory.apply({ ...empty, seq })
  }
  expect(endless).toThrow(ProtocolError)
})

test('one that is larger than we keep, and ends, is none', () => {
  const inventory = new PeerInventory(1_000)
  const keys = Array.from({ length: 900 }, (_, n) => contentKey(hash(n)))
  inventory.apply({ ...empty, full: true, added: joinKeys(keys) })
  inventory.apply({
    ...empty,
    seq: 1,
    last: true,
    added: joinKeys(keys.map((_, n) => contentKey(hash(n + 900)))),
  })
  expect(inventory.isComplete).toBe(true)
  expect(inventory.size).toBe(1_000)
})
