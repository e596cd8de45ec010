import { appendFile, open, readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { anyText } from '../../../test/support/any-text.ts'
import { nodeDisk } from '../src/disk.ts'
import type { JournalChange, JournalStamp } from '../src/journal-contents.ts'
import { formatFrame, frameLength, type JournalRecord, parseFrame } from '../src/journal-frame.ts'
import { MetaJournal } from '../src/meta-journal.ts'
import type { StoreEvent } from '../src/store-event.ts'
import { guardedDisk, systemError } from './support/faulty-disk.ts'
import { tempDir } from './support/temp-dir.ts'

interface Opened extends AsyncDisposable {
  readonly journal: MetaJournal
  readonly events: StoreEvent[]
  readonly changes: JournalChange[]
}

async function openJournal(
  folder: string,
  init: {
    readonly disk?: typeof nodeDisk
    readonly known?: { readonly places: Map<string, number>; readonly stamp: JournalStamp }
  } = {},
): Promise<Opened> {
  const events: StoreEvent[] = []
  const changes: JournalChange[] = []
  const journal = await MetaJournal.open(
    { disk: init.disk ?? nodeDisk, report: (event) => events.push(event) },
    {
      folder,
      known: init.known,
      minCompactBytes: 10_000,
      onChanges: (all) => changes.push(...all),
    },
  )
  return { journal, events, changes, [Symbol.asyncDispose]: () => journal.close() }
}

const record = (key: string, text: string): JournalRecord => ({
  key,
  meta: '{}',
  bytes: Buffer.from(text),
})
const textOf = async (journal: MetaJournal, key: string): Promise<string | undefined> => {
  const bytes = (await journal.get(key))?.bytes
  return bytes === undefined ? undefined : Buffer.from(bytes).toString()
}

describe('the journal', () => {
  test('gives back the last value of each key, also when opened again', async () => {
    const folder = await tempDir()
    {
      await using opened = await openJournal(folder)
      await opened.journal.put(record('a', 'one'))
      await opened.journal.put(record('b', 'two'))
      await opened.journal.put(record('a', 'three'))
      await opened.journal.put({ key: 'b', meta: '', bytes: undefined })
      expect(await textOf(opened.journal, 'a')).toBe('three')
      expect(await textOf(opened.journal, 'b')).toBeUndefined()
    }
    await using again = await openJournal(folder)
    expect([...again.journal.keys()]).toEqual(['a'])
    expect(await textOf(again.journal, 'a')).toBe('three')
    expect(again.events).toEqual([])
  })

  test('records put at once share a write and an fsync', async () => {
    const calls: string[] = []
    const disk = guardedDisk((call, path) => {
      if (path.endsWith('.log')) calls.push(call)
    })
    await using opened = await openJournal(await tempDir(), { disk })
    await opened.journal.put(record('first', ''))
    calls.length = 0
    const puts = Array.from({ length: 200 }, (_, i) => opened.journal.put(record(`k${i}`, 'text')))
    await Promise.all(puts)
    expect(calls).toEqual(['write', 'fsync'])
  })

  test('a put is not acknowledged before its fsync', async () => {
    let release = (): void => {}
    const fsynced = new Promise<void>((resolve) => {
      release = resolve
    })
    let [isHeld, isAsked] = [false, false]
    const disk = guardedDisk(async (call, path) => {
      if (call !== 'fsync' || !path.endsWith('.log') || !isHeld) return
      isAsked = true
      await fsynced
    })
    await using opened = await openJournal(await tempDir(), { disk })
    await opened.journal.put(record('first', ''))
    isHeld = true
    let isDone = false
    const put = opened.journal.put(record('a', 'one')).then(() => {
      isDone = true
    })
    await expect.poll(() => isAsked).toBe(true)
    expect(isDone).toBe(false)
    expect(opened.journal.has('a')).toBe(false)
    release()
    await put
    expect(await textOf(opened.journal, 'a')).toBe('one')
  })

  test('a failed group is told to all of it, and the next goes to another file', async () => {
    const folder = await tempDir()
    let isFull = false
    const disk = guardedDisk((call, path) => {
      if (isFull && call === 'write' && path.endsWith('.log')) throw systemError('ENOSPC')
    })
    {
      await using opened = await openJournal(folder, { disk })
      await opened.journal.put(record('kept', 'yes'))
      isFull = true
      const puts = ['a', 'b'].map((key) => opened.journal.put(record(key, 'no')))
      for (const put of puts) await expect(put).rejects.toMatchObject({ errno: 'ENOSPC' })
      await expect(opened.journal.put(record('c', 'no'))).rejects.toThrow()
      isFull = false
      await opened.journal.put(record('d', 'yes'))
      expect((await readdir(folder)).length).toBeGreaterThan(1)
    }
    await using again = await openJournal(folder)
    expect([...again.journal.keys()].toSorted()).toEqual(['d', 'kept'])
  })

  test('large and small records live together', async () => {
    const folder = await tempDir()
    const large = 'x'.repeat(3 << 20)
    {
      await using opened = await openJournal(folder)
      await Promise.all([
        opened.journal.put(record('large', large)),
        opened.journal.put(record('small', 's')),
        opened.journal.put(record('large2', large)),
      ])
    }
    await using again = await openJournal(folder)
    expect(await textOf(again.journal, 'large')).toBe(large)
    expect(await textOf(again.journal, 'small')).toBe('s')
    expect(await textOf(again.journal, 'large2')).toBe(large)
  })
})

/** A folder with one segment that holds a, b and c. */
async function segmentOfThree(): Promise<{ readonly folder: string; readonly path: string }> {
  const folder = await tempDir()
  await using opened = await openJournal(folder)
  for (const key of ['a', 'b', 'c']) await opened.journal.put(record(key, `text of ${key}`))
  const [name] = await readdir(folder)
  return { folder, path: join(folder, name ?? '') }
}

describe('a damaged journal', () => {
  test('each cut keeps what is before it, and can be written on', async () => {
    const { folder, path } = await segmentOfThree()
    const whole = await readFile(path)
    let last = 3
    for (let length = whole.length - 1; length >= 0; length -= 5) {
      for (const name of await readdir(folder)) await truncate(join(folder, name), 0)
      await writeFile(path, whole.subarray(0, length))
      {
        await using cut = await openJournal(folder)
        const keys = [...cut.journal.keys()]
        expect(keys).toEqual(['a', 'b', 'c'].slice(0, keys.length))
        expect(keys.length).toBeLessThanOrEqual(last)
        last = keys.length
        expect(cut.events).toEqual([])
        await cut.journal.put(record('z', 'new'))
      }
      await using again = await openJournal(folder)
      expect(await textOf(again.journal, 'z')).toBe('new')
      expect([...again.journal.keys()]).toHaveLength(last + 1)
    }
    expect(last).toBe(0)
  })

  test('a flipped bit anywhere costs one record and never changes one', async () => {
    const { folder, path } = await segmentOfThree()
    const whole = await readFile(path)
    for (let at = 0; at < whole.length; at += at < 60 ? 1 : 4) {
      const bad = Buffer.from(whole)
      bad[at]! ^= 0x10
      await writeFile(path, bad)
      await using opened = await openJournal(folder)
      const held = new Map<string, string | undefined>()
      for (const key of opened.journal.keys()) held.set(key, await textOf(opened.journal, key))
      for (const [key, text] of held) expect(text).toBe(`text of ${key}`)
      expect(held.size).toBeGreaterThanOrEqual(2)
      // The last one may as well be a torn tail; damage before it is told.
      const isTold = opened.events.some((event) => event.kind === 'record-damaged')
      expect(held.size === 3 || isTold || !held.has('c')).toBe(true)
      await writeFile(path, whole)
    }
  })

  test('damage after the start is found when the record is read', async () => {
    const { folder, path } = await segmentOfThree()
    await using opened = await openJournal(folder)
    const whole = await readFile(path)
    const file = await open(path, 'r+')
    await file.write('X', whole.indexOf('text of b'))
    await file.close()
    expect(await opened.journal.get('b')).toBeUndefined()
    expect(opened.journal.has('b')).toBe(false)
    expect(opened.events).toMatchObject([{ kind: 'record-damaged' }])
    expect(opened.changes).toEqual([{ key: 'b', place: undefined }])
    expect(await textOf(opened.journal, 'c')).toBe('text of c')
  })

  test('a frame hidden in the bytes of a damaged one is not taken for ours', async () => {
    const folder = await tempDir()
    const forged = formatFrame(Buffer.alloc(8, 1), record('evil', 'evil'))
    {
      await using opened = await openJournal(folder)
      await opened.journal.put({ key: 'peer', meta: '', bytes: Buffer.concat([forged, forged]) })
      await opened.journal.put(record('after', 'fine'))
    }
    const [name] = await readdir(folder)
    const path = join(folder, name ?? '')
    const bytes = await readFile(path)
    bytes[30]! ^= 1
    await writeFile(path, bytes)
    await using again = await openJournal(folder)
    expect([...again.journal.keys()]).toEqual(['after'])
    expect(again.events).toMatchObject([{ kind: 'record-damaged' }])
  })

  test('garbage appended behind our back is cut', async () => {
    const { folder, path } = await segmentOfThree()
    const { size } = await stat(path)
    await appendFile(path, Buffer.alloc(5000, 0x42))
    await using opened = await openJournal(folder)
    expect([...opened.journal.keys()]).toHaveLength(3)
    expect((await stat(path)).size).toBe(size)
  })
})

describe('what an index knows', () => {
  async function known(folder: string) {
    await using opened = await openJournal(folder)
    return { places: new Map(opened.journal.places()), stamp: opened.journal.stamp() }
  }

  test('is taken over without reading the segments', async () => {
    const { folder } = await segmentOfThree()
    let reads = 0
    const disk = guardedDisk((call) => {
      if (call === 'read') reads++
    })
    await using opened = await openJournal(folder, { disk, known: await known(folder) })
    expect([...opened.journal.keys()]).toEqual(['a', 'b', 'c'])
    // Of the segment's header alone.
    expect(reads).toBe(1)
    expect(await textOf(opened.journal, 'b')).toBe('text of b')
  })

  test('from before the last puts is completed', async () => {
    const { folder } = await segmentOfThree()
    const old = await known(folder)
    {
      await using opened = await openJournal(folder)
      await opened.journal.put(record('a', 'newer'))
      await opened.journal.put(record('d', 'new'))
    }
    await using again = await openJournal(folder, { known: old })
    expect(await textOf(again.journal, 'a')).toBe('newer')
    expect(await textOf(again.journal, 'd')).toBe('new')
    expect(again.events).toEqual([])
  })

  test.for<{ name: string; spoil: (all: Awaited<ReturnType<typeof known>>) => void }>([
    { name: 'lacks a key', spoil: ({ places }) => places.delete('b') },
    { name: 'has a key too many', spoil: ({ places }) => places.set('x', 134217744) },
    { name: 'has an older place', spoil: ({ places }) => places.set('b', places.get('a')!) },
    {
      name: 'is ahead of the files',
      spoil: (all) => Object.assign(all.stamp, { end: all.stamp.end + 1 }),
    },
    { name: 'names another segment', spoil: (all) => Object.assign(all.stamp, { segment: 7 }) },
  ])('is thrown away when it $name', async ({ spoil }) => {
    const { folder } = await segmentOfThree()
    const all = await known(folder)
    spoil(all)
    await using opened = await openJournal(folder, { known: all })
    expect(opened.events).toMatchObject([{ kind: 'index-rebuilt' }])
    for (const key of ['a', 'b', 'c']) {
      expect(await textOf(opened.journal, key)).toBe(`text of ${key}`)
    }
    expect([...opened.journal.keys()]).toHaveLength(3)
  })
})

describe('compaction', () => {
  async function wasteful(folder: string): Promise<void> {
    await using opened = await openJournal(folder)
    for (let i = 0; i < 12; i++) {
      await opened.journal.put(record('often', `${i}`.padEnd(3000)))
      await opened.journal.put(record(`once${i % 3}`, `${i}`))
    }
    await opened.journal.put({ key: 'once2', meta: '', bytes: undefined })
  }

  test('keeps the living and gives the space back', async () => {
    const folder = await tempDir()
    await wasteful(folder)
    for (let i = 0; i < 2; i++) {
      await using opened = await openJournal(folder)
      expect([...opened.journal.keys()].toSorted()).toEqual(['often', 'once0', 'once1'])
      expect((await textOf(opened.journal, 'often'))?.trim()).toBe('11')
      expect(await textOf(opened.journal, 'once1')).toBe('10')
    }
    const sizes = (await readdir(folder)).map(async (name) => (await stat(join(folder, name))).size)
    const total = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
    expect(total).toBeLessThan(6600)
  })

  test('cut short anywhere loses nothing', async () => {
    for (let n = 1; n < 60; n++) {
      const folder = await tempDir()
      await wasteful(folder)
      let calls = 0
      const disk = guardedDisk(() => {
        if (++calls >= n) throw systemError('EIO')
      })
      await openJournal(folder, { disk }).then(
        (opened) => opened.journal.close(),
        () => {},
      )
      await using again = await openJournal(folder)
      expect([...again.journal.keys()].toSorted()).toEqual(['often', 'once0', 'once1'])
      expect((await textOf(again.journal, 'often'))?.trim()).toBe('11')
      if (calls < n) return
    }
  })
})

describe('a frame', () => {
  const anyRecord = fc.record({
    key: anyText({ minLength: 1, maxLength: 50 }),
    meta: fc.string({ maxLength: 50 }),
    bytes: fc.option(fc.uint8Array({ maxLength: 300 }), { nil: undefined }),
  })
  const salt = Buffer.from('saltsalt')

  test('reads back as it was written', () => {
    fc.assert(
      fc.property(anyRecord, (written) => {
        const frame = formatFrame(salt, written)
        expect(frameLength(salt, frame)).toBe(frame.length)
        expect(parseFrame(salt, frame)).toEqual(written)
      }),
    )
  })

  test('with any other byte does not read', () => {
    fc.assert(
      fc.property(anyRecord, fc.nat(), fc.integer({ min: 1, max: 255 }), (written, at, by) => {
        const frame = formatFrame(salt, written)
        frame[at % frame.length]! ^= by
        expect(parseFrame(salt, frame)).toBeUndefined()
      }),
    )
  })
})
