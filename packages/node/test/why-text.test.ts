import { expect, test } from 'vitest'
import { formatPeers } from '../src/commands/peers.ts'
import type { PeerEntry, PeersReport } from '../src/peers-report.ts'
import type { WhyReport } from '../src/why-report.ts'
import { formatWhy } from '../src/why-text.ts'

const nowMs = Date.parse('2026-01-02T03:05:00Z')
const at = '2026-01-02T03:04:48Z'
const id = '12D3KooWabcdefghijklmnopqrstuvwxyz'
const none = {
  what: null,
  source: null,
  peer: null,
  outcome: null,
  reason: null,
  bytes: null,
  tookMs: null,
}

const report: WhyReport = {
  module: 'example.com/mod@v1.0.0',
  private: false,
  shared: false,
  published: null,
  held: null,
  expected: null,
  next: 'upstream',
  holders: [],
  peers: [{ id, name: 'build-7', site: 'berlin' }],
  connectedPeers: 3,
  trace: null,
  since: '2026-01-02T03:00:00Z',
}

test('why tells who was asked, what came of it and why upstream was next', () => {
  const trace = {
    dropped: 0,
    hits: 2,
    lastHitAt: at,
    steps: [
      { ...none, at, step: 'peers-told', answers: [{ peer: id, holdsZip: true }], tookMs: 3 },
      {
        ...none,
        at,
        step: 'asked',
        what: 'zip',
        source: 'peer',
        peer: id,
        outcome: 'failed',
        reason: 'stalled\u001b[2J',
        bytes: 4_000,
        tookMs: 2_250,
      },
      { ...none, at, step: 'upstream-chosen', what: 'zip', why: 'peers-failed' },
      { ...none, at, step: 'answered', what: 'zip', source: 'upstream', bytes: 9_000, tookMs: 40 },
    ],
  } as const
  const lines = formatWhy({ ...report, trace }, nowMs)
  expect(lines.join('\n')).toMatchInlineSnapshot(`
    "example.com/mod@v1.0.0
    held       no
    next       3 connected peers for a moment, then upstream
    history
      12s ago          peers asked in 3.0 ms: known to build-7 (…uvwxyz)
      12s ago    zip   build-7 (…uvwxyz) broke off at 4.0 kB in 2250 ms: stalled\\u001b[2J
      12s ago    zip   went to upstream: the peers that have it did not deliver
      12s ago    zip   answered in 40 ms, 9.0 kB from upstream
      then 2 answers from the store, the last 12s ago"
  `)
})

test('why without a history says what would happen', () => {
  expect(formatWhy(report, nowMs).join('\n')).toMatchInlineSnapshot(`
    "example.com/mod@v1.0.0
    held       no
    next       3 connected peers for a moment, then upstream
    history    none: no fetch of it in this run (5m)"
  `)
})

const peer: PeerEntry = {
  id,
  name: 'build-7',
  site: 'berlin',
  connected: true,
  connectedSince: at,
  rttMs: 0.42,
  holds: 812,
  receivedBytes: 5_000_000,
  sentBytes: 0,
  blamed: null,
  trouble: null,
  incompatible: null,
  standing: 'member',
  lastSeenAt: at,
  notConnected: null,
}
const mesh: PeersReport = {
  mesh: 'm',
  self: { id: 'self', site: 'berlin' },
  peers: [],
  uploads: null,
  unreached: [],
}

test('peers shows each with what it gave, and why one is away or avoided', () => {
  const blamed = { reason: 'sent other bytes\u001b[31m', count: 2, at, avoided: true }
  const away = { connected: false, rttMs: null, holds: null, notConnected: 'connection refused' }
  const peers = [
    peer,
    { ...peer, name: 'liar', blamed },
    { ...peer, name: 'stalls', trouble: { reason: 'no byte for 2000 ms', at } },
    { ...peer, name: 'laptop', ...away, receivedBytes: 0 },
  ]
  const unreached = [{ target: '10.0.0.9:4771', failures: 12, reason: 'timed out' }]
  const text = formatPeers({ ...mesh, peers, unreached }, nowMs)
  expect(text).not.toContain('\u001b')
  expect(text).toMatchInlineSnapshot(`
    "NAME     SITE    STATE         RTT     HOLDS  GAVE    TOOK  PEER ID
    build-7  berlin  connected     0.4 ms  812    5.0 MB  0 B   12D3KooWabcdefghijklmnopqrstuvwxyz
    liar     berlin  avoided       0.4 ms  812    5.0 MB  0 B   12D3KooWabcdefghijklmnopqrstuvwxyz
        blamed 12s ago, 2 times: sent other bytes\\u001b[31m; asked for nothing now
    stalls   berlin  connected     0.4 ms  812    5.0 MB  0 B   12D3KooWabcdefghijklmnopqrstuvwxyz
        last fetch failed 12s ago: no byte for 2000 ms
    laptop   berlin  seen 12s ago  -       -      0 B     0 B   12D3KooWabcdefghijklmnopqrstuvwxyz
        not connected: connection refused
    10.0.0.9:4771: not reached (12 tries): timed out
    "
  `)
})

test('peers of a lone node says how a mesh begins', () => {
  expect(formatPeers({ ...mesh, mesh: null }, nowMs)).toContain('modmesh invite')
})
