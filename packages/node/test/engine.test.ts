import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const run = promisify(execFile)
const engine = new URL('../src/engine.ts', import.meta.url).href

test('what is loaded after cacheCode is compiled once, into the data directory', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'modmesh-engine-'))
  try {
    const script = `
      const { cacheCode, relaxCollections } = await import(${JSON.stringify(engine)})
      relaxCollections()
      cacheCode(${JSON.stringify(dir)})
      await import(${JSON.stringify(new URL('../src/duration.ts', import.meta.url).href)})`
    const { stderr } = await run(process.execPath, ['--input-type=module', '-e', script])
    expect(stderr).toBe('')
    const kept = await readdir(join(dir, 'cache', 'code'), { recursive: true, withFileTypes: true })
    expect(kept.filter((entry) => entry.isFile())).not.toEqual([])
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
})
