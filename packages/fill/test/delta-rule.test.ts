import { describe, expect, test } from 'vitest'
import { isWholeCheaper, pickForm } from '../src/delta-rule.ts'
import type { DeltaForm } from '../src/zip-deltas.ts'

const kB = 1_000
const MB = 1_000_000
/** What an office has, a slow one, one with fibre, and a machine hall. Bytes per second. */
const links = { slow: 64 * kB, office: 2.5 * MB, fibre: 12.5 * MB, hall: 1_250 * MB } as const

describe('files come in the form in which they are there soonest', () => {
  test.for<[keyof typeof links, 'both hold' | 'one holds', 'text' | 'media', number, DeltaForm]>([
    ['slow', 'both hold', 'text', 10 * kB, 'P'],
    ['slow', 'both hold', 'text', 50 * MB, 'P'],
    ['slow', 'one holds', 'text', 10 * kB, 'S'],
    ['slow', 'one holds', 'text', 50 * MB, 'S'],
    ['office', 'both hold', 'text', 10 * kB, 'P'],
    ['office', 'both hold', 'text', 50 * MB, 'P'],
    ['office', 'one holds', 'text', 10 * kB, 'S'],
    ['office', 'one holds', 'text', 50 * MB, 'S'],
    ['office', 'both hold', 'media', 50 * MB, 'P'],
    ['fibre', 'one holds', 'text', 50 * MB, 'S'],
    // Packing what cannot be packed takes longer than sending it.
    ['hall', 'one holds', 'media', 50 * MB, 'F'],
    ['hall', 'one holds', 'text', 50 * MB, 'F'],
    ['hall', 'both hold', 'text', 50 * MB, 'F'],
  ])('over a link of %s, where %s the old ones, of %s, %i bytes: %s', (row) => {
    const [link, who, kind, newBytes, form] = row
    const newPackedBytes = newBytes * (kind === 'text' ? 0.25 : 1)
    const isBaseShared = who === 'both hold'
    const bytesPerSecond = links[link]
    expect(pickForm({ newBytes, newPackedBytes, bytesPerSecond, isBaseShared })).toBe(form)
  })

  test('never against old files that the sender does not have', () => {
    for (const bytesPerSecond of [1, 1e3, 1e6, 1e9, 1e12]) {
      for (const newBytes of [0, 1, 1e5, 1e9]) {
        const about = { newBytes, newPackedBytes: newBytes / 4, bytesPerSecond }
        expect(pickForm({ ...about, isBaseShared: false })).not.toBe('P')
      }
    }
  })

  test('in any form where nothing is missing', () => {
    const nothing = { newBytes: 0, newPackedBytes: 0, bytesPerSecond: 1, isBaseShared: true }
    expect(pickForm(nothing)).toBe('P')
  })
})

describe('a zip is sent as it is', () => {
  const about = { zipBytes: 200 * kB, manifestBytes: 2 * kB, newBytes: 40 * kB }
  test.for<[string, Partial<Parameters<typeof isWholeCheaper>[0]>, boolean]>([
    ['not where little of it is new', {}, false],
    [
      'not where all is new and can be packed better',
      { newBytes: 800 * kB, newPackedBytes: 200 * kB },
      false,
    ],
    ['where all is new and cannot', { newBytes: 200 * kB, newPackedBytes: 200 * kB }, true],
    ['where the manifest is as long', { manifestBytes: 195 * kB }, true],
    ['when it is small', { zipBytes: 60 * kB }, true],
    [
      'not when it is small and both hold an old one',
      { zipBytes: 60 * kB, isBaseShared: true },
      false,
    ],
    ['when it is tiny, whoever holds what', { zipBytes: 4 * kB, isBaseShared: true }, true],
    ['when it is nothing', { zipBytes: 0, newBytes: 0, newPackedBytes: 0 }, true],
  ])('%s', ([, change, expected]) => {
    const question = { ...about, newPackedBytes: 10 * kB, isBaseShared: false, ...change }
    expect(isWholeCheaper(question)).toBe(expected)
  })
})
