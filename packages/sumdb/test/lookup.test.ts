import { setMaxListeners } from 'node:events'
import { parseModulePath, parseModuleVersion } from '@modmesh/module'
import { describe, expect, test } from 'vitest'
import { SumdbUnavailableError } from '../src/index.ts'
import { FakeSumdb, fakeLines, memoryOps } from '../testing/index.ts'
import { clientOf, filler, gate, logOf, signal, wanted } from './setting.ts'

const untrusted = { code: 'SUMDB_UNTRUSTED' }

describe('a lookup', () => {
  test('gives both hashes, the record and a proof of it', async () => {
    const fake = logOf(1000)
    const { client } = clientOf(fake)
    const sums = await client.lookup(wanted, { signal })
    const [zip, mod] = fakeLines(wanted.path, wanted.version).split('\n')
    expect(sums).toMatchObject({
      zip: zip!.split(' ')[2],
      mod: mod!.split(' ')[2],
      proof: { kind: 'checksum-db', database: 'sum.test', record: 500 },
      record: { database: 'sum.test', id: 500, head: fake.noteAt() },
    })
  })

  test('asks with capital letters escaped', async () => {
    const { client, ops } = clientOf(logOf(10))
    await client.lookup(wanted, { signal })
    expect(ops.reads[0]).toBe('/lookup/example.com/!wanted@v1.2.3')
  })

  test('of something known asks nobody, after a restart neither', async () => {
    const fake = logOf(1000)
    const { client, ops } = clientOf(fake)
    const sums = await client.lookup(wanted, { signal })
    await client.settled()
    fake.faults.down = true
    expect(await client.lookup(wanted, { signal })).toEqual(sums)
    const restarted = clientOf(fake, ops).client
    expect(await restarted.lookup(wanted, { signal })).toMatchObject({
      zip: sums.zip,
      mod: sums.mod,
    })
    expect(await restarted.known(wanted)).toMatchObject({ zip: sums.zip })
  })

  test('of something unknown says so, and asks again the next time', async () => {
    const fake = new FakeSumdb()
    fake.addFiller(10)
    const { client } = clientOf(fake)
    await expect(client.lookup(wanted, { signal })).rejects.toMatchObject({
      code: 'SUMDB_NOT_FOUND',
    })
    fake.add(wanted.path, wanted.version)
    expect((await client.lookup(wanted, { signal })).proof.record).toBe(10)
  })

  test('with the database down says so', async () => {
    const fake = logOf(10)
    fake.faults.down = true
    const { client } = clientOf(fake)
    await expect(client.lookup(wanted, { signal })).rejects.toMatchObject({
      code: 'SUMDB_UNAVAILABLE',
    })
  })

  test('of a private module asks nobody', async () => {
    const fake = logOf(10)
    const { client, ops } = clientOf(fake, undefined, (path) => path.startsWith('example.com/'))
    await expect(client.lookup(wanted, { signal })).rejects.toMatchObject({
      code: 'SUMDB_NOT_FOUND',
    })
    await expect(client.answerLookup(wanted, { signal })).rejects.toMatchObject({
      code: 'SUMDB_NOT_FOUND',
    })
    expect(await client.known(wanted)).toBeUndefined()
    expect(await client.proveRecord(wanted)).toBeUndefined()
    expect(ops.reads).toEqual([])
    expect(client.covers(wanted.path)).toBe(false)
    expect(client.covers(filler(1).path)).toBe(true)
  })

  test('of the toolchain is made whatever the private patterns say', async () => {
    const fake = new FakeSumdb()
    const toolchain = parseModuleVersion('golang.org/toolchain', 'v0.0.1-go1.25.0.linux-amd64')
    fake.add(toolchain.path, toolchain.version)
    const { client } = clientOf(fake, undefined, () => true)
    expect(client.covers(toolchain.path)).toBe(true)
    expect(client.covers(parseModulePath('golang.org/toolchains'))).toBe(false)
    expect((await client.lookup(toolchain, { signal })).proof.record).toBe(0)
  })

  test('that many wait for is made once', async () => {
    const fake = logOf(1000)
    const { client, ops } = clientOf(fake)
    const all = await Promise.all(
      Array.from({ length: 20 }, () => client.lookup(wanted, { signal })),
    )
    expect(new Set(all.map(({ zip }) => zip)).size).toBe(1)
    expect(ops.reads.filter((path) => path.startsWith('/lookup/'))).toHaveLength(1)
    expect(new Set(ops.reads).size).toBe(ops.reads.length)
  })

  test('of hundreds at once reads each tile once', async () => {
    const fake = logOf(70_000)
    const { client, ops } = clientOf(fake)
    const ids = Array.from({ length: 500 }, (_, i) => 1 + i * 137).filter((id) => id !== 35_000)
    const all = await Promise.all(ids.map((id) => client.lookup(filler(id), { signal })))
    expect(all.map(({ proof }) => proof.record)).toEqual(ids)
    expect(new Set(ops.reads).size).toBe(ops.reads.length)
  })

  test('of hundreds at once on a growing log moves the head a few times only', async () => {
    const fake = logOf(3000)
    const { client, ops } = clientOf(fake)
    let shown = 2000
    const honest = ops.readRemote
    ops.readRemote = async (path, options) => {
      if (path.startsWith('/lookup/')) fake.faults.shownSize = ++shown
      const body = await honest(path, options)
      await new Promise(setImmediate)
      return body
    }
    let heads = 0
    client.onHead(() => heads++)
    await Promise.all(Array.from({ length: 300 }, (_, id) => client.lookup(filler(id), { signal })))
    expect((await client.head())?.size).toBe(2300)
    expect(heads).toBeLessThan(10)
  })
})

describe('what is written', () => {
  test('is written once: tiles found in the cache are not written again', async () => {
    const fake = logOf(70_000)
    const { client, ops } = clientOf(fake)
    await client.lookup(wanted, { signal })
    await client.settled()
    const written: string[] = []
    const write = ops.writeCache
    ops.writeCache = (path, bytes) => {
      written.push(path)
      return write(path, bytes)
    }
    const { client: restarted } = clientOf(fake, ops)
    await restarted.lookup(filler(35_001), { signal })
    await restarted.settled()
    expect(written).toEqual(['/lookup/filler.test/m35001@v1.0.0'])
  })

  test('is complete when the client was disposed of, and what hangs is ended', async () => {
    const fake = logOf(3000)
    const { client, ops } = clientOf(fake)
    await client.mergeHead(fake.noteAt(), { signal })
    const { client: peer } = clientOf(fake.fork(2000))
    await peer.lookup(wanted, { signal })
    ops.readRemote = (_, options) =>
      new Promise((_resolve, reject) => {
        options.signal.addEventListener('abort', () => reject(options.signal.reason))
      })
    await client.verifyRecord(wanted, (await peer.proveRecord(wanted))!, { signal })
    await client[Symbol.asyncDispose]()
    expect([...ops.cache.keys()]).toEqual(['/lookup/example.com/!wanted@v1.2.3'])
    await expect(client.canServe()).resolves.toBe(true)
  })
})

describe('a record that our head covers', () => {
  test('is proven although the tiles of the newer head with it cannot be had yet', async () => {
    const fake = logOf(3000)
    const { client, ops } = clientOf(fake)
    fake.faults.shownSize = 2000
    await client.lookup(wanted, { signal })
    fake.faults.shownSize = undefined
    const missing = ['tile/8/0/011.p/184', 'tile/8/0/011', 'tile/8/1/000.p/11', 'tile/8/1/000']
    for (const path of missing) fake.faults.missingTiles.add(path)
    expect((await client.lookup(filler(3), { signal })).record.head).toBe(fake.noteAt(2000))
    expect(ops.head).toBe(fake.noteAt(2000))
    await expect(client.lookup(filler(2500), { signal })).rejects.toMatchObject({
      code: 'SUMDB_UNAVAILABLE',
    })
    fake.faults.missingTiles.clear()
    await client.lookup(filler(2500), { signal })
    expect(ops.head).toBe(fake.noteAt())
  })

  test('is refused when those tiles do not verify', async () => {
    const fake = logOf(3000)
    const { client } = clientOf(fake)
    fake.faults.shownSize = 2000
    await client.lookup(wanted, { signal })
    fake.faults.shownSize = undefined
    fake.faults.flippedTiles.set('tile/8/0/011.p/184', 9)
    await expect(client.lookup(filler(3), { signal })).rejects.toMatchObject(untrusted)
    expect(await client.known(filler(3))).toBeUndefined()
  })
})

describe('a caller that gives up', () => {
  test('leaves the lookup to the others', async () => {
    const fake = logOf(1000)
    const { client, ops } = clientOf(fake)
    const { open, opened } = gate()
    const honest = ops.readRemote
    ops.readRemote = async (path, options) => {
      await opened
      return honest(path, options)
    }
    const leaver = new AbortController()
    const left = client.lookup(wanted, { signal: leaver.signal })
    const stayed = client.lookup(wanted, { signal })
    leaver.abort(new Error('gone'))
    await expect(left).rejects.toThrow('gone')
    open()
    expect((await stayed).proof.record).toBe(500)
    await expect(client.lookup(filler(1), { signal: leaver.signal })).rejects.toThrow('gone')
  })

  test('ends the work when nobody else waits, and the next one starts anew', async () => {
    const fake = logOf(1000)
    const { client, ops } = clientOf(fake)
    const honest = ops.readRemote
    let aborted = 0
    ops.readRemote = (_, options) =>
      new Promise((_resolve, reject) => {
        options.signal.addEventListener('abort', () => {
          aborted++
          reject(options.signal.reason)
        })
      })
    const leaver = new AbortController()
    const left = client.lookup(wanted, { signal: leaver.signal })
    await expect.poll(() => client.known(wanted)).toBeUndefined()
    leaver.abort(new Error('gone'))
    await expect(left).rejects.toThrow('gone')
    expect(aborted).toBe(1)
    ops.readRemote = honest
    expect((await client.lookup(wanted, { signal })).proof.record).toBe(500)
  })

  test('does not leave listeners behind', async () => {
    const { client } = clientOf(logOf(1000))
    const controller = new AbortController()
    setMaxListeners(1, controller.signal)
    const warnings: Error[] = []
    const note = (warning: Error) => warnings.push(warning)
    process.on('warning', note)
    for (let id = 0; id < 20; id++) await client.lookup(filler(id), { signal: controller.signal })
    await new Promise(setImmediate)
    process.off('warning', note)
    expect(warnings).toEqual([])
  })
})

describe('a lookup answer is refused', () => {
  const other = parseModuleVersion('example.com/other', 'v1.2.3')
  function log(): FakeSumdb {
    const fake = logOf(700, 300)
    fake.add(other.path, other.version)
    fake.addFiller(99)
    return fake
  }

  async function refused(fake: FakeSumdb): Promise<void> {
    const { client, ops } = clientOf(fake)
    await expect(client.lookup(wanted, { signal })).rejects.toMatchObject(untrusted)
    await client.settled()
    expect([...ops.cache.keys()].filter((key) => key.startsWith('/lookup/'))).toEqual([])
    expect(await client.known(wanted)).toBeUndefined()
  }

  test('when it is the valid record of another module (CVE-2026-42501)', async () => {
    const fake = log()
    fake.faults.swappedRecords.set('example.com/Wanted@v1.2.3', 'example.com/other@v1.2.3')
    await refused(fake)
  })

  test('for its module before any tile is read or head is taken for it', async () => {
    const fake = log()
    fake.faults.swappedRecords.set('example.com/Wanted@v1.2.3', 'example.com/other@v1.2.3')
    const { client, ops } = clientOf(fake)
    await expect(client.lookup(wanted, { signal })).rejects.toMatchObject(untrusted)
    expect(ops.reads.every((path) => path.includes('/lookup/'))).toBe(true)
    expect(ops.head).toBeUndefined()
  })

  test('when the line asked for is in the signed tree note only (CVE-2026-56864)', async () => {
    const fake = log()
    fake.faults.swappedRecords.set('example.com/Wanted@v1.2.3', 'example.com/other@v1.2.3')
    fake.faults.extraNoteText = fakeLines(wanted.path, wanted.version, 'forged')
    await refused(fake)
  })

  test('when its number is that of another record', async () => {
    const fake = log()
    fake.faults.editBody = (path, body) =>
      path.startsWith('/lookup/') ? Buffer.from(body.toString().replace(/^300/, '301')) : body
    await refused(fake)
  })

  test('when its number is beyond the tree', async () => {
    const fake = log()
    fake.faults.shownSize = 300
    await refused(fake)
    fake.faults.shownSize = undefined
    const { client } = clientOf(fake)
    await client.lookup(filler(1), { signal })
    fake.faults.editBody = (path, body) =>
      path.startsWith('/lookup/') ? Buffer.from(body.toString().replace(/^300/, '800')) : body
    await expect(client.lookup(wanted, { signal })).rejects.toMatchObject(untrusted)
  })

  test('when the note is not signed, or by somebody else', async () => {
    for (const editNote of [
      (note: string) => note.slice(0, note.indexOf('\n\n') + 1),
      (note: string) => `${note.slice(0, note.indexOf('\n\n') + 1)}\n`,
      (note: string) =>
        new FakeSumdb({ seed: 'other' }).signNote(note.slice(0, note.indexOf('\n\n') + 1)),
      (note: string) => note.replace('database', 'databasE'),
    ]) {
      const fake = log()
      fake.faults.editNote = editNote
      await refused(fake)
    }
  })

  test('when the signed text is not a tree', async () => {
    const fake = log()
    fake.faults.editNote = () => fake.signNote('hello\n')
    await refused(fake)
  })

  test('when any one character of it is changed', async () => {
    const fake = log()
    const body = Buffer.from(fake.serve('/lookup/example.com/!wanted@v1.2.3')).toString()
    for (let i = 0; i < body.length; i++) {
      const changed =
        body.slice(0, i) + String.fromCharCode(body.charCodeAt(i) ^ 1) + body.slice(i + 1)
      const ops = memoryOps(async (path) =>
        path.startsWith('/lookup/') ? Buffer.from(changed) : fake.serve(path),
      )
      const { client } = clientOf(fake, ops)
      await expect(client.lookup(wanted, { signal }), `character ${i}`).rejects.toMatchObject(
        untrusted,
      )
    }
  })

  test('when a line of the record is missing, doubled, added or moved', async () => {
    const fake = log()
    const edits = [
      (lines: string[]) => lines.toReversed(),
      (lines: string[]) => lines.slice(0, 1),
      (lines: string[]) => [...lines, ...lines],
      (lines: string[]) => [...lines, 'example.com/Wanted v1.2.3 h2:AAAA'],
    ]
    for (const edit of edits) {
      fake.faults.editBody = (path, body) => {
        if (!path.startsWith('/lookup/')) return body
        const [id, one, two, ...rest] = Buffer.from(body).toString().split('\n')
        return Buffer.from([id, ...edit([one!, two!]), ...rest].join('\n'))
      }
      await refused(fake)
    }
  })

  test('from a peer, and then the database itself is asked', async () => {
    const fake = log()
    const { client, ops } = clientOf(fake)
    const honest = ops.readRemote
    ops.readRemote = async (path, options) => {
      const body = await honest(path, options)
      const isPeer = path.startsWith('/lookup/') && options.databaseOnly !== true
      return isPeer ? Buffer.from(Buffer.from(body).toString().replace('h1:', 'h1:A')) : body
    }
    expect((await client.lookup(wanted, { signal })).proof.record).toBe(300)
  })

  test('from a peer, which is to blame when the database cannot be asked', async () => {
    const fake = log()
    const { client, ops } = clientOf(fake)
    const honest = ops.readRemote
    ops.readRemote = async (path, options) => {
      if (options.databaseOnly === true) throw new SumdbUnavailableError('offline')
      const body = await honest(path, options)
      return path.startsWith('/lookup/') ? Buffer.from('nonsense') : body
    }
    await expect(client.lookup(wanted, { signal })).rejects.toMatchObject(untrusted)
  })
})

describe('a kept record', () => {
  test.for([
    ['rotten', (bytes: Uint8Array) => bytes.map((byte, i) => (i === 30 ? byte ^ 1 : byte))],
    [
      'of another hash',
      (bytes: Uint8Array) => Buffer.from(bytes.toString().replace('h1:', 'h1:A')),
    ],
    ['cut', (bytes: Uint8Array) => bytes.subarray(0, 200)],
    ['empty', () => new Uint8Array()],
    ['not UTF-8', () => Buffer.of(0xff)],
  ] as const)('that is %s is dropped and asked for again', async ([, damage]) => {
    const fake = logOf(1000)
    const { client, ops } = clientOf(fake)
    const sums = await client.lookup(wanted, { signal })
    await client.settled()
    const path = '/lookup/example.com/!wanted@v1.2.3'
    const good = ops.cache.get(path)!
    ops.cache.set(path, damage(Buffer.from(good)))
    const restarted = clientOf(fake, ops).client
    expect(await restarted.known(wanted)).toBeUndefined()
    expect(ops.cache.has(path)).toBe(false)
    expect(await restarted.lookup(wanted, { signal })).toMatchObject({ zip: sums.zip })
    await restarted.settled()
    expect(ops.cache.get(path)).toEqual(good)
  })

  test('of another module put in its place is dropped', async () => {
    const fake = logOf(1000)
    const { client, ops } = clientOf(fake)
    await client.lookup(wanted, { signal })
    await client.lookup(filler(3), { signal })
    await client.settled()
    ops.cache.set(
      '/lookup/example.com/!wanted@v1.2.3',
      ops.cache.get('/lookup/filler.test/m3@v1.0.0')!,
    )
    expect(await clientOf(fake, ops).client.known(wanted)).toBeUndefined()
  })

  test('under another key is dropped', async () => {
    const fake = logOf(1000)
    const { client, ops } = clientOf(fake)
    await client.lookup(wanted, { signal })
    await client.settled()
    const other = logOf(1000, 500, 'other')
    expect(await clientOf(other, ops).client.known(wanted)).toBeUndefined()
  })

  test('survives a cache that cannot be written: the answer is given all the same', async () => {
    const fake = logOf(1000)
    const { client, ops } = clientOf(fake)
    ops.writeCache = () => Promise.reject(new Error('disk full'))
    expect((await client.lookup(wanted, { signal })).proof.record).toBe(500)
    await client.settled()
    expect(await client.known(wanted)).toBeDefined()
  })

  test('that cannot be read because of the disk is not called absent', async () => {
    const fake = logOf(1000)
    const { client, ops } = clientOf(fake)
    ops.readCache = () => Promise.reject(new Error('input/output error'))
    await expect(client.known(wanted)).rejects.toThrow('input/output error')
  })
})
