import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseGosumdb } from '@modmesh/sumdb'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { GoRecords } from '../../src/adopt/go-records.ts'

const sumdb = parseGosumdb('sum.golang.org')
const tile = '/tile/8/0/000'

let dir: string
let path: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'modmesh-records-'))
  path = join(dir, 'sumdb', 'sum.golang.org', tile)
  await mkdir(dirname(path), { recursive: true })
})
afterEach(() => rm(dir, { recursive: true, force: true }))

function records(): GoRecords {
  if (sumdb.kind === 'off') throw new Error('there is a key')
  return new GoRecords(dir, sumdb.key)
}

test('a tile is read as it is kept', async () => {
  await writeFile(path, Buffer.alloc(8192, 7))
  expect(await records().tile(tile)).toEqual(Buffer.alloc(8192, 7))
})

test.for<[string, () => Promise<void>]>([
  ['that is a pipe nobody writes to', async () => void execFileSync('mkfifo', [path])],
  [
    'larger than any there is',
    async () => {
      await writeFile(path, '')
      await truncate(path, 65_537)
    },
  ],
])('a tile %s counts as none', async ([, make]) => {
  await make()
  expect(await records().tile(tile)).toBeUndefined()
})
