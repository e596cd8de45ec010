import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FakeClock } from '@modmesh/fill/twins'
import { parseModuleVersion } from '@modmesh/module'
import { SumdbClient } from '@modmesh/sumdb'
import { FakeSumdb, memoryOps } from '@modmesh/sumdb/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { findClientHeads } from '../src/go-client-heads.ts'
import { PeerHeads } from '../src/heads.ts'
import { type Logger, openLog } from '../src/log.ts'
import { SumdbUpkeep } from '../src/upkeep.ts'

const noFile = { read: () => Promise.resolve(undefined), write: () => Promise.resolve() }
const noTiles = () => Promise.resolve(undefined)

const { signal } = new AbortController()
const module = parseModuleVersion('example.com/m', 'v1.0.0')

let home = ''
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'modmesh-home-'))
})
afterEach(async () => {
  await rm(home, { recursive: true, force: true })
})

async function goSaw(note: string, gopath = join(home, 'go')): Promise<void> {
  const folder = join(gopath, 'pkg', 'sumdb', 'sum.test')
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'latest'), note)
}

function database(size: number): FakeSumdb {
  const sumdb = new FakeSumdb()
  sumdb.add(module.path, module.version)
  sumdb.addFiller(size - 1)
  return sumdb
}

function clientOf(sumdb: FakeSumdb) {
  const ops = memoryOps(sumdb)
  const client = new SumdbClient({ ops }, { key: sumdb.key, isPrivate: () => false })
  return { ops, client }
}

interface Line {
  readonly level: string
  readonly peer?: string
}

/** A log that remembers what it was told. */
function listeningLog(): { readonly log: Logger; readonly lines: Line[] } {
  const lines: Line[] = []
  return { lines, log: openLog('debug', (line) => lines.push(JSON.parse(line) as Line)) }
}

describe('the heads of local go commands', () => {
  test('are found in GOPATH, each folder of it, or ~/go', async () => {
    const sumdb = database(300)
    const other = join(home, 'other')
    await goSaw(sumdb.noteAt(100))
    await goSaw(sumdb.noteAt(200), other)
    const find = (env: Record<string, string>) => findClientHeads(sumdb.key, { env, home })
    expect(await find({})).toEqual([100])
    expect(await find({ GOPATH: other })).toEqual([200])
    expect(await find({ GOPATH: `${other}:${home}/go:` })).toEqual([200, 100])
    expect(await find({ GOPATH: '/does/not/exist' })).toEqual([])
  })

  test.for([
    ['empty', ''],
    ['no note', 'hello'],
    [
      'signed by another key',
      new FakeSumdb({ seed: 'x' }).signNote('go.sum database tree\n1\nAA==\n'),
    ],
    ['huge', 'x'.repeat(100_000)],
  ] as const)('that are %s are left aside', async ([, note]) => {
    await goSaw(note)
    expect(await findClientHeads(database(2).key, { env: {}, home })).toEqual([])
  })
})

describe('upkeep', () => {
  test('keeps upper tiles and the edges of clients’ heads once there is a head', async () => {
    const sumdb = database(200_000)
    const { ops, client } = clientOf(sumdb)
    await goSaw(sumdb.noteAt(1_000))
    const clock = new FakeClock()
    await using _upkeep = new SumdbUpkeep(
      { client, clock, log: listeningLog().log },
      { key: sumdb.key, around: { env: {}, home } },
    )
    await clock.advance(60_000)
    expect(ops.reads).toEqual([])
    await client.lookup(module, { signal })
    await clock.advance(60_000)
    await expect.poll(() => ops.reads).toContain('/tile/8/1/001')
    await expect.poll(() => ops.reads.join()).toContain('/tile/8/0/003')
    sumdb.faults.down = true
    expect(await client.answerTile('tile/8/1/000', { signal })).toHaveLength(8192)
    expect(await client.answerTile('tile/8/0/003.p/232', { signal })).toHaveLength(232 * 32)
  })

  test('tries again after a database that was down, and ends at once when told to', async () => {
    const sumdb = database(200_000)
    const { ops, client } = clientOf(sumdb)
    await client.lookup(module, { signal })
    await client.settled()
    sumdb.faults.down = true
    const { log, lines } = listeningLog()
    const clock = new FakeClock()
    const around = { env: {}, home }
    const upkeep = new SumdbUpkeep({ client, clock, log }, { key: sumdb.key, around })
    await expect.poll(() => lines).toHaveLength(1)
    sumdb.faults.down = false
    ops.reads.length = 0
    await expect
      .poll(async () => {
        await clock.advance(30_000)
        return ops.reads
      })
      .toContain('/tile/8/1/001')
    await upkeep[Symbol.asyncDispose]()
    expect(clock.pending).toBe(0)
  })
})

describe('heads of peers', () => {
  test('are shown ours, and told of it when it moves', async () => {
    const sumdb = database(10)
    const { client } = clientOf(sumdb)
    await using heads = new PeerHeads({ client, log: listeningLog().log, file: noFile })
    let told = 0
    const stop = heads.onHead(() => {
      told += 1
    })
    expect(await heads.heads()).toEqual([])
    await client.lookup(module, { signal })
    expect(await heads.heads()).toEqual([{ database: 'sum.test', note: sumdb.noteAt(10) }])
    expect(told).toBe(1)
    stop()
  })

  test('that are newer become ours', async () => {
    const sumdb = database(10)
    const { client } = clientOf(sumdb)
    await using heads = new PeerHeads({ client, log: listeningLog().log, file: noFile })
    heads.received('p', 'sum.other', sumdb.noteAt(10), noTiles)
    heads.received('p', 'sum.test', sumdb.noteAt(10), noTiles)
    await expect.poll(async () => (await client.head())?.size).toBe(10)
  })

  test('that fork or are forged are told, with the peer', async () => {
    const sumdb = database(10)
    const { client } = clientOf(sumdb)
    await client.lookup(module, { signal })
    const { log, lines } = listeningLog()
    await using heads = new PeerHeads({ client, log, file: noFile })
    heads.received('liar', 'sum.test', 'no note', noTiles)
    await expect.poll(() => lines).toMatchObject([{ level: 'warn', peer: 'liar' }])
    const fork = sumdb.fork(5)
    fork.addFiller(20)
    heads.received('forker', 'sum.test', fork.noteAt(), noTiles)
    await expect.poll(() => lines.length).toBe(2)
    expect(lines[1]).toMatchObject({ peer: 'forker' })
    expect((await client.head())?.size).toBe(10)
  })

  test('of a node without a database are nobody’s business', async () => {
    await using heads = new PeerHeads({ client: undefined, log: listeningLog().log, file: noFile })
    heads.received('p', 'sum.test', 'x', noTiles)
    heads.onHead(() => undefined)()
    expect(await heads.heads()).toEqual([])
  })
})
