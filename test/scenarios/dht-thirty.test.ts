import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Holder } from '@modmesh/fill'
import type { ModuleVersion, ZipHash } from '@modmesh/module'
import { expect, test } from 'vitest'
import {
  MemorySink,
  startNode,
  type TestNode,
} from '../../packages/peers/test/support/test-node.ts'

const nodeCount = 30
const maxConnections = 6
/** 30 hosts on two cores: a peer that is late is not hung here. */
const few = { maxConnections, dhtTimeoutMs: 10_000, keepGraceMs: 3_000 }
/** What an announcement in the background, and a start, may take here. Milliseconds. */
const patienceMs = 120_000
/** For one lookup; the tail of a shared machine. Milliseconds. */
const lookupMs = 20_000

interface Item {
  readonly holder: TestNode
  readonly module: ModuleVersion
  readonly zipHash: ZipHash
  readonly bytes: Uint8Array
}

test('30 nodes with 6 connections each find and fetch what any one holds', async () => {
  await using stack = new AsyncDisposableStack()
  const nodes = await startMesh(stack)
  await expect.poll(() => tooMany(nodes), { timeout: patienceMs, interval: 500 }).toEqual([])
  await expect.poll(() => lonely(nodes), { timeout: patienceMs, interval: 500 }).toEqual([])

  const items: Item[] = []
  for (const [n, holder] of nodes.entries()) {
    items.push(put(holder, n))
    // 30 hosts on two cores: all announcing in one instant would measure the cores.
    await sleep(1_000)
  }
  const fetched: Fetched[] = []
  for (const [n, seeker] of nodes.entries()) {
    const others = [...items.slice(n + 7), ...items.slice(0, n + 7)]
    const first = await findAndFetch(seeker, others)
    const second = await findAndFetch(seeker, others.toReversed())
    fetched.push(first, second)
  }

  const times = fetched.map(({ tookMs }) => tookMs).toSorted((a, b) => a - b)
  const at = (share: number): string => `${times[Math.floor(times.length * share)]?.toFixed(1)} ms`
  const firstContacts = fetched.filter(({ isFirstContact }) => isFirstContact).length
  console.log(
    `dht: ${nodeCount} nodes, ${times.length} lookups, median ${at(0.5)}, p95 ${at(0.95)}; ` +
      `${firstContacts} fetches were the first contact with the holder`,
  )
  expect(times).toHaveLength(2 * nodeCount)
  expect(firstContacts).toBeGreaterThan(nodeCount / 2)
  // What lookups opened is closed again.
  await expect.poll(() => tooMany(nodes), { timeout: patienceMs, interval: 500 }).toEqual([])
}, 600_000)

async function startMesh(stack: AsyncDisposableStack): Promise<readonly TestNode[]> {
  const first = stack.use(await startNode({ ...few, site: 'berlin' }))
  const ticket = await first.node.invite()
  const nodes = [first]
  while (nodes.length < nodeCount) {
    // Three at a time: a crowd that starts at once on two cores measures the cores.
    const more = Array.from({ length: Math.min(3, nodeCount - nodes.length) }, () =>
      startNode({ ...few, ticket }),
    )
    for (const node of await Promise.all(more)) nodes.push(stack.use(node))
  }
  return nodes
}

function connectedTo(node: TestNode): readonly string[] {
  return node.node.peers().flatMap(({ peer, isConnected }) => (isConnected ? [peer] : []))
}

function tooMany(nodes: readonly TestNode[]): readonly number[] {
  return nodes.map((node) => connectedTo(node).length).filter((count) => count > maxConnections)
}

function lonely(nodes: readonly TestNode[]): readonly string[] {
  return nodes.filter((node) => connectedTo(node).length < 2).map(({ node }) => node.peerId)
}

function put(holder: TestNode, n: number): Item {
  const bytes = createHash('sha512').update(`item ${n}`).digest()
  const { module, zipHash } = holder.shelf.put(`example.com/item${n}@v1.0.0`, bytes)
  return { holder, module, zipHash, bytes }
}

/** Whether the seeker has no connection to the holder, and nothing of it in an inventory. */
function isFree(seeker: TestNode, { holder, zipHash }: Item): boolean {
  return (
    holder !== seeker &&
    !connectedTo(seeker).includes(holder.node.peerId) &&
    seeker.node.holders(zipHash).length === 0
  )
}

/** One lookup that began without a connection to the holder, and the fetch after it. */
interface Fetched {
  /** Until the holder was named, milliseconds. */
  readonly tookMs: number
  /** The lookup did not pass by the holder: the fetch was the first to connect to it. */
  readonly isFirstContact: boolean
}

async function findAndFetch(seeker: TestNode, items: readonly Item[]): Promise<Fetched> {
  let found: { readonly item: Item; readonly by: Holder; readonly tookMs: number } | undefined
  // It is told to the DHT in the background: until then nobody knows.
  const look = async (): Promise<boolean> => {
    const item = items.find((one) => isFree(seeker, one))
    if (item === undefined) return false
    const began = performance.now()
    const by = await firstHolder(seeker, item.zipHash)
    if (by !== undefined) found = { item, by, tookMs: performance.now() - began }
    return by !== undefined
  }
  await expect.poll(look, { timeout: patienceMs, interval: 100 }).toBe(true)
  if (found === undefined) throw new Error('it was found')
  const { item, by, tookMs } = found
  const { peerId } = item.holder.node
  expect(by).toMatchObject({ peer: peerId, via: 'dht' })
  const isFirstContact = !connectedTo(seeker).includes(peerId)
  const sink = new MemorySink()
  const signal = AbortSignal.timeout(lookupMs)
  await seeker.node.fetchZip(peerId, item.zipHash, sink, { signal })
  expect(Buffer.compare(sink.bytes, item.bytes)).toBe(0)
  return { tookMs, isFirstContact }
}

async function firstHolder(seeker: TestNode, zipHash: ZipHash): Promise<Holder | undefined> {
  const signal = AbortSignal.timeout(lookupMs)
  for await (const holder of seeker.node.findHolders(zipHash, { signal })) return holder
  return undefined
}
