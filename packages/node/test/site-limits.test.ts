import { expect, test } from 'vitest'
import { SiteLimits } from '../src/site-limits.ts'

test('a site whose limits are forgotten follows what is set for all others later', async () => {
  const file = { read: async () => undefined, write: async () => {} }
  const limits = await SiteLimits.open(file, { siteLink: [] })
  expect(await limits.set('berlin', 'metered')).toEqual([{ mode: 'metered' }])
  await limits.set('*', '1MB/s')
  expect(await limits.set('berlin', undefined)).toBeUndefined()
})
