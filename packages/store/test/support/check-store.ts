import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { DiskStore } from '../../src/disk-store.ts'
import type { StoreEvent } from '../../src/store-event.ts'
import { never } from './zips.ts'

/** Opens a store after something bad happened and checks that all it holds is right. Returns what it holds. */
export async function checkStore(dir: string): Promise<{
  readonly held: readonly string[]
  readonly events: readonly StoreEvent[]
}> {
  const events: StoreEvent[] = []
  const store = await DiskStore.open({ dir, report: (event) => events.push(event) })
  try {
    expect(await readdir(join(dir, 'store/v1/staging'))).toEqual([])
    const held: string[] = []
    for await (const { ok, module, what, reason } of store.verifyAll(never)) {
      expect({ ok, what, version: module.version, reason }).toMatchObject({ ok: true })
      held.push(`${what} ${module.version}`)
    }
    const names = await readdir(join(dir, 'store/v1/zip'), { recursive: true })
    const files = names.filter((name) => name.length > 60)
    const zips = held.filter((each) => each.startsWith('zip '))
    expect(files).toHaveLength(2 * zips.length)
    return { held: held.toSorted(), events }
  } finally {
    await store[Symbol.asyncDispose]()
  }
}
