import { expect, test } from 'vitest'
import { SiteLinks, type SiteLinksComponents } from '../../src/sites/site-links.ts'

test('a site that is limited no more by itself is limited as all others are from then on', () => {
  const parts = {
    hub: { links: () => [], link: () => undefined },
    clock: { wallMs: () => 0, monotonicMs: () => 0 },
  } as unknown as SiteLinksComponents
  const links = new SiteLinks(parts, {})
  links.limit('berlin', [{ mode: 'metered' }])
  links.limit('*', [{ mode: 'paused' }])
  expect(links.terms('berlin').mode).toBe('metered')
  links.limit('berlin', undefined)
  expect(links.terms('berlin').mode).toBe('paused')
  links.limit('*', [{ mode: 'forbidden' }])
  expect(links.terms('berlin').mode).toBe('forbidden')
})

test('members of our site are given without limit, whatever holds for all others', async () => {
  const waits: number[] = []
  const parts = {
    hub: { links: () => [], link: () => undefined },
    sites: { isSame: (peer: string) => peer === 'near', siteOf: () => 'berlin' },
    clock: {
      wallMs: () => 0,
      monotonicMs: () => 0,
      sleep: async (ms: number) => void waits.push(ms),
    },
  } as unknown as SiteLinksComponents
  const links = new SiteLinks(parts, { rules: new Map([['*', [{ upRate: 1_000 }]]]) })
  const { signal } = new AbortController()
  const around = { pause: () => {}, resume: () => {}, signal }
  const given = async (peer: string): Promise<number[]> => {
    const chunks = (async function* () {
      yield new Uint8Array(100_000)
    })()
    const sizes: number[] = []
    for await (const { byteLength } of links.giving(peer, chunks, around)) sizes.push(byteLength)
    return sizes
  }
  expect(await given('near')).toEqual([100_000])
  expect(waits).toEqual([])
  links.limit('*', [{ mode: 'forbidden' }])
  expect(await given('near')).toEqual([100_000])
  await expect(given('far')).rejects.toMatchObject({ code: 'SITE_CLOSED' })
  links.limit('*', [{ upRate: 1_000 }])
  expect((await given('far')).length).toBeGreaterThan(1)
  expect(waits.length).toBeGreaterThan(0)
})

test('what waits for an answer is no measure of a link, where a zip comes in parts', async () => {
  let nowMs = 0
  const parts = {
    hub: { links: () => [], link: () => undefined },
    sites: { isSame: () => false, siteOf: () => 'berlin' },
    traffic: { add: () => {} },
    clock: { wallMs: () => 0, monotonicMs: () => nowMs },
  } as unknown as SiteLinksComponents
  const links = new SiteLinks(parts, {})
  const taking = links.taking('far', 'parts')
  for (let part = 0; part < 20; part++) {
    nowMs += 1_000 // the question
    for (let at = 0; at < 5; at++) {
      await taking?.take(50_000, patient)
      nowMs += at < 4 ? 25 : 0
    }
    taking?.pause()
  }
  nowMs += 1_000
  taking?.end()
  await taking?.take(1, patient) // late: nothing is begun by it
  nowMs += 1_000
  expect(links.linkOf('far')?.bytesPerSecond).toBe(2_000_000)
})

const patient = { signal: new AbortController().signal }
