import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { anyText } from '../../../test/support/any-text.ts'
import {
  applyManifestDifference,
  decodeIndices,
  diffManifest,
  encodeIndices,
  exactBase,
  formatManifest,
  InvalidFileError,
  type ManifestDifference,
  type ManifestLine,
  type PrefixedLines,
  parseManifest,
  sketchedBase,
  sketchManifest,
} from '../src/index.ts'

const old = 'm@v1.0.0/'
const next = 'm@v1.1.0/'

/** Few names and few hashes, so that two versions have much in common. */
const files = fc.dictionary(
  fc.oneof(
    fc.constantFrom('a', 'b', 'c/d', 'c/e', 'go.mod'),
    anyText().filter((text) => text !== '' && !text.includes('\n')),
  ),
  fc.integer({ min: 0, max: 3 }),
  { noNullPrototype: true, maxKeys: 12 },
)

test('what is told as a difference is made again, from any base and from none', () => {
  fc.assert(
    fc.property(files, files, (before, after) => {
      const base = linesOf(old, before)
      const target = linesOf(next, after)
      expect(applyManifestDifference(diffManifest(target), next)).toEqual(target.lines)
      const exact = diffManifest(target, exactBase(base))
      expect(applyManifestDifference(exact, next, base)).toEqual(target.lines)
      const sketched = diffManifest(target, sketchedBase(sketchManifest(base)))
      expect(applyManifestDifference(sketched, next, base)).toEqual(target.lines)
    }),
  )
})

test('a sketch and the lines themselves give one difference', () => {
  fc.assert(
    fc.property(files, files, (before, after) => {
      const base = linesOf(old, before)
      const target = linesOf(next, after)
      const sketched = diffManifest(target, sketchedBase(sketchManifest(base)))
      expect(sketched).toEqual(diffManifest(target, exactBase(base)))
    }),
  )
})

test('an unchanged version costs some bytes, a changed file a hash', () => {
  const many = Object.fromEntries(Array.from({ length: 1_000 }, (_, n) => [`f${n}`, n % 200]))
  const base = linesOf(old, many)
  const same = diffManifest(linesOf(next, many), exactBase(base))
  expect(same.script.length + same.hashes.length).toBeLessThan(4)
  const changed = diffManifest(linesOf(next, { ...many, f500: 250 }), exactBase(base))
  expect(changed.hashes.length).toBe(32)
  expect(changed.script.length).toBeLessThan(8)
})

test('no bytes at all make it do more than give lines in order, or refuse', () => {
  fc.assert(
    fc.property(
      fc.uint8Array(),
      fc.uint8Array({ maxLength: 200 }),
      files,
      (script, hashes, had) => {
        const lines = readOrRefuse({ script, hashes }, linesOf(old, had))
        const names = lines?.map(({ name }) => name) ?? []
        expect(new Set(names).size).toBe(names.length)
      },
    ),
  )
})

test('one flipped bit never gives the same manifest', () => {
  fc.assert(
    fc.property(files, files, fc.nat(), (before, after, where) => {
      const base = linesOf(old, before)
      const target = linesOf(next, after)
      const { script, hashes } = diffManifest(target, exactBase(base))
      const both = Uint8Array.from([...script, ...hashes])
      fc.pre(both.length > 0)
      const bit = where % (8 * both.length)
      both[bit >> 3] = (both[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      const split = { script: both.slice(0, script.length), hashes: both.slice(script.length) }
      const lines = readOrRefuse(split, base)
      if (lines === undefined) return
      // What the script says of the rest of the base may change without a word about the target.
      const isSame = Buffer.from(textOf(lines)).equals(textOf(target.lines))
      expect(isSame && hashes.length > 0 && bit >= 8 * script.length).toBe(false)
    }),
  )
})

describe('a liar is refused', () => {
  const base = linesOf(old, { a: 1, b: 2 })
  const hash = new Uint8Array(32)
  const run = (kind: 0 | 1 | 2 | 3, length: number): number[] => [length * 4 + kind]
  test.for<[string, number[], Uint8Array]>([
    ['an empty run', [0], new Uint8Array()],
    ['a copy past the end', run(0, 3), new Uint8Array()],
    ['a drop past the end', run(1, 3), new Uint8Array()],
    ['a change without a hash', run(2, 1), new Uint8Array()],
    ['a hash too many', run(0, 2), hash],
    ['half a hash', run(2, 1), hash.slice(0, 31)],
    ['a name that shares more than there is', [...run(3, 1), 1, 1, 0x61], hash],
    ['a name that ends too early', [...run(3, 1), 0, 5, 0x61], hash],
    ['a name twice', [...run(0, 1), ...run(3, 1), 0, 1, 0x61], hash],
    ['names out of order', [...run(0, 2), ...run(3, 1), 0, 1, 0x41], hash],
    ['a name that is no UTF-8', [...run(3, 1), 0, 1, 0xff], hash],
    ['a number that is not the shortest', [0x88, 0x00], new Uint8Array()],
    ['an endless number', [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], new Uint8Array()],
  ])('%s', ([, script, hashes]) => {
    const difference = { script: Uint8Array.from(script), hashes }
    expect(() => applyManifestDifference(difference, next, base)).toThrow(InvalidFileError)
  })

  test('names that grow from one another beyond any zip', () => {
    // Each of these tells one byte and has 60,000: some KiB would be a hundred MiB.
    const count = 2_000
    const script: number[] = [...varint(count * 4 + 3), 0, ...varint(60_000)]
    script.push(...Array.from({ length: 60_000 }, () => 0x61))
    for (let i = 1; i < count; i++) script.push(...varint(59_999 + i), 1, 0x61)
    const difference = { script: Uint8Array.from(script), hashes: new Uint8Array(32 * count) }
    expect(() => applyManifestDifference(difference, next)).toThrow(/more than a zip may have/)
  })
})

test('a list of files is read back as it was written, and nothing else is read', () => {
  const indices = fc
    .uniqueArray(fc.integer({ min: 0, max: 300 }))
    .map((all) => all.sort((a, b) => a - b))
  fc.assert(
    fc.property(indices, (some) => {
      expect(decodeIndices(encodeIndices(some), 301)).toEqual(some)
    }),
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 20 }), (bytes) => {
      try {
        expect(encodeIndices(decodeIndices(bytes, 301))).toEqual(bytes)
      } catch (error) {
        expect(error).toBeInstanceOf(InvalidFileError)
      }
    }),
  )
})

function linesOf(prefix: string, had: Readonly<Record<string, number>>): PrefixedLines {
  const lines = Object.entries(had).map(
    ([name, content]): ManifestLine => ({
      name: prefix + name,
      sha256: new Uint8Array(32).fill(content),
    }),
  )
  return { prefix, lines: parseManifest(formatManifest(lines)) }
}

function textOf(lines: readonly ManifestLine[]): Uint8Array {
  return formatManifest(lines)
}

function readOrRefuse(
  difference: ManifestDifference,
  base: PrefixedLines,
): readonly ManifestLine[] | undefined {
  try {
    return applyManifestDifference(difference, next, base)
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidFileError)
    return undefined
  }
}

function varint(value: number): number[] {
  const bytes: number[] = []
  for (let rest = value; ; rest >>= 7) {
    if (rest < 0x80) return [...bytes, rest]
    bytes.push((rest & 0x7f) | 0x80)
  }
}
