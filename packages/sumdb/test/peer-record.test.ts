import { parseModuleVersion } from '@modmesh/module'
import { describe, expect, test } from 'vitest'
import { proveRecord, type RecordProof, SumdbUnavailableError } from '../src/index.ts'
import { FakeSumdb, fakeLines, memoryOps } from '../testing/index.ts'
import { clientOf, filler, flip, logOf, signal, wanted } from './setting.ts'

const fork = { code: 'SUMDB_FORK' }
const untrusted = { code: 'SUMDB_UNTRUSTED' }
const base = logOf(70_000, 25_600)

/** The proof that an honest peer gives under the tree of `size` records. */
async function proofAt(fake: FakeSumdb, size: number, module = wanted): Promise<RecordProof> {
  const shown = fake.fork(size)
  const { client } = clientOf(shown)
  await client.lookup(module, { signal })
  return (await client.proveRecord(module))!
}

/** A client that cannot reach anybody. */
function alone(fake: FakeSumdb) {
  return clientOf(
    fake,
    memoryOps(() => Promise.reject(new SumdbUnavailableError('offline'))),
  )
}

const proof = await proofAt(base, 70_000)
const older = await proofAt(base, 30_000)

describe('a record from a peer', () => {
  test('is believed on its own proof, and its head is the first', async () => {
    const { client, ops } = alone(base)
    const told: string[] = []
    client.onHead((note) => told.push(note))
    const sums = await client.verifyRecord(wanted, proof, { signal })
    expect(sums).toMatchObject({
      zip: fakeLines(wanted.path, wanted.version).split(/[ \n]/u)[2],
      proof: { kind: 'checksum-db', database: 'sum.test', record: 25_600 },
    })
    expect(ops.head).toBe(base.noteAt())
    expect(told).toEqual([base.noteAt()])
    expect(await client.known(wanted)).toEqual(sums)
    await client.settled()
    expect(await clientOf(base, ops).client.known(wanted)).toMatchObject({ zip: sums.zip })
    expect(ops.reads).toEqual([])
  })

  test('costs less than two kibibytes, and its tiles are not asked for', async () => {
    const hashes = proof.hashes.reduce((sum, hash) => sum + hash.length, 0)
    expect(proof.text.length + proof.head.length + hashes).toBeLessThan(2048)
    expect(proof.hashes.every((hash) => hash.buffer.byteLength === 32)).toBe(true)
  })

  test('under an older head is believed, and the head reconciled behind the answer', async () => {
    const { client, ops } = clientOf(base)
    await client.mergeHead(base.noteAt(), { signal })
    await client.verifyRecord(wanted, older, { signal })
    await client.settled()
    expect(ops.reads.length).toBeGreaterThan(0)
    expect((await client.head())?.size).toBe(70_000)
    expect(client.fork).toBeUndefined()
  })

  test('under a newer head is believed, and the head taken once its tiles prove it', async () => {
    const { client, ops } = clientOf(base)
    await client.mergeHead(base.noteAt(30_000), { signal })
    await client.verifyRecord(wanted, proof, { signal })
    await client.settled()
    expect(ops.head).toBe(base.noteAt())
  })

  test('under a newer head is believed offline too, and the head not taken', async () => {
    const { client, ops } = alone(base)
    await client.mergeHead(base.noteAt(30_000), { signal })
    await client.verifyRecord(wanted, proof, { signal })
    await client.settled()
    expect(ops.head).toBe(base.noteAt(30_000))
    expect((await client.known(wanted))?.proof.record).toBe(25_600)
  })

  test('of a private module is not looked at', async () => {
    const { client, ops } = clientOf(base, undefined, () => true)
    await expect(client.verifyRecord(wanted, proof, { signal })).rejects.toMatchObject({
      code: 'SUMDB_NOT_FOUND',
    })
    expect(ops.head).toBeUndefined()
  })

  test('without strangers’ signatures is what is kept and passed on', async () => {
    const { client } = alone(base)
    const bloated = { ...proof, head: `${proof.head}— stranger AAAAAAAA\n` }
    await client.verifyRecord(wanted, bloated, { signal })
    expect((await client.proveRecord(wanted))?.head).toBe(proof.head)
  })

  test('that is known already is checked all the same', async () => {
    const { client } = alone(base)
    await client.verifyRecord(wanted, proof, { signal })
    const forged = { ...proof, text: proof.text.replace('h1:', 'h1:A') }
    await expect(client.verifyRecord(wanted, forged, { signal })).rejects.toMatchObject(untrusted)
    expect(await client.verifyRecord(wanted, older, { signal })).toMatchObject({
      proof: { record: 25_600 },
    })
  })

  test('that is a second one of the same module version does not replace the first', async () => {
    const fake = base.fork(70_000)
    fake.add(wanted.path, wanted.version, fakeLines(wanted.path, wanted.version, 'second'))
    const second = await proofAt(fake, 70_001)
    expect(second.id).toBe(70_000)
    const { client } = clientOf(fake)
    const first = await client.verifyRecord(wanted, proof, { signal })
    expect(await client.verifyRecord(wanted, second, { signal })).toEqual(first)
    await client.settled()
  })
})

describe('a forged record from a peer is refused:', () => {
  const other = new FakeSumdb({ seed: 'other' })
  other.add(wanted.path, wanted.version, fakeLines(wanted.path, wanted.version, 'forged'))
  const cases: [string, Partial<RecordProof>][] = [
    ['of another database', { database: 'sum.golang.org' }],
    ['another number', { id: proof.id + 1 }],
    ['a number beyond the tree', { id: 70_000 }],
    ['a negative number', { id: -1 }],
    ['half a number', { id: proof.id + 0.5 }],
    ['no number', { id: Number.NaN }],
    ['another text', { text: fakeLines(wanted.path, wanted.version, 'forged') }],
    ['a line more', { text: `${proof.text}x v1.0.0 h1:AAAA\n` }],
    ['no text', { text: '' }],
    ['a text without line end', { text: proof.text.slice(0, -1) }],
    ['a text that is not Unicode', { text: `\ud800${proof.text}` }],
    ['a long text', { text: `${'x'.repeat(1_000_001)}\n` }],
    ['no hashes', { hashes: [] }],
    ['a hash less', { hashes: proof.hashes.slice(1) }],
    ['a hash more', { hashes: [...proof.hashes, new Uint8Array(32)] }],
    ['a short hash', { hashes: proof.hashes.with(3, new Uint8Array(31)) }],
    ['many hashes', { hashes: Array.from({ length: 53 }, () => new Uint8Array(32)) }],
    ['no head', { head: '' }],
    ['another head of the log', { head: base.noteAt(69_999) }],
    ['an unsigned head', { head: proof.head.slice(0, proof.head.indexOf('\n\n') + 2) }],
    [
      'a head signed by another key',
      { head: other.noteAt(), id: 0, text: other.text(0), hashes: [] },
    ],
    ['a head with another root', { head: proof.head.replace(/\n70000\n./u, '\n70000\nA') }],
  ]
  test.for(cases)('%s', async ([, change]) => {
    const { client, ops } = alone(base)
    const forged = { ...proof, ...change }
    await expect(client.verifyRecord(wanted, forged, { signal })).rejects.toMatchObject(untrusted)
    await client.settled()
    expect([ops.head, ops.cache.size]).toEqual([undefined, 0])
    expect(await client.known(wanted)).toBeUndefined()
  })

  test('any one bit of any hash', async () => {
    const { client } = alone(base)
    for (const i of proof.hashes.keys()) {
      const hashes = proof.hashes.map((hash, j) => (i === j ? flip(hash, i) : hash))
      const forged = { ...proof, hashes }
      await expect(client.verifyRecord(wanted, forged, { signal })).rejects.toMatchObject(untrusted)
    }
  })

  test('a record of the log with a blank line in it, which no database makes', async () => {
    const fake = base.fork(10)
    fake.add(wanted.path, wanted.version, `${fakeLines(wanted.path, wanted.version)}\nmore\n`)
    const hashes = proveRecord(11, 10, (level, index) => fake.node(level, index))
    const record = { database: fake.name, id: 10, text: fake.text(10), hashes, head: fake.noteAt() }
    const { client } = alone(fake)
    await expect(client.verifyRecord(wanted, record, { signal })).rejects.toMatchObject(untrusted)
  })

  test('the true record of another module', async () => {
    const { client } = alone(base)
    const theirs = await proofAt(base, 70_000, filler(7))
    await expect(client.verifyRecord(wanted, theirs, { signal })).rejects.toMatchObject(untrusted)
    const near = parseModuleVersion(wanted.path, 'v1.2.30')
    await expect(client.verifyRecord(near, proof, { signal })).rejects.toMatchObject(untrusted)
  })
})

describe('a record from a peer of a forked log', () => {
  const forked = base.fork(25_600)
  forked.add(wanted.path, wanted.version, fakeLines(wanted.path, wanted.version, 'evil'))
  forked.addFiller(70_000 - 25_601)

  test('under a head of our size is found out at once', async () => {
    const { client, ops } = alone(base)
    await client.mergeHead(base.noteAt(), { signal })
    const evil = await proofAt(forked, 70_000)
    await expect(client.verifyRecord(wanted, evil, { signal })).rejects.toMatchObject(fork)
    expect(ops.evidence).toEqual([{ ours: base.noteAt(), theirs: forked.noteAt() }])
    expect(await client.known(wanted)).toBeUndefined()
    await expect(client.verifyRecord(wanted, proof, { signal })).rejects.toMatchObject(fork)
    await expect(client.verifyRecord(wanted, older, { signal })).rejects.toMatchObject(fork)
    expect(await client.known(wanted)).toBeUndefined()
  })

  test('under an older head is found out behind the answer', async () => {
    const { client, ops } = clientOf(base)
    await client.mergeHead(base.noteAt(), { signal })
    await client.verifyRecord(wanted, await proofAt(forked, 30_000), { signal })
    await client.settled()
    expect(ops.evidence).toHaveLength(1)
    await expect(client.lookup(filler(1), { signal })).rejects.toMatchObject(fork)
  })

  test('under a newer head is found out behind the answer', async () => {
    const { client, ops } = clientOf(forked)
    await client.mergeHead(base.noteAt(30_000), { signal })
    await client.verifyRecord(wanted, await proofAt(forked, 70_000), { signal })
    await client.settled()
    expect(ops.evidence).toHaveLength(1)
    expect(client.fork).toBeDefined()
  })

  test('is found out when it is to be proven under our head', async () => {
    const { client, ops } = clientOf(base)
    const honest = ops.readRemote
    ops.readRemote = () => Promise.reject(new SumdbUnavailableError('offline'))
    await client.mergeHead(base.noteAt(), { signal })
    const evil = await proofAt(forked, 30_000)
    await client.verifyRecord(wanted, evil, { signal })
    await client.settled()
    expect(client.fork).toBeUndefined()
    ops.readRemote = honest
    await client.lookup(filler(25_601), { signal })
    await client.settled()
    expect((await client.proveRecord(wanted))?.head).toBe(evil.head)
    await client.settled()
    expect(client.fork).toBeDefined()
  })
})

describe('proving a record to a peer', () => {
  test('of something unknown gives nothing', async () => {
    expect(await alone(base).client.proveRecord(wanted)).toBeUndefined()
  })

  test('passes on what a peer gave, also without tiles', async () => {
    const { client } = alone(base)
    await client.verifyRecord(wanted, older, { signal })
    expect(await client.proveRecord(wanted)).toEqual(older)
  })

  test('passes on the old proof when our head moved on and its tiles are not at hand', async () => {
    const { client, ops } = clientOf(base)
    await client.verifyRecord(wanted, older, { signal })
    await client.mergeHead(base.noteAt(), { signal })
    ops.reads.length = 0
    expect(await client.proveRecord(wanted)).toEqual(older)
    await client.settled()
    expect(ops.reads).toEqual([])
  })

  test('passes on a proof under a head that is not ours yet', async () => {
    const { client } = alone(base)
    await client.mergeHead(base.noteAt(1000), { signal })
    await client.verifyRecord(wanted, proof, { signal })
    expect(await client.proveRecord(wanted)).toEqual(proof)
  })

  test('proves under our head when the tiles are at hand, asking nobody', async () => {
    const fake = base.fork(70_000)
    fake.faults.shownSize = 30_000
    const { client, ops } = clientOf(fake)
    await client.lookup(wanted, { signal })
    await client.mergeHead(fake.noteAt(), { signal })
    await client.settled()
    ops.reads.length = 0
    const renewed = (await client.proveRecord(wanted))!
    expect(renewed.head).toBe(fake.noteAt())
    expect(ops.reads).toEqual([])
    const receiver = alone(base).client
    expect(await receiver.verifyRecord(wanted, renewed, { signal })).toMatchObject({
      proof: { record: 25_600 },
    })
    expect(await client.proveRecord(wanted)).toEqual(renewed)
  })

  test('does not hide trouble with the disk', async () => {
    const { client, ops } = clientOf(base)
    await client.verifyRecord(wanted, older, { signal })
    await client.mergeHead(base.noteAt(), { signal })
    await client.settled()
    ops.readCache = () => Promise.reject(new Error('input/output error'))
    await expect(client.proveRecord(wanted)).rejects.toThrow('input/output error')
  })
})
