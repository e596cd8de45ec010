import type { FirstHash, HeldZip, Proof, Published, PublishedRecord } from '@modmesh/fill'
import { MemoryFirstHashes, MemoryZipStore } from '@modmesh/fill/twins'
import {
  formatModuleVersion,
  hashMod,
  type ModuleVersion,
  parseModuleVersion,
  type ZipHash,
  zipHashFromBytes,
} from '@modmesh/module'
import { describe, expect, test } from 'vitest'
import { SharedPrivateShelf } from '../src/private-shelf.ts'
import { Publishing } from '../src/publishing.ts'

const lib = parseModuleVersion('corp.example/lib', 'v1.0.0')
const open = parseModuleVersion('example.com/open', 'v1.0.0')
const mod = new TextEncoder().encode('module corp.example/lib\n')
const otherZip = zipHashFromBytes(new Uint8Array(32).fill(9))
const publisher = { peer: '12D3KooWalice', name: 'alice', atMs: 1_800_000_000_000 }
const statement = Uint8Array.of(1, 2, 3)
const isPrivate = (path: string): boolean => path.startsWith('corp.example/')

class FirstHashes extends MemoryFirstHashes {
  async published(): Promise<readonly FirstHash[]> {
    return [...this.kept.values()].filter((entry) => entry.published !== undefined)
  }
}

class Store extends MemoryZipStore {
  readonly firstHashes = new FirstHashes()
  readonly #listeners = new Set<(zip: HeldZip) => void>()

  onCommitted(listener: (zip: HeldZip) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Holds a version as `proof` says, with its go.mod and `.info`. */
  async hold(module: ModuleVersion, proof: Proof = { kind: 'upstream' }): Promise<HeldZip> {
    const staged = await this.stageZip(module)
    await staged.write(new TextEncoder().encode(formatModuleVersion(module)))
    await staged.verify(undefined, { signal: new AbortController().signal })
    const held = await staged.commit(proof)
    const info = { bytes: new TextEncoder().encode('{}'), from: 'upstream' } as const
    await this.putRecord({ module, info, mod: { bytes: mod, hash: hashMod(mod), proof } })
    for (const listener of this.#listeners) listener(held)
    return held
  }

  /** Keeps a first hash. */
  see(zip: ZipHash, more: Partial<FirstHash> = {}): void {
    const entry = { module: lib, zip, mod: hashMod(mod), ...more }
    this.firstHashes.kept.set(formatModuleVersion(lib), entry)
  }
}

async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const one of source) all.push(one)
  return all
}

describe('the shelf of private modules', () => {
  test('gives what a publisher signed, as it is signed', async () => {
    const store = new Store()
    const shelf = new SharedPrivateShelf({ store }, { isPrivate })
    const added: string[] = []
    shelf.onAdded((path) => added.push(path))
    const held = await store.hold(lib, { kind: 'publisher', ...publisher })
    store.see(held.zipHash, { published: { publisher, statement } })
    const record = { statement, mod, info: new TextEncoder().encode('{}'), holdsZip: true }
    expect(await shelf.record(lib)).toEqual(record)
    expect(await shelf.versions(lib.path)).toEqual(['v1.0.0'])
    expect(await collect(shelf.paths())).toEqual([lib.path])
    expect((await shelf.findContent(held.zipHash))?.module).toEqual(lib)
    expect(added).toEqual([lib.path])
  })

  test.for<{ what: string; see: (store: Store, held: ZipHash) => void }>([
    { what: 'that nobody signed', see: (store, held) => store.see(held) },
    {
      what: 'that changed since it was signed',
      see: (store, held) => {
        const changed = { zip: otherZip, from: 'direct', atMs: 1 }
        store.see(held, { published: { publisher, statement }, changed })
      },
    },
    { what: 'of which nothing was seen', see: () => {} },
  ])('gives nothing $what', async ({ see }) => {
    const store = new Store()
    const shelf = new SharedPrivateShelf({ store }, { isPrivate })
    const held = await store.hold(lib)
    see(store, held.zipHash)
    expect(await shelf.record(lib)).toBeUndefined()
    expect(await shelf.versions(lib.path)).toEqual([])
    expect(await collect(shelf.paths())).toEqual([])
    expect(await shelf.findContent(held.zipHash)).toBeUndefined()
  })

  test('gives neither zip nor go.mod that are not the signed ones', async () => {
    const store = new Store()
    const shelf = new SharedPrivateShelf({ store }, { isPrivate })
    const held = await store.hold(lib)
    const other = hashMod(new TextEncoder().encode('other'))
    store.see(otherZip, { mod: other, published: { publisher, statement } })
    expect(await shelf.record(lib)).toMatchObject({ holdsZip: false, mod: undefined })
    expect(await shelf.findContent(held.zipHash)).toBeUndefined()
    expect(await collect(shelf.paths())).toEqual([])
  })

  test('gives nothing public: the other shelf does', async () => {
    const store = new Store()
    const shelf = new SharedPrivateShelf({ store }, { isPrivate })
    const held = await store.hold(open)
    const name = formatModuleVersion(open)
    const entry = { module: open, zip: held.zipHash, mod: hashMod(mod) }
    store.firstHashes.kept.set(name, { ...entry, published: { publisher, statement } })
    expect(await shelf.record(open)).toBeUndefined()
    expect(await shelf.versions(open.path)).toEqual([])
    expect(await shelf.findContent(held.zipHash)).toBeUndefined()
  })
})

interface Mesh {
  readonly isOn?: boolean
  readonly isPublisher?: boolean
  readonly others?: readonly Published[]
}

function publishing(store: Store, mesh: Mesh = {}) {
  const { isOn = true, isPublisher = true, others = [] } = mesh
  const told: string[] = []
  const privates = {
    sharing: () => ({ isOn, isAllowed: true, isPublisher }),
    checkMayPublish: () => {},
    publish: (what: { readonly zip: ZipHash; readonly mod: Published['mod'] }): Published => ({
      zip: what.zip,
      mod: what.mod,
      publisher,
      statement,
    }),
    async *findRecords(): AsyncGenerator<PublishedRecord> {
      for (const published of others) {
        const files = { info: undefined, mod: undefined, holdsZip: false }
        yield { peer: 'bob', module: lib, ...files, published }
      }
    },
  }
  const log = {
    info: (_: object, text: string) => told.push(text),
    warn: (_: object, text: string) => told.push(text),
  }
  const parts = { store, shelf: undefined, fill: () => undefined, log }
  const work = new Publishing(
    { ...parts, mesh: { peerId: publisher.peer, privates } },
    { isPrivate },
  )
  return { work, told }
}

const kept = (store: Store) => store.firstHashes.kept.get(formatModuleVersion(lib))

describe('publishing', () => {
  test('signs what is held, and keeps the statement with what was first seen', async () => {
    const store = new Store()
    const held = await store.hold(lib)
    const { published, failed } = await publishing(store).work.publish([lib])
    const hashes = { zip: held.zipHash, mod: hashMod(mod) }
    expect(failed).toEqual([])
    expect(published).toEqual([
      {
        module: 'corp.example/lib@v1.0.0',
        ...hashes,
        publisher: 'alice',
        peer: publisher.peer,
        at: '2027-01-15T08:00:00.000Z',
      },
    ])
    expect(kept(store)).toEqual({ module: lib, ...hashes, published: { publisher, statement } })
  })

  test.for<{ what: string; see: (store: Store) => void; says: string }>([
    { what: 'differs from the first', see: (store) => store.see(otherZip), says: 'changed since' },
    {
      what: 'waits to be accepted',
      see: (store) => {
        store.see(otherZip, { changed: { zip: otherZip, from: 'direct', atMs: 1 } })
      },
      says: 'modmesh accept',
    },
  ])('refuses what $what', async ({ see, says }) => {
    const store = new Store()
    await store.hold(lib)
    see(store)
    const before = kept(store)
    const { published, failed } = await publishing(store).work.publish([lib])
    expect(published).toEqual([])
    expect(failed[0]?.reason).toContain(says)
    expect(kept(store)).toBe(before)
  })

  test('refuses what another publisher says is something else, and names him', async () => {
    const store = new Store()
    const held = await store.hold(lib)
    const mallory = { peer: 'other', name: 'mallory', atMs: 1 }
    const said = { zip: otherZip, mod: hashMod(mod), publisher: mallory, statement }
    const refused = await publishing(store, { others: [said] }).work.publish([lib])
    expect(refused.failed[0]?.reason).toContain('mallory (other) has published something else')
    expect(refused.failed[0]?.reason).toContain(otherZip)
    expect(kept(store)).toBeUndefined()
    const own = { ...said, publisher }
    const same = { ...said, zip: held.zipHash }
    const done = await publishing(store, { others: [own, same] }).work.publish([lib])
    expect(done.published).toHaveLength(1)
  })

  test('signs by itself what came from its origin, where it is a publisher that shares', async () => {
    const store = new Store()
    await store.hold(lib)
    await store.hold(open)
    for (const mesh of [{ isOn: false }, { isPublisher: false }]) {
      const { work } = publishing(store, mesh)
      work.fetched(lib)
      await work[Symbol.asyncDispose]()
      expect(kept(store)).toBeUndefined()
    }
    const { work, told } = publishing(store)
    work.fetched(open)
    work.fetched(lib)
    await expect.poll(() => kept(store)?.published).toEqual({ publisher, statement })
    await work[Symbol.asyncDispose]()
    expect(told).toEqual(['published to the members that may have it'])
  })

  test('tells the log what it could not sign, and goes on', async () => {
    const store = new Store()
    const { work, told } = publishing(store)
    work.fetched(lib)
    await expect.poll(() => told).toEqual(['was not published'])
    await work[Symbol.asyncDispose]()
  })
})
