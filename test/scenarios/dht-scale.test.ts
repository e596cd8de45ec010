import { contentId } from '@modmesh/module'
import { afterEach, beforeEach, expect, onTestFailed, test, vi } from 'vitest'
import {
  DhtNetwork,
  type DhtNode,
  keepAliveTags,
} from '../../packages/peers/test/support/dht-network.ts'
import { hashOf } from '../../packages/peers/test/support/memory-shelf.ts'
import { Rng } from '../sim/rng.ts'

const lookups = 60

interface Cost {
  readonly nodes: number
  readonly found: number
  /** Means over all lookups that found. */
  readonly messages: number
  readonly hops: number
  /** Mean over all announcements. */
  readonly announced: number
}

/** Of all choices: ids, who knows whom, who asks, and those of the library. */
const seed = Number(process.env['MODMESH_SEED'] ?? Math.floor(Math.random() * 2 ** 32))
let random: Rng
beforeEach(() => {
  random = new Rng(seed)
  const ofLibrary = random.fork('library')
  vi.spyOn(Math, 'random').mockImplementation(() => ofLibrary.unit())
  onTestFailed(() => console.error(`MODMESH_SEED=${seed} repeats it`))
})
afterEach(() => {
  vi.restoreAllMocks()
})

/**
 * How many times more something costs in 300 nodes than in a smaller network, at most. In proportion to log N it would
 * be 1.2 times that of 100 and 1.7 times that of 30, in proportion to N 3 times and 10 times. Over many seeds messages
 * are 1.3 to 1.6 and 2.6 to 3.2 times as many: in 30 nodes everybody knows half of the others.
 */
const growthOf = new Map([
  [100, 2],
  [30, 5],
])

test('lookups in 30, 100 and 300 nodes cost as many hops and messages as log N', async () => {
  const costs: Cost[] = []
  for (const nodes of [30, 100, 300]) costs.push(await measure(nodes))
  console.table(costs)
  const large = costs.at(-1)
  if (large === undefined) throw new Error('three were measured')
  for (const { nodes, found, hops, messages, announced } of costs) {
    expect(found).toBe(lookups)
    expect(hops).toBeLessThan(Math.log2(nodes))
    // Who asks everybody sends as many as there are nodes.
    expect(messages).toBeLessThan(6 * Math.log2(nodes))
    expect(announced).toBeLessThan(6 * Math.log2(nodes))
    const growth = growthOf.get(nodes) ?? Infinity
    expect(large.hops / hops, `hops since ${nodes}`).toBeLessThan(growth)
    expect(large.messages / messages, `messages since ${nodes}`).toBeLessThan(growth)
    expect(large.announced / announced, `announcing since ${nodes}`).toBeLessThan(growth)
  }
}, 900_000)

async function measure(count: number): Promise<Cost> {
  const choices = random.fork(`${count} nodes`)
  const ids = random.fork(`ids of ${count}`)
  await using network = new DhtNetwork(() => ids.unit())
  const any = (): DhtNode => choices.pick(network.nodes)
  for (let n = 0; n < count; n++) {
    const known = n === 0 ? [] : [any(), any(), any()]
    const node = await network.add(known)
    // As a node does that starts: it asks for itself, and meets its neighbours.
    await drain(node.dht.getClosestPeers(node.id.toMultihash().bytes, limited()))
  }
  const total = { found: 0, messages: 0, hops: 0, announced: 0 }
  for (let n = 0; n < lookups; n++) {
    const key = contentId(hashOf(`example.com/m${n}@v1.0.${count}`))
    const holder = any()
    const told = holder.asked
    await drain(holder.dht.provide(key, limited()))
    total.announced += holder.asked - told
    const seeker = choices.pick(network.nodes.filter((node) => node !== holder))
    const asked = seeker.asked
    const hops = await hopsTo(seeker, holder, key)
    if (hops === undefined) continue
    total.found += 1
    total.messages += seeker.asked - asked
    total.hops += hops
  }
  expect(network.nodes.flatMap(keepAliveTags)).toEqual([])
  const { found } = total
  return {
    nodes: count,
    found,
    messages: total.messages / found,
    hops: total.hops / found,
    announced: total.announced / lookups,
  }
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
  return { signal: AbortSignal.timeout(60_000) }
}

async function drain(items: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of items);
}
