import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  buildModuleZip,
  type ModuleZipOptions,
  moduleManifest,
} from '../../../test/support/module-zip.ts'
import { foldCase, parseManifest, parseVersionInfo, rfc3339Seconds } from '../src/index.ts'
import { matchesGlob, parseGlob } from '../src/path-match.ts'
import { findPathFault } from '../src/path-rules.ts'
import { GoStd, hasGo } from './support/go-std.ts'

describe.skipIf(!hasGo)("Go's standard library", () => {
  let go: GoStd
  let runes: ReadonlyMap<number, Rune>
  beforeAll(() => {
    go = new GoStd()
    runes = readRunes(go)
  }, 120_000)
  afterAll(() => go[Symbol.dispose]())

  test('folds case as we do, for every character that its Unicode knows', () => {
    const groups = new Map<string, number>()
    const faults: string[] = []
    for (const [rune, { least }] of runes) {
      const fold = foldCase(String.fromCodePoint(rune))
      const other = groups.get(fold) ?? least
      groups.set(fold, other)
      if (other !== least) faults.push(`U+${rune.toString(16)}`)
    }
    const leasts = new Set(Array.from(runes.values(), ({ least }) => least))
    expect(runes.size).toBeGreaterThan(140_000)
    expect(faults).toEqual([])
    expect(groups.size).toBe(leasts.size)
  })

  test('has no letter that we refuse in a file name', () => {
    const letters = Array.from(runes).filter(([, { isLetter }]) => isLetter)
    const refused = letters.filter(([rune]) => findPathFault(String.fromCodePoint(rune), 'file'))
    const printed = Array.from(runes).filter(([rune, { isLetter }]) => {
      return rune >= 0x80 && !isLetter && !findPathFault(String.fromCodePoint(rune), 'file')
    })
    expect(letters.length).toBeGreaterThan(130_000)
    expect(refused).toEqual([])
    expect(printed).toEqual([])
  })

  test('matches globs as we do', () => {
    const part = fc.constantFrom(...Array.from('*?ab/[]-^\\é'), '[a-z]', '[^a]', '\\*', 'b*')
    const glob = fc.array(part, { maxLength: 8 }).map((parts) => parts.join(''))
    const name = fc.string({ unit: fc.constantFrom(...Array.from('ab/*-]')), maxLength: 8 })
    const pairs = fc.sample(fc.tuple(glob, name), { numRuns: 20_000, seed: 1 })
    const ours = pairs.map(([text, target]) => {
      const parsed = parseGlob(text)
      return parsed !== undefined && matchesGlob(parsed, target)
    })
    expect(ours).toEqual(go.answers('match', pairs))
    expect(ours.filter(Boolean).length).toBeGreaterThan(300)
  })

  test('reads the same version and time from every .info that we accept', () => {
    const key = fc.constantFrom(
      'Version',
      'version',
      'VERSION',
      'Verſion',
      'Time',
      'time',
      'X',
      '__proto__',
    )
    const value = fc.constantFrom(
      '"v1.0.0"',
      '"v2.0.0"',
      '"2020-02-29T23:59:59Z"',
      '"2020-02-29T23:59:59.5+01:00"',
      'null',
      '{"Version":"v3.0.0"}',
    )
    const field = fc.tuple(key, value).map(([name, json]) => `"${name}":${json}`)
    const info = fc.array(field, { maxLength: 4 }).map((fields) => `{${fields.join(',')}}`)
    const texts = fc.sample(info, { numRuns: 5000, seed: 1 })
    const theirs = go.answers(
      'info',
      texts.map((text) => [text]),
    )
    const accepted = texts.flatMap((text, i) => {
      const ours = tryInfo(text)
      return ours === undefined ? [] : [{ text, ours, theirs: theirs[i] }]
    })
    for (const { text, ours, theirs: read } of accepted) expect(read, text).toEqual(ours)
    expect(accepted.length).toBeGreaterThan(200)
  })

  test.for<[string, ModuleZipOptions]>([
    ['as Go writes them', {}],
    ['stored, without descriptors', { all: { method: 'store', dataDescriptor: false } }],
    ['with descriptors that lack a signature', { all: { dataDescriptor: 'no-signature' } }],
    ['in zip64', { zip64: true, all: { zip64: true, dataDescriptor: false } }],
    ['in zip64 with descriptors', { zip64: true, all: { zip64: true } }],
    ['behind foreign bytes', { leading: Buffer.from('#!/bin/sh\n'), shiftOffsets: true }],
    ['with a comment', { comment: 'PK' }],
  ])('reads from our test zips what was put in: %s', ([name, options]) => {
    const module = { path: 'example.com/M', version: 'v1.0.0' }
    const files = {
      'go.mod': 'module example.com/M\n',
      'ä/b.go': 'x'.repeat(1000),
      empty: '',
      'd/': '',
    }
    const file = join(go.folder, `${name}.zip`)
    writeFileSync(file, buildModuleZip(module, files, options))
    const lines = String(go.answers('zip', [[file]])[0]).split(/(?<=\n)/)
    const manifest = Buffer.from(moduleManifest(module, files)).toString()
    expect([...lines].sort().join('')).toBe(
      manifest
        .split(/(?<=\n)/)
        .sort()
        .join(''),
    )
    expect(parseManifest(Buffer.from(manifest))).toHaveLength(4)
  })

  test.for<[string, ModuleZipOptions]>([
    ['a wrong CRC', { all: { crc: 1 } }],
    ['a size that is too small', { all: { size: 3 } }],
    ['a size that is too large', { all: { size: 3000 } }],
    ['an unknown method', { all: { claimedMethod: 12 } }],
    ['an offset that points elsewhere', { all: { offsetShift: 7 } }],
    ['bytes after the end', { trailing: Buffer.alloc(70_000) }],
  ])('cannot read our test zips with %s', ([name, options]) => {
    const file = join(go.folder, `${name}.zip`)
    const module = { path: 'example.com/m', version: 'v1.0.0' }
    writeFileSync(file, buildModuleZip(module, { 'm.go': 'x'.repeat(1000) }, options))
    expect(go.answers('zip', [[file]])).toEqual([null])
  })
})

interface Rune {
  readonly least: number
  readonly isLetter: boolean
}

/** The printable characters of Go's Unicode, which may be older than ours. */
function readRunes(go: GoStd): Map<number, Rune> {
  const rows = go
    .read('unicode')
    .trimEnd()
    .split('\n')
    .map((line) => line.split(' ').map(Number))
  return new Map(
    rows.flatMap(([rune = 0, least = 0, flags = 0]): [number, Rune][] =>
      flags & 2 ? [[rune, { least, isLetter: (flags & 1) === 1 }]] : [],
    ),
  )
}

/** Version and Unix time as Go's program gives them; a missing time is year 1. */
function tryInfo(text: string): [string, number] | undefined {
  try {
    const { version, time = '0001-01-01T00:00:00Z' } = parseVersionInfo(Buffer.from(text))
    return [version, rfc3339Seconds(time) ?? Number.NaN]
  } catch {
    return undefined
  }
}
