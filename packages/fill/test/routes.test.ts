import { FakeClock } from '@modmesh/fill/twins'
import { describe, expect, test } from 'vitest'
import { isSiteFirst, isWorthTrial, type RouteCost, Routes } from '../src/routes.ts'

const unknown: RouteCost = { rttMs: undefined, bytesPerSecond: undefined }
const wan: RouteCost = { rttMs: 80, bytesPerSecond: 2_400_000 }
const internet: RouteCost = { rttMs: 40, bytesPerSecond: 12_000_000 }

test.for<[string, RouteCost, RouteCost, boolean]>([
  ['a slow link is not asked before a quick upstream', wan, internet, false],
  ['a quick link is asked before a slow upstream', internet, wan, true],
  ['equals spare the internet', wan, wan, true],
  [
    'a link that is a little slower spares it, too',
    { ...wan, bytesPerSecond: 2_000_000 },
    wan,
    true,
  ],
  ['what was not measured is no reason to go to the internet', wan, unknown, true],
  ['nor is a link that was not', unknown, internet, true],
])('%s', ([, site, upstream, isFirst]) => {
  expect(isSiteFirst(site, upstream)).toBe(isFirst)
})

test.for<[string, RouteCost, RouteCost, boolean]>([
  ['a slow link’s unknown rival is tried', wan, unknown, true],
  ['a known one is not', wan, internet, false],
  ['a quick link needs no rival', { rttMs: 1, bytesPerSecond: 50_000_000 }, unknown, false],
  ['an unmeasured link has none', unknown, unknown, false],
])('%s', ([, site, upstream, isWorth]) => {
  expect(isWorthTrial(site, upstream)).toBe(isWorth)
})

describe('routes', () => {
  const site = { site: 'hq', rttMs: 80, bytesPerSecond: 2_400_000 }

  test('try an unmeasured upstream once in ten minutes', async () => {
    const clock = new FakeClock()
    const routes = new Routes({ clock })
    expect(routes.isUpstreamFirst([site])).toBe(true)
    expect(routes.isUpstreamFirst([site])).toBe(false)
    clock.after(600_000, () => {})
    await clock.step()
    expect(routes.isUpstreamFirst([site])).toBe(true)
  })

  test('prefer upstream once it was measured to be quicker, and forget that', async () => {
    const clock = new FakeClock()
    const routes = new Routes({ clock })
    await measure(clock, routes, 10_000)
    expect(routes.upstream.bytesPerSecond).toBeCloseTo(10_000_000)
    expect(routes.isUpstreamFirst([site])).toBe(true)
    expect(routes.isUpstreamFirst([{ ...site, bytesPerSecond: 20_000_000 }])).toBe(false)
    clock.after(600_001, () => {})
    await clock.step()
    expect(routes.upstream.bytesPerSecond).toBeUndefined()
  })

  test('leave a dead upstream’s speed of once behind when it is slow now', async () => {
    const clock = new FakeClock()
    const routes = new Routes({ clock })
    await measure(clock, routes, 10_000)
    for (let n = 0; n < 12; n++) await measure(clock, routes, 100)
    expect(routes.isUpstreamFirst([site])).toBe(false)
  })

  test('go to the internet where there is no other site', () => {
    expect(new Routes({ clock: new FakeClock() }).isUpstreamFirst([])).toBe(true)
  })
})

/** One body of upstream of 100 ms. */
async function measure(clock: FakeClock, routes: Routes, bytesPerMs: number): Promise<void> {
  const body = routes.began(40)
  for (let ms = 0; ms < 600; ms += 100) {
    clock.after(100, () => {})
    await clock.step()
    body.bytes(bytesPerMs * 100)
  }
  body.end()
}
