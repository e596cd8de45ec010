import { zipStoreContract } from '@modmesh/fill/contract'
import { brokenZip, hashAnything, MemoryZipStore } from '@modmesh/fill/twins'

zipStoreContract(
  'the memory twin',
  async () => {
    const maxZipBytes = 4 << 20
    const store = new MemoryZipStore({ maxZipBytes })
    const reopen = async () => new MemoryZipStore({}, store.disk)
    return { store, reopen, dispose: async () => {}, maxZipBytes }
  },
  {
    broken: brokenZip,
    make: async (module, content) => {
      const bytes = new TextEncoder().encode(`${content.repeat(700)} of ${module.path}`)
      return { bytes, zipHash: hashAnything(module, bytes) }
    },
  },
)
