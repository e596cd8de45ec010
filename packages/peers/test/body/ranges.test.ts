import { createHash, randomBytes } from 'node:crypto'
import type { Stream } from '@libp2p/interface'
import { lpStream } from '@libp2p/utils'
import type { ByteSink, ZipRange } from '@modmesh/fill'
import { parseZipDigest } from '@modmesh/module'
import { encode } from 'cborg'
import { describe, expect, test } from 'vitest'
import { bodyProtocol } from '../../src/body/message.ts'
import { rogueMember } from '../../testing/index.ts'
import { hashOf } from '../support/memory-shelf.ts'
import { failOnUnhandled } from '../support/no-unhandled.ts'
import { MemorySink } from '../support/test-node.ts'
import { zipAsker } from '../support/zip-asker.ts'

failOnUnhandled()

const calm = { signal: new AbortController().signal }
const name = 'example.org/m@v1.0.0'
const zipHash = hashOf(name)
const body = randomBytes(600_000)
const digest = createHash('sha256').update(body).digest()
const zipDigest = parseZipDigest(digest.toString('hex'))
const ok = { status: 'ok', length: body.length, zipDigest: digest }
const middle: ZipRange = { zipDigest, size: body.length, start: 100_000, end: 400_000 }
const enough = new Error('enough')

/** Takes so many bytes, as one that brings a part does. */
class PartSink implements ByteSink {
  readonly #sink = new MemorySink()
  readonly #room: number

  constructor(room: number) {
    this.#room = room
  }

  get bytes(): Uint8Array {
    return this.#sink.bytes
  }

  async write(chunk: Uint8Array): Promise<void> {
    const part = chunk.subarray(0, this.#room - this.bytes.length)
    if (part.length === 0) throw enough
    await this.#sink.write(part)
  }
}

describe('a part of a zip', () => {
  const mesh = zipAsker(name, body)
  const { statusOf, member } = mesh
  const fetch = (peer: string, range: ZipRange, sink: ByteSink) =>
    mesh.asker.node.fetchRange(peer, zipHash, sink, range, calm)

  const says = (header: object, bytes: Uint8Array) => async (stream: Stream) => {
    await lpStream(stream).write(encode(header))
    stream.send(bytes)
    await stream.close()
  }

  test.for([
    [0, 600_000],
    [0, 1],
    [1, 600_000],
    [599_999, 600_000],
    [100_000, 400_000],
  ] as const)('from %i to %i is those bytes and no more', async ([start, end]) => {
    const before = statusOf(mesh.honest.node.peerId)?.takenBytes ?? 0
    const sink = new MemorySink()
    await fetch(mesh.honest.node.peerId, { ...middle, start, end }, sink)
    expect(Buffer.compare(sink.bytes, body.subarray(start, end))).toBe(0)
    expect((statusOf(mesh.honest.node.peerId)?.takenBytes ?? 0) - before).toBe(end - start)
  })

  test('of one that knows no ends is ended by us', async () => {
    await using older = await member(async (stream, { offset = 0 }) => {
      await says({ ...ok, offset }, body.subarray(offset))(stream)
    })
    const sink = new PartSink(300_000)
    // Unless all of it came at once.
    await fetch(older.peerId, middle, sink).catch((error: unknown) => expect(error).toBe(enough))
    expect(Buffer.compare(sink.bytes, body.subarray(100_000, 400_000))).toBe(0)
    expect(statusOf(older.peerId)?.blamed).toBeUndefined()
  })

  test.for([
    ['knows no parts', { status: 'unsupported' }],
    ['has it no more', { status: 'absent' }],
    ['has other bytes', { ...ok, zipDigest: randomBytes(32) }],
    ['has another length', { ...ok, offset: 100_000, length: 500_000 }],
  ] as const)('of one that %s is none, and nobody is to blame', async ([, header]) => {
    await using other = await member(says(header, new Uint8Array()))
    const sink = new MemorySink()
    await expect(fetch(other.peerId, middle, sink)).rejects.toMatchObject({ fault: 'unable' })
    expect(sink.bytes.length).toBe(0)
    expect(statusOf(other.peerId)?.blamed).toBeUndefined()
  })

  test('of a busy one is not waited for', async () => {
    let asked = 0
    await using busy = await member(async (stream) => {
      asked += 1
      await says({ status: 'busy', retryMs: 250 }, new Uint8Array())(stream)
    })
    const fetching = fetch(busy.peerId, middle, new MemorySink())
    await expect(fetching).rejects.toMatchObject({ fault: 'busy' })
    expect(asked).toBe(1)
  })

  test.for([
    ['another beginning', { ...ok, offset: 99_999, end: 400_000 }],
    ['no beginning', { ...ok, end: 400_000 }],
    ['another end', { ...ok, offset: 100_000, end: 400_001 }],
    ['an end beyond the zip', { ...ok, offset: 100_000, end: 700_000 }],
    ['a part of what is on its way', { status: 'part', body: 1, length: 10, last: true }],
    ['more than it says', { ...ok, offset: 100_000, end: 400_000 }],
  ] as const)('of one that sends %s is refused, and it is blamed', async ([, header]) => {
    await using liar = await member(says(header, body.subarray(100_000, 500_000)))
    const fetching = fetch(liar.peerId, middle, new MemorySink())
    await expect(fetching).rejects.toMatchObject({ fault: 'protocol' })
    expect(statusOf(liar.peerId)?.blamed).toBeDefined()
  })

  test('that ends early on purpose is blamed on its sender', async () => {
    const header = { ...ok, offset: 100_000, end: 400_000 }
    await using liar = await member(says(header, body.subarray(100_000, 200_000)))
    const fetching = fetch(liar.peerId, middle, new MemorySink())
    await expect(fetching).rejects.toMatchObject({ fault: 'protocol' })
    expect(statusOf(liar.peerId)?.blamed).toBeDefined()
  })

  test('asked of us for other bytes is answered with the whole', async () => {
    await using rogue = await rogueMember(await mesh.asker.node.invite())
    const connection = await rogue.connect(mesh.honest.address)
    const stream = await connection.newStream(bodyProtocol)
    const frames = lpStream(stream)
    const theirs = { zipDigest: randomBytes(32), offset: 5, end: 10 }
    const hash = Buffer.from(zipHash.slice(3), 'base64')
    await frames.write(encode({ kind: 'zip', zipHash: Uint8Array.from(hash), ...theirs }))
    const header = (await frames.read()).subarray()
    expect(Buffer.from(header).includes(Buffer.from('offset'))).toBe(false)
    expect(Buffer.from(header).includes(Buffer.from('end'))).toBe(false)
    stream.abort(new Error('done'))
  })
})
