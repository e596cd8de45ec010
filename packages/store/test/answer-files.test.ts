import { hash } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { StoredAnswer } from '@modmesh/fill'
import { describe, expect, onTestFinished, test } from 'vitest'
import { DiskStore } from '../src/disk-store.ts'
import type { StoreEvent } from '../src/store-event.ts'
import { guardedDisk } from './support/faulty-disk.ts'
import { tempDir } from './support/temp-dir.ts'

const key = 'list example.com/mod '

function answer(text: string, confirmedMs = 1000): StoredAnswer {
  const bytes = Uint8Array.from(Buffer.from(text))
  return { bytes, from: 'https://upstream.example', validator: '["a","\\"b\\"",""]', confirmedMs }
}

async function open(dir: string, init: Partial<Parameters<typeof DiskStore.open>[0]> = {}) {
  const store = await DiskStore.open({ dir, ...init })
  onTestFinished(() => store[Symbol.asyncDispose]())
  return store.answers
}

async function files(dir: string): Promise<string[]> {
  const names = await readdir(join(dir, 'store/v1/answers'), { recursive: true })
  return names.filter((name) => name.length > 10).map((name) => join(dir, 'store/v1/answers', name))
}

describe('answers that change', () => {
  test('are found again by a later process, all of it', async () => {
    const dir = await tempDir()
    {
      await using store = await DiskStore.open({ dir })
      await store.answers.putAnswer(key, answer('v1.0.0\n'))
    }
    expect(await (await open(dir)).findAnswer(key)).toMatchObject(answer('v1.0.0\n'))
  })

  test('are found before they are on disk; the last one of many stays', async () => {
    const dir = await tempDir()
    const answers = await open(dir)
    const writes = Array.from({ length: 100 }, (_, i) => answers.putAnswer(key, answer(`${i}`)))
    expect((await answers.findAnswer(key))?.bytes).toEqual(answer('99').bytes)
    await Promise.all(writes)
    expect((await answers.findAnswer(key))?.bytes).toEqual(answer('99').bytes)
    expect(await files(dir)).toHaveLength(1)
  })

  test('are absent once dropped, also while they are being written', async () => {
    const dir = await tempDir()
    const answers = await open(dir)
    const writing = answers.putAnswer(key, answer('v1.0.0\n'))
    const dropping = answers.dropAnswer(key)
    expect(await answers.findAnswer(key)).toBeUndefined()
    await Promise.all([writing, dropping])
    expect(await answers.findAnswer(key)).toBeUndefined()
    expect(await files(dir)).toEqual([])
    await answers.dropAnswer('never there')
  })

  test('no key reaches outside its folder', async () => {
    const dir = await tempDir()
    const answers = await open(dir)
    const keys = ['../../../../evil', '/etc/passwd', '', 'a\0b', '~', 'query a ../../x', 'é']
    for (const each of keys) await answers.putAnswer(each, answer(each))
    for (const each of keys) {
      expect((await answers.findAnswer(each))?.bytes).toEqual(answer(each).bytes)
    }
    expect(await files(dir)).toHaveLength(keys.length)
  })

  test.for([
    [
      'one bit flipped',
      (bytes: Buffer) => bytes.map((b, i) => (i === bytes.length - 2 ? b ^ 1 : b)),
    ],
    ['its time changed', (bytes: Buffer) => Buffer.from(bytes.toString().replace('1000', '9999'))],
    ['cut short', (bytes: Buffer) => bytes.subarray(0, -3)],
    ['empty, as after a power cut', () => Buffer.alloc(0)],
    ['no header', () => Buffer.from('\n\n\n')],
    ['garbage', () => Buffer.from('{"format":1}\nabc\nxyz')],
  ] as const)('a file with %s counts as absent', async ([, damage]) => {
    const dir = await tempDir()
    const answers = await open(dir)
    await answers.putAnswer(key, answer('v1.0.0\n'))
    const [file = ''] = await files(dir)
    await writeFile(file, damage(await readFile(file)))
    expect(await answers.findAnswer(key)).toBeUndefined()
  })

  test('no single wrong bit is ever taken for an answer, and a new one heals it', async () => {
    const dir = await tempDir()
    const answers = await open(dir)
    await answers.putAnswer(key, answer('v1.0.0\nv1.1.0\n'))
    const [file = ''] = await files(dir)
    const good = await readFile(file)
    for (let bit = 0; bit < good.length * 8; bit++) {
      const bad = Buffer.from(good)
      bad[bit >> 3] = (bad[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      await writeFile(file, bad)
      expect(await answers.findAnswer(key), `bit ${bit}`).toBeUndefined()
    }
    await answers.putAnswer(key, answer('v1.2.0\n'))
    expect((await answers.findAnswer(key))?.bytes).toEqual(answer('v1.2.0\n').bytes)
  })

  test('sound files of another format, or with other fields, count as absent', async () => {
    const dir = await tempDir()
    const answers = await open(dir)
    await answers.putAnswer(key, answer('v1.0.0\n'))
    const [file = ''] = await files(dir)
    const fields = { format: 1, key, from: 'x', validator: 'v', confirmedMs: 1 }
    const others: readonly object[] = [
      { ...fields, format: 2 },
      { ...fields, from: 7 },
      { ...fields, confirmedMs: 'yesterday' },
      { ...fields, key: 'list example.com/other ' },
      [],
    ]
    for (const header of others.map((each) => JSON.stringify(each))) {
      const sum = hash('sha256', `${header}\nv1.0.0\n`)
      await writeFile(file, `${header}\n${sum}\nv1.0.0\n`)
      expect(await answers.findAnswer(key), header).toBeUndefined()
    }
    const header = JSON.stringify({ ...fields, validator: 7 })
    await writeFile(file, `${header}\n${hash('sha256', `${header}\nv1.0.0\n`)}\nv1.0.0\n`)
    expect(await answers.findAnswer(key)).toMatchObject({ validator: undefined, confirmedMs: 1 })
  })

  test('one that cannot be read counts as absent, and is told', async () => {
    const dir = await tempDir()
    const events: StoreEvent[] = []
    let isBarred = false
    const disk = guardedDisk((call, path) => {
      if (isBarred && call === 'readFile' && path.includes('answers')) {
        throw Object.assign(new Error('permission denied'), { code: 'EACCES' })
      }
    })
    const answers = await open(dir, { disk, report: (event) => events.push(event) })
    await answers.putAnswer(key, answer('v1.0.0\n'))
    isBarred = true
    expect(await answers.findAnswer(key)).toBeUndefined()
    expect(events).toMatchObject([{ kind: 'tidy-failed', error: { code: 'EACCES' } }])
    isBarred = false
    expect(await answers.findAnswer(key)).toBeDefined()
  })

  test("a file in another key's place is not its answer", async () => {
    const dir = await tempDir()
    const answers = await open(dir)
    await answers.putAnswer('one', answer('one'))
    const [one = ''] = await files(dir)
    await answers.putAnswer('two', answer('two'))
    const two = (await files(dir)).find((file) => file !== one) ?? ''
    await writeFile(two, await readFile(one))
    expect(await answers.findAnswer('two')).toBeUndefined()
  })

  test('one that is too large is not kept, nor is the older one any more', async () => {
    const dir = await tempDir()
    const answers = await open(dir)
    await answers.putAnswer(key, answer('small'))
    await answers.putAnswer(key, answer('x'.repeat((256 << 10) + 1)))
    expect(await answers.findAnswer(key)).toBeUndefined()
  })

  test('a full disk costs nothing but the answer, and is told', async () => {
    const dir = await tempDir()
    const events: StoreEvent[] = []
    let isFull = false
    const disk = guardedDisk((call, path) => {
      if (isFull && call === 'write' && path.includes('staging')) {
        throw Object.assign(new Error('no space left'), { code: 'ENOSPC' })
      }
    })
    const answers = await open(dir, { disk, report: (event) => events.push(event) })
    isFull = true
    await answers.putAnswer(key, answer('v1.0.0\n'))
    expect(await answers.findAnswer(key)).toBeUndefined()
    expect(events).toMatchObject([{ kind: 'tidy-failed', error: { code: 'ENOSPC' } }])
    expect(await readdir(join(dir, 'store/v1/staging'))).toEqual([])
    isFull = false
    await answers.putAnswer(key, answer('v1.1.0\n'))
    expect(await answers.findAnswer(key)).toBeDefined()
  })

  test('a flood of them gives way, the oldest first', async () => {
    const dir = await tempDir()
    const answers = await open(dir)
    // Of these, the keys that share one folder.
    const keys: string[] = []
    for (let i = 0; keys.length < 250; i++) {
      if (hash('sha256', `key ${i}`).startsWith('00')) keys.push(`key ${i}`)
    }
    for (const [i, each] of keys.entries()) await answers.putAnswer(each, answer('x', 1000 + i))
    expect((await files(dir)).length).toBeLessThanOrEqual(200)
    expect(await answers.findAnswer(keys[0] ?? '')).toBeUndefined()
    expect(await answers.findAnswer(keys.at(-1) ?? '')).toBeDefined()
  })
})
