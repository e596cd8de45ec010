import { appendFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AppendLog } from '../src/append-log.ts'

let folder = ''
let path = ''
const errors: unknown[] = []
const onError = (error: unknown): void => void errors.push(error)
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'modmesh-append-'))
  path = join(folder, 'audit', 'log.jsonl')
  errors.length = 0
})
afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

async function write(...lines: readonly string[]): Promise<void> {
  await using log = await AppendLog.open({ path, onError })
  await Promise.all(lines.map((line) => log.append(line)))
}

describe('a file of lines', () => {
  test('keeps them in order, over restarts, for its owner alone', async () => {
    await write('a', 'b')
    await write('c')
    expect(await readFile(path, 'utf8')).toBe('a\nb\nc\n')
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect((await stat(join(folder, 'audit'))).mode & 0o777).toBe(0o700)
  })

  test('has a line when its append has resolved', async () => {
    await using log = await AppendLog.open({ path, onError })
    await log.append('a')
    expect(await readFile(path, 'utf8')).toBe('a\n')
  })

  test.for([
    { name: 'half a line', torn: '{"module":"exa', kept: 'a\nb\n' },
    { name: 'a line without its end', torn: '{"module":"x"}', kept: 'a\nb\n' },
    { name: 'more than is read at once', torn: 'x'.repeat(200_000), kept: 'a\nb\n' },
    { name: 'zeros, as after a power cut', torn: '\0'.repeat(5000), kept: 'a\nb\n' },
    { name: 'nothing', torn: '', kept: 'a\nb\n' },
  ])('whose end is $name is cut there by the next start', async ({ torn, kept }) => {
    await write('a', 'b')
    await appendFile(path, torn)
    await write('c')
    expect(await readFile(path, 'utf8')).toBe(`${kept}c\n`)
  })

  test('that holds nothing whole begins anew', async () => {
    await write()
    await writeFile(path, 'x'.repeat(100_000))
    await write('a')
    expect(await readFile(path, 'utf8')).toBe('a\n')
  })

  test('puts full files aside, and keeps so many of them', async () => {
    {
      await using log = await AppendLog.open({ path, maxBytes: 10, oldFiles: 2, onError })
      for (const line of ['1111', '2222', '3333', '4444', '5555', '6666', '7777', '8888']) {
        await log.append(line)
      }
    }
    expect((await readdir(join(folder, 'audit'))).toSorted()).toEqual([
      'log.jsonl',
      'log.jsonl.1',
      'log.jsonl.2',
    ])
    const texts = [path, `${path}.1`, `${path}.2`].map((name) => readFile(name, 'utf8'))
    expect(await Promise.all(texts)).toEqual(['7777\n8888\n', '5555\n6666\n', '3333\n4444\n'])
    expect(errors).toEqual([])
  })

  test('takes one line that is larger than a file', async () => {
    await using log = await AppendLog.open({ path, maxBytes: 4, oldFiles: 1, onError })
    await log.append('123456789')
    await log.append('x')
    expect(await readFile(`${path}.1`, 'utf8')).toBe('123456789\n')
    expect(await readFile(path, 'utf8')).toBe('x\n')
  })

  test('tells what cannot be written, and goes on', async () => {
    await using log = await AppendLog.open({ path, maxBytes: 4, oldFiles: 1, onError })
    await log.append('aaaa')
    await rm(join(folder, 'audit'), { recursive: true })
    await log.append('b')
    expect(errors).not.toEqual([])
  })

  test('bounds what waits for the disk', async () => {
    await using log = await AppendLog.open({ path, onError })
    const all = Array.from({ length: 12_000 }, (_, i) => log.append(String(i)))
    await Promise.all(all)
    const lines = (await readFile(path, 'utf8')).split('\n').length - 1
    expect(lines).toBe(10_000)
    expect(errors).toHaveLength(2_000)
  })
})
