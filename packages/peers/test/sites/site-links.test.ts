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
