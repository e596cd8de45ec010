import { writeFile } from 'node:fs/promises'
import type { Connection, Stream } from '@libp2p/interface'
import { lpStream } from '@libp2p/utils'
import type { Clock } from '@modmesh/fill'
import { decode, encode } from 'cborg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { bodyFraming, bodyProtocol } from '../src/body/message.ts'
import { controlProtocol, controlVersions } from '../src/control/message.ts'
import { machineClock } from '../src/machine-clock.ts'
import type { MeshInit } from '../src/mesh-init.ts'
import { type RogueMember, rogueMember } from '../testing/index.ts'
import { hashOf, moduleOf } from './support/memory-shelf.ts'
import { failOnUnhandled } from './support/no-unhandled.ts'
import { patiently } from './support/patience.ts'
import {
  answerKindOf,
  askBody,
  fieldsOf,
  formatRecording,
  kindOf,
  type Recording,
  readRecording,
  recordedName,
  recordedZip,
  recordNode,
  startRecorded,
} from './support/recorded-node.ts'
import { SkippingClock } from './support/skipping-clock.ts'
import { collect, MemorySink, type TestNode } from './support/test-node.ts'

const calm = new AbortController().signal
const zipHash = hashOf(recordedName)
const module = moduleOf(recordedName)
failOnUnhandled()

let stack: AsyncDisposableStack
beforeEach(() => {
  stack = new AsyncDisposableStack()
})
afterEach(() => stack.disposeAsync())

/** A recorded node that speaks again. */
class OldNode {
  /** Frames that it was told or answered. */
  readonly heard: Uint8Array[] = []
  /** Questions that it has no recorded answer to. */
  readonly strange: string[] = []
  isOver = false
  readonly #recording: Recording
  readonly #hello: object | undefined

  /** With a hello, its fields replace those of the recorded one. */
  constructor(recording: Recording, hello?: object) {
    this.#recording = recording
    this.#hello = hello
  }

  /** Says what was recorded, then answers as it was recorded until the stream ends. */
  async talk(stream: Stream): Promise<void> {
    stream.addEventListener('close', () => (this.isOver = true))
    const frames = lpStream(stream)
    const [first = new Uint8Array(), ...rest] = this.#recording.notices
    const hello = this.#hello
    const greeting = hello === undefined ? first : encode({ ...fieldsOf(first), ...hello })
    for (const frame of [greeting, ...rest]) await frames.write(frame)
    for (const { question } of this.#recording.exchanges) await frames.write(question)
    for (;;) {
      const frame = (await frames.read()).slice()
      this.heard.push(frame)
      const { id, re } = fieldsOf(frame)
      if (id !== undefined && re === undefined) await frames.write(this.#answer(frame, id))
    }
  }

  answerTo(re: number): object | undefined {
    const frame = this.heard.find((one) => fieldsOf(one).re === re)
    return frame && fieldsOf(frame)
  }

  #answer(question: Uint8Array, re: number): Uint8Array {
    const asked = sameQuestion(question)
    const known = this.#recording.exchanges.find((one) => sameQuestion(one.question) === asked)
    if (known !== undefined) return encode({ ...fieldsOf(known.answer), re })
    const kind = kindOf(question)
    this.strange.push(kind)
    const reason = answerKindOf(kind) === undefined ? 'unsupported' : 'failed'
    return encode({ kind: 'error', re, reason })
  }
}

async function giveBody(
  stream: Stream,
  { header, bytes }: Pick<Recording['body'], 'header' | 'bytes'>,
): Promise<void> {
  const frames = lpStream(stream, bodyFraming)
  await frames.read()
  await frames.write(header)
  const rest = frames.unwrap()
  rest.send(bytes)
  await rest.close()
}

/** A question without its number. */
function sameQuestion(question: Uint8Array): string {
  return Buffer.from(encode({ ...fieldsOf(question), id: 0 })).toString('hex')
}

/** A node of today and a member that is a recorded node, connected. */
interface Meeting {
  readonly a: TestNode
  readonly member: RogueMember
  readonly connection: Connection
  readonly recording: Recording
}

async function meet(
  name = '1',
  times: MeshInit['times'] = {},
  clock: Clock = machineClock,
): Promise<Meeting> {
  const recording = await readRecording(name)
  const a = stack.use(await startRecorded({ name: 'today', times, clock }))
  const { identity } = recording
  const member = stack.use(await rogueMember(await a.node.invite(), { identity }))
  const { header, bytes } = recording.body
  await member.handle(bodyProtocol, (stream) => giveBody(stream, { header, bytes }).catch(noop))
  return { a, member, recording, connection: await member.connect(a.address) }
}

/** Lets the recorded node speak on a stream of its own. */
async function speak({ connection, recording }: Meeting, hello?: object): Promise<OldNode> {
  const old = new OldNode(recording, hello)
  old.talk(await connection.newStream(controlProtocol)).catch(noop)
  return old
}

/** Streams of peers end in errors when a node stops. */
function noop(): void {}

function told(a: TestNode): object[] {
  return a.events.filter(({ kind }) => kind === 'peer-version' || kind === 'failed')
}

/** Asks the recorded node as the owner of a key when it said that it can be one, and only then. */
async function askIfOwner({ a, member, recording }: Meeting): Promise<void> {
  const { peerId: peer } = member
  const isAble = recording.exchanges.some(({ question }) => kindOf(question) === 'fetch-query')
  const isTrusted = () => true
  const owners = Array.from({ length: 64 }, (_, n) =>
    a.node.owner(`key ${n}`, { isTrusted, reach: 'upstream' }),
  )
  expect(owners.includes(peer)).toBe(isAble)
  if (!isAble) return
  const options = { signal: calm, onNotice: noop }
  const answer = await a.node.askOwner(peer, { what: 'zip', module }, options)
  expect(answer).toMatchObject({ kind: 'record', record: { holdsZip: true } })
}

/** The first nodes of version 1 had no capability but inventories. */
describe.for(['1', '1-first'])('a recorded node (%s)', (name) => {
  test('is believed, asked and taken from', async () => {
    const meeting = await meet(name)
    const { a, member } = meeting
    const old = await speak(meeting)
    const { peerId: peer } = member
    await patiently(() => a.node.holders(zipHash)).toMatchObject([{ peer, via: 'inventory' }])
    const sink = new MemorySink()
    await a.node.fetchZip(peer, zipHash, sink, { signal: calm })
    expect(sink.bytes).toEqual(recordedZip)
    const records = await collect(a.node.findRecords(module, { signal: calm }))
    expect(records).toMatchObject([{ peer, module, holdsZip: true, record: { id: 7 } }])
    const versions = await collect(a.node.findVersions(module.path, { signal: calm }))
    expect(versions).toEqual([{ peer, versions: ['v1.2.3'] }])
    await askIfOwner(meeting)
    await patiently(() => a.heads.heard).toMatchObject([{ peer, note: 'a signed note' }])
    await patiently(() => a.node.peers()[0]?.rttMs).toBeGreaterThan(0)
    expect(a.node.peers()).toMatchObject([{ peer, isConnected: true, blamed: undefined }])
    expect(told(a)).toEqual([])
    expect(old.strange).toEqual([])
  })

  test('is answered as it answered itself, and given the zip', async () => {
    const meeting = await meet(name)
    const { connection, recording } = meeting
    const old = await speak(meeting)
    for (const { question, answer } of recording.exchanges) {
      const id = fieldsOf(question).id ?? 0
      await patiently(() => old.answerTo(id)).toMatchObject(fieldsOf(answer))
    }
    await patiently(() => old.heard.map(kindOf)[0]).toBe('hello')
    const { request, header, bytes } = recording.body
    const given = await askBody(await connection.newStream(bodyProtocol), request)
    expect(decode(given.header)).toMatchObject(decode(header))
    expect(given.bytes).toEqual(Buffer.from(bytes))
  })

  test('said and asked nothing that a node of today leaves out', async () => {
    const old = await readRecording(name)
    const today = await recordNode()
    const kinds = ({ notices, exchanges }: Recording) =>
      new Set([...notices, ...exchanges.map(({ question }) => question)].map(kindOf))
    expect([...kinds(today)]).toEqual(expect.arrayContaining([...kinds(old)]))
  })
})

describe('a node of later versions', () => {
  test('that still speaks ours is used; what else it says is ignored', async () => {
    const meeting = await meet()
    const { a, member } = meeting
    const old = await speak(meeting, {
      versions: [1, 2],
      capabilities: ['teleport', 'inventory', 'membership'],
      colour: { hue: [1, 2], name: 'blue' },
    })
    await patiently(() => a.node.holders(zipHash)).toMatchObject([{ peer: member.peerId }])
    await patiently(() => old.heard.map(kindOf)[0]).toBe('hello')
    expect(told(a)).toEqual([])
  })

  test('that does not is told which versions we speak, and the log once', async () => {
    const meeting = await meet()
    const { a, member, connection } = meeting
    const { peerId: peer } = member
    for (let count = 0; count < 3; count++) {
      const old = await speak(meeting, { versions: [2] })
      await patiently(() => old.heard.map(fieldsOf)).toMatchObject([{ versions: controlVersions }])
      await patiently(() => old.isOver).toBe(true)
    }
    expect(told(a)).toEqual([{ kind: 'peer-version', peer, versions: [2] }])
    expect(connection.status).toBe('open')
    const otherVersions = { theirs: [2], ours: controlVersions }
    expect(a.node.peers()).toMatchObject([{ peer, isConnected: false, otherVersions }])
    // Once it was updated it is a member as any other.
    const now = await speak(meeting, {})
    await patiently(() => now.heard.length).toBeGreaterThan(1)
    await patiently(() => a.node.peers()).toMatchObject([{ peer, isConnected: true }])
    expect(a.node.peers()[0]?.otherVersions).toBeUndefined()
  })

  test('that does not is greeted once per connection, and after a long while again', async () => {
    const otherVersionMs = 3_600_000
    const clock = new SkippingClock()
    const meeting = await meet('1', { reopenMs: 1, reopenInboundMs: 1, otherVersionMs }, clock)
    const { a, member, recording } = meeting
    let greeted = 0
    await member.handle(controlProtocol, (stream) => {
      greeted += 1
      new OldNode(recording, { versions: [2] }).talk(stream).catch(noop)
    })
    await patiently(() => told(a)).toHaveLength(1)
    expect(greeted).toBe(1)
    clock.skip(otherVersionMs)
    await patiently(() => greeted).toBe(2)
    await member.connect(a.address).then((connection) => connection.close())
    await member.connect(a.address)
    await patiently(() => greeted).toBe(3)
    expect(told(a)).toHaveLength(1)
  })
})

test('a node of today can be recorded; it says as much as that of version 1', async () => {
  const recording = await recordNode()
  const kinds = ({ notices, exchanges }: Recording): Set<string> =>
    new Set([...notices, ...exchanges.map(({ question }) => question)].map(kindOf))
  expect(kinds(recording)).toEqual(kinds(await readRecording('1')))
  if (process.env['MODMESH_RECORD_NODE'] === undefined) return
  const version = Math.max(...controlVersions)
  const file = new URL(`../testdata/recorded-node/${version}.txt`, import.meta.url)
  await writeFile(file, formatRecording(recording), { flag: 'wx' })
})
