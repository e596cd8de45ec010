import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ZipRulesError } from '@modmesh/module'
import { expect, test } from 'vitest'
import { buildModuleZip, moduleHashes } from '../../../test/support/module-zip.ts'
import { VerifyPool } from '../src/verify-pool.ts'
import { tempDir } from './support/temp-dir.ts'
import { moduleAt, never } from './support/zips.ts'

const module = moduleAt('v1.0.0')
const files = { 'go.mod': 'module example.com/mod\n', 'large.txt': Buffer.alloc(1 << 20, 'large ') }

async function fileOf(bytes: Uint8Array): Promise<string> {
  const path = join(await tempDir(), 'a.zip')
  await writeFile(path, bytes)
  return path
}

test('large zips are verified in workers, many at once, each with its own verdict', async () => {
  await using pool = new VerifyPool()
  const good = await fileOf(buildModuleZip(module, files))
  const bad = await fileOf(buildModuleZip(module, files, { entries: { 'large.txt': { crc: 1 } } }))
  const odd = await fileOf(buildModuleZip(module, files, { comment: 'hello' }))
  const { zip: zipHash } = moduleHashes(module, files)
  const verdicts = Array.from({ length: 4 }, async () => {
    await expect(pool.verify(good, module, never)).resolves.toMatchObject({
      zipHash,
      rewrite: undefined,
    })
    const refusal = pool.verify(bad, module, never)
    await expect(refusal).rejects.toBeInstanceOf(ZipRulesError)
    await expect(refusal).rejects.toThrow(/^zip refused: [^:]*large.txt: checksum differs$/)
    await expect(pool.verify(odd, module, never)).resolves.toMatchObject({
      zipHash,
      rewrite: { reason: 'bytes after the end of the directory' },
    })
    const absent = pool.verify(`${good}.absent`, module, never)
    await expect(absent).rejects.toMatchObject({ code: 'ENOENT' })
  })
  await Promise.all(verdicts)
})

test('nobody waits for a verification that nobody wants', async () => {
  await using pool = new VerifyPool()
  const path = await fileOf(buildModuleZip(module, { 'a.txt': { bomb: 100 << 20 } }))
  const timeOf = async (work: () => Promise<unknown>): Promise<number> => {
    const from = performance.now()
    await work()
    return performance.now() - from
  }
  const whole = await timeOf(() => pool.verify(path, module, never))
  const abandon = async (): Promise<void> => {
    const controller = new AbortController()
    const { signal } = controller
    const verifying = pool.verify(path, module, { signal })
    controller.abort(new Error('no longer'))
    await expect(verifying).rejects.toThrow('no longer')
    await expect(pool.verify(path, module, { signal })).rejects.toThrow('no longer')
  }
  // The best of several: one of them other programs leave alone.
  const cut: number[] = []
  for (let turn = 0; turn < 5; turn++) cut.push(await timeOf(abandon))
  expect(Math.min(...cut)).toBeLessThan(whole / 2)
})

test('closing ends what is running and refuses what comes', async () => {
  const pool = new VerifyPool()
  const path = await fileOf(buildModuleZip(module, files))
  const running = Array.from({ length: 9 }, () => pool.verify(path, module, never))
  const [outcomes] = await Promise.all([Promise.allSettled(running), pool[Symbol.asyncDispose]()])
  const refused = outcomes.filter((outcome) => outcome.status === 'rejected')
  expect(refused.length).toBeGreaterThan(0)
  for (const { reason } of refused) expect(reason).toMatchObject({ name: 'AbortError' })
  await expect(pool.verify(path, module, never)).rejects.toMatchObject({ name: 'AbortError' })
})
