import { randomBytes } from 'node:crypto'
import { lpStream } from '@libp2p/utils'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { decodeMessage, encodeMessage } from '../../src/control/frame.ts'
import { membershipCapability, membershipLimits } from '../../src/control/membership-message.ts'
import { controlProtocol, type Hello, type Message } from '../../src/control/message.ts'
import { recordIdBytes } from '../../src/membership/limits.ts'
import { type RogueMember, rogueMember } from '../../testing/index.ts'
import { failOnUnhandled } from '../support/no-unhandled.ts'
import { patiently } from '../support/patience.ts'
import { startNode, type TestNode } from '../support/test-node.ts'

failOnUnhandled()

let cleanups: AsyncDisposableStack
let a: TestNode
beforeEach(async () => {
  cleanups = new AsyncDisposableStack()
  a = cleanups.use(await startNode({ name: 'a' }))
})
afterEach(() => cleanups.disposeAsync())

/** A member that speaks the control protocol in its own way. */
interface Speaker {
  readonly rogue: RogueMember
  /** What the node said so far. */
  readonly heard: Message[]
  readonly say: (message: Message) => Promise<void>
}

/** Lets a member greet the node, then answer each of its messages as it likes. */
async function speaker(
  capabilities: readonly string[],
  reply: (message: Message) => Message | undefined = () => undefined,
): Promise<Speaker> {
  const rogue = cleanups.use(await rogueMember(await a.node.invite()))
  const connection = await rogue.connect(a.address)
  const lp = lpStream(await connection.newStream(controlProtocol))
  const heard: Message[] = []
  const say = (message: Message): Promise<void> => lp.write(encodeMessage(message))
  const hello: Hello = {
    kind: 'hello',
    versions: [1],
    capabilities,
    site: 'default',
    name: 'rogue',
    clockMs: 1,
    boot: new Uint8Array(8),
  }
  await say(hello)
  const listen = async (): Promise<void> => {
    for (;;) {
      const message = decodeMessage((await lp.read()).subarray())
      if (message.kind === 'unknown') continue
      heard.push(message)
      if (message.kind === 'heartbeat') await say({ kind: 'heartbeat-answer', re: message.id })
      const answer = reply(message)
      if (answer !== undefined) await say(answer)
    }
  }
  listen().catch(() => {}) // the stream ended
  await patiently(() => heard.some(({ kind }) => kind === 'hello')).toBe(true)
  return { rogue, heard, say }
}

function news(): Message {
  return { kind: 'ledger', digest: new Uint8Array(randomBytes(32)), members: 0 }
}

function count(heard: readonly Message[], kind: Message['kind']): number {
  return heard.filter((message) => message.kind === kind).length
}

/** What a member that misbehaves must not touch: a revocation reaches another one at once. */
async function expectHealthy(): Promise<void> {
  const ticket = await a.node.invite()
  const [b, c] = [
    cleanups.use(await startNode({ name: 'b', ticket })),
    cleanups.use(await startNode({ name: 'c', ticket })),
  ]
  await patiently(() => b.node.peers().map(({ peer }) => peer)).toContain(c.node.peerId)
  await patiently(() => a.node.members.list().map(({ name }) => name)).toContain('c')
  await a.node.members.revoke('c')
  const names = () =>
    b.node
      .peers()
      .filter(({ isConnected }) => isConnected)
      .map(({ name }) => name)
  await patiently(names).not.toContain('c')
}

test('a node of the previous format is told nothing of ledgers, and stays connected', async () => {
  const { rogue, heard, say } = await speaker(['inventory'])
  await patiently(() => count(heard, 'peers')).toBeGreaterThan(0)
  await expectHealthy()
  const known = new Set(heard.map(({ kind }) => kind))
  for (const kind of ['ledger', 'own-chain', 'your-chain', 'ledger-query'] as const) {
    expect(known.has(kind)).toBe(false)
  }
  // It is counted all the same, and what it cannot show is kept for it.
  const status = a.node.members.list().find(({ peer }) => peer === rogue.peerId)
  expect(status).toMatchObject({ isConnected: true, refusal: undefined })
  await patiently(
    () => a.node.members.list().find(({ peer }) => peer === rogue.peerId)?.admittedMs,
  ).toBeDefined()
  await say({ kind: 'heartbeat', id: 7 })
  await patiently(() => heard).toContainEqual({ kind: 'heartbeat-answer', re: 7 })
})

test('a new member is told its chain once, and the ledger’s digest', async () => {
  const { heard } = await speaker([membershipCapability])
  await patiently(() => count(heard, 'your-chain')).toBe(1)
  expect(count(heard, 'ledger')).toBeGreaterThan(0)
})

test('who tells of news without end is asked at our pace', async () => {
  const { heard, say } = await speaker([membershipCapability], (message) =>
    message.kind === 'ledger-query'
      ? { kind: 'ledger-answer', re: message.id, ids: new Uint8Array() }
      : undefined,
  )
  for (let i = 0; i < 500; i++) await say(news())
  await say({ kind: 'heartbeat', id: 1 })
  await patiently(() => count(heard, 'heartbeat-answer')).toBe(1)
  expect(count(heard, 'ledger-query')).toBeGreaterThan(0)
  expect(count(heard, 'ledger-query')).toBeLessThan(60)
  await expectHealthy()
})

test('who offers thousands of records and gives garbage is left alone after some', async () => {
  const ids = new Uint8Array(randomBytes(membershipLimits.ids * recordIdBytes))
  const { heard, say, rogue } = await speaker([membershipCapability], (message) => {
    if (message.kind === 'ledger-query') return { kind: 'ledger-answer', re: message.id, ids }
    if (message.kind !== 'ledger-read') return undefined
    const some = message.ids.byteLength / recordIdBytes
    const records = Array.from({ length: some }, () => new Uint8Array(randomBytes(500)))
    return { kind: 'ledger-records', re: message.id, records }
  })
  for (let i = 0; i < 30; i++) await say(news())
  await expectHealthy()
  // 64 wrong ones, 16 in an answer; then some each time that it is asked again.
  expect(count(heard, 'ledger-read')).toBeLessThan(64)
  const status = a.node.peers().find(({ peer }) => peer === rogue.peerId)
  expect(status).toMatchObject({ isConnected: true })
})

test('chains that are not ours, or nobody’s, change nothing', async () => {
  const { say, rogue } = await speaker([membershipCapability])
  const before = a.stores.membership.bytes
  await say({ kind: 'your-chain', chain: new Uint8Array(randomBytes(600)) })
  await say({ kind: 'your-chain', chain: rogue.node.membership.chain() ?? new Uint8Array(1) })
  await say({ kind: 'own-chain', chain: new Uint8Array(randomBytes(600)) })
  await say({ kind: 'own-chain', chain: new Uint8Array(4096) })
  await expectHealthy()
  expect(a.stores.membership.bytes).toBe(before)
  const status = a.node.members.list().find(({ peer }) => peer === rogue.peerId)
  expect(status).toMatchObject({ isConnected: true, refusal: undefined })
})

test('an ordinary member is not told whom a counter-signer knows', async () => {
  const { say, heard } = await speaker([membershipCapability])
  await expectHealthy()
  await say({ kind: 'members-query', id: 5, from: 0 })
  await patiently(() => heard).toContainEqual({ kind: 'members-answer', re: 5, chains: [] })
})
