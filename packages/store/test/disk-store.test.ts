import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { zipStoreContract } from '@modmesh/fill/contract'
import { expect, test } from 'vitest'
import { DiskStore } from '../src/disk-store.ts'
import type { StoreEvent } from '../src/store-event.ts'
import { checkStore } from './support/check-store.ts'
import { tempDir } from './support/temp-dir.ts'
import { moduleAt, proof, putZip, readZip, smallZip } from './support/zips.ts'

zipStoreContract(
  'DiskStore',
  async () => {
    const dir = await mkdtemp(join(tmpdir(), 'modmesh-store-'))
    const maxZipBytes = 10 << 20
    let store = await DiskStore.open({ dir, maxZipBytes })
    return {
      store,
      maxZipBytes,
      reopen: async () => {
        await store[Symbol.asyncDispose]()
        store = await DiskStore.open({ dir })
        return store
      },
      dispose: async () => {
        await store[Symbol.asyncDispose]()
        await rm(dir, { recursive: true })
      },
    }
  },
  { make: async (module, content) => smallZip(module, content), broken: Buffer.from('PK nothing') },
)

const module = moduleAt('v1.0.0')

test('a better proof of equal content is noted durably, a worse one is not', async () => {
  const dir = await tempDir()
  const { bytes } = smallZip(module)
  {
    await using store = await DiskStore.open({ dir })
    await putZip(store, module, bytes, { kind: 'upstream' })
    expect(await putZip(store, module, bytes, proof)).toMatchObject({ proof })
    expect(await putZip(store, module, bytes, { kind: 'go-sum' })).toMatchObject({ proof })
  }
  // From the record beside the zip, not from the index.
  await rm(join(dir, 'store/v1/index'), { recursive: true })
  await using store = await DiskStore.open({ dir })
  expect(await store.findZip(module)).toMatchObject({ proof })
})

test('another content of one module version replaces the older one', async () => {
  const dir = await tempDir()
  const [one, two] = [smallZip(module, 'one'), smallZip(module, 'two')]
  const removed: string[] = []
  {
    await using store = await DiskStore.open({ dir })
    store.onRemoved((zip) => removed.push(zip.zipHash))
    const held = await putZip(store, module, one.bytes)
    const reading = held.read()
    await putZip(store, module, two.bytes)
    expect(removed).toEqual([one.zipHash])
    expect(await store.findContent(one.zipHash)).toBeUndefined()
    expect(await readZip(await store.findZip(module))).toEqual(Buffer.from(two.bytes))
    expect(await readZip({ ...held, read: () => reading })).toEqual(Buffer.from(one.bytes))
    expect(await store.stats()).toMatchObject({ zips: 1, zipBytes: two.bytes.length })
  }
  expect((await checkStore(dir)).held).toEqual(['zip v1.0.0'])
})

test('each commit is told once, whatever a listener does', async () => {
  const events: StoreEvent[] = []
  await using store = await DiskStore.open({
    dir: await tempDir(),
    report: (event) => events.push(event),
  })
  const told: string[] = []
  store.onCommitted(() => {
    throw new Error('a bad listener')
  })
  const stop = store.onCommitted((zip) => told.push(zip.module.version))
  await putZip(store, module, smallZip(module).bytes)
  await putZip(store, module, smallZip(module).bytes)
  stop()
  await putZip(store, moduleAt('v1.1.0'), smallZip(moduleAt('v1.1.0')).bytes)
  expect(told).toEqual(['v1.0.0'])
  expect(events.map(({ kind }) => kind)).toEqual(['listener-failed', 'listener-failed'])
})
