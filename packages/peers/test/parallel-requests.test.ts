import { randomBytes } from 'node:crypto'
import { lpStream } from '@libp2p/utils'
import { zipHashBytes } from '@modmesh/module'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { bodyLimits } from '../src/body/limits.ts'
import {
  bodyFraming,
  bodyProtocol,
  decodeBodyHeader,
  encodeBodyRequest,
} from '../src/body/message.ts'
import { rogueMember } from '../testing/index.ts'
import { moduleOf } from './support/memory-shelf.ts'
import { failOnUnhandled } from './support/no-unhandled.ts'
import { patiently } from './support/patience.ts'
import { collect, startNode } from './support/test-node.ts'

/** libp2p allows 32 streams of a protocol by default, and fails the 33rd. */
const many = 33
const calm = new AbortController().signal
failOnUnhandled()

let stack: AsyncDisposableStack
beforeEach(() => {
  stack = new AsyncDisposableStack()
})
afterEach(() => stack.disposeAsync())

test('33 bodies asked for at one instant are all answered: given, or busy where slots end', async () => {
  const a = stack.use(await startNode())
  const { zipHash } = a.shelf.put('example.org/m@v1.0.0', randomBytes(10))
  const member = stack.use(await rogueMember(await a.node.invite()))
  const connection = await member.connect(a.address)
  const request = encodeBodyRequest({ kind: 'zip', zipHash: zipHashBytes(zipHash) })
  const ask = async () => {
    const stream = await connection.newStream(bodyProtocol, { maxOutboundStreams: many })
    const frames = lpStream(stream, bodyFraming)
    await frames.write(request)
    return { stream, header: decodeBodyHeader((await frames.read()).subarray()) }
  }
  const answers = await Promise.all(Array.from({ length: many }, ask))
  const statuses = answers.map(({ header }) => header.status)
  expect(statuses.filter((status) => status === 'ok')).toHaveLength(bodyLimits.uploadsPerPeer)
  expect(statuses.filter((status) => status === 'busy')).toHaveLength(
    many - bodyLimits.uploadsPerPeer,
  )
  await Promise.all(answers.map(({ stream }) => stream.close()))
  await patiently(() => a.node.uploads().all.streams).toBe(0)
  expect((await ask()).header.status).toBe('ok')
})

test('33 questions asked at one instant are all answered', async () => {
  const a = stack.use(await startNode())
  const names = Array.from({ length: many }, (_, n) => `example.org/m${n}@v1.0.0`)
  for (const name of names) a.shelf.put(name, randomBytes(10))
  const b = stack.use(await startNode({ ticket: await a.node.invite() }))
  await patiently(() => b.node.peers().length).toBe(1)
  const ask = (name: string) => collect(b.node.findRecords(moduleOf(name), { signal: calm }))
  const found = (await Promise.all(names.map(ask))).flat()
  expect(found.map(({ module }) => `${module.path}@${module.version}`)).toEqual(names)
})
