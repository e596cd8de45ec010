import { readFile } from 'node:fs/promises'
import type { Stream } from '@libp2p/interface'
import { lpStream } from '@libp2p/utils'
import type { OwnerAnswer, OwnerQuestion } from '@modmesh/fill'
import { zipHashBytes } from '@modmesh/module'
import { decode, encode } from 'cborg'
import { bodyFraming, bodyProtocol } from '../../src/body/message.ts'
import { encodeMessage } from '../../src/control/frame.ts'
import { answerKinds, controlProtocol, type Message } from '../../src/control/message.ts'
import { recordIdBytes } from '../../src/membership/limits.ts'
import { rogueMember, type TestIdentity } from '../../testing/index.ts'
import { hashOf, MemoryShelf, moduleOf } from './memory-shelf.ts'
import { patiently } from './patience.ts'
import { collect, startNode, type TestNode } from './test-node.ts'

/** What is recorded of: the same for the node that was recorded and the one that hears it. */
export const recordedName = 'example.org/recorded@v1.2.3'
export const recordedZip: Uint8Array = Buffer.alloc(900, 'the zip of a recorded node. ')
const database = 'sum.example.org'
const tilePath = 'tile/8/0/000'
const calm = new AbortController().signal

/** One question and its answer, as frames of the control stream. */
interface Exchange {
  readonly question: Uint8Array
  readonly answer: Uint8Array
}

/** What a node said, byte by byte; the README of the recordings says how they are made. */
export interface Recording {
  readonly identity: TestIdentity
  /** What it said unasked on a control stream, in order: its hello first. */
  readonly notices: readonly Uint8Array[]
  /** Each question that it asked, and what it answered to the same question. */
  readonly exchanges: readonly Exchange[]
  /** How it asked for a zip, and what it answered to that. */
  readonly body: {
    readonly request: Uint8Array
    readonly header: Uint8Array
    readonly bytes: Uint8Array
  }
}

/** Reads what was recorded of a version. */
export async function readRecording(version: string): Promise<Recording> {
  const file = new URL(`../../testdata/recorded-node/${version}.txt`, import.meta.url)
  const lines = (await readFile(file, 'utf8')).split('\n').map((line) => line.split(' '))
  const of = (word: string): string[][] => lines.filter(([first]) => first === word)
  const [, peerId = '', key = ''] = of('identity')[0] ?? []
  const [, request = '', header = '', bytes = ''] = of('body')[0] ?? []
  return {
    identity: { peerId, privateKey: unhex(key) },
    notices: of('notice').map(([, , frame = '']) => unhex(frame)),
    exchanges: of('exchange').map(([, , question = '', answer = '']) => ({
      question: unhex(question),
      answer: unhex(answer),
    })),
    body: { request: unhex(request), header: unhex(header), bytes: unhex(bytes) },
  }
}

/** Writes a recording as `readRecording` reads it. */
export function formatRecording({ identity, notices, exchanges, body }: Recording): string {
  return [
    `identity ${identity.peerId} ${hex(identity.privateKey)}`,
    ...notices.map((frame) => `notice ${kindOf(frame)} ${hex(frame)}`),
    ...exchanges.map(
      ({ question, answer }) => `exchange ${kindOf(question)} ${hex(question)} ${hex(answer)}`,
    ),
    `body ${hex(body.request)} ${hex(body.header)} ${hex(body.bytes)}`,
    '',
  ].join('\n')
}

/** Starts a node of today that holds what was recorded of. */
export async function startRecorded(init: Parameters<typeof startNode>[0] = {}): Promise<TestNode> {
  const shelf = new MemoryShelf()
  const { module } = shelf.put(recordedName, recordedZip)
  shelf.tiles.set(`${database} ${tilePath}`, Buffer.alloc(64, 'tile'))
  const record = { info: Buffer.from('{"Version":"v1.2.3"}'), mod: Buffer.from('module m\n') }
  const proof = {
    database,
    id: 7,
    text: 'two lines\n',
    hashes: [Buffer.alloc(32, 1)],
    head: 'note',
  }
  shelf.records.set(recordedName, { module, ...record, record: proof, holdsZip: true })
  const answer = async ({ what }: OwnerQuestion): Promise<OwnerAnswer> =>
    what === 'zip'
      ? { kind: 'record', record: { module, ...record, record: proof, holdsZip: true } }
      : { kind: 'bytes', bytes: Buffer.from('v1.2.3\n'), from: 'upstream', ageMs: 1 }
  const part = async () => undefined
  const fetcher = {
    canFetch: () => true,
    canRelay: () => true,
    answer,
    part,
    notice: () => ({ bytes: 0 }),
  }
  const node = await startNode({ name: 'recorded', ...init, shelf, fetcher })
  node.heads.set(database, 'a signed note')
  return node
}

/** Asks everything of a node and lets it ask everything; gives what it said. */
export async function recordNode(): Promise<Recording> {
  await using node = await startRecorded()
  await using asker = await rogueMember(await node.node.invite(), { name: 'asker' })
  const requests: Uint8Array[] = []
  await asker.handle(bodyProtocol, async (stream) => {
    const frames = lpStream(stream, bodyFraming)
    requests.push((await frames.read()).subarray())
    await frames.write(encode({ status: 'absent' }))
    await stream.close()
  })
  const connection = await asker.connect(node.address)
  const talk = new Talk(await connection.newStream(controlProtocol))
  await letAsk(node, asker.peerId, talk)
  await patiently(() => requests).toHaveLength(1)
  const exchanges: Exchange[] = []
  for (const question of talk.questions) {
    exchanges.push({ question, answer: await talk.ask(question) })
  }
  // What changes is told, too.
  const { zipHash } = node.shelf.put('example.org/late@v1.0.0', recordedZip)
  await patiently(() => talk.kinds().filter((kind) => kind === 'inventory')).toHaveLength(2)
  node.node.withdraw(zipHash)
  await patiently(() => talk.kinds().filter((kind) => kind === 'inventory')).toHaveLength(3)
  const [request = new Uint8Array()] = requests
  const body = await askBody(await connection.newStream(bodyProtocol), request)
  const { identity } = node
  return { identity, notices: talk.notices, exchanges, body: { request, ...body } }
}

/** Asks for a zip and gives what came. */
export async function askBody(
  stream: Stream,
  request: Uint8Array,
): Promise<{ readonly header: Uint8Array; readonly bytes: Uint8Array }> {
  const frames = lpStream(stream, bodyFraming)
  await frames.write(request)
  const header = (await frames.read()).subarray()
  const rest = frames.unwrap()
  const pieces: Uint8Array[] = []
  rest.addEventListener('message', ({ data }) => pieces.push(data.subarray()))
  await patiently(() => Buffer.concat(pieces).length).toBe(recordedZip.length)
  await rest.close()
  return { header, bytes: Buffer.concat(pieces) }
}

/** Makes a node ask each kind of question; what it asks is refused or empty. */
async function letAsk({ node }: TestNode, asker: string, talk: Talk): Promise<void> {
  const module = moduleOf(recordedName)
  const options = { signal: calm }
  await patiently(() => talk.kinds()).toContain('inventory')
  await talk.say({ kind: 'ledger', digest: new Uint8Array(32).fill(1), members: 0 })
  await collect(node.findHolders(hashOf(recordedName), options))
  await collect(node.findRecords(module, options))
  await collect(node.findVersions(module.path, options))
  await node.fetchTile(database, tilePath, options)
  const onNotice = () => {}
  for (const question of [
    { what: 'zip', module },
    { what: 'list', path: module.path },
  ] as const) {
    await node.askOwner(asker, question, { ...options, onNotice })
  }
  const sink = { write: async () => {} }
  await node.fetchZip(asker, hashOf(recordedName), sink, options).catch(() => {}) // absent
  await patiently(() => talk.questions.map(kindOf)).toContain('ledger-read')
}

const refusals: { readonly [kind: string]: object } = {
  'have-query': { keys: zipHashBytes(hashOf(recordedName)).subarray(0, 0) },
  'record-query': { holdsZip: false },
  'versions-query': { versions: '' },
  'fetch-query': { outcome: 'nothing' },
  'ledger-query': { ids: new Uint8Array(recordIdBytes).fill(2) },
  'ledger-read': { records: [] },
}

/** The asker's end of the control stream. */
class Talk {
  readonly notices: Uint8Array[] = []
  readonly questions: Uint8Array[] = []
  readonly #answers = new Map<number, (frame: Uint8Array) => void>()
  readonly #frames: ReturnType<typeof lpStream>

  constructor(stream: Stream) {
    this.#frames = lpStream(stream)
    const hello = { versions: [1], capabilities: ['inventory', 'fetch', 'membership'] }
    const about = { site: 'default', name: 'asker', clockMs: 1, boot: new Uint8Array(8) }
    void this.say({ kind: 'hello', ...hello, ...about })
    this.#listen().catch(() => {}) // the stream ended
  }

  async say(message: Message): Promise<void> {
    await this.#frames.write(encodeMessage(message))
  }

  /** Sends a question as it is and waits for its answer. */
  async ask(question: Uint8Array): Promise<Uint8Array> {
    const { promise, resolve } = Promise.withResolvers<Uint8Array>()
    this.#answers.set(fieldsOf(question).id ?? 0, resolve)
    await this.#frames.write(question)
    return await promise
  }

  kinds(): string[] {
    return this.notices.map(kindOf)
  }

  async #listen(): Promise<void> {
    for (;;) {
      const frame = (await this.#frames.read()).slice()
      const { kind, id, re } = fieldsOf(frame)
      if (re !== undefined) this.#answers.get(re)?.(frame)
      else if (id === undefined) this.notices.push(frame)
      else {
        this.questions.push(frame)
        const answer = { kind: answerKindOf(kind), re: id, ...refusals[kind] }
        await this.#frames.write(encode(answer))
      }
    }
  }
}

/** The answer that belongs to a kind of question; undefined for a question of a later version. */
export function answerKindOf(kind: string): string | undefined {
  return new Map<string, string>(Object.entries(answerKinds)).get(kind)
}

/** What every message may have. */
interface Fields {
  readonly kind: string
  readonly id?: number
  readonly re?: number
}

/** Reads a frame without any check. */
export function fieldsOf(frame: Uint8Array): Fields {
  return decode(Uint8Array.from(frame)) as Fields
}

export function kindOf(frame: Uint8Array): string {
  return fieldsOf(frame).kind
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

function unhex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'hex'))
}
