import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { HeadConflictError } from '@modmesh/sumdb'
import { describe, expect, test } from 'vitest'
import { DiskStore } from '../src/disk-store.ts'
import { guardedDisk } from './support/faulty-disk.ts'
import { tempDir } from './support/temp-dir.ts'

const name = 'sum.example.org'
const text = (bytes: Uint8Array | undefined): string | undefined =>
  bytes === undefined ? undefined : Buffer.from(bytes).toString()

describe('the cache of a checksum database', () => {
  test('keeps one head, which only its holder replaces', async () => {
    const dir = await tempDir()
    {
      await using store = await DiskStore.open({ dir })
      const cache = store.sumdbCache(name)
      expect(await cache.readHead()).toBeUndefined()
      await expect(cache.writeHead('other', 'one')).rejects.toBeInstanceOf(HeadConflictError)
      await cache.writeHead(undefined, 'one')
      const outcomes = await Promise.allSettled([
        cache.writeHead('one', 'two'),
        store.sumdbCache(name).writeHead('one', 'three'),
      ])
      expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
      expect(await cache.readHead()).toBe('two')
      expect(await store.sumdbCache('sum.other.org').readHead()).toBeUndefined()
    }
    await using again = await DiskStore.open({ dir })
    expect(await again.sumdbCache(name).readHead()).toBe('two')
  })

  test('a head is fsynced, file and folder, before its write resolves', async () => {
    const calls: string[] = []
    const disk = guardedDisk((call, path) => {
      if (path.includes(name)) calls.push(`${call} ${path.slice(path.indexOf(name) + name.length)}`)
    })
    await using store = await DiskStore.open({ dir: await tempDir(), disk })
    await store.sumdbCache(name).writeHead(undefined, 'one')
    expect(calls).toContain('fsync /head.tmp')
    expect(calls.indexOf('rename /head.tmp')).toBeGreaterThan(calls.indexOf('fsync /head.tmp'))
    expect(calls.at(-1)).toBe('fsyncFolder ')
  })

  test('keeps lookups and tiles until they are dropped', async () => {
    const dir = await tempDir()
    const paths = [
      '/lookup/example.com/mod@v1.0.0',
      '/tile/8/0/x001/234',
      '/tile/8/0/x001/234.p/5',
      '/tile/8/2/000.p/1',
      '/tile/8/data/000',
      '/tile/8/0/../../../../../../evil',
      '/latest',
      '',
    ]
    {
      await using store = await DiskStore.open({ dir })
      const cache = store.sumdbCache(name)
      for (const path of paths) {
        expect(await cache.readCache(path)).toBeUndefined()
        await cache.writeCache(path, Buffer.from(`old ${path}`))
        await cache.writeCache(path, Buffer.from(`of ${path}`))
        expect(text(await cache.readCache(path))).toBe(`of ${path}`)
      }
      expect(await store.sumdbCache('sum.other.org').readCache(paths[0] ?? '')).toBeUndefined()
    }
    await using again = await DiskStore.open({ dir })
    const cache = again.sumdbCache(name)
    for (const path of paths) {
      expect(text(await cache.readCache(path))).toBe(`of ${path}`)
      await cache.dropCache(path)
      await cache.dropCache(path)
      expect(await cache.readCache(path)).toBeUndefined()
    }
    const names = await readdir(join(dir, 'sumdb/v1'), { recursive: true })
    expect(names.filter((each) => each.includes('evil'))).toEqual([])
  })

  test('keeps the evidence of a fork, once', async () => {
    const dir = await tempDir()
    await using store = await DiskStore.open({ dir })
    const notes = { ours: 'our note\n', theirs: 'their note\n' }
    for (let i = 0; i < 2; i++) await store.sumdbCache(name).keepForkEvidence(notes)
    const folder = join(dir, 'sumdb/v1', name, 'fork')
    const [file, ...others] = await readdir(folder)
    expect(others).toEqual([])
    const kept = await readFile(join(folder, file ?? ''), 'utf8')
    expect(kept).toContain(notes.ours)
    expect(kept).toContain(notes.theirs)
  })

  test('gives the evidence of a fork back after a restart', async () => {
    const dir = await tempDir()
    const notes = {
      ours: 'go.sum database tree\n5\nAA==\n\n— sum.test BB==\n',
      theirs: 'go.sum database tree\n6\nCC==\n\n— sum.test DD==\n',
    }
    {
      await using store = await DiskStore.open({ dir })
      expect(await store.sumdbCache(name).readForkEvidence()).toBeUndefined()
      await store.sumdbCache(name).keepForkEvidence(notes)
    }
    await using again = await DiskStore.open({ dir })
    expect(await again.sumdbCache(name).readForkEvidence()).toEqual(notes)
    expect(await again.sumdbCache('sum.other.org').readForkEvidence()).toBeUndefined()
  })

  test.for([
    ['cut', (text: string) => text.slice(0, 50)],
    ['empty', () => ''],
    ['something else', () => 'x'.repeat(3_000_000)],
  ] as const)('evidence of a fork that is %s still tells of one', async ([, damage]) => {
    const dir = await tempDir()
    await using store = await DiskStore.open({ dir })
    const cache = store.sumdbCache(name)
    await cache.keepForkEvidence({ ours: 'our note\n', theirs: 'their note\n' })
    const folder = join(dir, 'sumdb/v1', name, 'fork')
    const file = join(folder, (await readdir(folder))[0] ?? '')
    await writeFile(file, damage(await readFile(file, 'utf8')))
    expect(await cache.readForkEvidence()).toBeDefined()
  })

  test('keeps refused answers: what was asked, why, and every byte of it', async () => {
    const dir = await tempDir()
    await using store = await DiskStore.open({ dir })
    const cache = store.sumdbCache(name)
    const bytes = Uint8Array.from([0, 1, 254, 255])
    const answer = { path: '/tile/8/0/000', reason: 'no match', head: 'the note\n', bytes }
    for (let i = 0; i < 2; i++) await cache.keepRefused(answer)
    const folder = join(dir, 'sumdb/v1', name, 'refused')
    const [file, ...others] = await readdir(folder)
    expect(others).toEqual([])
    const kept = await readFile(join(folder, file ?? ''))
    for (const part of ['/tile/8/0/000', 'no match', 'the note\n'])
      expect(kept.includes(part)).toBe(true)
    expect(kept.subarray(-4)).toEqual(Buffer.from(bytes))
    for (let i = 0; i < 110; i++) await cache.keepRefused({ ...answer, reason: `${i}` })
    expect(await readdir(folder)).toHaveLength(100)
    // A flood of them does not keep a fork from being remembered.
    await cache.keepForkEvidence({ ours: 'a', theirs: 'b' })
    expect(await cache.readForkEvidence()).toEqual({ ours: 'a', theirs: 'b' })
  })

  test('the evidence of many forks is bounded', async () => {
    const dir = await tempDir()
    await using store = await DiskStore.open({ dir })
    const cache = store.sumdbCache(name)
    for (let i = 0; i < 110; i++) await cache.keepForkEvidence({ ours: 'a', theirs: `${i}` })
    expect(await readdir(join(dir, 'sumdb/v1', name, 'fork'))).toHaveLength(100)
  })

  test.for(['../../evil', '.', '', 'Sum.Example', 'a/b', 'x'.repeat(300), 'é'])(
    'a database called "%s" stays inside its folder',
    async (odd) => {
      const dir = await tempDir()
      await using store = await DiskStore.open({ dir })
      await store.sumdbCache(odd).writeHead(undefined, 'one')
      expect(await store.sumdbCache(odd).readHead()).toBe('one')
      const [folder, ...others] = await readdir(join(dir, 'sumdb/v1'))
      expect(others).toEqual([])
      expect(folder).toMatch(/^[0-9a-f]{64}$/)
    },
  )
})
