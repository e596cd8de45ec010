import type { HeldZip, Proof, RecordProof } from '@modmesh/fill'
import { MemoryZipStore } from '@modmesh/fill/twins'
import { hashMod, type ModuleVersion, parseModuleVersion } from '@modmesh/module'
import { describe, expect, test } from 'vitest'
import { SharedShelf } from '../src/shelf.ts'

const proven: Proof = { kind: 'checksum-db', database: 'sum.test', record: 1 }
const unproven: Proof = { kind: 'upstream' }
const text = (words: string): Uint8Array => new TextEncoder().encode(words)

class ListeningStore extends MemoryZipStore {
  readonly listeners = new Set<(zip: HeldZip) => void>()

  onCommitted(listener: (zip: HeldZip) => void): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  *mods(): Generator<ModuleVersion> {
    for (const module of [open, secret, odd]) yield module
  }

  async hold(module: ModuleVersion, proof: Proof): Promise<HeldZip> {
    const staged = await this.stageZip(module)
    await staged.write(text(`${module.path}@${module.version}`))
    await staged.verify(undefined, { signal: new AbortController().signal })
    const held = await staged.commit(proof)
    for (const listener of this.listeners) listener(held)
    return held
  }
}

const open = parseModuleVersion('example.com/open', 'v1.0.0')
const secret = parseModuleVersion('corp.example/secret', 'v1.0.0')
const odd = parseModuleVersion('example.com/odd', 'v1.0.0')
const record: RecordProof = { database: 'sum.test', id: 1, text: 'x', hashes: [], head: 'h' }

async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const one of source) all.push(one)
  return all
}

function setUp(hasDatabase = true): { store: ListeningStore; shelf: SharedShelf } {
  const store = new ListeningStore()
  const client = {
    name: 'sum.test',
    proveRecord: async (module: ModuleVersion) => (module.path === odd.path ? undefined : record),
    cachedTile: async (path: string) => text(`tile ${path}`),
  }
  const isPrivate = (path: string): boolean => path.startsWith('corp.example/')
  return {
    store,
    shelf: new SharedShelf({ store, client: hasDatabase ? client : undefined }, { isPrivate }),
  }
}

describe('the shelf', () => {
  test('gives what is proven and public', async () => {
    const { store, shelf } = setUp()
    const held = await store.hold(open, proven)
    const mod = text('module example.com/open\n')
    await store.putRecord({
      module: open,
      info: { bytes: text('{}'), from: 'upstream' },
      mod: { bytes: mod, hash: hashMod(mod), proof: proven },
    })
    expect(await collect(shelf.contents())).toEqual([{ module: open, zipHash: held.zipHash }])
    expect((await shelf.findContent(held.zipHash))?.module).toEqual(open)
    expect(await shelf.record(open)).toEqual({
      module: open,
      info: text('{}'),
      mod,
      record,
      holdsZip: true,
    })
    expect(await shelf.versions(open.path)).toEqual(['v1.0.0'])
  })

  test.for([
    ['private, whatever its proof', secret, proven],
    ['only upstream’s word', odd, unproven],
  ] as const)('gives nothing of what is %s', async ([, module, proof]) => {
    const { store, shelf } = setUp()
    const added: unknown[] = []
    shelf.onAdded((item) => added.push(item))
    const held = await store.hold(module, proof)
    const mod = text('module x\n')
    await store.putRecord({
      module,
      info: { bytes: text('{}'), from: 'upstream' },
      mod: { bytes: mod, hash: hashMod(mod), proof },
    })
    expect(await collect(shelf.contents())).toEqual([])
    expect(await shelf.findContent(held.zipHash)).toBeUndefined()
    expect(await shelf.record(module)).toBeUndefined()
    expect(await shelf.versions(module.path)).toEqual([])
    expect(added).toEqual([])
  })

  test('gives an info along with a proof only', async () => {
    const { store, shelf } = setUp()
    await store.putRecord({ module: odd, info: { bytes: text('{}'), from: 'upstream' } })
    expect(await shelf.record(odd)).toBeUndefined()
    await store.putRecord({ module: open, info: { bytes: text('{}'), from: 'upstream' } })
    expect(await shelf.record(open)).toMatchObject({ info: text('{}'), holdsZip: false })
  })

  test('tells of what is added until told to stop', async () => {
    const { store, shelf } = setUp()
    const added: string[] = []
    const stop = shelf.onAdded(({ module }) => added.push(module.path))
    await store.hold(open, proven)
    stop()
    await store.hold(parseModuleVersion('example.com/later', 'v1.0.0'), proven)
    expect(added).toEqual([open.path])
  })

  test('gives tiles of its own database alone', async () => {
    expect(await setUp().shelf.tile('sum.test', 'tile/8/0/000')).toEqual(text('tile tile/8/0/000'))
    expect(await setUp().shelf.tile('sum.other', 'tile/8/0/000')).toBeUndefined()
    expect(await setUp(false).shelf.tile('sum.test', 'tile/8/0/000')).toBeUndefined()
  })
})
