import { createHash, randomBytes } from 'node:crypto'
import type { Stream } from '@libp2p/interface'
import { lpStream } from '@libp2p/utils'
import type { ByteSink, ResumePoint, ZipFetchOptions } from '@modmesh/fill'
import { encode } from 'cborg'
import { describe, expect, test } from 'vitest'
import { bodyProtocol, decodeBodyHeader } from '../../src/body/message.ts'
import { type RogueMember, rogueMember } from '../../testing/index.ts'
import { hashOf } from '../support/memory-shelf.ts'
import { failOnUnhandled } from '../support/no-unhandled.ts'
import { MemorySink, startNode } from '../support/test-node.ts'
import { zipAsker } from '../support/zip-asker.ts'

failOnUnhandled()

const calm = new AbortController().signal
const soon = { interval: 5 }
const name = 'example.org/m@v1.0.0'
const zipHash = hashOf(name)
const body = randomBytes(600_000)
const zipDigest = createHash('sha256').update(body).digest()
const ok = { status: 'ok', length: body.length, zipDigest }
const flipped = flip(body, 1_000)

function flip(bytes: Uint8Array, at: number): Uint8Array {
  const copy = Uint8Array.from(bytes)
  copy[at] = (copy[at] ?? 0) ^ 1
  return copy
}

/** What one request for a zip keeps from holder to holder, as a fill does. */
class Target implements ByteSink {
  #sink = new MemorySink()
  #point: (() => ResumePoint) | undefined
  readonly resets: string[] = []
  begun = 0

  get bytes(): Uint8Array {
    return this.#sink.bytes
  }

  get point(): ResumePoint | undefined {
    return this.#point?.()
  }

  write(chunk: Uint8Array): Promise<void> {
    return this.#sink.write(chunk)
  }

  /** As options of a fetch that goes on from what is there. */
  get options(): ZipFetchOptions {
    return {
      signal: calm,
      onFirstByte: () => {
        this.begun += 1
      },
      resume: {
        from: this.point,
        onBody: (point) => {
          this.#point = point
        },
        onReset: async (why) => {
          this.resets.push(why)
          this.#sink = new MemorySink()
          this.#point = undefined
        },
      },
    }
  }
}

type Answer = (stream: Stream, asked: { readonly offset: number }) => Promise<void>

/** Answers with a header, then with bytes, then ends. */
function sends(header: object, ...pieces: Uint8Array[]): Answer {
  return async (stream) => {
    await lpStream(stream).write(encode(header))
    for (const piece of pieces) stream.send(piece)
    await stream.close()
  }
}

describe('a zip whose holder is cut', () => {
  const mesh = zipAsker(name, body)
  const { statusOf } = mesh
  const fetch = (peer: string, target: Target) =>
    mesh.asker.node.fetchZip(peer, zipHash, target, target.options)

  /** A member that answers the first request in one way, the second in the next. */
  function member(...answers: readonly Answer[]): Promise<RogueMember> {
    const left = [...answers]
    return mesh.member(async (stream, { offset = 0 }) => {
      const answer = left.shift()
      if (answer === undefined) return stream.abort(new Error('asked too often'))
      await answer(stream, { offset })
    })
  }

  /** Gives bytes up to `end` and dies when they are there. */
  function dies(target: Target, end: number, bytes: Uint8Array = body): Answer {
    return async (stream, { offset }) => {
      // So that it does not end with its last byte.
      const all = { ...ok, length: body.length + 1 }
      const header = offset === 0 ? all : { ...all, offset }
      await lpStream(stream).write(encode(header))
      if (end > offset) stream.send(bytes.subarray(offset, end))
      await expect.poll(() => target.point?.size, soon).toBe(end)
      stream.abort(new Error('died'))
    }
  }

  async function cut(target: Target, end: number, bytes?: Uint8Array): Promise<void> {
    await using rogue = await member(dies(target, end, bytes))
    await expect(fetch(rogue.peerId, target)).rejects.toMatchObject({ fault: 'unable' })
    expect(statusOf(rogue.peerId)?.blamed).toBeUndefined()
  }

  test.for([0, 1, 300_000, body.length - 1, body.length])(
    'after %i bytes comes from there on of another one',
    async (end) => {
      const target = new Target()
      await cut(target, end)
      const before = statusOf(mesh.honest.node.peerId)?.takenBytes ?? 0
      const fetched = await fetch(mesh.honest.node.peerId, target)
      expect(fetched).toEqual({ zipDigest: zipDigest.toString('hex'), size: body.length })
      expect(Buffer.compare(target.bytes, body)).toBe(0)
      expect(target.resets).toEqual([])
      expect((statusOf(mesh.honest.node.peerId)?.takenBytes ?? 0) - before).toBe(body.length - end)
    },
  )

  test('twice is joined of three', async () => {
    const target = new Target()
    await cut(target, 200_000)
    await cut(target, 450_000)
    expect(target.point).toMatchObject({ size: 450_000 })
    await fetch(mesh.honest.node.peerId, target)
    expect(Buffer.compare(target.bytes, body)).toBe(0)
    expect(target.resets).toEqual([])
  })

  test('and had sent wrong bytes is fetched anew of the next, whom nobody blames', async () => {
    const target = new Target()
    await cut(target, 300_000, flipped)
    const fetched = await fetch(mesh.honest.node.peerId, target)
    expect(fetched.size).toBe(body.length)
    expect(Buffer.compare(target.bytes, body)).toBe(0)
    expect(target.resets).toEqual(['mismatch'])
    expect(target.begun).toBe(2)
    expect(statusOf(mesh.honest.node.peerId)?.blamed).toBeUndefined()
  })

  test('is not joined to the bytes of one that has others', async () => {
    await using other = await startNode({ ticket: await mesh.asker.node.invite() })
    const others = randomBytes(500_000)
    other.shelf.put(name, others)
    await expect.poll(() => statusOf(other.node.peerId)?.isConnected, soon).toBe(true)
    const target = new Target()
    await cut(target, 300_000)
    await fetch(other.node.peerId, target)
    expect(Buffer.compare(target.bytes, others)).toBe(0)
    expect(target.resets).toEqual(['other-bytes'])
  })

  test('comes whole of one that knows no offsets, and is kept until then', async () => {
    const target = new Target()
    await cut(target, 300_000)
    let kept: number | undefined
    await using older = await member(sends({ status: 'unsupported' }), async (stream, asked) => {
      kept = target.point?.size
      expect(asked.offset).toBe(0)
      await sends(ok, body)(stream, asked)
    })
    await fetch(older.peerId, target)
    expect(kept).toBe(300_000)
    expect(Buffer.compare(target.bytes, body)).toBe(0)
    expect(target.resets).toEqual(['other-bytes'])
  })

  test('comes whole of one that begins anew though it has the same bytes', async () => {
    const target = new Target()
    await cut(target, 300_000)
    await using rogue = await member(sends(ok, body))
    await fetch(rogue.peerId, target)
    expect(Buffer.compare(target.bytes, body)).toBe(0)
    expect(target.resets).toEqual(['other-bytes'])
  })

  const from = { ...ok, offset: 300_000 }
  const rest = body.subarray(300_000)
  const misdeeds: readonly (readonly [string, readonly Answer[]])[] = [
    ['another offset', [sends({ ...ok, offset: 299_999 }, body.subarray(299_999))]],
    ['an offset beyond the length', [sends({ ...from, length: 200_000 })]],
    ['an offset in other bytes', [sends({ ...from, zipDigest: randomBytes(32) }, rest)]],
    ['a broken offset', [sends({ ...ok, offset: -1 }, body)]],
    ['all bytes from an offset', [sends(from, body)]],
    ['too few bytes from an offset', [sends(from, rest.subarray(1))]],
    [
      'wrong bytes, joined and from the beginning',
      [sends(from, flip(rest, 9)), sends(ok, flipped)],
    ],
    ['an offset when asked for all', [sends(from, flip(rest, 9)), sends(from, rest)]],
  ]
  test.for(misdeeds)('and goes on with %s is a lie of the next', async ([, answers]) => {
    const target = new Target()
    await cut(target, 300_000)
    await using rogue = await member(...answers)
    await expect(fetch(rogue.peerId, target)).rejects.toMatchObject({ fault: 'protocol' })
    expect(statusOf(rogue.peerId)?.blamed).toBeDefined()
  })

  test('with an offset that nobody asked for is a lie', async () => {
    await using rogue = await member(sends({ ...ok, offset: 1 }, body.subarray(1)))
    await expect(fetch(rogue.peerId, new Target())).rejects.toMatchObject({ fault: 'protocol' })
  })

  const wholeOf: readonly (readonly [string, object])[] = [
    ['other bytes', { offset: 5, zipDigest: randomBytes(32) }],
    ['bytes it does not name', { offset: 5 }],
    ['more bytes than there are', { offset: body.length + 1, zipDigest }],
    ['more bytes than can be', { offset: Number.MAX_SAFE_INTEGER, zipDigest }],
    ['no bytes', { offset: 0, zipDigest }],
  ]
  test.for(wholeOf)('and is asked for with %s before is given whole', async ([, asked]) => {
    expect(await answerTo(asked)).toEqual({ header: ok, bytes: body.length })
  })

  /** How the honest holder answers a request that goes on. */
  async function answerTo(asked: object): Promise<{ header: object; bytes: number }> {
    await using rogue = await rogueMember(await mesh.asker.node.invite())
    const connection = await rogue.connect(mesh.honest.address)
    const stream = await connection.newStream(bodyProtocol)
    const frames = lpStream(stream)
    const hash = Buffer.from(zipHash.slice(3), 'base64')
    await frames.write(encode({ kind: 'zip', zipHash: hash, ...asked }))
    const header = decodeBodyHeader((await frames.read()).subarray())
    frames.unwrap()
    let bytes = 0
    for await (const chunk of stream) bytes += chunk.byteLength
    await stream.close()
    if (header.status !== 'ok') throw new Error(header.status)
    return { header: { ...header, zipDigest: Buffer.from(header.zipDigest) }, bytes }
  }
})
