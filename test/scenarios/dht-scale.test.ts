import { contentId } from '@modmesh/module'
import { expect, test } from 'vitest'
import {
  DhtNetwork,
  type DhtNode,
  keepAliveTags,
} from '../../packages/peers/test/support/dht-network.ts'
import { hashOf } from '../../packages/peers/test/support/memory-shelf.ts'

const lookups = 60

interface Cost {
  readonly nodes: number
  readonly found: number
  /** Means over all lookups that found. */
  readonly messages: number
  readonly hops: number
}

test('lookups in 30, 100 and 300 nodes cost as many hops and messages as log N', async () => {
  const costs: Cost[] = []
  for (const nodes of [30, 100, 300]) costs.push(await measure(nodes))
  console.table(costs)
  const [small, , large] = costs
  if (small === undefined || large === undefined) throw new Error('three were measured')
  const growth = Math.log(large.nodes) / Math.log(small.nodes)
  for (const { nodes, found, hops, messages } of costs) {
    expect(found).toBe(lookups)
    expect(hops).toBeLessThan(Math.log2(nodes))
    // Ten times the nodes, nowhere near ten times the cost.
    expect(messages).toBeLessThan(6 * Math.log2(nodes))
  }
  expect(large.messages / small.messages).toBeLessThan(2 * growth)
  expect(large.hops / small.hops).toBeLessThan(2 * growth)
}, 60_000)

async function measure(count: number): Promise<Cost> {
  await using network = new DhtNetwork()
  const random = randomOf(count)
  const any = (): DhtNode => network.nodes[Math.floor(random() * network.nodes.length)] as DhtNode
  for (let n = 0; n < count; n++) {
    const known = n === 0 ? [] : [any(), any(), any()]
    const node = await network.add(known)
    // As a node does that starts: it asks for itself, and meets its neighbours.
    await drain(node.dht.getClosestPeers(node.id.toMultihash().bytes, limited()))
  }
  const total = { found: 0, messages: 0, hops: 0 }
  for (let n = 0; n < lookups; n++) {
    const key = contentId(hashOf(`example.com/m${n}@v1.0.${count}`))
    const holder = any()
    await drain(holder.dht.provide(key, limited()))
    const seeker = [any(), any(), any()].find((node) => node !== holder) ?? any()
    const before = network.messages
    const hops = await hopsTo(seeker, holder, key)
    if (hops === undefined) continue
    total.found += 1
    total.messages += network.messages - before
    total.hops += hops
  }
  expect(network.nodes.flatMap(keepAliveTags)).toEqual([])
  const { found } = total
  return { nodes: count, found, messages: total.messages / found, hops: total.hops / found }
}

/** How many askings one after another led to the holder; undefined when none did. */
async function hopsTo(
  seeker: DhtNode,
  holder: DhtNode,
  key: ReturnType<typeof contentId>,
): Promise<number | undefined> {
  const depths = new Map<string, number>()
  for await (const event of seeker.dht.findProviders(key, limited())) {
    if (event.name === 'PEER_RESPONSE') {
      const depth = depths.get(event.from.toString()) ?? 1
      for (const { id } of event.closer) {
        if (!depths.has(id.toString())) depths.set(id.toString(), depth + 1)
      }
    }
    if (event.name !== 'PROVIDER') continue
    if (event.providers.some(({ id }) => id.equals(holder.id))) {
      return event.from.equals(seeker.id) ? 0 : (depths.get(event.from.toString()) ?? 1)
    }
  }
  return undefined
}

function limited(): { readonly signal: AbortSignal } {
  return { signal: AbortSignal.timeout(20_000) }
}

async function drain(items: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of items);
}

/** The same choices in each run (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
