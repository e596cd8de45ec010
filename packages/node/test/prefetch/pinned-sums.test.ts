import type { ChecksumDb, ProvenSums } from '@modmesh/fill'
import { parseGoSum, parseModuleVersion } from '@modmesh/module'
import { expect, test } from 'vitest'
import { PinnedSums } from '../../src/prefetch/pinned-sums.ts'

const module = parseModuleVersion('example.com/m', 'v1.0.0')
const h1 = (byte: number) => `h1:${Buffer.alloc(32, byte).toString('base64')}`
const lines = (...hashes: readonly string[]) =>
  parseGoSum(Buffer.from(hashes.map((hash) => `example.com/m v1.0.0 ${hash}\n`).join('')))
const { signal } = new AbortController()

/** A database that answers so, or fails with this code. */
function database(answer: ProvenSums | string, covers = true): ChecksumDb {
  const fail = (): never => {
    throw Object.assign(new Error('no'), { code: answer })
  }
  const lookup = async () => (typeof answer === 'string' ? fail() : answer)
  return { covers: () => covers, known: async () => undefined, lookup, verifyRecord: lookup }
}

const proven = {
  zip: lines(h1(9))[0]?.hash,
  mod: undefined,
  proof: { kind: 'checksum-db', database: 'sum.test', record: 1 },
} as ProvenSums

test('what the database says counts, whatever a go.sum says', async () => {
  const sums = new PinnedSums({ checksumDb: database(proven) })
  using _ = sums.pin(lines(h1(1)))
  expect(await sums.known(module)).toBeUndefined()
  expect(await sums.lookup(module, { signal })).toBe(proven)
})

test('a go.sum stands in for a database that cannot be asked, as long as it is pinned', async () => {
  const sums = new PinnedSums({ checksumDb: database('SUMDB_UNAVAILABLE') })
  {
    using _ = sums.pin(lines(h1(1)))
    const found = await sums.lookup(module, { signal })
    expect(found).toEqual({ zip: h1(1), mod: undefined, proof: { kind: 'go-sum' } })
  }
  await expect(sums.lookup(module, { signal })).rejects.toMatchObject({ code: 'SUMDB_UNAVAILABLE' })
})

test.for(['SUMDB_NOT_FOUND', 'SUMDB_FORK', 'SUMDB_UNTRUSTED'])(
  'it does not for one that says %s',
  async (code) => {
    const sums = new PinnedSums({ checksumDb: database(code) })
    using _ = sums.pin(lines(h1(1)))
    await expect(sums.lookup(module, { signal })).rejects.toMatchObject({ code })
  },
)

test('where the database does not speak a go.sum is known at once', async () => {
  const sums = new PinnedSums({ checksumDb: database('SUMDB_UNAVAILABLE', false) })
  expect(await sums.known(module)).toBeUndefined()
  using _ = sums.pin(lines(h1(1), h1(1)))
  expect(await sums.known(module)).toMatchObject({ zip: h1(1), proof: { kind: 'go-sum' } })
})

test('projects that disagree say nothing, until one of them ends', async () => {
  const sums = new PinnedSums({ checksumDb: database('SUMDB_UNAVAILABLE', false) })
  using _ = sums.pin(lines(h1(1)))
  {
    using __ = sums.pin(lines(h1(2)))
    expect(await sums.known(module)).toBeUndefined()
  }
  expect(await sums.known(module)).toMatchObject({ zip: h1(1) })
})

test('two hashes of one go.sum say nothing', async () => {
  const sums = new PinnedSums({ checksumDb: database('SUMDB_UNAVAILABLE', false) })
  using _ = sums.pin(lines(h1(1), h1(2)))
  expect(await sums.known(module)).toBeUndefined()
})
