import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseModuleVersion } from '@modmesh/module'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { FirstSeenFile } from '../src/first-seen.ts'

const module = parseModuleVersion('example.com/m', 'v1.0.0')
const other = parseModuleVersion('example.com/m', 'v1.1.0')
const onError = (error: unknown): never => {
  throw error
}

let folder = ''
let path = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'modmesh-seen-'))
  path = join(folder, 'policy', 'first-seen.jsonl')
})
afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

describe('first sights', () => {
  test('are durable when told, and stay over a restart', async () => {
    {
      await using file = await FirstSeenFile.open(path, { onError })
      expect(await file.see(module, 1_000)).toBe(1_000)
      expect(await file.see(module, 2_000)).toBe(1_000)
      expect(await readFile(path, 'utf8')).toBe('{"module":"example.com/m@v1.0.0","ms":1000}\n')
    }
    await using file = await FirstSeenFile.open(path, { onError })
    expect(await file.see(module, 3_000)).toBe(1_000)
    expect(await file.see(other, 3_000)).toBe(3_000)
  })

  test('a torn or foreign line makes nothing old', async () => {
    {
      await using file = await FirstSeenFile.open(path, { onError })
      await file.see(module, 1_000)
    }
    await appendFile(path, '"x"\n{"module":7}\n{"module":"example.com/m@v1.1.0","ms":')
    await using file = await FirstSeenFile.open(path, { onError })
    expect(await file.see(module, 5_000)).toBe(1_000)
    expect(await file.see(other, 5_000)).toBe(5_000)
  })

  test('are bounded: what is forgotten counts as new', async () => {
    await (await FirstSeenFile.open(path, { onError }))[Symbol.asyncDispose]()
    const lines = Array.from(
      { length: 100_050 },
      (_, i) => `{"module":"a.test/m@v1.0.${i}","ms":1}`,
    )
    await writeFile(path, `${lines.join('\n')}\n`)
    await using file = await FirstSeenFile.open(path, { onError })
    expect((await readFile(path, 'utf8')).split('\n')).toHaveLength(100_001)
    expect(await file.see(parseModuleVersion('a.test/m', 'v1.0.0'), 9)).toBe(9)
    expect(await file.see(parseModuleVersion('a.test/m', 'v1.0.99999'), 9)).toBe(1)
  })
})
