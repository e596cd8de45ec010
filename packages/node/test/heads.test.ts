import type { ReadTile } from '@modmesh/peers'
import {
  type ForkNotes,
  parseVerifierKey,
  SumdbClient,
  SumdbUnavailableError,
} from '@modmesh/sumdb'
import { FakeSumdb, memoryOps } from '@modmesh/sumdb/testing'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { PeerHeads } from '../src/heads.ts'
import type { KeptHeadsFile } from '../src/kept-heads.ts'

const soon = { interval: 5 }
const silent = { debug: () => {}, warn: () => {}, error: () => {} }

/** A log of the size of a busy day, and one that agrees with it up to record 30,000 only. */
const log = new FakeSumdb()
let forked: FakeSumdb
beforeAll(() => {
  log.addFiller(30_000)
  forked = log.fork(30_000)
  forked.addFiller(1)
  forked.add('example.com/evil', 'v1.0.0', 'example.com/evil v1.0.0 h1:evil\n')
  forked.addFiller(45_000)
  log.addFiller(45_000)
})

class MemoryFile implements KeptHeadsFile {
  bytes: Uint8Array | undefined
  read(): Promise<Uint8Array | undefined> {
    return Promise.resolve(this.bytes)
  }
  async write(bytes: Uint8Array): Promise<void> {
    this.bytes = bytes
  }
}

let open: AsyncDisposable[] = []
afterEach(async () => {
  for (const each of open.splice(0).toReversed()) await each[Symbol.asyncDispose]()
})

/** A node whose database can be reached or not; what it keeps outlives it. */
class Host {
  readonly file = new MemoryFile()
  /** Where its tiles come from. */
  tiles: FakeSumdb | undefined
  forks: ForkNotes[] = []
  heads!: PeerHeads
  client!: SumdbClient
  readonly #ops = memoryOps(async (path, { signal, databaseOnly }) => {
    if (this.tiles !== undefined) return this.tiles.serve(path)
    const tile =
      databaseOnly === true ? undefined : await this.heads.tile(log.name, path.slice(1), { signal })
    if (tile === undefined) throw new SumdbUnavailableError('no way to the database')
    return tile
  })

  start(): void {
    this.client = new SumdbClient(
      { ops: this.#ops },
      { key: parseVerifierKey(log.keyText), isPrivate: () => false },
    )
    this.client.onFork(({ ours, theirs }) => this.forks.push({ ours, theirs }))
    this.heads = new PeerHeads({ client: this.client, log: silent, file: this.file })
    open.push(this.client, this.heads)
  }

  async restart(): Promise<void> {
    for (const each of open.splice(0).toReversed()) await each[Symbol.asyncDispose]()
    this.start()
  }

  /** Takes a head as its own while the database is at hand. */
  async follow(size: number): Promise<void> {
    this.tiles = log
    await this.client.mergeHead(log.noteAt(size), { signal: AbortSignal.timeout(60_000) })
    this.tiles = undefined
  }

  async size(): Promise<number | undefined> {
    return (await this.client.head())?.size
  }
}

const nothing: ReadTile = async () => undefined
const from =
  (source: FakeSumdb): ReadTile =>
  async (path) =>
    source.serve(`/${path}`)

async function host(size: number): Promise<Host> {
  const started = new Host()
  started.start()
  await started.follow(size)
  return started
}

describe('a head of a peer, in a log of 75,000 records', () => {
  test('is ours when the peer itself has its tiles', async () => {
    const a = await host(1_000)
    a.heads.received('p', log.name, log.noteAt(72_345), from(log))
    await expect.poll(() => a.size(), soon).toBe(72_345)
    expect(await a.heads.waiting()).toBe(0)
  })

  test('is kept while its tiles cannot be had, also over a restart, and is ours once they can', async () => {
    const a = await host(20_000)
    a.heads.received('p', log.name, log.noteAt(72_345), nothing)
    await expect.poll(() => a.heads.waiting(), soon).toBe(1)
    expect(await a.size()).toBe(20_000)
    await a.restart()
    expect(await a.heads.waiting()).toBe(1)
    // A peer with tiles shows an older head: now both can be looked at.
    a.heads.received('q', log.name, log.noteAt(70_000), from(log))
    await expect.poll(() => a.size(), soon).toBe(72_345)
    await expect.poll(() => a.heads.waiting(), soon).toBe(0)
    await a.restart()
    expect(await a.heads.waiting()).toBe(0)
    expect(a.forks).toEqual([])
  })

  test('is looked at again when the database is there at the next start', async () => {
    const a = await host(20_000)
    a.heads.received('p', log.name, log.noteAt(72_345), nothing)
    await expect.poll(() => a.heads.waiting(), soon).toBe(1)
    a.tiles = log
    await a.restart()
    await expect.poll(() => a.size(), soon).toBe(72_345)
  })

  test('that is of another log raises the alarm with both notes, however late it is looked at', async () => {
    const a = await host(60_000)
    const note = forked.noteAt(71_000)
    a.heads.received('p', log.name, note, nothing)
    await expect.poll(() => a.heads.waiting(), soon).toBe(1)
    expect(a.forks).toEqual([])
    await a.restart()
    a.heads.received('q', log.name, forked.noteAt(70_500), from(forked))
    await expect.poll(() => a.forks.length, soon).toBe(1)
    expect(a.forks[0]?.ours).toBe(log.noteAt(60_000))
    expect([note, forked.noteAt(70_500)]).toContain(a.forks[0]?.theirs)
    expect(await a.size()).toBe(60_000)
    await expect.poll(() => a.heads.waiting(), soon).toBe(0)
  })

  test('smaller than ours and of another log raises it, too', async () => {
    const a = await host(72_000)
    a.tiles = log
    a.heads.received('p', log.name, forked.noteAt(50_000), nothing)
    await expect.poll(() => a.forks.length, soon).toBe(1)
    expect(a.forks[0]?.theirs).toBe(forked.noteAt(50_000))
  })

  test('that nobody signed, or of another database, is not kept', async () => {
    const a = await host(1_000)
    a.heads.received('p', log.name, log.noteAt(72_345).replace('72345', '72346'), nothing)
    a.heads.received('p', 'sum.other', log.noteAt(72_345), nothing)
    a.heads.received('p', log.name, log.noteAt(70_000), nothing)
    await expect.poll(() => a.heads.waiting(), soon).toBe(1)
    expect(new TextDecoder().decode(a.file.bytes)).toContain('70000')
  })

  test('one of many is kept in a bounded number, the newest', async () => {
    const a = await host(1_000)
    const kept = () => new TextDecoder().decode(a.file.bytes)
    for (let size = 70_000; size < 70_040; size++) {
      a.heads.received('p', log.name, log.noteAt(size), nothing)
      await expect.poll(kept, soon).toContain(`\\n${size}\\n`)
    }
    expect(kept()).not.toContain('70007')
    await expect.poll(() => a.heads.waiting(), soon).toBe(32)
  })

  test('whose tiles are lies is not believed, and kept', async () => {
    const a = await host(1_000)
    const lies: ReadTile = async () => new Uint8Array(8_192)
    a.heads.received('liar', log.name, log.noteAt(72_345), lies)
    await expect.poll(() => a.heads.waiting(), soon).toBe(1)
    expect(await a.size()).toBe(1_000)
    a.heads.received('q', log.name, log.noteAt(72_345), from(log))
    await expect.poll(() => a.size(), soon).toBe(72_345)
  })
})
