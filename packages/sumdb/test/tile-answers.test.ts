import { describe, expect, test } from 'vitest'
import { SumdbNotFoundError, SumdbUnavailableError } from '../src/index.ts'
import { memoryOps } from '../testing/index.ts'
import { clientOf, filler, flip, logOf, signal, wanted } from './setting.ts'

const notFound = { code: 'SUMDB_NOT_FOUND' }
const unavailable = { code: 'SUMDB_UNAVAILABLE' }
const untrusted = { code: 'SUMDB_UNTRUSTED' }
const base = logOf(70_000, 25_600)
const offline = () => Promise.reject(new SumdbUnavailableError('offline'))

describe('a tile answer', () => {
  test('has every width up to that of the edge tile, cut out of the widest', async () => {
    const { client, ops } = clientOf(base)
    await client.mergeHead(base.noteAt(), { signal })
    for (const [level, index, width] of [
      [0, 273, 112],
      [1, 1, 17],
      [2, 0, 1],
      [0, 100, 255],
    ] as const) {
      for (let w = 1; w <= width; w++) {
        const path = `tile/8/${level}/${String(index).padStart(3, '0')}.p/${w}`
        const tile = await client.answerTile(path, { signal })
        expect(tile, path).toEqual(base.tile({ level, index, width: w }))
      }
    }
    expect(ops.reads.filter((path) => path.startsWith('/tile/8/0/100'))).toEqual(['/tile/8/0/100'])
    expect(ops.reads).toHaveLength(5)
  })

  test('comes from the cache after a restart, with nobody there', async () => {
    const { client, ops } = clientOf(base)
    await client.lookup(wanted, { signal })
    await client.settled()
    ops.readRemote = offline
    const { client: restarted } = clientOf(base, ops)
    for (const path of ['tile/8/0/100', 'tile/8/0/100.p/9', 'tile/8/0/273.p/112', 'tile/8/1/000']) {
      expect(await restarted.answerTile(path, { signal })).toEqual(base.serve(`/${path}`))
    }
    await expect(restarted.answerTile('tile/8/0/101', { signal })).rejects.toMatchObject(
      unavailable,
    )
  })

  test('is never a tile that does not verify', async () => {
    const fake = base.fork(70_000)
    const { client } = clientOf(fake)
    await client.mergeHead(fake.noteAt(), { signal })
    fake.faults.flippedTiles.set('tile/8/0/007', 0)
    await expect(client.answerTile('tile/8/0/007', { signal })).rejects.toMatchObject(untrusted)
    await expect(client.answerTile('tile/8/0/007.p/3', { signal })).rejects.toMatchObject(untrusted)
  })

  test.for([
    '',
    'tile/8/0/0',
    'tile/8/data/000',
    'tile/7/0/000',
    '/tile/8/0/000',
    'tile/8/0/000.p/256',
  ])('to %j is that there is none', async (path) => {
    const { client, ops } = clientOf(base)
    await expect(client.answerTile(path, { signal })).rejects.toMatchObject(notFound)
    expect(await client.cachedTile(path)).toBeUndefined()
    expect(ops.reads).toEqual([])
  })

  test('for many who ask at once is read once', async () => {
    const { client, ops } = clientOf(base)
    await client.mergeHead(base.noteAt(), { signal })
    const paths = Array.from({ length: 100 }, (_, i) => `tile/8/0/100.p/${i + 1}`)
    await Promise.all(paths.map((path) => client.answerTile(path, { signal })))
    expect(new Set(ops.reads).size).toBe(ops.reads.length)
  })
})

describe('a tile beyond our head', () => {
  test('is answered after one look at latest', async () => {
    const { client, ops } = clientOf(base)
    await client.mergeHead(base.noteAt(1000), { signal })
    expect(await client.answerTile('tile/8/0/273.p/112', { signal })).toHaveLength(112 * 32)
    expect((await client.head())?.size).toBe(70_000)
    expect(ops.reads.filter((path) => path === '/latest')).toHaveLength(1)
    expect(ops.reads.every((path) => !path.startsWith('!'))).toBe(true)
  })

  test('that latest does not show either is passed on from the database alone, unstored', async () => {
    const fake = base.fork(70_000)
    fake.faults.shownSize = 60_000
    const { client, ops } = clientOf(fake)
    await client.mergeHead(fake.noteAt(1000), { signal })
    const tile = await client.answerTile('tile/8/0/273.p/112', { signal })
    expect(tile).toEqual(base.tile({ level: 0, index: 273, width: 112 }))
    await client.settled()
    expect(ops.reads).toContain('!/tile/8/0/273.p/112')
    expect(ops.reads).not.toContain('/tile/8/0/273.p/112')
    expect(ops.cache.has('/tile/8/0/273')).toBe(false)
    expect((await client.head())?.size).toBe(60_000)
    expect(await client.cachedTile('tile/8/0/273.p/112')).toBeUndefined()
  })

  test('that is a wider edge than ours is passed on as well', async () => {
    const fake = base.fork(70_000)
    fake.faults.shownSize = 69_990
    const { client, ops } = clientOf(fake)
    await client.mergeHead(fake.noteAt(69_990), { signal })
    expect(await client.answerTile('tile/8/0/273.p/112', { signal })).toHaveLength(112 * 32)
    expect(ops.reads).toContain('!/tile/8/0/273.p/112')
  })

  test('is passed on when latest alone cannot be had', async () => {
    for (const error of [new SumdbNotFoundError('no latest'), new SumdbUnavailableError('slow')]) {
      const { client, ops } = clientOf(base)
      const honest = ops.readRemote
      ops.readRemote = (path, options) =>
        path === '/latest' ? Promise.reject(error) : honest(path, options)
      await client.mergeHead(base.noteAt(1000), { signal })
      expect(await client.answerTile('tile/8/0/100', { signal })).toHaveLength(8192)
    }
  })

  test('with a latest that is not signed is refused', async () => {
    const fake = base.fork(70_000)
    fake.faults.editNote = (note) => note.slice(0, note.indexOf('\n\n') + 2)
    const { client } = clientOf(fake)
    await expect(client.answerTile('tile/8/0/100', { signal })).rejects.toMatchObject(untrusted)
    fake.faults.editBody = () => Buffer.of(0xff)
    await expect(client.answerTile('tile/8/0/100', { signal })).rejects.toMatchObject(untrusted)
  })

  test('of another length than its width is refused', async () => {
    const fake = base.fork(70_000)
    fake.faults.shownSize = 1000
    fake.faults.editBody = (path, body) => (path.startsWith('/tile/') ? body.subarray(1) : body)
    const { client } = clientOf(fake)
    await client.mergeHead(fake.noteAt(1000), { signal })
    await expect(client.answerTile('tile/8/0/100', { signal })).rejects.toMatchObject(untrusted)
  })

  test('that nobody has is not found, and offline unavailable', async () => {
    const { client, ops } = clientOf(base)
    await client.mergeHead(base.noteAt(), { signal })
    await expect(client.answerTile('tile/8/0/274', { signal })).rejects.toMatchObject(notFound)
    await expect(client.answerTile('tile/8/5/000.p/1', { signal })).rejects.toMatchObject(notFound)
    ops.readRemote = offline
    await expect(client.answerTile('tile/8/0/274', { signal })).rejects.toMatchObject(unavailable)
  })

  test('of a client without any head is answered after the first latest', async () => {
    const { client } = clientOf(base)
    expect(await client.answerTile('tile/8/0/100', { signal })).toHaveLength(8192)
    expect((await client.head())?.size).toBe(70_000)
  })
})

describe('a tile for a peer', () => {
  test('is one that is kept here, in any width, or nothing', async () => {
    const { client, ops } = clientOf(base)
    expect(await client.cachedTile('tile/8/0/100')).toBeUndefined()
    await client.lookup(wanted, { signal })
    await client.settled()
    ops.reads.length = 0
    for (const restarted of [client, clientOf(base, ops).client]) {
      for (const path of [
        'tile/8/0/100',
        'tile/8/0/100.p/200',
        'tile/8/1/000',
        'tile/8/1/001.p/17',
      ]) {
        expect(await restarted.cachedTile(path)).toEqual(base.serve(`/${path}`))
      }
      expect(await restarted.cachedTile('tile/8/0/101')).toBeUndefined()
      expect(await restarted.cachedTile('tile/8/0/274')).toBeUndefined()
    }
    expect(ops.reads).toEqual([])
  })

  test('that is rotten is dropped and not given', async () => {
    const { client, ops } = clientOf(base)
    await client.lookup(wanted, { signal })
    await client.settled()
    ops.cache.set('/tile/8/0/100', flip(ops.cache.get('/tile/8/0/100')!))
    const { client: restarted } = clientOf(base, ops)
    expect(await restarted.cachedTile('tile/8/0/100')).toBeUndefined()
    expect(ops.cache.has('/tile/8/0/100')).toBe(false)
    expect(await restarted.answerTile('tile/8/0/100', { signal })).toHaveLength(8192)
    await restarted.settled()
    expect(ops.cache.has('/tile/8/0/100')).toBe(true)
  })

  test('that cannot be read because of the disk is an error', async () => {
    const { client, ops } = clientOf(base)
    await client.mergeHead(base.noteAt(), { signal })
    ops.readCache = () => Promise.reject(new Error('input/output error'))
    await expect(client.cachedTile('tile/8/0/100')).rejects.toThrow('input/output error')
  })

  test('stays at hand while the head moves over it, in the width of every earlier head', async () => {
    const fake = base.fork(70_000)
    fake.faults.shownSize = 26_000
    const { client, ops } = clientOf(fake)
    await client.lookup(filler(25_999), { signal })
    for (const size of [26_001, 26_040, 26_111, 26_112, 26_113, 26_500, 65_536, 69_000, 70_000]) {
      await client.mergeHead(fake.noteAt(size), { signal })
    }
    await client.settled()
    ops.readRemote = offline
    const { client: restarted } = clientOf(fake, ops)
    for (const path of [
      'tile/8/0/101.p/144',
      'tile/8/0/101.p/145',
      'tile/8/0/101',
      'tile/8/1/000.p/101',
    ]) {
      expect(await restarted.cachedTile(path), path).toEqual(base.serve(`/${path}`))
    }
  })
})

describe('a node that fills from a peer alone', () => {
  test('serves a go client everything it asks for', async () => {
    const { client: a } = clientOf(base)
    await a.lookup(wanted, { signal })
    await a.settled()
    const fromPeer = memoryOps(async (path) => {
      const tile = await a.cachedTile(path.slice(1))
      if (tile === undefined) throw new SumdbUnavailableError(`the peer lacks ${path}`)
      return tile
    })
    const { client: b } = clientOf(base, fromPeer)
    await b.verifyRecord(wanted, (await a.proveRecord(wanted))!, { signal })
    const answer = Buffer.from(await b.answerLookup(wanted, { signal })).toString()
    expect(answer).toBe(Buffer.from(base.serve('/lookup/example.com/!wanted@v1.2.3')).toString())
    for (const path of [
      'tile/8/2/000.p/1',
      'tile/8/1/001.p/17',
      'tile/8/0/273.p/112',
      'tile/8/1/000',
      'tile/8/0/100',
    ]) {
      expect(await b.answerTile(path, { signal })).toEqual(base.serve(`/${path}`))
    }
  })
})

describe('lookup and latest answers', () => {
  test('carry our one head, also for a record proven under an older one', async () => {
    const fake = base.fork(70_000)
    fake.faults.shownSize = 30_000
    const { client } = clientOf(fake)
    await client.lookup(wanted, { signal })
    await client.mergeHead(fake.noteAt(), { signal })
    const answer = Buffer.from(await client.answerLookup(wanted, { signal })).toString()
    expect(answer).toBe(`25600\n${fake.text(25_600)}\n${fake.noteAt()}`)
    expect(Buffer.from(await client.answerLatest({ signal })).toString()).toBe(fake.noteAt())
  })

  test('take the head of a peer’s record when ours is too small for it', async () => {
    const { client: peer } = clientOf(base)
    await peer.lookup(filler(69_000), { signal })
    const record = (await peer.proveRecord(filler(69_000)))!
    const { client, ops } = clientOf(base)
    const honest = ops.readRemote
    await client.mergeHead(base.noteAt(1000), { signal })
    ops.readRemote = offline
    await client.verifyRecord(filler(69_000), record, { signal })
    await client.settled()
    await expect(client.answerLookup(filler(69_000), { signal })).rejects.toMatchObject(unavailable)
    ops.readRemote = honest
    const answer = Buffer.from(await client.answerLookup(filler(69_000), { signal })).toString()
    expect(answer.endsWith(base.noteAt())).toBe(true)
    expect(ops.head).toBe(base.noteAt())
  })

  test('survive a lost head: that of the record is taken', async () => {
    const { client, ops } = clientOf(base)
    await client.lookup(wanted, { signal })
    await client.settled()
    ops.head = undefined
    ops.readRemote = offline
    const { client: restarted } = clientOf(base, ops)
    expect((await restarted.proveRecord(wanted))?.id).toBe(25_600)
    const answer = Buffer.from(await restarted.answerLookup(wanted, { signal })).toString()
    expect(answer.endsWith(base.noteAt())).toBe(true)
    expect(ops.head).toBe(base.noteAt())
  })

  test('begin with the database’s latest', async () => {
    const { client, ops } = clientOf(base)
    expect(Buffer.from(await client.answerLatest({ signal })).toString()).toBe(base.noteAt())
    expect(ops.head).toBe(base.noteAt())
  })
})

describe('serving', () => {
  test('is promised with a head, or when one can be had', async () => {
    const { client, ops } = clientOf(base)
    expect(await client.canServe()).toBe(true)
    ops.readRemote = offline
    expect(await clientOf(base, ops).client.canServe()).toBe(true)
  })

  test('is not promised without a head and a database, or with one that lies', async () => {
    const fake = base.fork(70_000)
    fake.faults.down = true
    const { client } = clientOf(fake)
    expect(await client.canServe()).toBe(false)
    fake.faults.down = false
    fake.faults.editNote = () => 'nonsense'
    expect(await client.canServe()).toBe(false)
    fake.faults.editNote = (note) => note
    expect(await client.canServe()).toBe(true)
  })

  test('does not hide trouble with the disk', async () => {
    const { client, ops } = clientOf(base)
    ops.writeHead = () => Promise.reject(new Error('disk full'))
    await expect(client.canServe()).rejects.toThrow('disk full')
  })
})
