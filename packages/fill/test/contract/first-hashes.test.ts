import { firstHashesContract } from '@modmesh/fill/contract'
import { MemoryFirstHashes } from '@modmesh/fill/twins'

firstHashesContract('the memory twin', async () => {
  const hashes = new MemoryFirstHashes()
  return { hashes, reopen: async () => new MemoryFirstHashes(hashes.kept) }
})
