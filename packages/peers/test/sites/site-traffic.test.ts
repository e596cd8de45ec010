import { FakeClock } from '@modmesh/fill/twins'
import { expect, test } from 'vitest'
import { ForgetfulStore } from '../../src/membership/durable-value.ts'
import { SiteTraffic } from '../../src/sites/site-traffic.ts'

function traffic(file: ForgetfulStore, failed: (error: unknown) => void = fail): SiteTraffic {
  return new SiteTraffic({ clock: new FakeClock(), file, failed })
}

function fail(error: unknown): never {
  throw error
}

test('counts go on after a restart', async () => {
  const file = new ForgetfulStore()
  const first = traffic(file)
  await first.start()
  first.add('hq', { given: 1, taken: 20 })
  first.add('hq', { taken: 5, saved: 300 })
  await first.stop()
  const second = traffic(file)
  await second.start()
  second.add('hq', { given: 1 })
  expect(second.of('hq')).toEqual({ given: 2, taken: 25, saved: 300 })
  expect([...second.names()]).toEqual(['hq'])
  expect(second.of('elsewhere')).toEqual({ given: 0, taken: 0, saved: 0 })
})

test.for(['not JSON', '{"v":2}', '{"v":1,"sinceMs":-1,"sites":[]}'])(
  'a damaged file is told of and counts as none: %s',
  async (text) => {
    const file = new ForgetfulStore()
    await file.write(Buffer.from(text))
    const faults: unknown[] = []
    const counts = traffic(file, (error) => faults.push(error))
    await counts.start()
    expect(faults).toHaveLength(1)
    expect([...counts.names()]).toEqual([])
    counts.add('hq', { taken: 1 })
    await counts.stop()
    const next = traffic(file)
    await next.start()
    expect(next.of('hq').taken).toBe(1)
  },
)

test('a mesh of endless sites does not fill the memory', () => {
  const counts = traffic(new ForgetfulStore())
  for (let n = 0; n < 2_000; n++) counts.add(`site ${n}`, { taken: 1 })
  expect([...counts.names()]).toHaveLength(1_024)
})
