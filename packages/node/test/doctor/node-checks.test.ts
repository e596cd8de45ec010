import { describe, expect, test } from 'vitest'
import type { Finding } from '../../src/doctor/finding.ts'
import { checkNode } from '../../src/doctor/node-checks.ts'
import type { NodeFacts } from '../../src/doctor/node-facts.ts'
import type { RunningStatus } from '../../src/status.ts'

const status = {
  pid: 1,
  state: 'ready',
  version: '1.0.0',
  dir: '/data',
  warnings: [],
  store: { zips: 3, zipBytes: 9, mods: 3 },
  upstream: { state: 'on', list: 'https://proxy.test', lastError: null },
  checksumDatabase: { name: 'sum.test', treeSize: 9, forked: false, refusedAnswers: 0 },
  mesh: { id: 'mesh', addresses: ['/ip4/192.0.2.1/tcp/4771'] },
} as unknown as RunningStatus

const peer = { id: 'p1', name: 'build-1', connected: true, notConnected: null }
const well: NodeFacts = {
  status,
  peers: {
    mesh: 'mesh',
    self: null,
    peers: [peer],
    uploads: null,
    unreached: [],
  } as unknown as NodeFacts['peers'],
  env: { GOPROXY: 'http://127.0.0.1:4770' },
  private: [],
  sumdb: 'sum.test',
  offline: false,
  upstreams: [{ origin: 'https://proxy.test', answers: true, clockAheadMs: 200 }],
  databaseTrouble: null,
  disk: { freeBytes: 5e10, totalBytes: 1e11 },
  storeTrouble: null,
  mesh: {
    refusal: null,
    refusers: null,
    mdns: true,
    multicastTrouble: null,
    listen: '0.0.0.0:4771',
    closedPorts: [],
    oddVersions: [],
  },
}

function find(facts: NodeFacts, id: string): Finding | undefined {
  return checkNode(facts).find((finding) => finding.id === id)
}

test('a node that is well has nothing to be told', () => {
  expect(new Set(checkNode(well).map(({ state }) => state))).toEqual(new Set(['ok']))
})

describe('a node', () => {
  const mesh = (more: Partial<NodeFacts['mesh']>): Partial<NodeFacts> => ({
    mesh: { ...well.mesh, ...more },
  })
  const told = (more: object): Partial<NodeFacts> => ({ status: { ...status, ...more } })
  test.for<readonly [string, Partial<NodeFacts>, string, string]>([
    ['with little space', { disk: { freeBytes: 1e9, totalBytes: 1e11 } }, 'disk', 'warn'],
    ['with none', { disk: { freeBytes: 1e6, totalBytes: 1e11 } }, 'disk', 'fail'],
    ['that cannot keep answers', { storeTrouble: 'ENOSPC' }, 'store', 'fail'],
    [
      'whose database forked',
      told({ checksumDatabase: { ...status.checksumDatabase, forked: true } }),
      'database',
      'fail',
    ],
    [
      'without a database',
      told({ checksumDatabase: { ...status.checksumDatabase, name: null } }),
      'database',
      'note',
    ],
    [
      'beside one of other versions',
      mesh({ oddVersions: [{ peer: 'p2', versions: [7] }] }),
      'versions',
      'warn',
    ],
    [
      'whose port is closed',
      mesh({ closedPorts: [{ address: '/ip4/192.0.2.1/tcp/4771', reason: 'ECONNREFUSED' }] }),
      'mesh-port',
      'warn',
    ],
    [
      'that others refuse',
      mesh({ refusers: { count: 2, reason: 'expired' } }),
      'membership',
      'fail',
    ],
    ['that is out of its mesh', mesh({ refusal: 'expired' }), 'membership', 'fail'],
    ['without multicast, with a peer', mesh({ multicastTrouble: 'ENETUNREACH' }), 'mdns', 'note'],
    ['with other warnings', told({ warnings: ['the moon is full'] }), 'warning', 'warn'],
    ['whose clock nobody tells', { upstreams: [] }, 'clock', 'skip'],
  ])('%s is told so', ([, facts, id, state]) => {
    const finding = find({ ...well, ...facts }, id)
    expect(finding).toMatchObject({ id, state })
    if (state === 'warn' || state === 'fail') expect(finding?.fix).toMatch(/\w/u)
  })

  test('that nobody is connected to names each with its reason', () => {
    const alone = {
      ...peer,
      connected: false,
      notConnected: 'expired',
    }
    const peers = {
      ...well.peers,
      peers: [alone],
      unreached: [{ target: 'rack-9:4771', failures: 3, reason: 'ECONNREFUSED' }],
    } as unknown as NodeFacts['peers']
    const { state, text } = find({ ...well, peers }, 'peers') ?? {}
    expect(state).toBe('warn')
    expect(text).toContain('build-1: expired; rack-9:4771: ECONNREFUSED')
  })

  test('is not told twice what a finding of its own says', () => {
    const facts = {
      ...well,
      storeTrouble: 'ENOSPC',
      ...told({ warnings: ['answers cannot be kept: ENOSPC'] }),
    }
    expect(find(facts, 'warning')).toBeUndefined()
  })
})
