import { expect, test } from 'vitest'
import { CacheWriter } from '../src/cache-writer.ts'
import { gate } from './setting.ts'

function recorder() {
  const written: [string, number][] = []
  const hold = gate()
  const writeCache = async (path: string, bytes: Uint8Array) => {
    await hold.opened
    if (bytes[0] === 255) throw new Error('disk full')
    written.push([path, bytes.length])
  }
  return { written, open: hold.open, writer: new CacheWriter({ writeCache }) }
}

test('writes to one path follow one another and the latest wins', async () => {
  const { written, open, writer } = recorder()
  writer.write('/a', new Uint8Array(1))
  await Promise.resolve()
  await Promise.resolve()
  writer.write('/a', new Uint8Array(2))
  writer.write('/a', new Uint8Array(3))
  writer.write('/b', new Uint8Array(4))
  open()
  await writer.settled()
  expect(written.filter(([path]) => path === '/a')).toEqual([
    ['/a', 1],
    ['/a', 3],
  ])
  expect(written).toContainEqual(['/b', 4])
})

test('a narrower version never replaces a wider one, until the wider one was dropped or failed', async () => {
  const { written, open, writer } = recorder()
  open()
  for (const length of [64, 32, 64, 96]) {
    writer.writeWider('/a', new Uint8Array(length))
    await writer.settled()
  }
  expect(written.map(([, length]) => length)).toEqual([64, 96])
  writer.forget('/a')
  writer.writeWider('/a', new Uint8Array(32))
  await writer.settled()
  writer.writeWider('/a', new Uint8Array(128).fill(255))
  await writer.settled()
  writer.writeWider('/a', new Uint8Array(64))
  await writer.settled()
  expect(written.map(([, length]) => length)).toEqual([64, 96, 32, 64])
})

test('a write that was forgotten before it began is not made', async () => {
  const { written, open, writer } = recorder()
  writer.write('/a', new Uint8Array(1))
  writer.forget('/a')
  open()
  await writer.settled()
  expect(written).toEqual([])
})

test('what is still to be written is found', async () => {
  const { open, writer } = recorder()
  const first = new Uint8Array([1])
  const second = new Uint8Array([2])
  writer.write('/a', first)
  expect(writer.pending('/a')).toBe(first)
  await Promise.resolve()
  await Promise.resolve()
  expect(writer.pending('/a')).toBe(first)
  writer.write('/a', second)
  expect(writer.pending('/a')).toBe(second)
  open()
  await writer.settled()
  expect(writer.pending('/a')).toBe(undefined)
})
