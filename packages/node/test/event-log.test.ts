import { ModuleNotFoundError, UpstreamUnavailableError } from '@modmesh/fill'
import { FakeClock } from '@modmesh/fill/twins'
import { parseModuleVersion } from '@modmesh/module'
import { describe, expect, test } from 'vitest'
import { logFillEvent, logStoreEvent } from '../src/event-log.ts'
import { openLog } from '../src/log.ts'
import { MeshLog } from '../src/mesh-log.ts'

const module = parseModuleVersion('example.com/m', 'v1.0.0')
const asked = { what: 'zip', path: module.path, version: 'v1.0.0', tookMs: 1.4 } as const

interface Line {
  readonly level: string
  readonly msg: string
  readonly reason?: string
}

function setUp() {
  const lines: string[] = []
  const log = openLog('debug', (line) => lines.push(line))
  return { log, lines: () => lines.map((line) => JSON.parse(line) as Line) }
}

describe('the log', () => {
  test('names the peer that lied, by default', () => {
    const { log, lines } = setUp()
    logFillEvent(log, { kind: 'peer-blamed', peer: 'p', module, reason: 'other bytes' })
    expect(lines()).toMatchObject([
      { level: 'warn', peer: 'p', module: 'example.com/m@v1.0.0', reason: 'other bytes' },
    ])
  })

  test.for([
    ['debug', new ModuleNotFoundError('x')],
    ['debug', new DOMException('gone', 'AbortError')],
    ['info', new UpstreamUnavailableError('x')],
    ['warn', new Error('a bug')],
  ] as const)('tells a failure at level %s: %o', ([level, error]) => {
    const { log, lines } = setUp()
    logFillEvent(log, { kind: 'failed', ...asked, error })
    expect(lines()).toMatchObject([{ level, path: 'example.com/m', msg: 'not answered' }])
  })

  test('tells every event of fill and store in one line with words', () => {
    const { log, lines } = setUp()
    const source = { kind: 'peer', peer: 'p' } as const
    logFillEvent(log, { kind: 'answered', ...asked, source, bytes: 5 })
    logFillEvent(log, { kind: 'committed', module, source, bytes: 5 })
    logFillEvent(log, { kind: 'upstream-refused', module, reason: 'other bytes' })
    logFillEvent(log, { kind: 'store-failed', module, error: new Error('disk full') })
    logStoreEvent(log, { kind: 'quarantined', path: '/p', module, reason: 'bit rot' })
    logStoreEvent(log, { kind: 'record-damaged', segment: 's', offset: 1 })
    logStoreEvent(log, { kind: 'index-rebuilt', reason: 'missing' })
    logStoreEvent(log, { kind: 'index-failed', error: new Error('x') })
    logStoreEvent(log, { kind: 'tidy-failed', path: '/p', error: new Error('x') })
    logStoreEvent(log, { kind: 'listener-failed', error: new Error('x') })
    logStoreEvent(log, { kind: 'rewritten', module, reason: 'gaps' })
    expect(lines().map(({ level, msg }) => `${level}: ${msg}`)).toEqual([
      'debug: answered',
      'debug: kept',
      'error: refused what upstream sent',
      'error: could not be kept',
      'error: damaged, set aside',
      'error: damaged record, left out',
      'info: index made anew from the files',
      'warn: index cannot be written',
      'warn: could not be tidied up',
      'error: a listener of the store failed',
      'debug: zip kept in its plain form',
    ])
  })
})

test.for([
  ['info', { kind: 'silent' }, 'connection given up: no proof of membership'],
  ['warn', { kind: 'not-a-member', reason: 'expired' }, 'connection refused: not a member'],
  ['warn', { kind: 'refused-by-peer', reason: 'revoked' }, 'a peer refuses this node'],
  ['info', { kind: 'handshake' }, 'connection given up: the handshake failed'],
] as const)(
  'a connection that did not pass is told as what is known of it: %s %j',
  ([level, cause, msg]) => {
    const { log, lines } = setUp()
    const mesh = new MeshLog({ log, clock: new FakeClock() })
    const refusal = {
      direction: 'inbound',
      peer: 'p',
      address: '/ip4/10.0.0.9/tcp/1',
      cause,
    } as const
    mesh.record({ kind: 'refused', refusal: { ...refusal, message: 'why' } })
    expect(lines()).toMatchObject([{ level, msg, peer: 'p', reason: 'why' }])
  },
)

test('a member of other protocol versions is told of with what it speaks', () => {
  const { log, lines } = setUp()
  const mesh = new MeshLog({ log, clock: new FakeClock() })
  mesh.record({ kind: 'peer-version', peer: 'p', versions: [2, 3] })
  const msg = 'peer is not used: no protocol version in common'
  expect(lines()).toMatchObject([{ level: 'warn', msg, peer: 'p', versions: [2, 3] }])
})

test('strangers that knock without end fill no log, and are counted', async () => {
  const { log, lines } = setUp()
  const clock = new FakeClock()
  const mesh = new MeshLog({ log, clock })
  const refusal = {
    direction: 'inbound',
    peer: undefined,
    address: '/ip4/10.0.0.9/tcp/1',
    cause: { kind: 'silent' },
    message: '\u001b[2Jno proof',
  } as const
  for (let i = 0; i < 1_000; i++) mesh.record({ kind: 'refused', refusal })
  expect(lines()).toHaveLength(10)
  expect(lines()[0]).toMatchObject({ address: refusal.address, reason: '\\u001b[2Jno proof' })
  await clock.advance(60_000)
  mesh.record({ kind: 'refused', refusal })
  expect(lines()[10]).toMatchObject({ count: 990 })
  expect(lines()).toHaveLength(12)
})
