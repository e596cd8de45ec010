import { createHash } from 'node:crypto'
import { zipHashFromBytes } from '@modmesh/module'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { contentKey, joinKeys } from '../../src/control/content-set.ts'
import { InventoryFeed } from '../../src/control/inventory-feed.ts'
import { controlLimits, controlTimes } from '../../src/control/limits.ts'
import type { InventoryFrame, Notice } from '../../src/control/message.ts'
import { OwnInventory } from '../../src/control/own-inventory.ts'
import { PeerInventory } from '../../src/control/peer-inventory.ts'
import { ManualClock } from '../support/manual-clock.ts'

function hash(n: number) {
  return zipHashFromBytes(createHash('sha256').update(String(n)).digest())
}

function frame(seq: number, part: Partial<InventoryFrame> = {}): InventoryFrame {
  return {
    kind: 'inventory',
    seq,
    full: false,
    last: true,
    added: new Uint8Array(),
    removed: new Uint8Array(),
    ...part,
  }
}

const keys = (...numbers: number[]) => joinKeys(numbers.map((n) => contentKey(hash(n))))

/** Our inventory fed to a peer's picture of it, over a session that is only a list. */
function fed(options: { readonly drop?: (sent: number) => boolean } = {}) {
  const own = new OwnInventory()
  const clock = new ManualClock()
  const stop = new AbortController()
  const picture = new PeerInventory()
  let sent = 0
  let gaps = 0
  const session = {
    signal: stop.signal,
    room: async () => {},
    tell(notice: Notice) {
      sent += 1
      if (notice.kind !== 'inventory' || options.drop?.(sent) === true) return
      if (picture.apply(notice) === 'taken') return
      gaps += 1
      feed.resync()
    },
  }
  const feed = new InventoryFeed({ own, session, clock }, { times: controlTimes })
  const running = feed.run()
  return { own, clock, picture, stop, running, sent: () => sent, gaps: () => gaps }
}

describe("a peer's inventory", () => {
  test('takes a full one and changes', () => {
    const inventory = new PeerInventory()
    expect(inventory.isComplete).toBe(false)
    expect(inventory.apply(frame(5, { full: true, last: false, added: keys(1, 2) }))).toBe('taken')
    expect(inventory.isComplete).toBe(false)
    expect(inventory.apply(frame(6, { added: keys(3) }))).toBe('taken')
    expect(inventory.isComplete).toBe(true)
    expect(inventory.apply(frame(7, { added: keys(4), removed: keys(1) }))).toBe('taken')
    expect([1, 2, 3, 4].map((n) => inventory.has(contentKey(hash(n))))).toEqual([
      false,
      true,
      true,
      true,
    ])
  })

  test('believes nothing after a gap until it gets a full one', () => {
    const inventory = new PeerInventory()
    inventory.apply(frame(0, { full: true, added: keys(1) }))
    expect(inventory.apply(frame(2, { added: keys(2) }))).toBe('gap')
    expect(inventory.isComplete).toBe(false)
    expect(inventory.size).toBe(0)
    expect(inventory.apply(frame(3, { added: keys(3) }))).toBe('gap')
    expect(inventory.apply(frame(4, { full: true, added: keys(4) }))).toBe('taken')
    expect(inventory.size).toBe(1)
  })

  test('keeps no more entries than the limit', () => {
    const inventory = new PeerInventory(3)
    inventory.apply(frame(0, { full: true, added: keys(1, 2, 3, 4, 5) }))
    inventory.apply(frame(1, { added: keys(6, 7) }))
    expect(inventory.size).toBe(3)
    inventory.apply(frame(2, { removed: keys(1), added: keys(8) }))
    expect(inventory.has(contentKey(hash(8)))).toBe(true)
  })

  test('drops a claim that failed', () => {
    const inventory = new PeerInventory()
    inventory.apply(frame(0, { full: true, added: keys(1) }))
    inventory.drop(contentKey(hash(1)))
    expect(inventory.has(contentKey(hash(1)))).toBe(false)
  })
})

describe('an inventory feed', () => {
  test('sends what is held, then changes together', async () => {
    const { own, clock, picture, sent, stop, running } = fed()
    await clock.advance(0)
    expect(picture.isComplete).toBe(true)
    for (let n = 0; n < 100; n++) own.add(hash(n))
    own.remove(hash(7))
    await clock.advance(controlTimes.inventoryDelayMs)
    expect(picture.size).toBe(99)
    expect(sent()).toBe(2)
    stop.abort(new Error('end'))
    await running
  })

  test('sends a large inventory in frames within the limit', async () => {
    const entries = 2 * controlLimits.inventoryFrameEntries + 1
    const { own, clock, picture, sent, stop, running } = fed()
    for (let n = 0; n < entries; n++) own.add(hash(n))
    await clock.advance(1_000)
    expect(picture.size).toBe(entries)
    expect(picture.isComplete).toBe(true)
    expect(sent()).toBeGreaterThanOrEqual(3)
    stop.abort(new Error('end'))
    await running
  })

  test('heals when frames are lost', async () => {
    const { own, clock, picture, gaps, stop, running } = fed({ drop: (sent) => sent === 2 })
    await clock.advance(0)
    own.add(hash(1))
    await clock.advance(100)
    own.add(hash(2))
    await clock.advance(100)
    expect(gaps()).toBe(1)
    expect(picture.size).toBe(2)
    stop.abort(new Error('end'))
    await running
  })

  test('ends in the picture that we hold, whatever changes when', async () => {
    const step = fc.record({ n: fc.nat(30), isHeld: fc.boolean(), waitMs: fc.nat(30) })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const { own, clock, picture, stop, running } = fed()
        for (const { n, isHeld, waitMs } of steps) {
          if (isHeld) own.add(hash(n))
          else own.remove(hash(n))
          if (waitMs > 25) await clock.advance(waitMs)
        }
        await clock.advance(1_000)
        for (let n = 0; n <= 30; n++) {
          const one = contentKey(hash(n))
          expect(picture.has(one)).toBe(own.has(one))
        }
        stop.abort(new Error('end'))
        await running
      }),
      { numRuns: 40 },
    )
  })
})
