import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'

const run = promisify(execFile)
const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))
let cache: string

beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), 'modmesh-engine-'))
})

afterEach(async () => {
  await rm(cache, { recursive: true, force: true })
})

async function version(home: string): Promise<string> {
  const env = { ...process.env, XDG_CACHE_HOME: home, NODE_COMPILE_CACHE: '' }
  return (await run(process.execPath, [main, '--version'], { env })).stdout
}

test('compiled code is kept for the next start', async () => {
  const said = await version(cache)
  expect(said).toMatch(/^modmesh /)
  expect(await readdir(join(cache, 'modmesh', 'code'))).not.toEqual([])
  expect(await version(cache)).toBe(said)
})

test('a folder in which others can write is not trusted with code', async () => {
  const code = join(cache, 'modmesh', 'code')
  await mkdir(code, { recursive: true })
  await chmod(code, 0o777)
  expect(await version(cache)).toMatch(/^modmesh /)
  expect(await readdir(code)).toEqual([])
})

test('a home without room for it changes nothing', async () => {
  expect(await version('/dev/null')).toMatch(/^modmesh /)
})
