import { expect, test } from 'vitest'
import { freeBuffer } from '../src/free-buffer.ts'

test('the memory of a buffer is given back at once', () => {
  const buffer = Buffer.alloc(1 << 20, 1)
  freeBuffer(buffer)
  expect(buffer.length).toBe(0)
})

test('a part of the memory that buffers share stays, for others use the rest', () => {
  const mine = Buffer.from('mine')
  const other = Buffer.from('other')
  expect(mine.buffer).toBe(other.buffer)
  freeBuffer(mine)
  expect(other.toString()).toBe('other')
})
