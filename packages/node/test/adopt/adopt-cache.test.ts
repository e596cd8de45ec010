import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { DiskStore } from '@modmesh/store'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { adoptCache } from '../../src/adopt/adopt-cache.ts'
import { AdoptProofs, type AdoptProofsComponents } from '../../src/adopt/adopt-proofs.ts'
import { type CachedVersion, cachedVersions } from '../../src/adopt/module-cache.ts'

const broken = new Error('the records cannot be read')

let dir: string
const unhandled: unknown[] = []
const note = (error: unknown) => void unhandled.push(error)

beforeEach(async () => {
  process.on('unhandledRejection', note)
  dir = await mkdtemp(join(tmpdir(), 'modmesh-adopt-'))
})
afterEach(async () => {
  process.off('unhandledRejection', note)
  await rm(dir, { recursive: true, force: true })
})

/** Adopts go.mod files; what `known` throws is what their proofs fail with. */
async function adopt(versions: number, known: () => Promise<undefined>): Promise<void> {
  const folder = join(dir, 'example.org/m/@v')
  await mkdir(folder, { recursive: true })
  for (let n = 0; n < versions; n++) await writeFile(join(folder, `v1.${n}.0.mod`), 'module x\n')
  const found: CachedVersion[] = []
  for await (const version of cachedVersions(dir)) found.push(version)
  expect(found).toHaveLength(versions)
  await using store = await DiskStore.open({ dir: join(dir, 'store') })
  const checksumDb = { covers: () => true, known } as unknown as AdoptProofsComponents['checksumDb']
  const { firstHashes } = store
  const proofs = new AdoptProofs(
    { checksumDb, firstHashes, goRecords: undefined, ask: undefined },
    [],
  )
  const components = { store, proofs, onProgress: () => {}, onAdded: () => {} }
  const { signal } = new AbortController()
  await adoptCache(components, { cache: dir, versions: found, again: false }, { signal })
}

test('proofs that fail before the files are read fail the adoption, and no node', async () => {
  const adopting = adopt(1, async () => {
    throw broken
  })
  await expect(adopting).rejects.toBe(broken)
  expect(unhandled).toEqual([])
})

test('nothing more is taken when an adoption has failed', async () => {
  let asked = 0
  const adopting = adopt(300, async () => {
    if (asked++ === 0) throw broken
    await setImmediate()
    return undefined
  })
  await expect(adopting).rejects.toBe(broken)
  const before = asked
  for (let turn = 0; turn < 100; turn++) await setImmediate()
  expect(asked).toBe(before)
  expect(unhandled).toEqual([])
})
