import { randomBytes } from 'node:crypto'
import type {
  OwnerAnswer,
  OwnerChoice,
  OwnerNotice,
  OwnerQuestion,
  PartAsked,
  ZipPart,
} from '@modmesh/fill'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { MeshNode } from '../src/mesh-node.ts'
import type { SiteFetcher } from '../src/peer-shelf.ts'
import { moduleOf } from './support/memory-shelf.ts'
import { failOnUnhandled } from './support/no-unhandled.ts'
import { MemorySink, startNode } from './support/test-node.ts'

const calm = new AbortController().signal
const soon = { interval: 10 }
const everybody: OwnerChoice = { isTrusted: () => true, reach: 'upstream' }
const module = moduleOf('example.org/m@v1.0.0')
const comingStallMs = 300
const zipQuestion: OwnerQuestion = { what: 'zip', module }
failOnUnhandled()

let stack: AsyncDisposableStack
beforeEach(() => {
  stack = new AsyncDisposableStack()
})
afterEach(() => stack.disposeAsync())

/** Fetches what a test says. */
class TestFetcher implements SiteFetcher {
  isAble = true
  readonly asked: OwnerQuestion[] = []
  readonly parts: PartAsked[] = []
  answers: (question: OwnerQuestion) => Promise<OwnerAnswer> = async () => ({ kind: 'nothing' })
  gives: (asked: PartAsked) => Promise<ZipPart | undefined> = async () => undefined
  bytes = 0

  canRelay(): boolean {
    return true
  }

  canFetch(): boolean {
    return this.isAble
  }

  answer(question: OwnerQuestion): Promise<OwnerAnswer> {
    this.asked.push(question)
    return this.answers(question)
  }

  part(_module: unknown, asked: PartAsked): Promise<ZipPart | undefined> {
    this.parts.push(asked)
    return this.gives(asked)
  }

  notice(): OwnerNotice {
    return { bytes: this.bytes }
  }
}

async function start(
  init: { readonly ticket?: string; readonly site?: string; readonly isAble?: boolean } = {},
): Promise<{ readonly node: MeshNode; readonly fetcher: TestFetcher }> {
  const { isAble = true, ...given } = init
  const fetcher = new TestFetcher()
  fetcher.isAble = isAble
  const times = { fetchNoticeMs: 20, comingStallMs }
  const { node } = stack.use(await startNode({ ...given, fetcher, times }))
  return { node, fetcher }
}

/** Another member that owns some key, as a node sees it. */
function otherOwner(node: MeshNode, options = everybody): string | undefined {
  const owners = Array.from({ length: 64 }, (_, n) => node.owner(`key ${n}`, options))
  return owners.find((owner) => owner !== undefined)
}

/** Two members of one site that know each other. */
async function pair(): Promise<{
  readonly node: MeshNode
  readonly owner: MeshNode
  readonly fetcher: TestFetcher
}> {
  const { node: owner, fetcher } = await start()
  const { node } = await start({ ticket: await owner.invite() })
  await expect.poll(() => otherOwner(node), soon).toBe(owner.peerId)
  return { node, owner, fetcher }
}

async function ask(
  node: MeshNode,
  owner: MeshNode,
  question = zipQuestion,
): Promise<{ readonly answer: OwnerAnswer; readonly notices: readonly OwnerNotice[] }> {
  const notices: OwnerNotice[] = []
  const onNotice = (notice: OwnerNotice): void => void notices.push(notice)
  const answer = await node.askOwner(owner.peerId, question, { signal: calm, onNotice })
  return { answer, notices }
}

describe('the owner of a key', () => {
  test('is the same one for all members, and each owns some', async () => {
    const first = await start()
    const ticket = await first.node.invite()
    const nodes = [first, await start({ ticket }), await start({ ticket })].map(({ node }) => node)
    for (const node of nodes) {
      await expect.poll(() => node.peers().filter((peer) => peer.isConnected).length, soon).toBe(2)
    }
    const owners = new Set<string>()
    for (let n = 0; n < 60; n++) {
      const seen = nodes.map((node) => node.owner(`key ${n}`, everybody) ?? node.peerId)
      expect(new Set(seen).size).toBe(1)
      owners.add(seen[0] ?? '')
    }
    expect(owners.size).toBe(3)
  })

  test('is no member of another site, and none that has no upstream or is not trusted', async () => {
    const { node: first } = await start()
    const ticket = await first.invite()
    const elsewhere = await start({ ticket: await first.invite({ site: 'elsewhere' }) })
    const unable = await start({ ticket, isAble: false })
    await expect.poll(() => first.peers().filter((peer) => peer.isConnected).length, soon).toBe(2)
    expect(otherOwner(first)).toBeUndefined()
    expect(otherOwner(elsewhere.node)).toBeUndefined()
    await expect.poll(() => otherOwner(unable.node), soon).toBe(first.peerId)
    expect(otherOwner(unable.node, { isTrusted: () => false, reach: 'upstream' })).toBeUndefined()
  })
})

describe('a question to the owner', () => {
  test('is answered with all that it has, a small zip included', async () => {
    const { node, owner, fetcher } = await pair()
    const record = {
      module,
      info: Buffer.from('{"Version":"v1.0.0"}'),
      mod: Buffer.from('module example.org/m\n'),
      record: undefined,
      holdsZip: true,
    }
    const zip = randomBytes(60_000)
    fetcher.answers = async () => ({ kind: 'record', record, zip })
    const { answer } = await ask(node, owner)
    expect(fetcher.asked).toEqual([zipQuestion])
    if (answer.kind !== 'record') throw new Error(answer.kind)
    expect(answer.record.holdsZip).toBe(true)
    expect(Buffer.from(answer.record.mod ?? []).toString()).toBe('module example.org/m\n')
    expect(Buffer.compare(answer.zip ?? new Uint8Array(), zip)).toBe(0)
  })

  test('hears signs of life until its answer comes', async () => {
    const { node, owner, fetcher } = await pair()
    const done = Promise.withResolvers<OwnerAnswer>()
    fetcher.answers = () => done.promise
    fetcher.bytes = 12_345
    const notices: OwnerNotice[] = []
    const onNotice = (notice: OwnerNotice): void => void notices.push(notice)
    const asking = node.askOwner(owner.peerId, zipQuestion, { signal: calm, onNotice })
    await expect.poll(() => notices.length, soon).toBeGreaterThan(3)
    expect(notices[0]).toEqual({ bytes: 12_345 })
    done.resolve({ kind: 'nothing' })
    expect(await asking).toEqual({ kind: 'nothing' })
    const heard = notices.length
    await ask(node, owner)
    expect(notices.length).toBe(heard)
  })

  test('keeps a list with its age, and leaves out one that is too long', async () => {
    const { node, owner, fetcher } = await pair()
    const from = 'https://upstream.example'
    const bytes = Buffer.from('v1.0.0\n')
    fetcher.answers = async () => ({ kind: 'bytes', bytes, from, ageMs: 1_500.7 })
    const question: OwnerQuestion = { what: 'list', path: module.path }
    const { answer } = await ask(node, owner, question)
    expect(answer).toMatchObject({ kind: 'bytes', from, ageMs: 1_500 })
    fetcher.answers = async () => ({ kind: 'bytes', bytes: randomBytes(200_000), from, ageMs: 0 })
    const { answer: none } = await ask(node, owner, question)
    expect(none).toEqual({ kind: 'refused', why: 'declined' })
  })

  test('survives a fetcher that throws', async () => {
    const { node, owner, fetcher } = await pair()
    fetcher.answers = async () => {
      throw new Error('a broken disk')
    }
    expect((await ask(node, owner)).answer).toEqual({ kind: 'refused', why: 'failed' })
  })

  test('many at once are all answered, and none keeps a quick one waiting', async () => {
    const { node, owner, fetcher } = await pair()
    const done = Promise.withResolvers<OwnerAnswer>()
    fetcher.answers = () => done.promise
    const many = Array.from({ length: 80 }, () => ask(node, owner))
    await expect.poll(() => fetcher.asked.length, soon).toBe(64)
    // A query of another kind does not stand in line behind those that take long.
    for await (const _ of node.findVersions(module.path, { signal: calm })) throw new Error('none')
    done.resolve({ kind: 'nothing' })
    for (const { answer } of await Promise.all(many)) expect(answer).toEqual({ kind: 'nothing' })
    expect(fetcher.asked).toHaveLength(80)
  })

  test('is told when the owner goes away', async () => {
    const { node, owner, fetcher } = await pair()
    fetcher.answers = () => new Promise(() => {})
    const asking = ask(node, owner)
    await expect.poll(() => fetcher.asked.length, soon).toBe(1)
    const stopped = owner.stop()
    await expect(asking).rejects.toMatchObject({ code: 'PEER', fault: 'unable' })
    await stopped
    expect(otherOwner(node)).toBeUndefined()
  })

  test('from another site is declined', async () => {
    const { node: first, fetcher } = await start()
    const elsewhere = await start({ ticket: await first.invite({ site: 'elsewhere' }) })
    await expect.poll(() => elsewhere.node.peers().length, soon).toBe(1)
    const { answer } = await ask(elsewhere.node, first)
    expect(answer).toEqual({ kind: 'refused', why: 'declined' })
    expect(fetcher.asked).toEqual([])
    const taking = elsewhere.node.fetchComing(first.peerId, module, new MemorySink(), {
      signal: calm,
    })
    await expect(taking).rejects.toMatchObject({ code: 'PEER', fault: 'unable' })
    expect(fetcher.parts).toEqual([])
  })
})

describe('a zip that the owner is still receiving', () => {
  /** Gives what has come so far of a body that grows by a megabyte with each question. */
  function growing(fetcher: TestFetcher, bytes: Uint8Array, bodyOf = (_offset: number) => 7): void {
    let come = 0
    fetcher.gives = async ({ offset }) => {
      come = Math.min(bytes.length, come + 1_000_000)
      const length = come - offset
      const chunks = (async function* () {
        for (let at = offset; at < offset + length; at += 100_000) {
          yield bytes.subarray(at, Math.min(at + 100_000, offset + length))
        }
      })()
      return { body: bodyOf(offset), length, isLast: come === bytes.length, chunks }
    }
  }

  test('is streamed as it comes', async () => {
    const { node, owner, fetcher } = await pair()
    const bytes = randomBytes(3_300_000)
    growing(fetcher, bytes)
    const sink = new MemorySink()
    await node.fetchComing(owner.peerId, module, sink, { signal: calm })
    expect(Buffer.compare(sink.bytes, bytes)).toBe(0)
    expect(fetcher.parts).toEqual([
      { body: undefined, offset: 0 },
      { body: 7, offset: 1_000_000 },
      { body: 7, offset: 2_000_000 },
      { body: 7, offset: 3_000_000 },
    ])
  })

  test('is read no faster than it is written', async () => {
    const { node, owner, fetcher } = await pair()
    growing(fetcher, randomBytes(5_000_000))
    const first = Promise.withResolvers<void>()
    const stopped = new AbortController()
    const slow = { write: () => first.promise }
    const options = { signal: stopped.signal }
    const taking = node.fetchComing(owner.peerId, module, slow, options)
    taking.catch(() => {})
    await expect.poll(() => fetcher.parts.length, soon).toBe(1)
    expect(fetcher.parts).toHaveLength(1)
    stopped.abort(new Error('enough'))
    first.resolve()
    await expect(taking).rejects.toThrow('enough')
  })

  test('that begins anew is given up: bodies are never mixed', async () => {
    const { node, owner, fetcher } = await pair()
    growing(fetcher, randomBytes(3_000_000), (offset) => (offset === 0 ? 7 : 8))
    const taking = node.fetchComing(owner.peerId, module, new MemorySink(), { signal: calm })
    await expect(taking).rejects.toMatchObject({ code: 'PEER', fault: 'protocol' })
  })

  test('that never grows is given up, whoever waits for it', async () => {
    const { node, owner, fetcher } = await pair()
    fetcher.gives = async () => {
      return { body: 7, length: 0, isLast: false, chunks: (async function* () {})() }
    }
    const startMs = performance.now()
    const taking = node.fetchComing(owner.peerId, module, new MemorySink(), { signal: calm })
    await expect(taking).rejects.toMatchObject({ code: 'PEER', fault: 'unable' })
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(comingStallMs)
  })

  test('that is none is nothing', async () => {
    const { node, owner } = await pair()
    const taking = node.fetchComing(owner.peerId, module, new MemorySink(), { signal: calm })
    await expect(taking).rejects.toMatchObject({ code: 'PEER', fault: 'unable' })
  })
})
