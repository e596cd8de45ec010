import type { FilledFile, NeededFile } from '@modmesh/fill'
import { FakeClock } from '@modmesh/fill/twins'
import { parseModuleVersion } from '@modmesh/module'
import { expect, test } from 'vitest'
import {
  type MissingLine,
  missingLines,
  type PrefetchProgress,
  type PrefetchReport,
  prefetchExitCode,
} from '../../src/prefetch/prefetch-report.ts'
import { PrefetchTally } from '../../src/prefetch/prefetch-tally.ts'
import { formatPrefetch, formatPrefetchProgress } from '../../src/prefetch/prefetch-text.ts'
import { showPrefetch } from '../../src/prefetch/show-prefetch.ts'

const file = (
  what: NeededFile['what'],
  path = 'example.com/a',
  isOptional = false,
): NeededFile => ({
  what,
  module: parseModuleVersion(path, 'v1.0.0'),
  isOptional,
  pins: [],
})
const filled = (of: NeededFile, kind: 'store' | 'peer', bytes = 100): FilledFile => ({
  file: of,
  source: kind === 'store' ? { kind } : { kind, peer: 'p' },
  bytes,
  hash: undefined,
  broken: [],
})

function newTally(): {
  readonly tally: PrefetchTally
  readonly clock: FakeClock
  readonly told: PrefetchProgress[]
} {
  const clock = new FakeClock()
  const told: PrefetchProgress[] = []
  const tally = new PrefetchTally(
    { clock },
    {
      originOf: ({ source }) => (source.kind === 'store' ? 'held' : 'site'),
      tell: (progress) => told.push(progress),
    },
  )
  return { tally, clock, told }
}

test('what was held says nothing about how long the rest takes', async () => {
  const { tally, clock, told } = newTally()
  const files = ['a', 'b', 'c', 'd'].map((name) => file('zip', `example.com/${name}`))
  tally.onKnown(files)
  const [a, b, c, d] = files as [NeededFile, NeededFile, NeededFile, NeededFile]
  tally.onFilled(filled(a, 'store'))
  tally.onFilled(filled(b, 'store'))
  expect(told.at(-1)).toMatchObject({ done: 1, total: 4, bytes: 0, leftMs: null })
  await clock.advance(1_000)
  tally.onFilled(filled(c, 'peer', 5_000))
  expect(told.at(-1)).toMatchObject({ done: 3, bytes: 5_000, bytesPerSecond: 5_000, leftMs: 1_000 })
  await clock.advance(1_000)
  tally.onFailed(d, new Error('no'))
  expect(told.at(-1)).toMatchObject({
    done: 4,
    leftMs: 0,
    failed: 1,
    sources: { held: 2, site: 1 },
  })
  expect(tally.counts().zips).toEqual({ needed: 4, held: 2, fetched: 1, missing: 1 })
})

test('what is not kept is missing, and was not fetched', () => {
  const { tally } = newTally()
  const zip = file('zip')
  tally.onKnown([zip])
  tally.onFilled(filled(zip, 'peer'))
  tally.onLost(filled(zip, 'peer'), new Error('disk full'))
  expect(tally.counts().zips).toEqual({ needed: 1, held: 0, fetched: 0, missing: 1 })
})

test('progress is one line', () => {
  const { told, tally } = newTally()
  tally.onRead()
  expect(formatPrefetchProgress(told[0] as PrefetchProgress)).toBe(
    'prefetch: reading the module graph, 1 go.mod files',
  )
  const line = formatPrefetchProgress({
    phase: 'fetching',
    done: 812,
    total: 1198,
    bytes: 188_000_000,
    bytesPerSecond: 31_000_000,
    leftMs: 5_000,
    sources: { held: 699, site: 101, upstream: 12 },
    failed: 1,
  })
  expect(line).toBe(
    'prefetch 812/1198  188 MB  31.0 MB/s  699 held  101 from this site  12 from upstream  1 missing  5s left',
  )
})

test('a log gets a line every ten seconds, a terminal one that is written anew', () => {
  const progress = { phase: 'reading', done: 1 }
  const plain: string[] = []
  let nowMs = 0
  const log = showPrefetch({ write: (text) => plain.push(text) }, { nowMs: () => nowMs })
  for (; nowMs < 25_000; nowMs += 1_000) log.onProgress(progress)
  log.end()
  expect(plain).toHaveLength(2)
  const written: string[] = []
  const screen = { isTTY: true, columns: 20, write: (text: string) => written.push(text) }
  const terminal = showPrefetch(screen)
  terminal.onProgress(progress)
  terminal.end()
  expect(written).toEqual(['\r\u001b[Kprefetch: reading t', '\r\u001b[K'])
})

test('parts that are missing for one reason are on one line, and no name can forge another', () => {
  const error = Object.assign(new Error('example.com/a@v1.0.0\nasked: \u001b[2Jnobody'), {
    code: 'X',
  })
  const lines = missingLines([
    { file: file('zip'), error },
    { file: file('mod'), error },
    { file: file('zip', 'example.com/b', true), error: new Error('gone') },
  ])
  expect(lines).toEqual([
    {
      module: 'example.com/a@v1.0.0',
      parts: ['zip', 'mod'],
      optional: false,
      reason: 'asked: \u001b[2Jnobody',
      code: 'X',
    },
    {
      module: 'example.com/b@v1.0.0',
      parts: ['zip'],
      optional: true,
      reason: 'gone',
      code: null,
    },
  ])
  expect(formatPrefetch(reportOf({ missing: lines }))).toBe(
    `missing example.com/a@v1.0.0 (zip, .mod): asked: \\u001b[2Jnobody
not held either: 1 older version that go.sum still names
2 zips, 0 go.mod, 0 .info: nothing to fetch in 1s: 1 module missing
`,
  )
})

const line = (fields: Partial<MissingLine>): MissingLine => ({
  module: 'example.com/a@v1.0.0',
  parts: ['zip'],
  optional: false,
  reason: '',
  code: null,
  ...fields,
})

test.for([
  { name: 'nothing wrong', report: {}, code: 0 },
  { name: 'missing', report: { missing: [line({})] }, code: 20 },
  { name: 'missing and optional', report: { missing: [line({ optional: true })] }, code: 0 },
  { name: 'unread', report: { unread: [{ name: 'x', reason: 'y' }] }, code: 20 },
  { name: 'wrong bytes', report: { missing: [line({ code: 'UPSTREAM_REFUSED' })] }, code: 23 },
  {
    name: 'a wrong go.sum',
    report: {
      missing: [line({})],
      mismatched: [{ module: 'a', part: 'zip' as const, hash: 'h', pins: [] }],
    },
    code: 23,
  },
])('$name ends with $code', ({ report, code }) => {
  expect(prefetchExitCode(reportOf(report))).toBe(code)
})

function reportOf(fields: Partial<PrefetchReport>): PrefetchReport {
  const none = { files: 0, bytes: 0 }
  const count = { needed: 0, held: 0, fetched: 0, missing: 0 }
  return {
    zips: { ...count, needed: 2, missing: 2 },
    mods: count,
    infos: count,
    sources: { held: none, site: none, wan: none, remote: none, upstream: none, direct: none },
    missing: [],
    mismatched: [],
    unread: [],
    leftOut: 0,
    pinned: null,
    tookMs: 1_000,
    ...fields,
  }
}
