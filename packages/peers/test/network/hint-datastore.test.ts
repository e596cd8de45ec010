import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Key } from 'interface-datastore'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { HintDatastore } from '../../src/network/hint-datastore.ts'
import type { HintLimits } from '../../src/network/hint-quota.ts'
import { maxRecordBytes } from '../../src/network/limits.ts'
import type { NetworkEvent } from '../../src/network/network-event.ts'
import { openHints } from '../../src/network/open-hints.ts'

const small: HintLimits = {
  peerRecords: 3,
  providerRecords: 5,
  providerRecordsPerPeer: 3,
  valueRecords: 2,
}
const value = Uint8Array.of(1, 2, 3)
let dir: string
let events: NetworkEvent[]
let store: HintDatastore | undefined

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'modmesh-hints-'))
  events = []
})

afterEach(async () => {
  await store?.close()
  store = undefined
  await rm(dir, { recursive: true, force: true })
})

async function open(limits: HintLimits = small): Promise<HintDatastore> {
  await store?.close()
  const log = (event: NetworkEvent): void => void events.push(event)
  store = await openHints({ log }, { dir, selfPeerId: 'self', limits })
  return store
}

function key(name: string): Key {
  return new Key(name)
}

async function keys(hints: HintDatastore, prefix: string): Promise<string[]> {
  const found: string[] = []
  for await (const { key: name } of hints.query({ prefix })) found.push(name.toString())
  return found
}

async function putAll(hints: HintDatastore, names: readonly string[]): Promise<void> {
  for (const name of names) await hints.put(key(name), value)
}

test('what was put is found, also after a restart', async () => {
  await (await open()).put(key('/peers/a'), value)
  const again = await open()
  expect(await again.get(key('/peers/a'))).toEqual(value)
  expect(await again.has(key('/peers/a'))).toBe(true)
  expect(await keys(again, '/peers/')).toEqual(['/peers/a'])
})

test('what is not there is not found, as libp2p asks for it', async () => {
  const hints = await open()
  await expect(hints.get(key('/peers/a'))).rejects.toThrow(
    expect.objectContaining({ name: 'NotFoundError' }),
  )
  await hints.delete(key('/peers/a'))
  expect(await hints.has(key('/peers/a'))).toBe(false)
})

test('a batch is applied', async () => {
  const hints = await open()
  await hints.put(key('/x/old'), value)
  const batch = hints.batch()
  batch.put(key('/x/new'), value)
  batch.delete(key('/x/old'))
  await batch.commit()
  expect(await keys(hints, '/x')).toEqual(['/x/new'])
})

describe('quotas', () => {
  const provider = (n: number, peer: string): string => `/dht/provider/cid${n}/${peer}`

  test('one peer cannot have more provider records than its share', async () => {
    const hints = await open()
    await putAll(
      hints,
      [1, 2, 3, 4, 5].map((n) => provider(n, 'greedy')),
    )
    await putAll(hints, [provider(1, 'other')])
    expect(await keys(hints, '/dht/provider')).toEqual([
      provider(1, 'greedy'),
      provider(1, 'other'),
      provider(2, 'greedy'),
      provider(3, 'greedy'),
    ])
  })

  test('all peers together cannot have more than the total, except ourselves', async () => {
    const hints = await open()
    await putAll(
      hints,
      [1, 2].flatMap((n) => ['a', 'b', 'c', 'd'].map((peer) => provider(n, peer))),
    )
    expect(await keys(hints, '/dht/provider')).toHaveLength(5)
    await putAll(hints, [provider(9, 'self')])
    expect(await hints.has(key(provider(9, 'self')))).toBe(true)
  })

  test('a record is refreshed at the limit, and room made by a removal is used', async () => {
    const hints = await open()
    await putAll(
      hints,
      [1, 2, 3].map((n) => provider(n, 'a')),
    )
    await hints.put(key(provider(3, 'a')), Uint8Array.of(9))
    expect(await hints.get(key(provider(3, 'a')))).toEqual(Uint8Array.of(9))
    await hints.delete(key(provider(1, 'a')))
    await hints.delete(key(provider(1, 'a')))
    await putAll(hints, [provider(4, 'a'), provider(5, 'a')])
    expect(await keys(hints, '/dht/provider')).toEqual([2, 3, 4].map((n) => provider(n, 'a')))
  })

  test('are counted again after a restart', async () => {
    await putAll(
      await open(),
      [1, 2, 3].map((n) => provider(n, 'a')),
    )
    const again = await open()
    await putAll(again, [provider(4, 'a')])
    expect(await again.has(key(provider(4, 'a')))).toBe(false)
  })

  test('the peer that was written least recently goes first', async () => {
    const hints = await open()
    await putAll(hints, ['/peers/a', '/peers/b', '/peers/c', '/peers/a', '/peers/d'])
    expect(await keys(hints, '/peers/')).toEqual(['/peers/a', '/peers/c', '/peers/d'])
  })

  test('DHT values have few places', async () => {
    const hints = await open()
    await putAll(hints, ['/dht/record/a', '/dht/record/b', '/dht/record/c'])
    expect(await keys(hints, '/dht/record/')).toEqual(['/dht/record/a', '/dht/record/b'])
  })

  test('a record that grew too large is dropped', async () => {
    const hints = await open()
    await hints.put(key('/peers/a'), value)
    await hints.put(key('/peers/a'), new Uint8Array(maxRecordBytes + 1))
    expect(await hints.has(key('/peers/a'))).toBe(false)
  })
})

describe('peer records', () => {
  test('are answered from memory, also when the table cannot be written', async () => {
    const hints = await open()
    await hints.db.close()
    await hints.put(key('/peers/a'), value)
    expect(await hints.get(key('/peers/a'))).toEqual(value)
    await hints.delete(key('/peers/a'))
    expect(await hints.has(key('/peers/a'))).toBe(false)
    await hints.db.open()
  })

  test('that were deleted stay away after a restart', async () => {
    const hints = await open()
    await putAll(hints, ['/peers/a', '/peers/b'])
    expect(await keys(hints, '/peers/')).toEqual(['/peers/a', '/peers/b'])
    await hints.put(key('/peers/a'), Uint8Array.of(7))
    await hints.delete(key('/peers/a'))
    expect(await keys(await open(), '/peers/')).toEqual(['/peers/b'])
  })

  test('that the quota pushed out are gone from the table, too', async () => {
    const hints = await open()
    await putAll(hints, ['/peers/a', '/peers/b', '/peers/c'])
    expect(await keys(hints, '/peers/')).toHaveLength(3)
    await putAll(hints, ['/peers/d'])
    expect(await keys(await open(), '/peers/')).toEqual(['/peers/b', '/peers/c', '/peers/d'])
  })
})

describe('damage', () => {
  test('a flipped bit in a value makes it absent', async () => {
    await (await open()).put(key('/peers/a'), value)
    const hints = await open()
    const raw = await hints.db.get('/peers/a')
    await hints.db.put('/peers/a', raw!.with(9, raw![9]! ^ 1))
    await expect(hints.get(key('/peers/a'))).rejects.toThrow('no record')
    expect(await keys(hints, '/peers/')).toEqual([])
  })

  test('a value under another key is absent', async () => {
    await (await open()).put(key('/peers/a'), value)
    const hints = await open()
    await hints.db.put('/peers/b', (await hints.db.get('/peers/a'))!)
    expect(await hints.has(key('/peers/b'))).toBe(false)
  })

  test.for<[string, (path: string) => Promise<unknown>]>([
    ['an empty CURRENT', (path) => truncate(join(path, 'CURRENT'))],
    [
      'a CURRENT that names nothing',
      (path) => writeFile(join(path, 'CURRENT'), 'MANIFEST-999999\n'),
    ],
    [
      'a manifest of noise',
      async (path) => {
        const manifest = (await readdir(path)).find((name) => name.startsWith('MANIFEST'))!
        const { length } = await readFile(join(path, manifest))
        await writeFile(join(path, manifest), Buffer.alloc(length, 0xa5))
      },
    ],
  ])('a folder with %s is thrown away and made anew', async ([, damage]) => {
    await (await open()).put(key('/peers/a'), value)
    await store?.close()
    store = undefined
    await writeFile(join(dir, 'neighbour'), 'stays')
    await damage(join(dir, 'hints-v1'))
    const again = await open()
    expect(await keys(again, '/')).toEqual([])
    expect(events.map((event) => event.kind)).toEqual(['hints-recreated'])
    expect(await readFile(join(dir, 'neighbour'), 'utf8')).toBe('stays')
  })

  test('a folder that another process holds is an error and stays', async () => {
    const first = await open()
    await first.put(key('/peers/a'), value)
    await expect(openHints({ log: () => {} }, { dir, selfPeerId: 'self' })).rejects.toThrow(
      expect.objectContaining({ code: 'PEER_DATASTORE_LOCKED' }),
    )
    expect(await first.get(key('/peers/a'))).toEqual(value)
  })
})
