import { stripVTControlCharacters } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { anyText } from '../../../test/support/any-text.ts'
import { formatBytes } from '../src/byte-size.ts'
import { type RunningStatus, statusSchema } from '../src/status.ts'
import { formatStatus } from '../src/status-text.ts'

const nowMs = Date.parse('2026-11-21T12:00:00Z')
const plain = { nowMs, colour: false }
const none = { answers: 0, bytes: 0 }
const noCounts = {
  store: none,
  peer: none,
  remote: none,
  upstream: none,
  direct: none,
  held: none,
  stale: none,
}
const noLevels = {
  memory: 0,
  disk: 0,
  negative: 0,
  peer: 0,
  remote: 0,
  upstream: 0,
  direct: 0,
  held: 0,
  stale: 0,
}

const noSiteFetches = {
  asked: {
    answered: 0,
    nothing: 0,
    busy: 0,
    declined: 0,
    failed: 0,
    gone: 0,
    silent: 0,
    slow: 0,
    lied: 0,
  },
  answered: { answered: 0, nothing: 0, declined: 0, failed: 0 },
}

const database = { name: 'sum.golang.org', treeSize: null, forked: false, refusedAnswers: 0 }

const lone: RunningStatus = {
  schema: statusSchema,
  running: true,
  version: '1.2.3',
  pid: 7,
  startedAt: '2026-11-18T08:00:00Z',
  uptimeSeconds: 273_600,
  state: 'ready',
  warnings: [],
  dir: '/d',
  site: 'default',
  name: 'build-07',
  proxy: { url: 'http://127.0.0.1:4770', lastAnswerAt: null },
  mesh: {
    id: null,
    peerId: '12D3KooWabcdefghijklmnQv8xyz',
    addresses: [],
    peers: [],
    uploads: null,
    sites: [],
    messagesSent: {},
  },
  upstream: {
    state: 'on',
    list: 'https://proxy.golang.org',
    lastAskedAt: null,
    lastOk: null,
    lastError: null,
  },
  checksumDatabase: database,
  remote: null,
  store: { zips: 0, zipBytes: 0, mods: 0 },
  answers: { sinceStart: noCounts, lastHour: noCounts, levels: noLevels, failed: 0 },
  privateModules: { shared: false, role: null, published: 0, publishers: [] },
  siteFetches: noSiteFetches,
  refused: { total: 0, latest: [] },
  changed: [],
}

const peer = {
  id: '12D3KooWpeer00000000000000abcdef',
  name: 'build-03',
  site: 'berlin',
  connected: true,
  connectedSince: '2026-11-21T11:00:00Z',
  rttMs: 0.42,
  holds: 9_311,
  receivedBytes: 1_200_000_000,
  sentBytes: 0,
  blamed: null,
  trouble: null,
  incompatible: null,
}

const busy: RunningStatus = {
  ...lone,
  state: 'degraded',
  warnings: ['answers cannot be kept: disk full'],
  proxy: { url: 'http://127.0.0.1:4770', lastAnswerAt: '2026-11-21T11:59:56Z' },
  mesh: {
    ...lone.mesh,
    id: 'loci7u647gal775o',
    peers: [
      peer,
      {
        ...peer,
        id: '12D3KooWliar000000000000000liar00',
        name: 'liar',
        connected: false,
        rttMs: null,
        holds: null,
        receivedBytes: 0,
        sentBytes: 5_000,
        blamed: { reason: 'other bytes', count: 2, at: '2026-11-21T11:58:00Z', avoided: true },
      },
    ],
  },
  upstream: { ...lone.upstream, lastAskedAt: '2026-11-21T11:59:30Z', lastOk: true },
  checksumDatabase: { ...database, treeSize: 41_203_888 },
  store: { zips: 9_311, zipBytes: 38_200_000_000, mods: 12_000 },
  answers: {
    lastHour: { ...noCounts, store: { answers: 1, bytes: 54 } },
    sinceStart: {
      ...noCounts,
      store: { answers: 734, bytes: 5_000_000 },
      peer: { answers: 409, bytes: 8_100_000 },
    },
    levels: { ...noLevels, memory: 620, disk: 114, peer: 409, negative: 2 },
    failed: 3,
  },
  refused: {
    total: 1,
    latest: [
      {
        at: '2026-11-21T11:58:00Z',
        source: 'peer',
        peer: '12D3KooWliar000000000000000liar00',
        peerName: 'liar',
        module: 'example.com/m@v1.2.3',
        reason: 'other bytes',
      },
    ],
  },
}

describe('status for people', () => {
  test('of a lone, fresh node says what there is not yet', () => {
    expect(formatStatus(lone, plain)).toBe(
      `modmesh 1.2.3  site default  build-07 (12D3…Qv8xyz)  up 3d4h   READY
GOPROXY    http://127.0.0.1:4770   nothing answered yet
Mesh       none; \`modmesh invite\` makes one
Upstream   https://proxy.golang.org   not asked yet
Checksums  sum.golang.org   nothing proven yet
Last hour  no answers
All        no answers
Store      0 B in 0 zips, 0 go.mod
`,
    )
  })

  test('of a busy node names peers, sources and who was refused', () => {
    expect(formatStatus(busy, plain)).toBe(
      `modmesh 1.2.3  site default  build-07 (12D3…Qv8xyz)  up 3d4h   DEGRADED
GOPROXY    http://127.0.0.1:4770   last answer 4s ago
Mesh       loci7u647gal775o   1 peer connected
           build-03 (12D3…abcdef)  site berlin  0.4 ms  holds 9,311 zips  gave 1.2 GB
           liar (12D3…liar00)  site berlin  not connected  took 5.0 kB  avoided 2m ago: other bytes
Upstream   https://proxy.golang.org   ok, 30s ago
Checksums  sum.golang.org   tree of 41,203,888 records
Last hour  1 answer, 54 B: store 1 (54 B)
All        1,143 answers, 13.1 MB: store 734 (5.0 MB), peers 409 (8.1 MB)
Levels     memory 620, disk 114, peers 409, not answered 3 (2 known before)
Store      38.2 GB in 9,311 zips, 12,000 go.mod
! answers cannot be kept: disk full
! 1 answer refused, not passed on:
  liar (12D3…liar00), 2m ago: example.com/m@v1.2.3: other bytes
`,
    )
  })

  test.for([
    ['off', 'off'],
    ['offline', 'not asked (--offline)'],
  ] as const)('says when upstream is %s', ([state, text]) => {
    const upstream = { ...lone.upstream, state }
    expect(formatStatus({ ...lone, upstream }, plain)).toContain(`Upstream   ${text}\n`)
  })

  test('says what a missing database means', () => {
    const checksumDatabase = { ...database, name: null, treeSize: null }
    const text = formatStatus({ ...lone, checksumDatabase }, plain)
    expect(text).toContain('Checksums  off: zips are taken at upstream’s word')
  })

  test('says that the database forked, and how often it was refused', () => {
    const checksumDatabase = { ...database, treeSize: 1_234, forked: true, refusedAnswers: 3 }
    const text = formatStatus({ ...lone, checksumDatabase }, plain)
    expect(text).toContain('tree of 1,234 records, FORKED, 3 wrong answers refused\n')
  })

  test('without a node says so, and what the store holds', () => {
    const store = { zips: 2, zipBytes: 3_000, mods: 4 }
    const message = 'no node is running on /d'
    const stopped = { schema: statusSchema, running: false, dir: '/d', message, store } as const
    expect(formatStatus(stopped, plain)).toBe(
      'modmesh  NOT RUNNING\nno node is running on /d\nStore      3.0 kB in 2 zips, 4 go.mod\n',
    )
  })

  test('in colour says the same words', () => {
    const coloured = formatStatus(busy, { nowMs, colour: true })
    expect(coloured).toContain('\u001b[')
    expect(stripVTControlCharacters(coloured)).toBe(formatStatus(busy, plain))
  })

  test('tells of a remote store what was written, what was not and why', () => {
    const writes = { written: 1_204, exists: 3, failed: 2, dropped: 1 }
    const remote = {
      url: 's3://modules/go',
      access: 'write',
      state: 'down',
      readError: 's3://modules/go: 503 SlowDown',
      writeError: null,
      writes,
    } as const
    expect(formatStatus({ ...lone, remote }, plain)).toContain(
      'Remote     s3://modules/go   1,204 objects written, 3 not, DOWN\n           cannot be read: s3://modules/go: 503 SlowDown\n',
    )
    const readOnly = { ...remote, access: 'read', state: 'on', readError: null } as const
    const none = { written: 0, exists: 0, failed: 0, dropped: 0 }
    const text = formatStatus({ ...lone, remote: { ...readOnly, writes: none } }, plain)
    expect(text).toContain('Remote     s3://modules/go   only read\nLast hour')
  })

  const moved: RunningStatus['changed'][number] = {
    status: 409,
    module: 'corp.example.com/lib@v1.2.0',
    part: 'zip',
    first: 'h1:first=',
    seen: 'h1:seen=',
    from: 'direct',
    at: '2026-11-21T11:58:00Z',
    accept: 'modmesh accept corp.example.com/lib@v1.2.0',
  }

  test('shows what changed since it was first seen, with both hashes and what to type', () => {
    expect(formatStatus({ ...lone, changed: [moved] }, plain)).toContain(
      `! 409 corp.example.com/lib@v1.2.0: its zip changed since it was first seen
  first h1:first=
  now   h1:seen= from direct, 2m ago
  refused; to take the new one: modmesh accept corp.example.com/lib@v1.2.0
`,
    )
    const many = Array.from({ length: 7 }, (): typeof moved => ({ ...moved, part: 'mod' }))
    const text = formatStatus({ ...lone, changed: many }, plain)
    expect(text.split('its go.mod changed')).toHaveLength(6)
    expect(text).toContain('! and 2 more: modmesh accept lists them\n')
  })

  test('never carries a control character of a peer to the terminal', () => {
    fc.assert(
      fc.property(anyText(), (text) => {
        const blamed = { reason: text, count: 1, at: peer.connectedSince, avoided: true }
        const foreign = {
          ...busy,
          warnings: [text],
          mesh: { ...busy.mesh, peers: [{ ...peer, name: text, site: text, blamed }] },
          upstream: { ...busy.upstream, lastOk: false, lastError: text },
          refused: {
            total: 1,
            latest: [{ ...busy.refused.latest[0]!, peerName: text, module: text, reason: text }],
          },
          changed: [{ ...moved, module: text, from: text, accept: text }],
        }
        const lines = formatStatus(foreign, plain).split('\n')
        for (const line of lines) expect(line).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u)
        expect(lines).toHaveLength(18)
      }),
    )
  })
})

test.for([
  [0, '0 B'],
  [999, '999 B'],
  [1_000, '1.0 kB'],
  [99_949, '99.9 kB'],
  [99_950, '100 kB'],
  [999_499, '999 kB'],
  [999_500, '1.0 MB'],
  [38_200_000_000, '38.2 GB'],
  [5e15, '5000 TB'],
] as const)('%d bytes are written as %s', ([bytes, text]) => {
  expect(formatBytes(bytes)).toBe(text)
})

describe('what is given to members', () => {
  const free = { bytesPerSecond: null, peerBytesPerSecond: null, streams: 128, peerStreams: 16 }
  const idle = { streams: 0, bytesPerSecond: 0, limits: free }
  const rest = { ...idle, wan: idle, refused: 0 }
  const says = (uploads: RunningStatus['mesh']['uploads']) =>
    formatStatus({ ...lone, mesh: { ...lone.mesh, uploads } }, plain)

  test('is left out where nothing is, and nothing limits it', () => {
    expect(says(rest)).not.toContain('Uploads')
    expect(says(null)).not.toContain('Uploads')
  })

  test('is told with the limits in force', () => {
    expect(says({ ...rest, streams: 3, bytesPerSecond: 1_200_000 })).toContain(
      'Uploads    3 of at most 128 at once, 1.2 MB/s\n',
    )
    const limits = { ...free, bytesPerSecond: 10_000_000, streams: 12 }
    const wanLimits = { ...limits, bytesPerSecond: 2_000_000, peerBytesPerSecond: 500_000 }
    const wan = { streams: 1, bytesPerSecond: 400_000, limits: wanLimits }
    expect(says({ streams: 2, bytesPerSecond: 900_000, limits, wan, refused: 4 })).toContain(
      'Uploads    2 of at most 12 at once, 900 kB/s of at most 10.0 MB/s; to other sites 400 kB/s of at most 2.0 MB/s, 500 kB/s each; told to wait 4 times\n',
    )
  })
})

describe('what the site fetched together', () => {
  test('is told with what went wrong', () => {
    const siteFetches = {
      asked: { ...noSiteFetches.asked, answered: 1_200, nothing: 3, silent: 2, failed: 1 },
      answered: { ...noSiteFetches.answered, answered: 310 },
    }
    const text = formatStatus({ ...lone, siteFetches }, plain)
    expect(text).toContain(
      'Site       owners answered 1,200, knew nothing of 3, were of no help 3 (failed 1, silent 2), we answered 310 for others\n',
    )
  })

  test('is left out where there was nothing', () => {
    expect(formatStatus(lone, plain)).not.toContain('Site ')
  })
})
