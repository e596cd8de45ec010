import { execFile } from 'node:child_process'
import { cp, mkdtemp, open, readdir, readFile, rm, stat, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { hashMod } from '@modmesh/module'
import { Level } from 'level'
import {
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  onTestFinished,
  test,
  vi,
} from 'vitest'
import { DiskStore } from '../src/disk-store.ts'
import { indexRetryMs } from '../src/limits.ts'
import type { StoreEvent } from '../src/store-event.ts'
import { checkStore } from './support/check-store.ts'
import { tempDir } from './support/temp-dir.ts'
import { moduleAt, proof, putZip, readZip, smallZip } from './support/zips.ts'

const versions = Array.from({ length: 6 }, (_, i) => `v1.${i}.0`)
const everything = versions.flatMap((version) => [`mod ${version}`, `zip ${version}`]).toSorted()
let template = ''

beforeAll(async () => {
  template = await mkdtemp(join(tmpdir(), 'modmesh-store-'))
  await using store = await DiskStore.open({ dir: template })
  await Promise.all(versions.map((version) => fill(store, version)))
  return () => rm(template, { recursive: true })
})

async function fill(store: DiskStore, version: string): Promise<void> {
  const module = moduleAt(version)
  await putZip(store, module, smallZip(module).bytes)
  const bytes = Buffer.from(`module ${module.path} // ${version}\n`)
  await store.putRecord({ module, mod: { bytes, hash: hashMod(bytes), proof } })
}

async function filled(): Promise<{ readonly dir: string; readonly index: string }> {
  const dir = await tempDir()
  await cp(template, dir, { recursive: true })
  return { dir, index: join(dir, 'store/v1/index') }
}

/** The file of the index with this ending that holds most. */
async function largest(index: string, ending: string): Promise<string> {
  const paths = (await readdir(index)).map((name) => join(index, name))
  const found = paths.filter((path) => path.endsWith(ending) || path.includes(`/${ending}`))
  const sizes = await Promise.all(found.map(async (path) => (await stat(path)).size))
  return found[sizes.indexOf(Math.max(...sizes))] ?? ''
}

/** Level writes its log into table files when it is opened. */
async function intoTables(index: string): Promise<void> {
  const db = new Level(index)
  await db.open()
  await db.close()
}

type Spoil = (index: string) => Promise<unknown>

const spoils: readonly { readonly name: string; readonly spoil: Spoil }[] = [
  { name: 'removed', spoil: (index) => rm(index, { recursive: true }) },
  { name: 'emptied', spoil: async (index) => clear(index) },
  { name: 'without CURRENT', spoil: (index) => unlink(join(index, 'CURRENT')) },
  { name: 'with an empty CURRENT', spoil: (index) => writeFile(join(index, 'CURRENT'), '') },
  {
    name: 'without its manifest',
    spoil: async (index) => unlink(await largest(index, 'MANIFEST')),
  },
  { name: 'without its log', spoil: async (index) => unlink(await largest(index, '.log')) },
  { name: 'with half its log', spoil: async (index) => halve(await largest(index, '.log')) },
  {
    name: 'without its tables',
    spoil: async (index) => {
      await intoTables(index)
      await unlink(await largest(index, '.ldb'))
    },
  },
  {
    name: 'replaced by a file',
    spoil: async (index) => {
      await rm(index, { recursive: true })
      await writeFile(index, 'no folder')
    },
  },
]

async function clear(folder: string): Promise<void> {
  for (const name of await readdir(folder)) await rm(join(folder, name))
}

async function halve(path: string): Promise<void> {
  const bytes = await readFile(path)
  await writeFile(path, bytes.subarray(0, bytes.length / 2))
}

async function flip(path: string, part: number): Promise<void> {
  const bytes = await readFile(path)
  bytes[Math.floor(bytes.length * part)]! ^= 4
  await writeFile(path, bytes)
}

/** Opens the store in a process of its own; the number of things held, or the signal it died of. */
function countHeld(dir: string): Promise<number | string> {
  const child = fileURLToPath(new URL('./support/held-child.ts', import.meta.url))
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [child, dir], (error, stdout, stderr) => {
      if (error === null) resolve(Number(stdout))
      else if (error.signal) resolve(error.signal)
      else reject(new Error(stderr))
    })
  })
}

describe('an index', () => {
  test.for(spoils)('$name costs nothing', async ({ spoil }) => {
    const { dir, index } = await filled()
    await spoil(index)
    expect((await checkStore(dir)).held).toEqual(everything)
    const again = await checkStore(dir)
    expect(again.held).toEqual(everything)
    expect(again.events).toEqual([])
  })

  test('with a flipped bit in its log costs nothing', async () => {
    for (let i = 0; i < 8; i++) {
      const { dir, index } = await filled()
      await flip(await largest(index, '.log'), (2 * i + 1) / 16)
      expect((await checkStore(dir)).held).toEqual(everything)
    }
  })

  test('with a flipped bit in a table costs at most two starts', async () => {
    await Promise.all(
      [0.2, 0.7].map(async (part) => {
        const { dir, index } = await filled()
        await intoTables(index)
        await flip(await largest(index, '.ldb'), part)
        const found = [await countHeld(dir), await countHeld(dir), await countHeld(dir)]
        expect(found.slice(0, 2)).toSatisfy((each: unknown[]) =>
          each.every((count) => count === everything.length || count === 'SIGABRT'),
        )
        expect(found[2]).toBe(everything.length)
      }),
    )
  })

  test.for(['m', 'z'])('whose values lie under other keys ("%s") is thrown away', async (kind) => {
    const { dir, index } = await filled()
    const db = new Level(index)
    await db.open()
    const [a, b] = await db.iterator({ gte: `${kind}!`, lt: `${kind}"`, limit: 2 }).all()
    await db.put(a?.[0] ?? '', b?.[1] ?? '')
    await db.put(b?.[0] ?? '', a?.[1] ?? '')
    await db.close()
    const { held, events } = await checkStore(dir)
    expect(held).toEqual(everything)
    expect(events).toMatchObject([{ kind: 'index-rebuilt' }])
  })

  test('that survived two early deaths is not tried a third time', async () => {
    const { dir } = await filled()
    const state = join(dir, 'store/v1/index.state')
    expect(await readFile(state, 'utf8')).toBe('0\n')
    await writeFile(state, '1\n')
    expect((await checkStore(dir)).events).toEqual([])
    await writeFile(state, '2\n')
    const { held, events } = await checkStore(dir)
    expect(held).toEqual(everything)
    expect(events).toMatchObject([{ kind: 'index-rebuilt', reason: '2 starts ended early' }])
    expect(await readdir(join(dir, 'store/v1'))).toContain('index.bad')
  })

  test('counts a death while it is open', async () => {
    const { dir } = await filled()
    const store = await DiskStore.open({ dir })
    expect(await readFile(join(dir, 'store/v1/index.state'), 'utf8')).toBe('1\n')
    await store[Symbol.asyncDispose]()
    expect(await readFile(join(dir, 'store/v1/index.state'), 'utf8')).toBe('0\n')
  })

  test('is not needed to serve: a store that cannot have one works', async () => {
    const { dir, index } = await filled()
    await rm(index, { recursive: true })
    // Nothing can be renamed onto or made at this path.
    await rm(join(dir, 'store/v1/index.state'))
    await cp(join(dir, 'store/v1/zip'), join(dir, 'store/v1/index.state'), { recursive: true })
    const events: StoreEvent[] = []
    await using store = await DiskStore.open({ dir, report: (event) => events.push(event) })
    expect(events).toMatchObject([{ kind: 'index-failed' }])
    const module = moduleAt('v1.3.0')
    expect(await readZip(await store.findZip(module))).toEqual(Buffer.from(smallZip(module).bytes))
    await fill(store, 'v1.99.0')
    expect(await store.versions(module.path)).toHaveLength(7)
  })
})

describe('an index that cannot be had for a while', () => {
  beforeEach(() => vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }))
  afterEach(() => vi.useRealTimers())

  async function expectRebuilt(events: readonly StoreEvent[]): Promise<void> {
    const kinds = ['index-failed', 'index-rebuilt']
    await vi.waitFor(() => {
      vi.advanceTimersByTime(indexRetryMs)
      expect(events.map(({ kind }) => kind)).toEqual(kinds)
    })
  }

  async function countIndexed(index: string): Promise<object> {
    const db = new Level(index)
    const [zips, mods] = await Promise.all([
      db.keys({ gte: 'z!', lt: 'z"' }).all(),
      db.keys({ gte: 'm!', lt: 'm"' }).all(),
    ])
    await db.close()
    return { zips: zips.length, mods: mods.length }
  }

  test('comes back without a restart, and knows all that came meanwhile', async () => {
    const { dir, index } = await filled()
    const state = join(dir, 'store/v1/index.state')
    await rm(state)
    // Nothing can be renamed onto this.
    await cp(join(dir, 'store/v1/zip'), state, { recursive: true })
    const events: StoreEvent[] = []
    const store = await DiskStore.open({ dir, report: (event) => events.push(event) })
    await fill(store, 'v1.98.0')
    for (let i = 0; i < 3; i++) await vi.advanceTimersByTimeAsync(indexRetryMs)
    expect(events.map(({ kind }) => kind)).toEqual(['index-failed'])

    await rm(state, { recursive: true })
    await expectRebuilt(events)
    await fill(store, 'v1.99.0')
    await store[Symbol.asyncDispose]()
    expect(await readFile(state, 'utf8')).toBe('0\n')
    const count = versions.length + 2
    expect(await countIndexed(index)).toEqual({ zips: count, mods: count })
    const { held, events: later } = await checkStore(dir)
    expect(held).toHaveLength(2 * count)
    expect(later).toEqual([])
  })

  test('because one write failed, comes back with what was not written', async () => {
    const { dir, index } = await filled()
    const events: StoreEvent[] = []
    const store = await DiskStore.open({ dir, report: (event) => events.push(event) })
    const full = new Error('IO error: No space left on device')
    const batch = vi.spyOn(Level.prototype, 'batch').mockRejectedValueOnce(full)
    onTestFinished(() => batch.mockRestore())
    await fill(store, 'v1.98.0')
    await store.remove(moduleAt('v1.0.0'))
    await expectRebuilt(events)
    await store[Symbol.asyncDispose]()
    expect(await countIndexed(index)).toEqual({ zips: versions.length, mods: versions.length })
    expect((await checkStore(dir)).events).toEqual([])
  })
})

describe('half of a pair', () => {
  const digestFolder = async (dir: string, version: string): Promise<readonly [string, string]> => {
    await using store = await DiskStore.open({ dir })
    const digest = (await store.findZip(moduleAt(version)))?.zipDigest ?? ''
    return [join(dir, 'store/v1/zip', digest.slice(0, 2), digest.slice(2, 4), digest), digest]
  }

  test('a record without its zip is removed', async () => {
    const { dir } = await filled()
    const [path] = await digestFolder(dir, 'v1.3.0')
    await unlink(path)
    const { held } = await checkStore(dir)
    expect(held).toEqual(everything.filter((each) => each !== 'zip v1.3.0'))
  })

  test('a zip without its record gets it back from the index', async () => {
    const { dir } = await filled()
    const [path] = await digestFolder(dir, 'v1.3.0')
    const record = await readFile(`${path}.json`, 'utf8')
    await unlink(`${path}.json`)
    expect((await checkStore(dir)).held).toEqual(everything)
    expect(await readFile(`${path}.json`, 'utf8')).toBe(record)
  })

  test.for(['missing', 'damaged', "another zip's"])(
    'with no index, a zip whose record is %s is put away',
    async (how) => {
      const { dir, index } = await filled()
      const [path, digest] = await digestFolder(dir, 'v1.3.0')
      const [other] = await digestFolder(dir, 'v1.4.0')
      await rm(index, { recursive: true })
      if (how === 'missing') await unlink(`${path}.json`)
      else if (how === "another zip's") await cp(`${other}.json`, `${path}.json`)
      else {
        const file = await open(`${path}.json`, 'r+')
        await file.write('X', 20)
        await file.close()
      }
      const { held, events } = await checkStore(dir)
      expect(held).toEqual(everything.filter((each) => each !== 'zip v1.3.0'))
      expect(events).toContainEqual(expect.objectContaining({ kind: 'quarantined' }))
      const kept = await readdir(join(dir, 'store/v1/quarantine'))
      expect(kept.some((name) => name.endsWith(digest))).toBe(true)
    },
  )

  test('of two zips of one module version the better proven one is kept', async () => {
    const [a, b] = [await tempDir(), await tempDir()]
    const module = moduleAt('v1.0.0')
    const [strong, weak] = [smallZip(module, 'strong'), smallZip(module, 'weak')]
    for (const [dir, zip, why] of [
      [a, strong, proof],
      [b, weak, { kind: 'upstream' }],
    ] as const) {
      await using store = await DiskStore.open({ dir, wallMs: () => (dir === a ? 1 : 2) })
      await putZip(store, module, zip.bytes, why)
    }
    await cp(join(b, 'store/v1/zip'), join(a, 'store/v1/zip'), { recursive: true })
    expect((await checkStore(a)).held).toEqual(['zip v1.0.0'])
    await using store = await DiskStore.open({ dir: a })
    expect(await store.findZip(module)).toMatchObject({ zipHash: strong.zipHash, proof })
  })
})
