import { expect, test } from 'vitest'
import { farReturnMs, knownGoneMs } from '../src/limits.ts'
import { patient, World } from './support/world.ts'

/** A node without upstream, whose one source is a member of another site; its link can swallow everything. */
function branch({ upstream = 'off' }: { readonly upstream?: 'off' | 'down' } = {}) {
  const world = new World()
  const { clock } = world
  const release = world.release()
  const hq = world.holder('hq', release)
  let cutMs: number | undefined
  hq.far = {
    site: 'hq',
    rttMs: 80,
    bytesPerSecond: undefined,
    get silentMs() {
      return cutMs === undefined ? 0 : clock.monotonicMs() - cutMs
    },
  }
  if (upstream === 'off') world.upstream.isOn = false
  else world.upstream.fault = 'down'
  world.db.fault = 'down'
  const cut = (): void => {
    cutMs = clock.monotonicMs()
    hq.isSilent = true
  }
  const mend = (): void => {
    cutMs = undefined
    hq.isSilent = false
  }
  return { world, clock, module: release.module, mod: release.mod, hq, cut, mend }
}

test.for(['off', 'down'] as const)(
  'a question under which the link goes away is answered when it is back, upstream %s',
  async (upstream) => {
    const { world, clock, module, mod, cut, mend } = branch({ upstream })
    cut()
    const asking = world.fill.mod(module, patient)
    const mended = clock.sleep(60_000, patient).then(mend)
    expect((await world.run(asking)).value).toEqual(mod)
    await world.run(mended)
    expect(clock.monotonicMs()).toBeLessThan(63_000)
  },
)

test('who waits for us is told that we wait for the link', async () => {
  const { world, clock, module, cut, mend } = branch()
  const moves = () => world.fill.siteNotice({ what: 'mod', module }).moves
  cut()
  const asking = world.fill.mod(module, patient)
  await clock.advance(10_000)
  const early = moves() ?? 0
  await clock.advance(10_000)
  expect(moves()).toBeGreaterThan(early)
  mend()
  await world.run(asking)
})

test('a connection that ends as the link comes back does not end the wait', async () => {
  const { world, clock, module, mod, hq, cut, mend } = branch()
  cut()
  const asking = world.fill.mod(module, patient)
  await clock.advance(30_000)
  const { far } = hq
  mend()
  hq.isSilent = true
  await clock.advance(1_500) // heard of, and asked again
  hq.far = undefined
  world.peers.peers.length = 0
  await clock.advance(20_000)
  hq.far = far
  hq.isSilent = false
  world.peers.peers.push(hq)
  expect((await world.run(asking)).value).toEqual(mod)
})

test('a link that does not come back ends it', async () => {
  const { world, clock, module, cut } = branch()
  cut()
  await expect(world.run(world.fill.mod(module, patient))).rejects.toMatchObject({
    code: 'MODULE_NOT_FOUND',
  })
  expect(clock.monotonicMs()).toBeGreaterThan(farReturnMs)
  expect(clock.monotonicMs()).toBeLessThan(farReturnMs + 10_000)
})

test('a link that is known to be gone is not waited for', async () => {
  const { world, clock, module, cut } = branch()
  cut()
  await clock.advance(knownGoneMs)
  const startedMs = clock.monotonicMs()
  await expect(world.run(world.fill.mod(module, patient))).rejects.toThrow()
  expect(clock.monotonicMs() - startedMs).toBeLessThan(6_000)
})

test('a site that only knows nothing is not waited for', async () => {
  const { world, clock, hq } = branch()
  const unknown = world.release('v1.9.0', 'example.com/unknown')
  hq.delayMs = 4_000
  await expect(world.run(world.fill.mod(unknown.module, patient))).rejects.toThrow()
  expect(clock.monotonicMs()).toBeLessThan(6_000)
})
