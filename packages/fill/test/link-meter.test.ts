import { FakeClock } from '@modmesh/fill/twins'
import { expect, test } from 'vitest'
import { LinkMeter } from '../src/link-meter.ts'

async function pass(clock: FakeClock, ms: number): Promise<void> {
  clock.after(ms, () => {})
  await clock.step()
}

test('a link is measured by all bodies that share it', async () => {
  const clock = new FakeClock()
  const meter = new LinkMeter({ clock })
  const bodies = [meter.begin(), meter.begin()]
  for (let n = 0; n < 10; n++) {
    await pass(clock, 100)
    for (const body of bodies) body.bytes(100_000)
  }
  expect(meter.bytesPerSecond).toBeGreaterThan(1_700_000)
  expect(meter.bytesPerSecond).toBeLessThan(2_500_000)
})

test('rest between bodies does not count', async () => {
  const clock = new FakeClock()
  const meter = new LinkMeter({ clock })
  for (let n = 0; n < 10; n++) {
    const body = meter.begin()
    await pass(clock, 100)
    body.bytes(100_000)
    body.end()
    await pass(clock, 60_000)
  }
  expect(meter.bytesPerSecond).toBeCloseTo(1_000_000)
})

test('nothing is measured of a few bytes, nor after the end of a body', async () => {
  const clock = new FakeClock()
  const meter = new LinkMeter({ clock })
  const body = meter.begin()
  await pass(clock, 10)
  body.bytes(10_000)
  body.end()
  body.end()
  body.bytes(1e9)
  expect(meter.bytesPerSecond).toBeUndefined()
})
