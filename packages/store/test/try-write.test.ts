import { readdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { expect, test } from 'vitest'
import { DiskStore } from '../src/disk-store.ts'
import { layoutOf } from '../src/layout.ts'
import { guardedDisk, systemError } from './support/faulty-disk.ts'
import { tempDir } from './support/temp-dir.ts'

test.for(['staging', 'zips', 'meta'] as const)(
  'a store cannot keep anything while %s cannot be written, and says when that is over',
  async (where) => {
    const dir = await tempDir()
    const layout = layoutOf(dir)
    const state = { isFull: false }
    const disk = guardedDisk((call, path) => {
      const isHere = dirname(path) === layout[where]
      if (state.isFull && call === 'write' && isHere) throw systemError('ENOSPC')
    })
    await using store = await DiskStore.open({ dir, disk })
    expect(await store.canKeep()).toBe(true)
    state.isFull = true
    expect(await store.canKeep()).toBe(false)
    state.isFull = false
    expect(await store.canKeep()).toBe(true)
    const left = await Promise.all(
      [layout.staging, layout.zips, layout.meta].map((folder) => readdir(folder)),
    )
    expect(left).toEqual([[], [], []])
  },
)
