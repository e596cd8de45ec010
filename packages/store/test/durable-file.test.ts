import { mkdir, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { DurableFile } from '../src/durable-file.ts'
import { StoreDamagedError, StoreWriteError } from '../src/errors.ts'
import { guardedDisk, systemError } from './support/faulty-disk.ts'
import { PowerDisk } from './support/power-disk.ts'
import { tempDir } from './support/temp-dir.ts'

const read = async (path: string): Promise<string | undefined> => {
  const bytes = await new DurableFile(path).read()
  return bytes === undefined ? undefined : Buffer.from(bytes).toString()
}

async function written(...values: string[]): Promise<string> {
  const path = join(await tempDir(), 'folder/head')
  for (const value of values) await new DurableFile(path).write(Buffer.from(value))
  return path
}

describe('a durable file', () => {
  test('is absent, then what was written last, for us alone', async () => {
    const path = await written()
    expect(await read(path)).toBeUndefined()
    const file = new DurableFile(path)
    await file.write(Buffer.from('one'))
    await file.write(Buffer.from(''))
    expect(await read(path)).toBe('')
    await file.write(Buffer.from('two\n\u0000'))
    expect(await read(path)).toBe('two\n\u0000')
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect((await readdir(join(path, '..'))).toSorted()).toEqual(['head', 'head.2'])
  })

  test('writes at once follow one another', async () => {
    const path = await written()
    const file = new DurableFile(path)
    await Promise.all(['a', 'b', 'c'].map((text) => file.write(Buffer.from(text))))
    expect(await read(path)).toBe('c')
    const increments = Array.from({ length: 5 }, () =>
      file.update((bytes) => Buffer.from(`${Buffer.from(bytes ?? []).toString()}+`)),
    )
    await Promise.all(increments)
    expect(await read(path)).toBe('c+++++')
  })

  test.for(['', '.2'])('rot in one copy ("%s") neither loses nor rolls back', async (copy) => {
    const path = await written('one', 'two')
    const whole = await readFile(path + copy)
    for (let at = 0; at < whole.length; at++) {
      const bad = Buffer.from(whole)
      bad[at]! ^= 1
      await writeFile(path + copy, bad)
      expect(await read(path)).toBe('two')
    }
    await truncate(path + copy, 0)
    expect(await read(path)).toBe('two')
    await rm(path + copy)
    expect(await read(path)).toBe('two')
    await new DurableFile(path).write(Buffer.from('three'))
    await rm(copy === '' ? `${path}.2` : path)
    expect(await read(path)).toBe('three')
  })

  test('rot in both is an error, not an absence', async () => {
    const path = await written('one')
    for (const copy of ['', '.2']) await writeFile(path + copy, 'garbage')
    await expect(new DurableFile(path).read()).rejects.toBeInstanceOf(StoreDamagedError)
    await expect(new DurableFile(path).write(Buffer.from('x'))).rejects.toMatchObject({ path })
  })

  test('is the old or the new one, whichever call fails', async () => {
    const path = await written('old')
    for (let n = 1; ; n++) {
      let calls = 0
      const disk = guardedDisk(() => {
        if (++calls === n) throw systemError('ENOSPC')
      })
      const file = new DurableFile(path, disk)
      const outcome = await file.write(Buffer.from('new')).then(
        () => 'done',
        (error: unknown) => error,
      )
      if (calls < n) {
        expect(outcome).toBe('done')
        expect(n).toBeGreaterThan(8)
        return
      }
      const text = await read(path)
      expect(['old', 'new']).toContain(text)
      if (n > 2) expect(outcome).toBeInstanceOf(StoreWriteError)
      await new DurableFile(path).write(Buffer.from('old'))
    }
  })

  test('is the old or the new one, wherever the power is cut', async () => {
    for (let n = 1; n < 40; n++) {
      const path = await written('old')
      const disk = new PowerDisk()
      let calls = 0
      const counting = new Proxy(disk, {
        get: (target, name) => {
          const value: unknown = Reflect.get(target, name)
          if (typeof value !== 'function') return value
          return (...args: unknown[]) => {
            if (++calls === n) disk.turnOff()
            return Reflect.apply(value, target, args)
          }
        },
      })
      const isDone = await new DurableFile(path, counting).write(Buffer.from('new')).then(
        () => true,
        () => false,
      )
      await disk.cut({ data: () => (n % 3) / 2, names: () => (n % 2 === 0 ? 1 : 0) })
      const text = await read(path)
      expect(isDone ? ['new'] : ['old', 'new']).toContain(text)
      if (isDone) return
    }
    expect.unreachable('the write never ended')
  })

  test('a folder where its temporary file should be is told', async () => {
    const path = await written('one')
    await rm(path)
    await mkdir(path)
    await expect(new DurableFile(path).write(Buffer.from('two'))).rejects.toBeInstanceOf(
      StoreWriteError,
    )
    expect(await read(path)).toBe('one')
  })
})
