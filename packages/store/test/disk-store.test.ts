import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { zipStoreContract } from '@modmesh/fill/contract'
import { DiskStore } from '../src/disk-store.ts'
import { smallZip } from './support/zips.ts'

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
