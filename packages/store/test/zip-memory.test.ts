import type { ZipDigest } from '@modmesh/module'
import { beforeEach, describe, expect, test } from 'vitest'
import { maxCountedZips } from '../src/limits.ts'
import { ZipMemory } from '../src/zip-memory.ts'

const size = 1_000
let memory: ZipMemory
let copies: number

/** Reads a zip whole, as a reader of the store does; whether memory had it. */
function read(n: number): boolean {
  const digest = `${n}` as ZipDigest
  if (memory.get(digest) !== undefined) return true
  if (memory.isWorthKeeping(digest, size)) {
    copies++
    memory.keep(digest, new Uint8Array(size))
  }
  return false
}

function round(zips: number): number {
  return Array.from({ length: zips }, (_, n) => read(n)).filter((isHit) => isHit).length
}

describe('memory for zips', () => {
  beforeEach(() => {
    memory = new ZipMemory({ maxBytes: 10 * size })
    copies = 0
  })

  test('takes a zip with its second read', () => {
    expect([read(1), read(1), read(1)]).toEqual([false, false, true])
  })

  test('keeps what fits when rounds go through more than fits', () => {
    round(40)
    round(40)
    copies = 0
    const hits = Array.from({ length: 20 }, () => round(40))
    expect(Math.min(...hits)).toBeGreaterThanOrEqual(8)
    expect(copies).toBeLessThan(20)
  })

  test('copies little when reads through more than fits come by chance', () => {
    let seed = 1
    const chance = (): number => (seed = (seed * 48_271) % 2_147_483_647) % 40
    for (let i = 0; i < 200; i++) read(chance())
    copies = 0
    let hits = 0
    for (let i = 0; i < 2_000; i++) if (read(chance())) hits++
    expect(copies).toBeLessThan(10)
    expect(hits).toBeGreaterThan(300)
  })

  test('gives room to what is read more than what it has', () => {
    round(10)
    round(10)
    for (let i = 0; i < 5; i++) read(99)
    expect(read(99)).toBe(true)
  })

  test('forgets in time what was read much long ago', () => {
    for (let i = 0; i < 100; i++) round(10)
    let reads = 0
    while (!read(100 + (reads % 10))) expect(++reads).toBeLessThan(100 * maxCountedZips)
  })
})
