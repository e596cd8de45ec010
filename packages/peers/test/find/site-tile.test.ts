import { describe, expect, test } from 'vitest'
import { tileLimits } from '../../src/control/limits.ts'
import { QueryFailedError } from '../../src/errors.ts'
import { SiteTile } from '../../src/find/site-tile.ts'
import { ManualClock } from '../support/manual-clock.ts'

const calm = { signal: new AbortController().signal }
const tile = new Uint8Array([1, 2, 3])

/** Members in the order in which they own the tile; each gives it, has none, or does not answer. */
function site(members: Readonly<Record<string, 'gives' | 'none' | 'hangs'>>) {
  const clock = new ManualClock()
  const asked: string[] = []
  const linkOf = (peer: string) => ({
    peer,
    isAlive: true,
    session: {
      ask: async () => {
        asked.push(peer)
        if (members[peer] === 'hangs') throw new QueryFailedError('timeout')
        return members[peer] === 'gives' ? { tile } : {}
      },
    },
  })
  const siteOwner = {
    owner: (_key: string, { isTrusted }: { isTrusted: (peer: string) => boolean }) =>
      Object.keys(members).find((peer) => isTrusted(peer)),
  }
  const components = { hub: { link: linkOf }, siteOwner, clock }
  const finder = new SiteTile(components as unknown as ConstructorParameters<typeof SiteTile>[0])
  return { clock, asked, fetch: () => finder.fetch('sum.example', 'tile/8/0/000', calm) }
}

describe('a tile for a site', () => {
  test('is asked of the one member that fetches it', async () => {
    const { fetch, asked } = site({ a: 'gives', b: 'gives' })
    expect(await fetch()).toEqual(tile)
    expect(asked).toEqual(['a'])
  })

  test.for(['none', 'hangs'] as const)(
    'is asked of the next one, the same for all, when the first %s',
    async (fault) => {
      const { fetch, asked, clock } = site({ a: fault, b: 'gives' })
      expect(await fetch()).toEqual(tile)
      expect(await fetch()).toEqual(tile)
      expect(asked).toEqual(['a', 'b', 'b'])
      await clock.advance(tileLimits.restMs)
      await fetch()
      expect(asked).toEqual(['a', 'b', 'b', 'a', 'b'])
    },
  )

  test('is ours to ask for when two failed, or when we own it', async () => {
    const { fetch, asked } = site({ a: 'hangs', b: 'none', c: 'gives' })
    expect(await fetch()).toBeUndefined()
    expect(asked).toEqual(['a', 'b'])
    expect(await site({}).fetch()).toBeUndefined()
  })
})
