import { chmod, mkdir, mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { prepareDataDir } from '../src/data-dir.ts'

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'modmesh-dir-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

test('a missing directory is made for its owner alone, and may be used again', async () => {
  const dir = join(folder, 'a', 'b')
  await prepareDataDir(dir)
  await prepareDataDir(dir)
  for (const path of [dir, join(dir, 'run'), join(dir, 'mesh')]) {
    expect((await stat(path)).mode & 0o777).toBe(0o700)
  }
})

test('a directory that others can write is refused with the command that helps', async () => {
  const dir = join(folder, 'open')
  await mkdir(dir)
  await chmod(dir, 0o777)
  await expect(prepareDataDir(dir)).rejects.toThrow(`chmod go-w ${dir}`)
})

test('a file in its place is named', async () => {
  const path = join(folder, 'file')
  await writeFile(path, '')
  await expect(prepareDataDir(path)).rejects.toThrow(`${path} is not a directory`)
  await expect(prepareDataDir(join(path, 'below'))).rejects.toThrow('not a directory')
})

test('a folder inside that leads elsewhere is refused', async () => {
  const dir = join(folder, 'data')
  await mkdir(dir, { mode: 0o700 })
  await symlink(folder, join(dir, 'run'))
  await expect(prepareDataDir(dir)).rejects.toThrow(`${dir}/run is not a directory`)
})
