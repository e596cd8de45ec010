import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, statSync } from 'node:fs'
import {
  link,
  mkdir,
  mkdtemp,
  open,
  readdir,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { maxZipBytes, ZipRulesError } from '@modmesh/module'
import { describe, expect, onTestFinished, test } from 'vitest'
import { buildModuleZip } from '../../../test/support/module-zip.ts'
import type { Disk } from '../src/disk.ts'
import { DiskStore } from '../src/disk-store.ts'
import { StoreAccessError, StoreDamagedError, StoreWriteError } from '../src/errors.ts'
import { guardedDisk, systemError } from './support/faulty-disk.ts'
import { tempDir } from './support/temp-dir.ts'
import { moduleAt, never, proof, putZip, readZip, smallZip } from './support/zips.ts'

const module = moduleAt('v1.0.0')

/** A store, and a zip of somebody else's. */
async function setUp(bytes: Uint8Array = smallZip(module).bytes, disk?: Disk) {
  const dir = await tempDir()
  const source = join(dir, 'cache.zip')
  await writeFile(source, bytes)
  const open = () => DiskStore.open({ dir: join(dir, 'store'), ...(disk && { disk }) })
  const store = await open()
  onTestFinished(() => store[Symbol.asyncDispose]())
  const staged = (): Promise<string[]> => readdir(join(dir, 'store/store/v1/staging'))
  const adopt = async () => (await store.adoptZip(module, source, never)).commit(proof)
  return { source, store, staged, adopt, dir }
}

/** Writes one byte into a file in place, and sets its times back. */
async function alter(path: string, at: number): Promise<void> {
  const { atime, mtime } = await stat(path)
  const file = await open(path, 'r+')
  await file.write(Buffer.of(0xff), 0, 1, at)
  await file.close()
  await utimes(path, atime, mtime)
}

/** Large enough for several chunks of a read. */
function largeZip(): Uint8Array {
  return smallZip(module, randomBytes(900_000).toString('base64')).bytes
}

describe('an adopted zip', () => {
  test('is the file of its owner under a second name, and is read as it is', async () => {
    const { bytes, zipHash } = smallZip(module)
    const { store, source, staged } = await setUp(bytes)
    const adopted = await store.adoptZip(module, source, never)
    expect(adopted).toMatchObject({ zipHash, size: bytes.length })
    expect(await store.findZip(module)).toBeUndefined()
    const held = await adopted.commit(proof)
    await adopted.discard()
    expect(await readZip(held)).toEqual(Buffer.from(bytes))
    expect(await readZip(await store.findZip(module))).toEqual(Buffer.from(bytes))
    if (adopted.how === 'linked') expect((await stat(source)).nlink).toBe(2)
    expect(await staged()).toEqual([])
  })

  test('of which another is held already is let go', async () => {
    const { store, source, adopt } = await setUp()
    await putZip(store, module, smallZip(module).bytes)
    await adopt()
    expect((await stat(source)).nlink).toBe(1)
    expect((await store.stats()).zips).toBe(1)
  })

  test('that nobody wants leaves nothing', async () => {
    const { store, source, staged } = await setUp()
    await (await store.adoptZip(module, source, never)).discard()
    expect(await staged()).toEqual([])
    expect((await stat(source)).nlink).toBe(1)
  })

  test('that parsers could read in two ways is written in plain form', async () => {
    const files = { 'go.mod': 'module example.com/mod\n', 'a.go': 'package mod\n' }
    const odd = buildModuleZip(module, files, { trailing: Buffer.from('behind') })
    const { store, source, staged } = await setUp(odd)
    const adopted = await store.adoptZip(module, source, never)
    expect(adopted.how).toBe('rewritten')
    const held = await adopted.commit(proof)
    expect(held.size).toBeLessThan(odd.length)
    expect((await readZip(held)).includes('behind')).toBe(false)
    expect((await stat(source)).nlink).toBe(1)
    expect(await staged()).toEqual([])
  })

  test('is copied from another file system', async (context) => {
    const shm = '/dev/shm'
    if (!existsSync(shm)) return context.skip('no second file system')
    const { store, dir } = await setUp()
    const other = await mkdtemp(join(shm, 'modmesh-'))
    onTestFinished(() => rm(other, { recursive: true }))
    if (statSync(other).dev === statSync(dir).dev) return context.skip('no second file system')
    const source = join(other, 'cache.zip')
    await writeFile(source, smallZip(module).bytes)
    const adopted = await store.adoptZip(module, source, never)
    expect(adopted.how).toBe('copied')
    await alter(source, 50)
    expect(await readZip(await adopted.commit(proof))).toEqual(Buffer.from(smallZip(module).bytes))
  })
})

describe('adopting again', () => {
  test('looks at the state of what was linked, once its bytes were looked at', async (context) => {
    const calls: string[] = []
    const disk = guardedDisk((call, path) => void calls.push(`${call} ${path.split('/').pop()}`))
    const { store, source, adopt } = await setUp(undefined, disk)
    const first = await store.adoptZip(module, source, never)
    if (first.how !== 'linked') return context.skip('no hard links here')
    await first.commit(proof)
    expect((await store.adoptZip(module, source, never)).how).toBe('present')
    // Times of files tick: what changed just now may change again unseen.
    await expect.poll(async () => (await readSeen(calls, adopt)).length).toBe(0)
    const { nlink } = await stat(source)
    expect(nlink).toBe(2)
  })

  test('finds a copy by its bytes, and one that was altered meanwhile is hashed', async () => {
    const { bytes } = smallZip(module)
    const { store, source, staged } = await setUp(bytes)
    await putZip(store, module, bytes, { kind: 'go-sum' })
    const again = await store.adoptZip(module, source, never)
    expect(again.how).toBe('present')
    expect((await again.commit(proof)).proof).toEqual(proof)
    expect((await stat(source)).nlink).toBe(1)
    await writeFile(source, smallZip(module, 'package other\n').bytes)
    const other = await store.adoptZip(module, source, never)
    expect(other.how).not.toBe('present')
    await other.discard()
    expect(await staged()).toEqual([])
  })

  test('takes nothing for held that its owner altered', async () => {
    const { store, source, adopt } = await setUp(largeZip())
    await adopt()
    await alter(source, 300_000)
    await expect(adopt()).rejects.toBeInstanceOf(ZipRulesError)
    expect(await store.findZip(module)).toBeUndefined()
  })
})

/** Reads and links while something is adopted again. */
async function readSeen(calls: string[], adopt: () => Promise<unknown>): Promise<string[]> {
  calls.length = 0
  await adopt()
  return calls.filter((call) => call.startsWith('open ') || call.startsWith('take '))
}

describe('an owner who writes to an adopted zip', () => {
  test.for(['before it was read', 'after it was read'])('%s has it dropped', async (when) => {
    const { store, source, adopt } = await setUp()
    const held = await adopt()
    if (when === 'after it was read') await readZip(await store.findZip(module))
    await alter(source, 50)
    await expect(readZip(held)).rejects.toBeInstanceOf(StoreDamagedError)
    expect(await store.findZip(module)).toBeUndefined()
    expect((await stat(source)).isFile()).toBe(true)
  })

  test('while it is read never has its last byte given', async () => {
    const { store, source, adopt } = await setUp(largeZip())
    await readZip(await adopt())
    const held = await store.findZip(module)
    const size = held?.size ?? 0
    let given = 0
    const reading = async (range?: { start: number; end: number }): Promise<void> => {
      for await (const chunk of held?.read(range) ?? []) {
        if (given === 0) await alter(source, size - 100)
        given += chunk.length
      }
    }
    await expect(reading({ start: 1, end: size })).rejects.toBeInstanceOf(StoreDamagedError)
    expect(given).toBeLessThan(size - 1)
  })

  test('while it is committed has it found out at the first read', async () => {
    let source = ''
    const disk = guardedDisk(async (call, path) => {
      if (call === 'rename' && path.endsWith('.zip')) await alter(source, 50)
    })
    const parts = await setUp(undefined, disk)
    source = parts.source
    await parts.adopt()
    expect(await parts.store.findZip(module)).toBeUndefined()
  })

  test('or gives it another name meanwhile has it taken all the same', async () => {
    let source = ''
    let looks = 0
    const disk = guardedDisk(async (call, path) => {
      if (call !== 'identity' || !path.includes('/staging/')) return
      looks += 1
      if (looks === 2) await link(source, `${source}.other`)
    })
    const parts = await setUp(undefined, disk)
    source = parts.source
    expect(await readZip(await parts.adopt())).toEqual(Buffer.from(smallZip(module).bytes))
  })

  test('while it is verified is told to come back', async () => {
    let source = ''
    let looks = 0
    const disk = guardedDisk(async (call, path) => {
      if (call !== 'identity' || !path.includes('/staging/')) return
      looks += 1
      // Before each second look: it never comes to rest.
      if (looks % 2 === 0) await alter(source, 50 + looks)
    })
    const parts = await setUp(undefined, disk)
    source = parts.source
    await expect(parts.adopt()).rejects.toBeInstanceOf(StoreAccessError)
    expect(await parts.staged()).toEqual([])
  })
})

describe('what is refused', () => {
  test('is a file that is no module zip, or that of another version', async () => {
    for (const bytes of [Buffer.from('rubbish'), smallZip(moduleAt('v1.0.1')).bytes]) {
      const { adopt, staged } = await setUp(bytes)
      await expect(adopt()).rejects.toBeInstanceOf(ZipRulesError)
      expect(await staged()).toEqual([])
    }
  })

  test.for(['a link', 'a folder', 'a pipe', 'nothing'])('is %s, at once', async (what) => {
    const { store, source, dir } = await setUp()
    const path = join(dir, 'other')
    if (what === 'a link') await symlink(source, path)
    if (what === 'a folder') await mkdir(path)
    if (what === 'a pipe') execFileSync('mkfifo', [path])
    await expect(store.adoptZip(module, path, never)).rejects.toBeInstanceOf(StoreAccessError)
  })

  test('is too large to be one, before a byte of it is copied', async () => {
    const calls: string[] = []
    const disk = guardedDisk((call) => void calls.push(call))
    const { adopt, source, staged } = await setUp(undefined, disk)
    await truncate(source, maxZipBytes + 1)
    await expect(adopt()).rejects.toBeInstanceOf(ZipRulesError)
    expect(calls).not.toContain('take')
    expect(await staged()).toEqual([])
  })

  test('what the disk does not take is told, and nothing stays', async () => {
    const disk = guardedDisk((call) => {
      if (call === 'take') throw systemError('ENOSPC')
    })
    const { adopt, staged } = await setUp(undefined, disk)
    await expect(adopt()).rejects.toMatchObject({ constructor: StoreWriteError, errno: 'ENOSPC' })
    expect(await staged()).toEqual([])
  })
})

test('adopted zips survive a restart, and one that was written to meanwhile does not', async () => {
  const { bytes } = smallZip(module)
  const dir = await tempDir()
  const source = join(dir, 'cache.zip')
  await writeFile(source, bytes)
  const reopened = (): Promise<DiskStore> => DiskStore.open({ dir: join(dir, 'store') })
  const commit = async (): Promise<void> => {
    await using store = await reopened()
    await (await store.adoptZip(module, source, never)).commit(proof)
  }
  await commit()
  {
    await using store = await reopened()
    expect(await readZip(await store.findZip(module))).toEqual(Buffer.from(bytes))
  }
  await alter(source, 50)
  await using store = await reopened()
  expect(await store.findZip(module)).toBeUndefined()
})
