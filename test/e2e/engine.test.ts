import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const run = promisify(execFile)
const engine = new URL('../../packages/node/src/engine.ts', import.meta.url).href

test('what is loaded after cacheCode is compiled once, into the data directory', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'modmesh-engine-'))
  try {
    const script = `
      const { cacheCode, relaxCollections } = await import(${JSON.stringify(engine)})
      relaxCollections()
      cacheCode(${JSON.stringify(dir)})
      await import(${JSON.stringify(new URL('../../packages/node/src/duration.ts', import.meta.url).href)})`
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

test('what a burst of work took is given back when it is over', async () => {
  const script = `
    const { shrinkWhenIdle } = await import(${JSON.stringify(engine)})
    const { setTimeout: sleep } = await import('node:timers/promises')
    if (process.argv[1] === 'shrink') shrinkWhenIdle({ lookMs: 400 })
    let held = []
    // By what it costs, not by the clock: on a busy machine a second may hold little work.
    const workedMs = () => (process.cpuUsage().user + process.cpuUsage().system) / 1_000
    const startedMs = workedMs()
    while (workedMs() - startedMs < 800) {
      held.push(Array.from({ length: 1000 }, (_, i) => ({ i })))
      if (held.length > 2000) held = held.slice(1000)
    }
    held = undefined
    const before = process.memoryUsage().heapTotal
    const untilMs = performance.now() + (process.argv[1] === 'shrink' ? 20_000 : 3_000)
    while (process.memoryUsage().heapTotal > before / 2 && performance.now() < untilMs) await sleep(200)
    console.log(process.memoryUsage().heapTotal / before)`
  const left = async (how: string): Promise<number> => {
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script, how])
    return Number(stdout)
  }
  const [shrunk, kept] = await Promise.all([left('shrink'), left('keep')])
  expect(shrunk).toBeLessThan(kept * 0.8)
})
