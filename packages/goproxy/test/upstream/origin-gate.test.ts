import { afterEach, expect, test, vi } from 'vitest'
import {
  idleLeaseMs,
  maxBusy,
  maxBusyZips,
  maxOriginConnections,
  maxZipConnections,
} from '../../src/limits.ts'
import { type Lease, OriginGate } from '../../src/upstream/origin-gate.ts'

const origin = 'https://proxy.example'

afterEach(() => {
  vi.useRealTimers()
})

/** Enters `count` times; the leases that were granted by now are in the list that is returned. */
async function enter(gate: OriginGate, count: number, what: 'zip' | 'mod'): Promise<Lease[]> {
  const leases: Lease[] = []
  const { signal } = new AbortController()
  for (let i = 0; i < count; i++) {
    const request = { module: `/example.com/${what}${i}`, isZip: what === 'zip', signal }
    void gate.enter(origin, request).then((lease) => leases.push(lease))
  }
  await settled()
  return leases
}

async function settled(): Promise<void> {
  for (let i = 0; i < 5; i++) await Promise.resolve()
}

/** Time in which nothing comes from the origin, over and over, until nobody more is let in. */
async function passIdly(): Promise<void> {
  for (let i = 0; i < 20; i++) await vi.advanceTimersByTimeAsync(2 * idleLeaseMs)
}

test('zips that get bytes leave room for small files', async () => {
  using gate = new OriginGate()
  const zips = await enter(gate, 200, 'zip')
  expect(zips).toHaveLength(maxBusyZips)
  expect(await enter(gate, 100, 'mod')).toHaveLength(maxBusy - maxBusyZips)
})

test('a transfer that stalls gives up its turn, and small files always find a connection', async () => {
  vi.useFakeTimers()
  using gate = new OriginGate()
  const zips = await enter(gate, 1_000, 'zip')
  await passIdly()
  expect(zips).toHaveLength(maxZipConnections)
  expect(await enter(gate, 20, 'mod')).toHaveLength(20)
})

test('stalled requests never take more connections than there are', async () => {
  vi.useFakeTimers()
  using gate = new OriginGate()
  const zips = await enter(gate, 1_000, 'zip')
  const mods = await enter(gate, 1_000, 'mod')
  await passIdly()
  expect(zips.length + mods.length).toBe(maxOriginConnections)
  for (const zip of zips.slice(0, 10)) zip.release()
  await settled()
  expect(zips.length + mods.length).toBe(maxOriginConnections + 10)
})

test('a transfer that goes on counts again, and holds others back', async () => {
  vi.useFakeTimers()
  using gate = new OriginGate()
  const zips = await enter(gate, 2 * maxBusyZips, 'zip')
  await vi.advanceTimersByTimeAsync(2 * idleLeaseMs)
  expect(zips).toHaveLength(2 * maxBusyZips)
  for (const zip of zips) zip.touch()
  expect(await enter(gate, 5, 'zip')).toEqual([])
  expect(await enter(gate, 5, 'mod')).toEqual([])
  for (const zip of zips) zip.release()
  expect(await enter(gate, 5, 'mod')).toHaveLength(5)
})
