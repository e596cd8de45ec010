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

test('buffers that pass through do not pile up, though objects are few', async () => {
  const script = `
    const { relaxCollections, boundGarbage } = await import(${JSON.stringify(engine)})
    const { setTimeout: sleep } = await import('node:timers/promises')
    relaxCollections()
    if (process.argv[1] === 'bound') boundGarbage()
    let most = 0
    for (let wave = 0; wave < 60; wave++) {
      for (let i = 0; i < 50; i++) Buffer.allocUnsafeSlow(64 << 10)
      most = Math.max(most, process.memoryUsage().arrayBuffers)
      await sleep(20)
    }
    console.log(most)`
  const most = async (how: string): Promise<number> => {
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script, how])
    return Number(stdout)
  }
  const [bound, free] = await Promise.all([most('bound'), most('free')])
  expect(bound).toBeLessThan(free * 0.8)
})
