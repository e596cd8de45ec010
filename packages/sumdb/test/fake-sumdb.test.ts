import { expect, test } from 'vitest'
import {
  checkRecord,
  checkTree,
  hashLeaf,
  openTreeHead,
  parseVerifierKey,
  proveRecord,
  proveTree,
} from '../src/index.ts'
import { FakeSumdb, memoryOps } from '../testing/index.ts'
import { logOf, signal } from './setting.ts'

test('the fake log signs true trees at every size', () => {
  const fake = logOf(700, 300)
  const key = parseVerifierKey(fake.keyText)
  const newest = openTreeHead(fake.noteAt(), key)
  const node = (level: number, index: number) => fake.node(level, index)
  for (const size of [1, 2, 3, 255, 256, 257, 511, 699, 700]) {
    const head = openTreeHead(fake.noteAt(size), key)
    expect(head.size).toBe(size)
    expect(checkTree(proveTree(700, size, node), newest, head)).toBe(true)
  }
  for (const id of [0, 300, 699]) {
    const record = { id, leaf: hashLeaf(fake.text(id)) }
    expect(checkRecord(proveRecord(700, id, node), newest, record)).toBe(true)
  }
})

test('a fork agrees in its first records only, and has the same key', () => {
  const fake = logOf(700, 300)
  const forked = fake.fork(400)
  expect(forked.noteAt()).toBe(fake.noteAt(400))
  expect(forked.idOf('example.com/Wanted', 'v1.2.3')).toBe(300)
  forked.add('example.com/fork', 'v1.0.0')
  forked.addFiller(299)
  expect(forked.size()).toBe(700)
  expect(forked.noteAt()).not.toBe(fake.noteAt())
  expect(forked.keyText).toBe(fake.keyText)
})

test('fillers can be looked up, and nothing else', () => {
  const fake = logOf(700, 300)
  expect(Buffer.from(fake.serve('/lookup/filler.test/m7@v1.0.0')).toString()).toBe(
    `7\n${fake.text(7)}\n${fake.noteAt()}`,
  )
  for (const path of [
    '/lookup/filler.test/m300@v1.0.0',
    '/lookup/filler.test/m700@v1.0.0',
    '/lookup/filler.test/m7@v1.0.1',
    '/lookup/filler.test/m07@v1.0.0',
    '/lookup/filler.test/m@v1.0.0',
    '/lookup/filler.test/other@v1.0.0',
    '/lookup/example.com/Wanted@v1.2.3',
    '/tile/8/0/003',
    '/tile/8/3/000',
    '/else',
  ]) {
    expect(() => fake.serve(path), path).toThrow(
      expect.objectContaining({ code: 'SUMDB_NOT_FOUND' }),
    )
  }
})

test('the operations in memory refuse a head in place of another than the one named', async () => {
  const fake = new FakeSumdb()
  fake.addMany([{ path: 'example.com/a', version: 'v1.0.0', lines: 'a\n' }])
  const ops = memoryOps(fake)
  await ops.writeHead(undefined, 'one')
  await expect(ops.writeHead(undefined, 'two')).rejects.toMatchObject({
    code: 'SUMDB_HEAD_CONFLICT',
  })
  await ops.writeHead('one', 'two')
  expect(await ops.readHead()).toBe('two')
  expect(await ops.readRemote('/latest', { signal })).toEqual(fake.serve('/latest'))
})
