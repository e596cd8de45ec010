import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { chooseExcess, type KeptPeer } from '../../src/network/connection-choice.ts'
import { patiently } from '../support/patience.ts'
import { MemorySink, startNode, type TestNode } from '../support/test-node.ts'

const graceMs = 1_000
const idle = { isConfigured: false, isOwnSite: true, isBusy: false, ageMs: 60_000 }

describe('of more connections than are kept', () => {
  const cases: readonly [string, Partial<KeptPeer>, Partial<KeptPeer>, string][] = [
    ['one of another site goes first', { isOwnSite: false, ageMs: 90_000 }, {}, 'a'],
    ['the newest goes first', { ageMs: 30_000 }, {}, 'a'],
    ['one that the user named stays', { isConfigured: true, isOwnSite: false }, {}, 'b'],
    ['one that is in use stays for now', { isBusy: true, ageMs: 2_000 }, {}, ''],
    ['one that just came stays for now', { ageMs: 10 }, {}, ''],
  ]
  test.for(cases)('%s', ([, first, second, gone]) => {
    const peers = [
      { ...idle, peer: 'a', ...first },
      { ...idle, peer: 'b', ...second },
    ]
    const excess = chooseExcess(peers, { max: 1, graceMs })
    expect(excess.map(({ peer }) => peer).join()).toBe(gone)
  })

  test('never more go than are too many, and none that must stay', () => {
    const peer = fc.record({
      peer: fc.uuid(),
      isConfigured: fc.boolean(),
      isOwnSite: fc.boolean(),
      isBusy: fc.boolean(),
      ageMs: fc.nat(5_000),
    })
    fc.assert(
      fc.property(fc.array(peer, { maxLength: 40 }), fc.nat(20), (peers, max) => {
        const excess = chooseExcess(peers, { max, graceMs })
        expect(excess.length).toBeLessThanOrEqual(Math.max(0, peers.length - max))
        expect(excess.some(({ isConfigured, isBusy }) => isConfigured || isBusy)).toBe(false)
        const stay = peers.filter((one) => !excess.includes(one))
        const foreignStays = stay.some((one) => !one.isOwnSite && !one.isConfigured && !one.isBusy)
        const ownGoes = excess.some(({ isOwnSite }) => isOwnSite)
        const isYoung = stay.some(({ ageMs }) => ageMs < graceMs)
        if (ownGoes && foreignStays) expect(isYoung).toBe(true)
      }),
    )
  })
})

describe('a mesh with few connections each', () => {
  let stack: AsyncDisposableStack
  beforeEach(() => {
    stack = new AsyncDisposableStack()
  })
  afterEach(() => stack.disposeAsync())

  const connected = ({ node }: TestNode) => node.peers().filter((peer) => peer.isConnected)

  test('settles within the limit, with nobody left alone', async () => {
    const maxConnections = 3
    const first = stack.use(await startNode({ maxConnections, keepGraceMs: 50 }))
    const ticket = await first.node.invite()
    const nodes = [first]
    for (let n = 0; n < 7; n++) {
      nodes.push(stack.use(await startNode({ maxConnections, ticket, keepGraceMs: 50 })))
    }
    const counts = () => nodes.map((node) => connected(node).length)
    await patiently(() => Math.max(...counts())).toBeLessThanOrEqual(maxConnections)
    await patiently(() => Math.min(...counts())).toBeGreaterThan(0)
  })

  test('fetches over a connection beyond the limit, and gives that up after it', async () => {
    const first = stack.use(await startNode({ maxConnections: 1, keepGraceMs: 50 }))
    const ticket = await first.node.invite()
    const join = () => startNode({ maxConnections: 1, ticket, keepGraceMs: 50 })
    const [near, far] = [stack.use(await join()), stack.use(await join())]
    await patiently(() => connected(near).length + connected(far).length).toBeGreaterThan(0)
    const { zipHash } = far.shelf.put('x.org/far@v1.0.0', Buffer.alloc(5_000, 7))
    const holder = far.node.peerId
    const find = async () => {
      for await (const one of near.node.findHolders(zipHash, {
        signal: AbortSignal.timeout(2_000),
      }))
        return one.peer
      return near.node.holders(zipHash)[0]?.peer
    }
    await patiently(find).toBe(holder)
    const sink = new MemorySink()
    await near.node.fetchZip(holder, zipHash, sink, { signal: AbortSignal.timeout(60_000) })
    expect(sink.bytes).toHaveLength(5_000)
    for (const node of [first, near, far]) {
      await patiently(() => connected(node).length).toBeLessThanOrEqual(1)
    }
  })
})
