import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { DiskStore } from '../src/disk-store.ts'
import { StoreAccessError, StoreLockedError } from '../src/errors.ts'
import { tempDir } from './support/temp-dir.ts'
import { moduleAt, putZip, smallZip } from './support/zips.ts'

const isRoot = process.getuid?.() === 0

describe('the data directory', () => {
  test('is made with its parents, for us alone', async () => {
    const dir = join(await tempDir(), 'deep/er')
    await using _ = await DiskStore.open({ dir })
    expect((await stat(dir)).mode & 0o777).toBe(0o700)
    for (const name of await readdir(dir, { recursive: true })) {
      const stats = await stat(join(dir, name))
      const isLevels = name.includes('/index/') || name.includes('/lock/')
      if (!isLevels) expect([name, stats.mode & 0o077]).toEqual([name, 0])
    }
  })

  test('that others could read is closed to them', async () => {
    const dir = await tempDir()
    await writeFile(join(dir, 'something'), '')
    await chmod(dir, 0o755)
    await using _ = await DiskStore.open({ dir })
    expect((await stat(dir)).mode & 0o777).toBe(0o700)
  })

  test('that others could write is taken over only when empty', async () => {
    const dir = await tempDir()
    await chmod(dir, 0o777)
    await (await DiskStore.open({ dir }))[Symbol.asyncDispose]()
    expect((await stat(dir)).mode & 0o777).toBe(0o700)
    await chmod(dir, 0o777)
    const opening = DiskStore.open({ dir })
    await expect(opening).rejects.toBeInstanceOf(StoreAccessError)
    await expect(opening).rejects.toMatchObject({ path: dir })
  })

  test.for(['', 'store', 'store/v1', 'store/v1/zip', 'store/v1/staging', 'run', 'sumdb'])(
    'is refused when "%s" is a symbolic link',
    async (name) => {
      const root = await tempDir()
      const [dir, elsewhere] = [join(root, 'dir'), join(root, 'elsewhere')]
      await mkdir(elsewhere)
      const path = name === '' ? dir : join(dir, name)
      await mkdir(join(path, '..'), { recursive: true, mode: 0o700 })
      await symlink(elsewhere, path)
      const opening = DiskStore.open({ dir })
      await expect(opening).rejects.toMatchObject({
        code: 'STORE_ACCESS',
        path,
      })
      expect(await readdir(elsewhere)).toEqual([])
    },
  )

  test('is refused when it is a file', async () => {
    const dir = join(await tempDir(), 'file')
    await writeFile(dir, '')
    await expect(DiskStore.open({ dir })).rejects.toMatchObject({ code: 'STORE_ACCESS', path: dir })
  })

  test.skipIf(!isRoot)('is refused when it belongs to somebody else', async () => {
    const dir = await tempDir()
    await chown(dir, 65534, 65534)
    const opening = DiskStore.open({ dir })
    await expect(opening).rejects.toMatchObject({ code: 'STORE_ACCESS', path: dir })
    await expect(opening).rejects.toThrow('65534')
  })
})

describe('a second opener', () => {
  test('in this process is refused and does no harm', async () => {
    const dir = await tempDir()
    await using store = await DiskStore.open({ dir })
    const opening = DiskStore.open({ dir })
    await expect(opening).rejects.toBeInstanceOf(StoreLockedError)
    await expect(opening).rejects.toMatchObject({ dir, pid: process.pid })
    const module = moduleAt('v1.0.0')
    await putZip(store, module, smallZip(module).bytes)
    expect(await store.findZip(module)).toBeDefined()
  })

  test('in another process is told the id of the first, and may go on when that is killed', async () => {
    const dir = await tempDir()
    const child = spawn(process.execPath, [
      fileURLToPath(new URL('./support/hold-child.ts', import.meta.url)),
      dir,
    ])
    try {
      const [line] = (await once(child.stdout, 'data')) as [Buffer]
      expect(line.toString()).toBe('open\n')
      await expect(DiskStore.open({ dir })).rejects.toMatchObject({
        code: 'STORE_LOCKED',
        pid: child.pid,
      })
    } finally {
      child.kill('SIGKILL')
    }
    await once(child, 'exit')
    await using _ = await DiskStore.open({ dir })
    expect(await readFile(join(dir, 'run/pid'), 'utf8')).toBe(`${process.pid}\n`)
  })

  test('of a closed store is welcome', async () => {
    const dir = await tempDir()
    for (let i = 0; i < 3; i++) await (await DiskStore.open({ dir }))[Symbol.asyncDispose]()
    expect(await readdir(join(dir, 'run'))).toEqual(['lock'])
  })
})

describe('start', () => {
  test('empties staging, which a closed store has done itself', async () => {
    const dir = await tempDir()
    const staging = join(dir, 'store/v1/staging')
    {
      await using store = await DiskStore.open({ dir })
      const staged = await store.stageZip(moduleAt('v1.0.0'))
      await staged.write(Buffer.from('part'))
      expect(await readdir(staging)).toHaveLength(1)
    }
    expect(await readdir(staging)).toEqual([])
    await writeFile(join(staging, 'left.zip'), 'part')
    await mkdir(join(staging, 'left'))
    await using _ = await DiskStore.open({ dir })
    expect(await readdir(staging)).toEqual([])
  })

  test("leaves other people's files in the zip folder alone, and does not take them for zips", async () => {
    const dir = await tempDir()
    await (await DiskStore.open({ dir }))[Symbol.asyncDispose]()
    const folder = join(dir, 'store/v1/zip/ab/cd')
    await mkdir(folder, { recursive: true })
    const names = ['notes.txt', 'a'.repeat(64), `${'A'.repeat(64)}.json`]
    for (const name of names) await writeFile(join(folder, name), '')
    await using store = await DiskStore.open({ dir })
    expect(await store.stats()).toEqual({ zips: 0, zipBytes: 0, mods: 0 })
    expect((await readdir(folder)).toSorted()).toEqual(names.toSorted())
  })
})
