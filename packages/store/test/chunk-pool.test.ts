import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ChunkPool } from '../src/chunk-pool.ts'
import { DiskStore } from '../src/disk-store.ts'
import { crowdedChunkBytes, maxLentBytes, serveChunkBytes } from '../src/limits.ts'
import { tempDir } from './support/temp-dir.ts'
import { moduleAt, proof, smallZip } from './support/zips.ts'

const chunk = serveChunkBytes

test('what comes back is used again', () => {
  const lease = new ChunkPool().lease()
  const first = lease.take(chunk)
  lease.recycle(first)
  expect(lease.take(10 * chunk).buffer).toBe(first.buffer)
})

test('memory that is out is never given to another', () => {
  const pool = new ChunkPool()
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(3), fc.boolean()), { maxLength: 60 }), (steps) => {
      const leases = Array.from({ length: 4 }, () => ({ lease: pool.lease(), out: [] as Buffer[] }))
      for (const [reader, takes] of steps) {
        const { lease, out } = leases[reader] ?? { lease: pool.lease(), out: [] }
        const oldest = takes && out.length < 2 ? undefined : out.shift()
        if (oldest === undefined) out.push(lease.take(chunk))
        else lease.recycle(oldest)
        const all = leases.flatMap((each) => each.out.map(({ buffer }) => buffer))
        expect(new Set(all).size).toBe(all.length)
      }
      for (const { lease } of leases) lease.end()
      expect(pool.lentBytes).toBe(0)
    }),
  )
})

test('foreign memory, and the same memory twice, is not taken', () => {
  const pool = new ChunkPool()
  const lease = pool.lease()
  const foreign = new Uint8Array(chunk)
  lease.recycle(foreign)
  const own = lease.take(chunk)
  lease.recycle(own)
  lease.recycle(own)
  const taken = [lease.take(chunk), lease.take(chunk), pool.lease().take(chunk)]
  expect(taken.map(({ buffer }) => buffer)).not.toContain(foreign.buffer)
  expect(new Set(taken.map(({ buffer }) => buffer)).size).toBe(3)
})

test('chunks are small while many are out, and large again after that', () => {
  const pool = new ChunkPool()
  const readers = Array.from({ length: 200 }, () => pool.lease())
  const sizes = readers.flatMap((lease) => [lease.take(chunk).length, lease.take(chunk).length])
  expect(sizes.filter((size) => size === chunk)).toHaveLength(maxLentBytes / chunk)
  expect(new Set(sizes)).toEqual(new Set([chunk, crowdedChunkBytes]))
  for (const lease of readers) lease.end()
  expect(pool.lease().take(chunk)).toHaveLength(chunk)
})

test('a reader that never gives anything back is not counted for all it ever had', () => {
  const pool = new ChunkPool()
  const lease = pool.lease()
  for (let i = 0; i < 1_000; i++) lease.take(chunk)
  expect(pool.lentBytes).toBe(2 * chunk)
})

test.for(['staged', 'kept', 'kept in memory'] as const)(
  'readers that give chunks back at once read a %s zip as those that do not',
  async (where) => {
    await using store = await DiskStore.open({ dir: await tempDir() })
    const module = moduleAt('v1.0.0')
    const content = randomBytes(where === 'kept in memory' ? 300_000 : 1 << 20).toString('latin1')
    const { bytes } = smallZip(module, content)
    const staged = await store.stageZip(module)
    await staged.write(bytes)
    await staged.verify(undefined, { signal: AbortSignal.timeout(60_000) })
    const readable = staged.readable(proof)
    const kept = where === 'staged' ? undefined : await staged.commit(proof)
    for (let turn = 0; turn < 4; turn++) {
      const reads = Array.from({ length: 3 }, () => readWhole((kept ?? readable).read()))
      for (const read of await Promise.all(reads)) expect(read.equals(bytes)).toBe(true)
    }
    await staged.discard()
  },
)

async function readWhole(
  chunks: ReturnType<NonNullable<Awaited<ReturnType<DiskStore['findZip']>>>['read']>,
): Promise<Buffer> {
  const copies: Buffer[] = []
  for await (const each of chunks) {
    copies.push(Buffer.from(each))
    chunks.recycle?.(each)
  }
  return Buffer.concat(copies)
}
