import { readdir, stat } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { DiskStore } from '../src/disk-store.ts'
import { layoutOf } from '../src/layout.ts'
import { reserveBytes } from '../src/limits.ts'
import { guardedDisk, systemError } from './support/faulty-disk.ts'
import { tempDir } from './support/temp-dir.ts'

/** A disk that has no space left but that of one file, which somebody removes or not. */
function fullDisk(reserve: string) {
  const state = { hasReserve: true }
  const disk = guardedDisk((call, path) => {
    if (call === 'remove' && path === reserve) state.hasReserve = false
    if (call === 'write' && state.hasReserve) throw systemError('ENOSPC')
  })
  return { disk, state }
}

describe('the reserve', () => {
  test('is there after a start, and is not made again', async () => {
    const dir = await tempDir()
    const { reserve } = layoutOf(dir)
    await (await DiskStore.open({ dir }))[Symbol.asyncDispose]()
    const { size, mtimeMs } = await stat(reserve)
    expect(size).toBe(reserveBytes)
    await (await DiskStore.open({ dir }))[Symbol.asyncDispose]()
    expect((await stat(reserve)).mtimeMs).toBe(mtimeMs)
  })

  test('is spent by a start on a full disk, and made again by one that has space', async () => {
    const dir = await tempDir()
    const { reserve } = layoutOf(dir)
    await (await DiskStore.open({ dir }))[Symbol.asyncDispose]()
    const { disk, state } = fullDisk(reserve)
    await (await DiskStore.open({ dir, disk }))[Symbol.asyncDispose]()
    expect(state.hasReserve).toBe(false)
    await (await DiskStore.open({ dir }))[Symbol.asyncDispose]()
    expect((await stat(reserve)).size).toBe(reserveBytes)
  })

  test('that cannot be made is told, and no reason not to start', async () => {
    const dir = await tempDir()
    const { reserve } = layoutOf(dir)
    const disk = guardedDisk((call, path) => {
      if (call === 'open' && path.startsWith(reserve)) throw systemError('EIO')
    })
    const kinds: string[] = []
    await using _ = await DiskStore.open({ dir, disk, report: ({ kind }) => kinds.push(kind) })
    expect(kinds).toEqual(['tidy-failed'])
    expect((await readdir(dir)).toSorted()).toEqual(['run', 'store', 'sumdb'])
  })
})
