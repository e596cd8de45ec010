import { afterEach, beforeEach, expect, test } from 'vitest'
import { patiently } from './support/patience.ts'
import { MemorySink, startNode, type TestNode } from './support/test-node.ts'

let stack: AsyncDisposableStack
beforeEach(() => {
  stack = new AsyncDisposableStack()
})
afterEach(() => stack.disposeAsync())

async function start(init: Parameters<typeof startNode>[0]): Promise<TestNode> {
  return stack.use(await startNode(init))
}

const connected = ({ node }: TestNode) =>
  node.peers().flatMap(({ peer, isConnected }) => (isConnected ? [peer] : []))

async function fetches(from: TestNode, holder: TestNode, name: string): Promise<void> {
  const bytes = Buffer.from(`the zip of ${name}`)
  const { zipHash } = holder.shelf.put(name, bytes)
  await patiently(() => from.node.holders(zipHash).map(({ peer }) => peer)).toEqual([
    holder.node.peerId,
  ])
  const sink = new MemorySink()
  const signal = AbortSignal.timeout(60_000)
  await from.node.fetchZip(holder.node.peerId, zipHash, sink, { signal })
  expect(Buffer.from(sink.bytes).equals(bytes)).toBe(true)
}

test('a branch that only dials out is used both ways over its connection', async () => {
  // The hub dials nobody, as if the branch could not be reached.
  const hub = await start({ connect: 'configured' })
  const ticket = await hub.node.invite({ site: 'branch' })
  const branch = await start({ connect: 'configured', peers: [hub.address], ticket })
  await patiently(() => connected(hub)).toEqual([branch.node.peerId])
  await fetches(branch, hub, 'x.org/hub@v1.0.0')
  await fetches(hub, branch, 'x.org/branch@v1.0.0')
  expect(hub.events.filter(({ kind }) => kind.startsWith('dial-'))).toEqual([])
})

test('a branch whose connection broke is back by itself', async () => {
  const hub = await start({ connect: 'configured' })
  const ticket = await hub.node.invite()
  const branch = await start({ connect: 'configured', peers: [hub.address], ticket })
  await patiently(() => connected(hub)).toEqual([branch.node.peerId])
  const { identity, stores, shelf } = hub
  const listen = hub.address.split('/p2p/')[0] ?? ''
  await hub.node.stop()
  await patiently(() => connected(branch)).toEqual([])
  const again = await start({ connect: 'configured', identity, stores, shelf, listen })
  await patiently(() => connected(again)).toEqual([branch.node.peerId])
  await fetches(again, branch, 'x.org/branch@v1.0.0')
})

test('a member that moved to another address is found there, through one that knows it', async () => {
  const guide = await start({})
  const ticket = await guide.node.invite()
  const seeker = await start({ ticket })
  const old = await start({ ticket })
  const { identity, stores } = old
  await patiently(() => connected(seeker)).toContain(old.node.peerId)
  await old.node.stop()
  await patiently(() => connected(seeker)).not.toContain(old.node.peerId)
  const moved = await start({ identity, stores, listen: '127.0.0.2:0' })
  await patiently(() => connected(guide)).toContain(moved.node.peerId)
  await patiently(() => connected(seeker)).toContain(moved.node.peerId)
  await fetches(seeker, moved, 'x.org/moved@v1.0.0')
})
