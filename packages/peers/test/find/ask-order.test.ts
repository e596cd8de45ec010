import { randomBytes } from 'node:crypto'
import { ownerKey, pickOwner } from '@modmesh/fill'
import { describe, expect, test } from 'vitest'
import type { PeerLink } from '../../src/control/peer-link.ts'
import { askOwnerFirst } from '../../src/find/ask-order.ts'
import { moduleOf } from '../support/memory-shelf.ts'
import { failOnUnhandled } from '../support/no-unhandled.ts'
import { collect, startNode, type TestNode } from '../support/test-node.ts'

const calm = new AbortController().signal
const patient = { interval: 10, timeout: 20_000 }
const name = 'example.org/m@v1.0.0'
failOnUnhandled()

describe('what the owner of a key may know', () => {
  const key = 'example.org/m@v1.0.0'
  const quick = ['a', 'b', 'c', 'd'].map((peer) => linkTo(peer, 0))
  const owner = pickOwner(key, ['a', 'b', 'c', 'd'])

  test('is asked of nobody else when it knows and that is enough', async () => {
    const enough = new AbortController()
    const asked: string[] = []
    const askOnce = async ({ peer }: PeerLink) => asked.push(peer) > 0
    const answers = askOwnerFirst(quick, key, { askOnce, signal: enough.signal })
    expect(await answers[0]).toBe(true)
    enough.abort()
    expect(await Promise.all(answers)).toEqual([true, false, false, false])
    expect(asked).toEqual([owner])
  })

  test.for<[string, () => Promise<boolean>]>([
    ['says no', async () => false],
    ['says nothing', () => new Promise(() => {})],
  ])('is asked of all others when it %s', async ([, answer]) => {
    const askOnce = ({ peer }: PeerLink): Promise<boolean> =>
      peer === owner ? answer() : Promise.resolve(true)
    const [, ...others] = askOwnerFirst(quick, key, { askOnce, signal: calm })
    expect(await Promise.all(others)).toEqual([true, true, true])
  })

  test('is asked of another first when the owner owes an answer', async () => {
    const links = quick.map((link) => (link.peer === owner ? linkTo(link.peer, 10_000) : link))
    const asked: string[] = []
    const askOnce = async ({ peer }: PeerLink) => asked.push(peer) > 4
    await Promise.all(askOwnerFirst(links, key, { askOnce, signal: calm }))
    expect(asked[0]).not.toBe(owner)
    expect(asked.toSorted()).toEqual(['a', 'b', 'c', 'd'])
  })
})

describe('a record that members of the site may know', () => {
  test('is asked of the others when the owner does not know it', async () => {
    await using stack = new AsyncDisposableStack()
    const { asker, others } = await startSite(stack)
    const knower = others.find((one) => one !== ownerAmong(others))
    if (knower === undefined) throw new Error('there are three others')
    const { module } = hold(knower)
    const records = await collect(asker.node.findRecords(module, { signal: calm }))
    expect(records).toMatchObject([{ peer: knower.node.peerId }])
  })

  test('is asked of all when what the owner said was not enough', async () => {
    await using stack = new AsyncDisposableStack()
    const { asker, others } = await startSite(stack)
    for (const other of others) hold(other)
    const { module } = hold(others[0] as TestNode)
    const records = await collect(asker.node.findRecords(module, { signal: calm }))
    expect(records.map(({ peer }) => peer).toSorted()).toEqual(
      others.map(({ node }) => node.peerId).toSorted(),
    )
  })
})

function linkTo(peer: string, quietMs: number): PeerLink {
  return { peer, session: { quietMs, rttMs: 2 } } as unknown as PeerLink
}

async function startSite(
  stack: AsyncDisposableStack,
): Promise<{ asker: TestNode; others: TestNode[] }> {
  const root = stack.use(await startNode())
  const others = [root]
  for (let n = 0; n < 2; n++)
    others.push(stack.use(await startNode({ ticket: await root.node.invite() })))
  const asker = stack.use(await startNode({ ticket: await root.node.invite() }))
  await expect
    .poll(() => asker.node.peers().filter(({ isConnected }) => isConnected).length, patient)
    .toBe(3)
  return { asker, others }
}

function hold(node: TestNode): ReturnType<TestNode['shelf']['put']> {
  const put = node.shelf.put(name, randomBytes(10))
  const { module } = put
  node.shelf.records.set(name, {
    module,
    info: Buffer.from('{}'),
    mod: Buffer.from('module example.org/m\n'),
    record: undefined,
    holdsZip: true,
  })
  return put
}

function ownerAmong(nodes: readonly TestNode[]): TestNode {
  const owner = pickOwner(
    ownerKey(moduleOf(name)),
    nodes.map(({ node }) => node.peerId),
  )
  return nodes.find(({ node }) => node.peerId === owner) as TestNode
}
