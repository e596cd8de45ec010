import { describe, expect, test } from 'vitest'
import { formatTilePath, HeadConflictError } from '../src/index.ts'
import { FakeSumdb, type MemoryOps, memoryOps } from '../testing/index.ts'
import { clientOf, filler, gate, logOf, signal, wanted } from './setting.ts'

const fork = { code: 'SUMDB_FORK' }
const untrusted = { code: 'SUMDB_UNTRUSTED' }
const unavailable = { code: 'SUMDB_UNAVAILABLE' }
const base = logOf(70_000, 25_600)

describe('the head', () => {
  test('is the first one seen, stored before it is used', async () => {
    const { client, ops } = clientOf(base)
    expect(await client.head()).toBeUndefined()
    const order: string[] = []
    const write = ops.writeHead
    ops.writeHead = async (previous, next) => {
      order.push('write')
      await write(previous, next)
      order.push('stored')
    }
    client.onHead((note) => {
      expect(ops.head).toBe(note)
      order.push('told')
    })
    await client.mergeHead(base.noteAt(1000), { signal })
    expect(await client.head()).toEqual({ size: 1000, note: base.noteAt(1000) })
    expect(order).toEqual(['write', 'stored', 'told'])
    expect(ops.reads).toEqual([])
  })

  test.for([0, 1, 255, 256, 257, 1000, 65_535, 65_536, 65_537, 69_999])(
    'moves from %d to a newer one that contains it',
    async (size) => {
      const { client, ops } = clientOf(base)
      await client.mergeHead(base.noteAt(size), { signal })
      await client.mergeHead(base.noteAt(), { signal })
      expect(ops.head).toBe(base.noteAt())
      expect((await client.head())?.size).toBe(70_000)
      expect(client.fork).toBeUndefined()
    },
  )

  test.for([0, 1, 255, 256, 257, 1000, 65_535, 65_536, 65_537, 69_999, 70_000])(
    'does not move back to an older one of %d records',
    async (size) => {
      const { client, ops } = clientOf(base)
      await client.mergeHead(base.noteAt(), { signal })
      let told = 0
      client.onHead(() => told++)
      await client.mergeHead(base.noteAt(size), { signal })
      expect((await client.head())?.size).toBe(70_000)
      expect(ops.head).toBe(base.noteAt())
      expect(told).toBe(0)
    },
  )

  test('is still there after a restart, and a database rolled back does not move it', async () => {
    const { client, ops } = clientOf(base)
    await client.lookup(wanted, { signal })
    await client.settled()
    const old = base.fork(70_000)
    old.faults.shownSize = 30_000
    const restarted = clientOf(old, ops).client
    expect((await restarted.head())?.size).toBe(70_000)
    await restarted.lookup(filler(29_999), { signal })
    expect(Buffer.from(await restarted.answerLatest({ signal })).toString()).toBe(base.noteAt())
    expect(ops.head).toBe(base.noteAt())
  })

  test('is checked once for each note', async () => {
    const { client, ops } = clientOf(base)
    await client.mergeHead(base.noteAt(), { signal })
    await client.mergeHead(base.noteAt(30_000), { signal })
    const reads = ops.reads.length
    expect(reads).toBeGreaterThan(0)
    const { client: restarted } = clientOf(base, ops)
    await client.mergeHead(base.noteAt(30_000), { signal })
    expect(ops.reads.length).toBe(reads)
    await restarted.mergeHead(base.noteAt(30_000), { signal })
    expect(ops.reads.length).toBe(reads)
  })

  test('never carries the signatures of strangers, however many a peer adds', async () => {
    const { client, ops } = clientOf(base)
    const bloated = base.noteAt(1000) + '— stranger AAAAAAAA\n'.repeat(99)
    await client.mergeHead(bloated, { signal })
    expect(ops.head).toBe(base.noteAt(1000))
  })

  test('of no size is refused when another one was signed for it', async () => {
    const { client } = clientOf(base)
    const text = `go.sum database tree\n0\n${Buffer.alloc(32).toString('base64')}\n`
    await expect(client.mergeHead(base.signNote(text), { signal })).rejects.toMatchObject(untrusted)
  })

  test('stops telling a listener that went away', async () => {
    const { client } = clientOf(base)
    const told: string[] = []
    const stop = client.onHead((note) => told.push(note))
    await client.mergeHead(base.noteAt(1000), { signal })
    stop()
    await client.mergeHead(base.noteAt(2000), { signal })
    expect(told).toEqual([base.noteAt(1000)])
  })

  test('of many shown at once is the largest', async () => {
    const { client, ops } = clientOf(base)
    const sizes = Array.from({ length: 50 }, (_, i) => 1000 + ((i * 977) % 50) * 1000)
    await Promise.all(sizes.map((size) => client.mergeHead(base.noteAt(size), { signal })))
    expect((await client.head())?.size).toBe(50_000)
    expect(new Set(ops.reads).size).toBe(ops.reads.length)
  })

  test('is not moved by an unsigned note or one of another key', async () => {
    const { client, ops } = clientOf(base)
    const stranger = new FakeSumdb({ seed: 'other' })
    stranger.addFiller(5)
    await expect(client.mergeHead('', { signal })).rejects.toMatchObject(untrusted)
    await expect(client.mergeHead(stranger.noteAt(), { signal })).rejects.toMatchObject(untrusted)
    expect(ops.head).toBeUndefined()
  })

  test('in the store that was signed by another key is an error, and never replaced', async () => {
    const stranger = logOf(10, 5, 'other')
    const { ops } = clientOf(base)
    ops.head = stranger.noteAt()
    const { client } = clientOf(base, ops)
    await expect(client.lookup(wanted, { signal })).rejects.toThrow('stored tree head')
    await expect(client.head()).rejects.toMatchObject(untrusted)
    expect(ops.head).toBe(stranger.noteAt())
  })

  test('that could not be read from the store is read again', async () => {
    const { client, ops } = clientOf(base)
    const read = ops.readHead
    ops.head = base.noteAt(1000)
    ops.readHead = () => Promise.reject(new Error('input/output error'))
    await expect(client.head()).rejects.toThrow('input/output error')
    ops.readHead = read
    expect((await client.head())?.size).toBe(1000)
  })
})

describe('a newer head', () => {
  async function withOldHead(): Promise<ReturnType<typeof clientOf> & { fake: FakeSumdb }> {
    const fake = base.fork(70_000)
    const setting = clientOf(fake)
    await setting.client.mergeHead(fake.noteAt(66_000), { signal })
    return { ...setting, fake }
  }

  test('is not taken while its tiles cannot be had, and is later', async () => {
    const { client, fake } = await withOldHead()
    fake.faults.down = true
    await expect(client.mergeHead(fake.noteAt(), { signal })).rejects.toMatchObject(unavailable)
    expect((await client.head())?.size).toBe(66_000)
    fake.faults.down = false
    await client.mergeHead(fake.noteAt(), { signal })
    expect((await client.head())?.size).toBe(70_000)
  })

  test('is not taken when one bit of one of its tiles is flipped, and nothing is kept', async () => {
    const { client: probe, ops: probed } = clientOf(base)
    await probe.mergeHead(base.noteAt(66_000), { signal })
    await probe.mergeHead(base.noteAt(), { signal })
    expect(probed.reads.length).toBeGreaterThan(3)
    for (const path of probed.reads) {
      const { client, ops, fake: lying } = await withOldHead()
      lying.faults.flippedTiles.set(path.slice(1), 3)
      const merging = client.mergeHead(lying.noteAt(), { signal })
      await expect(merging, path).rejects.toMatchObject(untrusted)
      await client.settled()
      expect(ops.cache.size).toBe(0)
      expect((await client.head())?.size).toBe(66_000)
      lying.faults.flippedTiles.clear()
      await client.mergeHead(lying.noteAt(), { signal })
      expect((await client.head())?.size).toBe(70_000)
    }
  })

  test('that could not be stored is not used: not then and not after a restart', async () => {
    const { client, ops, fake } = await withOldHead()
    const write = ops.writeHead
    ops.writeHead = () => Promise.reject(new Error('killed'))
    let told = 0
    client.onHead(() => told++)
    await expect(client.lookup(wanted, { signal })).rejects.toThrow('killed')
    await expect(client.mergeHead(fake.noteAt(), { signal })).rejects.toThrow('killed')
    await expect(client.lookup(filler(69_999), { signal })).rejects.toThrow('killed')
    expect((await client.head())?.size).toBe(66_000)
    expect(told).toBe(0)
    ops.writeHead = write
    const restarted = clientOf(fake, ops).client
    expect((await restarted.head())?.size).toBe(66_000)
    await restarted.lookup(filler(69_999), { signal })
    expect((await restarted.head())?.size).toBe(70_000)
  })

  test('that was stored although the write failed is taken from the store', async () => {
    const { client, ops, fake } = await withOldHead()
    const write = ops.writeHead
    ops.writeHead = async (previous, next) => {
      await write(previous, next)
      ops.writeHead = write
      throw new Error('power cut')
    }
    await expect(client.mergeHead(fake.noteAt(67_000), { signal })).rejects.toThrow('power cut')
    await client.mergeHead(fake.noteAt(68_000), { signal })
    expect(ops.head).toBe(fake.noteAt(68_000))
  })

  test('waiting behind one that hangs goes on when that one is given up', async () => {
    const { client, ops, fake } = await withOldHead()
    const honest = ops.readRemote
    const { open, opened } = gate()
    ops.readRemote = (_, options) => {
      open()
      return new Promise((_resolve, reject) => {
        options.signal.addEventListener('abort', () => reject(options.signal.reason))
      })
    }
    const leaver = new AbortController()
    const hanging = client.mergeHead(fake.noteAt(), { signal: leaver.signal })
    await opened
    const waiting = client.mergeHead(fake.noteAt(69_000), { signal })
    const givenUp = client.mergeHead(fake.noteAt(68_000), { signal: leaver.signal })
    ops.readRemote = honest
    leaver.abort(new Error('gone'))
    await expect(hanging).rejects.toThrow('gone')
    await expect(givenUp).rejects.toThrow('gone')
    await waiting
    expect((await client.head())?.size).toBe(69_000)
  })
})

describe('two clients of one store', () => {
  async function pair(): Promise<{ ops: MemoryOps; a: Client; b: Client }> {
    const { client: a, ops } = clientOf(base)
    const { client: b } = clientOf(base, ops)
    await a.mergeHead(base.noteAt(1000), { signal })
    await b.mergeHead(base.noteAt(1000), { signal })
    return { ops, a, b }
  }
  type Client = ReturnType<typeof clientOf>['client']

  test('go on from the newer head that the other stored', async () => {
    const { ops, a, b } = await pair()
    await a.mergeHead(base.noteAt(2000), { signal })
    const told: string[] = []
    b.onHead((note) => told.push(note))
    await b.mergeHead(base.noteAt(3000), { signal })
    expect(ops.head).toBe(base.noteAt(3000))
    expect(told).toEqual([base.noteAt(2000), base.noteAt(3000)])
    await a.mergeHead(base.noteAt(2500), { signal })
    expect(ops.head).toBe(base.noteAt(3000))
    expect((await a.head())?.size).toBe(3000)
  })

  test('both may start without a head', async () => {
    const { client: a, ops } = clientOf(base)
    const { client: b } = clientOf(base, ops)
    expect([await a.head(), await b.head()]).toEqual([undefined, undefined])
    await a.mergeHead(base.noteAt(2000), { signal })
    await b.mergeHead(base.noteAt(1000), { signal })
    expect((await b.head())?.size).toBe(2000)
    expect(ops.head).toBe(base.noteAt(2000))
  })

  test('move a store forward again that was set back', async () => {
    const { ops, a } = await pair()
    await a.mergeHead(base.noteAt(2000), { signal })
    ops.head = base.noteAt(500)
    await a.mergeHead(base.noteAt(3000), { signal })
    expect(ops.head).toBe(base.noteAt(3000))
    ops.head = undefined
    await a.mergeHead(base.noteAt(4000), { signal })
    expect(ops.head).toBe(base.noteAt(4000))
  })

  test('stop when the other stored a head of another log', async () => {
    const forked = base.fork(500)
    forked.addFiller(1)
    forked.add('example.com/fork', 'v1.0.0')
    forked.addFiller(5000)
    for (const size of [900, 2000]) {
      const { ops, a } = await pair()
      ops.head = forked.noteAt(size)
      const honest = ops.readRemote
      // Whoever shows the forked head serves its tiles as well.
      if (size > 1000) ops.readRemote = async (path) => forked.serve(path)
      await expect(a.mergeHead(base.noteAt(3000), { signal })).rejects.toMatchObject(
        size > 1000 ? untrusted : fork,
      )
      ops.readRemote = honest
    }
  })

  test('give up when the stored head never stands still', async () => {
    const { ops, a } = await pair()
    ops.writeHead = () => Promise.reject(new HeadConflictError())
    await expect(a.mergeHead(base.noteAt(2000), { signal })).rejects.toMatchObject(unavailable)
    expect((await a.head())?.size).toBe(1000)
  })
})

describe('a fork', () => {
  /** A log that shares the first records only, and is longer, shorter or equal. */
  function forkedAt(at: number, size: number): FakeSumdb {
    const forked = base.fork(at)
    forked.add('example.com/evil', 'v1.0.0')
    forked.addFiller(size - at - 1)
    return forked
  }

  /** Shows one log after another, with the tiles of the first where the second is too short to have them. */
  async function show(first: FakeSumdb, second: FakeSumdb): Promise<ReturnType<typeof clientOf>> {
    let shown = first
    const serve = async (path: string) => {
      try {
        return shown.serve(path)
      } catch {
        return first.serve(path)
      }
    }
    const setting = clientOf(first, memoryOps(serve))
    await setting.client.mergeHead(first.noteAt(), { signal })
    shown = second
    return setting
  }

  const small = base.fork(3000)
  test.for([
    ['an equal size', small, forkedAt(2999, 3000)],
    ['an equal size, other from the start', small, forkedAt(0, 3000)],
    ['a larger size', small, forkedAt(2999, 5000)],
    ['a larger size, by one record', small, forkedAt(2990, 3001)],
    ['a larger size, other from the start', small, forkedAt(0, 70_000)],
  ] as const)('of %s stops all new trust and keeps both notes', async ([, first, second]) => {
    const { client, ops } = await show(first, second)
    const [ours, theirs] = [first.noteAt(), second.noteAt()]
    const merging = client.mergeHead(theirs, { signal })
    await expect(merging).rejects.toMatchObject({ ...fork, ours, theirs })
    expect(ops.evidence).toEqual([{ ours, theirs }])
    expect(ops.head).toBe(ours)
    expect(client.fork).toMatchObject(fork)
    expect(client.fork?.message).toContain(ours)
    expect(client.fork?.message).toContain(theirs)
    await expect(client.lookup(filler(1), { signal })).rejects.toMatchObject(fork)
    await expect(client.mergeHead(first.noteAt(100), { signal })).rejects.toMatchObject(fork)
    expect((await client.head())?.note).toBe(ours)
  })

  test.for([100, 2999])('with an older tree of %d records stops as well', async (size) => {
    const { client, ops } = clientOf(base)
    await client.mergeHead(base.noteAt(), { signal })
    const theirs = forkedAt(50, size).noteAt()
    await expect(client.mergeHead(theirs, { signal })).rejects.toMatchObject({ ...fork, theirs })
    expect(ops.evidence).toEqual([{ ours: base.noteAt(), theirs }])
  })

  test('seen in a lookup answer makes the lookup fail', async () => {
    for (const size of [3000, 2000, 4000]) {
      const { client, ops } = await show(small, forkedAt(1000, size))
      await expect(client.lookup(filler(5), { signal }), String(size)).rejects.toMatchObject(fork)
      expect(ops.evidence).toHaveLength(1)
      expect(await client.known(filler(5))).toBeUndefined()
    }
  })

  test('leaves what was proven before: records, tiles and the head', async () => {
    const { client, ops } = clientOf(small)
    await client.lookup(filler(7), { signal })
    await client.settled()
    const theirs = forkedAt(1000, 3000).noteAt()
    await expect(client.mergeHead(theirs, { signal })).rejects.toMatchObject(fork)
    expect((await client.lookup(filler(7), { signal })).proof.record).toBe(7)
    expect(await client.known(filler(7))).toBeDefined()
    expect((await client.proveRecord(filler(7)))?.id).toBe(7)
    const record = (await client.proveRecord(filler(7)))!
    expect((await client.verifyRecord(filler(7), record, { signal })).proof.record).toBe(7)
    const answer = await client.answerLookup(filler(7), { signal })
    expect(Buffer.from(answer).toString()).toContain(small.noteAt())
    expect(await client.answerTile('tile/8/0/000', { signal })).toHaveLength(8192)
    expect(Buffer.from(await client.answerLatest({ signal })).toString()).toBe(small.noteAt())
    expect(await client.canServe()).toBe(true)
    await expect(client.answerTile('tile/8/0/012', { signal })).rejects.toMatchObject(fork)
    expect(ops.head).toBe(small.noteAt())
  })

  const long = base.fork(70_000)
  test.for([
    ['overwrite proven tiles', small, forkedAt(1000, 5000)],
    ['drop proven tiles of the same width', long, forkedAt(20_000, 70_500)],
    ['drop proven tiles of the same size', long, forkedAt(20_000, 70_000)],
    ['drop proven tiles, shorter than ours', long, forkedAt(20_000, 69_500)],
  ] as const)('does not %s', async ([, first, second]) => {
    const { client, ops } = await show(first, second)
    const forked = ops.readRemote
    ops.readRemote = async (path) => first.serve(path)
    for (let id = 7; id < first.size(); id += 200) await client.lookup(filler(id), { signal })
    await client.settled()
    const before = new Map(ops.cache)
    ops.readRemote = forked
    const refused = { code: expect.stringMatching(/^SUMDB_(?:FORK|UNTRUSTED)$/u) as string }
    await expect(client.mergeHead(second.noteAt(), { signal })).rejects.toMatchObject(refused)
    await client.settled()
    expect(new Set(ops.cache.keys())).toEqual(new Set(before.keys()))
    ops.readRemote = () => Promise.reject(new Error('not to be asked'))
    const { client: restarted } = clientOf(first, ops)
    const index = Math.floor(first.size() / 256)
    const edge = formatTilePath({ level: 0, index, width: 1 })
    expect(await restarted.answerTile('tile/8/0/005', { signal })).toHaveLength(8192)
    expect(await restarted.answerTile(edge, { signal })).toHaveLength(32)
  })

  test('stops even when its evidence cannot be written', async () => {
    const { client, ops } = clientOf(small)
    await client.mergeHead(small.noteAt(), { signal })
    ops.keepForkEvidence = () => Promise.reject(new Error('disk full'))
    const theirs = forkedAt(1000, 3000).noteAt()
    await expect(client.mergeHead(theirs, { signal })).rejects.toMatchObject(fork)
    await expect(client.lookup(filler(5), { signal })).rejects.toMatchObject(fork)
  })

  test('is remembered over a restart, and what was proven before is still answered', async () => {
    const { client, ops } = clientOf(small)
    await client.lookup(filler(7), { signal })
    const theirs = forkedAt(1000, 3000).noteAt()
    await expect(client.mergeHead(theirs, { signal })).rejects.toMatchObject(fork)
    await client.settled()
    const { client: again } = clientOf(small, ops)
    ops.reads.length = 0
    const told: unknown[] = []
    again.onFork((found) => told.push(found))
    await expect(again.lookup(filler(5), { signal })).rejects.toMatchObject({
      ...fork,
      ours: small.noteAt(),
      theirs,
    })
    expect(again.fork).toMatchObject(fork)
    expect(told).toEqual([again.fork])
    await expect(again.mergeHead(small.noteAt(100), { signal })).rejects.toMatchObject(fork)
    await expect(again.answerTile('tile/8/0/012', { signal })).rejects.toMatchObject(fork)
    const record = (await again.proveRecord(filler(7)))!
    const { client: peer } = clientOf(small)
    await peer.lookup(filler(9), { signal })
    const other = (await peer.proveRecord(filler(9)))!
    await expect(again.verifyRecord(filler(9), other, { signal })).rejects.toMatchObject(fork)
    expect(record.id).toBe(7)
    expect((await again.lookup(filler(7), { signal })).proof.record).toBe(7)
    expect(Buffer.from(await again.answerLookup(filler(7), { signal })).toString()).toContain(
      small.noteAt(),
    )
    expect(ops.reads).toEqual([])
    expect((await again.head())?.note).toBe(small.noteAt())
    expect(await again.canServe()).toBe(true)
  })

  test('is known from the first look at the head, and told to who asks later', async () => {
    const { ops } = clientOf(small)
    ops.head = small.noteAt()
    ops.evidence.push({ ours: small.noteAt(), theirs: forkedAt(1000, 3000).noteAt() })
    const { client } = clientOf(small, ops)
    await client.head()
    expect(client.fork).toMatchObject(fork)
    const told: unknown[] = []
    client.onFork((found) => told.push(found))
    expect(told).toEqual([client.fork])
  })

  test('whose evidence is damaged is still one', async () => {
    const { ops } = clientOf(small)
    ops.head = small.noteAt()
    ops.evidence.push({ ours: '', theirs: '' })
    const { client } = clientOf(small, ops)
    await expect(client.lookup(filler(5), { signal })).rejects.toMatchObject(fork)
  })

  test('that the disk would not take is offered again until it does', async () => {
    const { client, ops } = clientOf(small)
    await client.mergeHead(small.noteAt(), { signal })
    const { keepForkEvidence } = ops
    ops.keepForkEvidence = () => Promise.reject(new Error('disk full'))
    const theirs = forkedAt(1000, 3000).noteAt()
    await expect(client.mergeHead(theirs, { signal })).rejects.toMatchObject(fork)
    expect(ops.evidence).toEqual([])
    ops.keepForkEvidence = keepForkEvidence
    await expect(client.lookup(filler(5), { signal })).rejects.toMatchObject(fork)
    await expect(client.lookup(filler(6), { signal })).rejects.toMatchObject(fork)
    expect(ops.evidence).toEqual([{ ours: small.noteAt(), theirs }])
  })

  test('asks nobody any more for new records', async () => {
    const { client, ops } = clientOf(small)
    await client.mergeHead(small.noteAt(), { signal })
    const theirs = forkedAt(1000, 3000).noteAt()
    await expect(client.mergeHead(theirs, { signal })).rejects.toMatchObject(fork)
    await expect(client.lookup(filler(5), { signal })).rejects.toMatchObject(fork)
    await expect(client.answerLookup(filler(5), { signal })).rejects.toMatchObject(fork)
    expect(ops.reads).toEqual([])
  })

  test('found while a record is being proven keeps that one out', async () => {
    const { client, ops } = clientOf(small)
    await client.mergeHead(small.noteAt(), { signal })
    const honest = ops.readRemote
    const { open, opened } = gate()
    const asked = gate()
    ops.readRemote = async (path, options) => {
      if (path === '/tile/8/0/000') {
        asked.open()
        await opened
      }
      return honest(path, options)
    }
    const looking = client.lookup(filler(5), { signal })
    await asked.opened
    const theirs = forkedAt(1000, 3000).noteAt()
    await expect(client.mergeHead(theirs, { signal })).rejects.toMatchObject(fork)
    open()
    await expect(looking).rejects.toMatchObject(fork)
    await client.settled()
    expect(await client.known(filler(5))).toBeUndefined()
    expect([...ops.cache.keys()].filter((path) => path.startsWith('/lookup/'))).toEqual([])
  })

  test('found while a head is being checked keeps that one out', async () => {
    const { client, ops } = clientOf(base)
    await client.mergeHead(base.noteAt(3000), { signal })
    const { open, opened } = gate()
    const honest = ops.readRemote
    ops.readRemote = async (path, options) => {
      await opened
      return honest(path, options)
    }
    const advancing = client.mergeHead(base.noteAt(), { signal })
    await expect(client.mergeHead(forkedAt(1000, 3000).noteAt(), { signal })).rejects.toMatchObject(
      fork,
    )
    open()
    await expect(advancing).rejects.toMatchObject(fork)
    expect(ops.head).toBe(base.noteAt(3000))
  })
})
