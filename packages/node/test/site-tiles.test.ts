import { describe, expect, test } from 'vitest'
import { SiteTiles } from '../src/site-tiles.ts'

const calm = { signal: new AbortController().signal }
const path = '/tile/8/0/000'

function start(init: { owner?: Uint8Array; fails?: number; hangs?: boolean } = {}) {
  const asked: string[] = []
  let nowMs = 0
  let fails = init.fails ?? 0
  const tiles = new SiteTiles(
    {
      read: async (wanted) => {
        asked.push(wanted)
        if (init.hangs === true) await new Promise(() => {})
        if (fails-- > 0) throw new Error('down')
        return Buffer.from(wanted)
      },
      fromOwner: async () => init.owner,
      nowMs: () => nowMs,
    },
    { name: 'sum.example' },
  )
  return { tiles, asked, wait: (ms: number) => (nowMs += ms) }
}

describe('tiles of a site', () => {
  test('come from the member that fetches them, and upstream is not asked', async () => {
    const { tiles, asked } = start({ owner: Buffer.from('theirs') })
    expect(String(await tiles.read(path, calm))).toBe('theirs')
    expect(asked).toEqual([])
  })

  test('are asked of upstream once, for ourselves and for others', async () => {
    const { tiles, asked } = start()
    const all = await Promise.all([tiles.read(path, calm), tiles.give(path), tiles.give(path)])
    expect(all.map(String)).toEqual([path, path, path])
    expect(await tiles.give(path)).toBeDefined()
    expect(asked).toEqual([path])
  })

  test('are fetched anew when that is long ago', async () => {
    const { tiles, asked, wait } = start()
    await tiles.give(path)
    wait(60_000)
    await tiles.give(path)
    expect(asked).toEqual([path, path])
  })

  test('that fail are asked again by the next', async () => {
    const { tiles, asked } = start({ fails: 1 })
    expect(await tiles.give(path)).toBeUndefined()
    expect(await tiles.give(path)).toBeDefined()
    expect(asked).toHaveLength(2)
  })

  test('fail for ourselves as the database does', async () => {
    const { tiles } = start({ fails: 1 })
    await expect(tiles.read(path, calm)).rejects.toThrow('down')
  })

  test('are waited for a moment by others, and no longer', async () => {
    const { tiles } = start({ hangs: true })
    expect(await tiles.give(path)).toBeUndefined()
  })

  test('are remembered in bounded number', async () => {
    const { tiles, asked } = start()
    for (let n = 0; n < 300; n++) await tiles.give(`/tile/8/0/${n}`)
    await tiles.give('/tile/8/0/299')
    expect(asked).toHaveLength(300)
    await tiles.give('/tile/8/0/0')
    expect(asked).toHaveLength(301)
  })
})
