import {
  appendFile,
  open,
  readdir,
  stat,
  truncate,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import type { HeldZip } from '@modmesh/fill'
import { describe, expect, test } from 'vitest'
import { DiskStore } from '../src/disk-store.ts'
import type { StoreEvent } from '../src/store-event.ts'
import { guardedDisk, systemError } from './support/faulty-disk.ts'
import { tempDir } from './support/temp-dir.ts'
import { moduleAt, never, putZip, readZip, smallZip } from './support/zips.ts'

const module = moduleAt('v1.0.0')
const { bytes } = smallZip(module, 'x'.repeat(50_000))

function pathOf(dir: string, { zipDigest }: HeldZip): string {
  return join(dir, 'store/v1/zip', zipDigest.slice(0, 2), zipDigest.slice(2, 4), zipDigest)
}

async function committed(disk?: ReturnType<typeof guardedDisk>) {
  const dir = await tempDir()
  const events: StoreEvent[] = []
  const removed: string[] = []
  const report = (event: StoreEvent): unknown => events.push(event)
  const store = await DiskStore.open(disk === undefined ? { dir, report } : { dir, report, disk })
  store.onRemoved((zip) => removed.push(zip.zipDigest))
  const held = await putZip(store, module, bytes)
  return { dir, events, removed, store, held, path: pathOf(dir, held) }
}

async function flip(path: string, at: number): Promise<void> {
  const file = await open(path, 'r+')
  const byte = Buffer.alloc(1)
  await file.read(byte, 0, 1, at)
  await file.write(Buffer.from([(byte[0] ?? 0) ^ 1]), 0, 1, at)
  await file.close()
}

/** Changes a byte and puts the modification time back, as a bad disk or a sly user would. */
async function flipUnnoticed(path: string): Promise<void> {
  const { atime, mtime } = await stat(path)
  await flip(path, 100)
  await utimes(path, atime, mtime)
}

const spoils: readonly {
  readonly name: string
  readonly spoil: (path: string) => Promise<void>
}[] = [
  { name: 'a flipped bit', spoil: (path) => flip(path, 100) },
  { name: 'a flipped bit with the old mtime', spoil: flipUnnoticed },
  { name: 'truncation', spoil: (path) => truncate(path, 100) },
  { name: 'emptiness', spoil: (path) => truncate(path, 0) },
  { name: 'appended bytes', spoil: (path) => appendFile(path, 'more') },
  { name: 'removal', spoil: (path) => unlink(path) },
  {
    name: 'another file in its place',
    spoil: async (path) => {
      await unlink(path)
      await writeFile(path, smallZip(module, 'other').bytes)
    },
  },
]

describe('a committed zip that was changed', () => {
  test.for(spoils)('by $name is a miss, and may be committed again', async ({ spoil }) => {
    const { dir, events, removed, store, held, path } = await committed()
    await spoil(path)
    expect(await store.findZip(module)).toBeUndefined()
    expect(await store.findContent(held.zipHash)).toBeUndefined()
    expect(await store.versions(module.path)).toEqual([])
    expect(events).toMatchObject([{ kind: 'quarantined', module }])
    expect(removed).toEqual([held.zipDigest])
    expect(await readZip(await putZip(store, module, bytes))).toEqual(Buffer.from(bytes))
    await store[Symbol.asyncDispose]()
    await using again = await DiskStore.open({ dir })
    expect(await readZip(await again.findZip(module))).toEqual(Buffer.from(bytes))
  })

  test.for(spoils)('by $name while the store was closed is a miss', async ({ spoil }) => {
    const { dir, store, path } = await committed()
    await store[Symbol.asyncDispose]()
    await spoil(path)
    await using again = await DiskStore.open({ dir })
    expect(await again.findZip(module)).toBeUndefined()
  })

  test.for(spoils)('by $name between finding and reading never reads to its end', async (all) => {
    const { store, path } = await committed()
    await using _ = store
    const found = await store.findZip(module)
    await all.spoil(path)
    await expect(readZip(found)).rejects.toMatchObject({ code: 'STORE_DAMAGED' })
    await expect(readZip(found, { start: 0, end: 10 })).rejects.toMatchObject({
      code: 'STORE_DAMAGED',
    })
  })

  test('by rot that no time stamp shows is found by the first read after a start', async () => {
    const { dir, store, held } = await committed()
    await store[Symbol.asyncDispose]()
    // As rot does: the file's state is the recorded one, its bytes are not.
    const rotten = guardedDisk(() => {})
    const disk = {
      ...rotten,
      open: async (...args: Parameters<typeof rotten.open>) => {
        const file = await rotten.open(...args)
        if (!args[0].endsWith(held.zipDigest)) return file
        const read: typeof file.read = async (into, position) => {
          const bytesRead = await file.read(into, position)
          if (bytesRead > 0) into[0]! ^= 1
          return bytesRead
        }
        return { ...file, read }
      },
    }
    await using again = await DiskStore.open({ dir, disk })
    const found = await again.findZip(module)
    const chunks: Uint8Array[] = []
    const reading = (async () => {
      for await (const chunk of found?.read() ?? []) chunks.push(chunk)
    })()
    await expect(reading).rejects.toMatchObject({ code: 'STORE_DAMAGED' })
    // The last chunk is held back: what was sent is no complete body.
    expect(Buffer.concat(chunks).length).toBeLessThan(held.size)
    expect(await again.findZip(module)).toBeUndefined()
  })

  test('in nothing but its time stamps is kept', async () => {
    const { events, store, path } = await committed()
    await using _ = store
    await utimes(path, 1, 1)
    expect(await readZip(await store.findZip(module))).toEqual(Buffer.from(bytes))
    expect(events).toEqual([])
  })

  test('is found by verifyAll', async () => {
    const { dir, store, path } = await committed()
    await using _ = store
    await flip(path, 100)
    const outcomes = []
    for await (const outcome of store.verifyAll(never)) outcomes.push(outcome)
    expect(outcomes).toMatchObject([{ module, what: 'zip', ok: false }])
    expect(await readdir(join(dir, 'store/v1/quarantine'))).toHaveLength(2)
  })
})

describe('reading', () => {
  test('goes on when the zip is put away meanwhile', async () => {
    const { store, path, held } = await committed()
    await using _ = store
    const reading = held.read()
    const all: Uint8Array[] = []
    const iterator = reading[Symbol.asyncIterator]()
    const first = await iterator.next()
    await unlink(path)
    for (let next = first; next.done !== true; next = await iterator.next()) all.push(next.value)
    expect(Buffer.concat(all)).toEqual(Buffer.from(bytes))
  })

  test.for([
    { start: -1, end: 5 },
    { start: 5, end: 4 },
    { start: 0, end: bytes.length + 1 },
    { start: Number.NaN, end: 4 },
  ])('refuses the range $start to $end', async (range) => {
    const { store, held } = await committed()
    await using _ = store
    expect(() => held.read(range)).toThrow(RangeError)
  })

  test('a disk that cannot read the file makes it a miss', async () => {
    let isBad = false
    const disk = guardedDisk((call, path) => {
      if (isBad && call === 'read' && path.includes('/zip/')) throw systemError('EIO')
    })
    const { store, events } = await committed(disk)
    await using _ = store
    isBad = true
    await expect(readZip(await store.findZip(module))).rejects.toMatchObject({
      code: 'STORE_DAMAGED',
    })
    expect(events).toMatchObject([{ kind: 'quarantined', reason: 'cannot be read' }])
    expect(await store.findZip(module)).toBeUndefined()
  })

  test('want of file descriptors says nothing against the zip', async () => {
    let isShort = false
    const disk = guardedDisk((call, path) => {
      if (isShort && call === 'open' && path.includes('/zip/')) throw systemError('EMFILE')
    })
    const { store, events } = await committed(disk)
    await using _ = store
    isShort = true
    await expect(readZip(await store.findZip(module))).rejects.toMatchObject({ code: 'EMFILE' })
    isShort = false
    expect(await readZip(await store.findZip(module))).toEqual(Buffer.from(bytes))
    expect(events).toEqual([])
  })
})

describe('a zip that is read again and again', () => {
  async function hot() {
    const all = await committed()
    for (let n = 0; n < 3; n++) {
      expect(await readZip(await all.store.findZip(module))).toEqual(Buffer.from(bytes))
    }
    return all
  }

  test('is answered from memory, whole and in part, without opening its file', async () => {
    const { store, held, path } = await hot()
    await unlink(path) // seen by the next search; this reader found it before
    const part = await readZip(held, { start: 10, end: bytes.length - 10 })
    expect(part).toEqual(Buffer.from(bytes.slice(10, -10)))
    expect(await store.findZip(module)).toBeUndefined()
    await store[Symbol.asyncDispose]()
  })

  test.for(spoils)('by $name is a miss all the same', async ({ spoil }) => {
    const { store, path } = await hot()
    await spoil(path)
    expect(await store.findZip(module)).toBeUndefined()
    await store[Symbol.asyncDispose]()
  })

  test('never brings bytes into memory that changed under the reader', async () => {
    const { store, held, path } = await committed()
    await readZip(held)
    const reading = held.read()[Symbol.asyncIterator]()
    await flip(path, 100)
    await Promise.allSettled([reading.next(), reading.next()])
    const again = held.read()[Symbol.asyncIterator]()
    await expect(again.next()).rejects.toThrow('is not what was committed')
    await store[Symbol.asyncDispose]()
  })
})
