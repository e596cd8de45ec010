import { formatModuleVersion, type ModuleVersion } from '@modmesh/module'
import { SumdbClient } from '@modmesh/sumdb'
import { FakeSumdb, memoryOps } from '@modmesh/sumdb/testing'
import { beforeEach, describe, expect, test } from 'vitest'
import { BundleReader } from '../../src/bundle/bundle-reader.ts'
import { ImportReport } from '../../src/bundle/import-report.ts'
import type { BundleItem } from '../../src/bundle/inventory.ts'
import {
  inChunks,
  logged,
  type MadeModule,
  makeBundle,
  newSigner,
  Site,
  signal,
} from './bundle-site.ts'

const signer = newSigner()
let sumdb: FakeSumdb
let made: readonly MadeModule[] = []
let modules: readonly ModuleVersion[] = []
let from: Site
let site: Site

beforeEach(async () => {
  sumdb = new FakeSumdb()
  sumdb.addFiller(300)
  made = ['v1.0.0', 'v1.1.0', 'v1.2.0'].map((version) => logged(sumdb, 'example.com/a', version))
  sumdb.addFiller(700)
  modules = made.map(({ module }) => module)
  from = await Site.open(sumdb, { isOnline: true })
  for (const each of made) await from.hold(each)
  site = await Site.open(sumdb, { isOnline: false })
})

async function held(where: Site): Promise<readonly string[]> {
  const names: string[] = []
  for await (const { module } of where.store.contents()) names.push(formatModuleVersion(module))
  return names.toSorted()
}

describe('a bundle that comes in', () => {
  test('brings all parts, and a tree from which go proves the records', async () => {
    const { counts, refused } = await site.import(await makeBundle(from, modules, { signer }))
    expect(refused).toEqual([])
    expect(counts).toMatchObject({
      zip: { added: 3, present: 0 },
      mod: { added: 3 },
      info: { added: 3 },
      record: { added: 3 },
    })
    expect(await held(site)).toEqual(await held(from))
    const ops = memoryOps((path, options) => answer(site, path, options))
    const go = new SumdbClient({ ops }, { key: sumdb.key, isPrivate: () => false })
    for (const module of modules) {
      const { record } = await go.lookup(module, { signal })
      expect(record.id).toBe(sumdb.idOf(module.path, module.version))
    }
    expect((await site.store.findZip(modules[0] as ModuleVersion))?.proof.kind).toBe('checksum-db')
  })

  test('a second time adds nothing', async () => {
    const bundle = await makeBundle(from, modules, { signer })
    await site.import(bundle)
    const { counts } = await site.import(bundle)
    const added = Object.values(counts).map((count) => count.added)
    expect(added).toEqual([0, 0, 0, 0, 0])
  })

  test('after it was cut anywhere goes on where it was', async () => {
    const bundle = await makeBundle(from, modules, { signer })
    for (const missing of [Math.floor(bundle.length / 2), 2_000, 10]) {
      const cut = bundle.subarray(0, bundle.length - missing)
      await expect(site.import(cut)).rejects.toMatchObject({ code: 'BUNDLE_TRUNCATED' })
    }
    const present = await held(site)
    expect(present).toHaveLength(2)
    const { counts } = await site.import(bundle)
    expect(counts.zip).toEqual({ added: 3 - present.length, present: present.length })
    expect(counts.mod).toEqual({ added: 0, present: 3 })
    expect(await held(site)).toEqual(await held(from))
  })

  test('on top of an earlier one brings only what is new', async () => {
    const first = await makeBundle(from, modules.slice(0, 2), { signer })
    sumdb.addFiller(600)
    const more = logged(sumdb, 'example.com/b', 'v1.0.0')
    await from.hold(more)
    const earlier = await BundleReader.open(inChunks(first))
    const olderSizes = [earlier.inventory.tree?.size ?? 0]
    const second = await makeBundle(from, [...modules, more.module], {
      signer,
      earlier,
      olderSizes,
    })
    expect(second.length).toBeLessThan(first.length)
    await site.import(first)
    const { counts, treeGap } = await site.import(second)
    expect(treeGap).toBeUndefined()
    expect(counts.zip).toEqual({ added: 2, present: 0 })
    expect(await held(site)).toHaveLength(4)
    expect((await site.client.head())?.size).toBe(sumdb.size())
    const { before } = (await BundleReader.open(inChunks(second))).inventory
    expect(before.filter(({ kind }) => kind === 'zip')).toHaveLength(2)
  })

  test('with an older tree leaves ours as it is', async () => {
    const old = await makeBundle(from, modules.slice(0, 1), { signer })
    sumdb.addFiller(600)
    const newer = logged(sumdb, 'example.com/b', 'v1.0.0')
    await from.hold(newer)
    const size = sumdb.size()
    await site.import(await makeBundle(from, [newer.module], { signer, olderSizes: [size - 601] }))
    expect((await site.client.head())?.size).toBe(size)
    const { counts } = await site.import(old)
    expect(counts.zip.added).toBe(1)
    expect((await site.client.head())?.size).toBe(size)
  })

  test('whose tree cannot be shown to continue ours says so, and its zips are proven all the same', async () => {
    await site.import(await makeBundle(from, modules.slice(0, 1), { signer }))
    const own = sumdb.size()
    sumdb.addFiller(600)
    const newer = logged(sumdb, 'example.com/b', 'v1.0.0')
    await from.hold(newer)
    const report = await site.import(await makeBundle(from, [newer.module], { signer }))
    expect(report.treeGap).toEqual({ own, bundle: sumdb.size() })
    expect(report.counts.zip.added).toBe(1)
    const bridged = await makeBundle(from, [newer.module], { signer, olderSizes: [own] })
    expect((await site.import(bridged)).treeGap).toBeUndefined()
    expect((await site.client.head())?.size).toBe(sumdb.size())
  })

  test('from a fork of the database ends all trust in it', async () => {
    await site.import(await makeBundle(from, modules.slice(0, 1), { signer }))
    const fork = sumdb.fork(310)
    logged(fork, 'example.com/other', 'v1.0.0')
    fork.addFiller(2_000)
    const evil = logged(fork, 'example.com/evil', 'v1.0.0')
    const liar = await Site.open(fork, { isOnline: true })
    await liar.hold(evil)
    const olderSizes = [sumdb.size()]
    const bundle = await makeBundle(liar, [evil.module], { signer, olderSizes })
    await expect(site.import(bundle)).rejects.toMatchObject({ code: 'BUNDLE_FORK' })
    expect(await held(site)).toHaveLength(1)
  })

  test('proven by another database is refused', async () => {
    const other = new FakeSumdb({ name: 'sum.other' })
    const theirs = logged(other, 'example.com/a', 'v1.0.0')
    const elsewhere = await Site.open(other, { isOnline: true })
    await elsewhere.hold(theirs)
    const bundle = await makeBundle(elsewhere, [theirs.module], { signer })
    await expect(site.import(bundle)).rejects.toMatchObject({ code: 'BUNDLE_OTHER_DATABASE' })
  })
})

describe('what a signer lies about', () => {
  const flip = (bytes: Uint8Array, at: number): Uint8Array => {
    const changed = Uint8Array.from(bytes)
    changed[at] = (changed[at] ?? 0) ^ 1
    return changed
  }
  const of = (kind: BundleItem['kind']) => (item: BundleItem, bytes: Uint8Array) =>
    item.kind === kind && (!('module' in item) || item.module.version === 'v1.1.0')
      ? flip(bytes, bytes.length >> 1)
      : bytes

  test.for(['zip', 'mod', 'info', 'record'] as const)('in a %s is refused alone', async (kind) => {
    const report = await site.import(await makeBundle(from, modules, { signer, lie: of(kind) }))
    expect(report.refused[0]).toMatchObject({
      name: `${kind} example.com/a@v1.1.0`,
      fault: 'BUNDLE_UNPROVEN',
    })
    expect(await held(site)).toContain('example.com/a@v1.0.0')
    const lied = await site.store.findRecord(modules[1] as ModuleVersion)
    if (kind === 'mod' || kind === 'info') expect(lied?.[kind]).toBeUndefined()
    if (kind === 'zip' || kind === 'record') expect(await held(site)).toHaveLength(2)
  })

  test('in a record of another module is refused', async () => {
    const records = new Map<string, Uint8Array>()
    const lie = (item: BundleItem, bytes: Uint8Array): Uint8Array => {
      if (item.kind !== 'record') return bytes
      records.set(item.module.version, bytes)
      return records.get('v1.0.0') ?? bytes
    }
    const report = await site.import(await makeBundle(from, modules, { signer, lie }))
    const names = report.refused.map(({ name }) => name)
    expect(names).toContain('record example.com/a@v1.1.0')
    expect(await held(site)).toEqual(['example.com/a@v1.0.0'])
  })

  test.for(['tile', 'leaf'] as const)('in a %s never reaches a client', async (kind) => {
    const report = await site.import(await makeBundle(from, modules, { signer, lie: of(kind) }))
    expect(report.refused.length).toBeGreaterThan(0)
    for (const [path, bytes] of site.ops.cache) {
      if (path.startsWith('/tile/')) {
        const width = bytes.length / 32
        const honest = sumdb.serve(width === 256 ? path : `${path}.p/${width}`)
        expect([path, Buffer.compare(bytes, honest)]).toEqual([path, 0])
      }
    }
  })

  test('in the tree head is refused before anything comes in', async () => {
    const bundle = await makeBundle(from, modules, { signer, lie: of('head') })
    await expect(site.import(bundle)).rejects.toMatchObject({ code: 'BUNDLE_UNPROVEN' })
    expect(await held(site)).toEqual([])
  })

  test('about a private module counts once: another content later is refused', async () => {
    const path = 'private.test/x'
    const first = logged(new FakeSumdb(), path, 'v1.0.0')
    await from.put(first.module, first.zip, first)
    await site.import(await makeBundle(from, [first.module], { signer }))
    await site.store.remove(first.module)
    const evil = logged(new FakeSumdb(), path, 'v1.0.0')
    const mod = Buffer.from(`module ${path}\n\ngo 1.99\n`)
    const liar = await Site.open(sumdb, { isOnline: true })
    await liar.put(evil.module, evil.zip, { ...evil, mod })
    const report = await site.import(await makeBundle(liar, [evil.module], { signer }))
    expect(report.refused.map(({ name }) => name)).toEqual([`mod ${path}@v1.0.0`])
  })

  test('about a public module without a record is refused', async () => {
    const unlogged = logged(new FakeSumdb(), 'example.com/unlogged', 'v1.0.0')
    await from.put(unlogged.module, unlogged.zip, unlogged)
    const liar = await Site.open(new FakeSumdb(), { isOnline: false })
    await liar.put(unlogged.module, unlogged.zip, unlogged)
    const report = await site.import(
      await makeBundle(liar, [unlogged.module], { signer }),
      new ImportReport(),
    )
    expect(report.refused.map(({ fault }) => fault)).toEqual(['BUNDLE_UNPROVEN', 'BUNDLE_UNPROVEN'])
    expect(await held(site)).toEqual([])
  })
})

async function answer(
  at: Site,
  path: string,
  options: { readonly signal: AbortSignal },
): Promise<Uint8Array> {
  if (path === '/latest') return await at.client.answerLatest(options)
  if (path.startsWith('/tile/')) return await at.client.answerTile(path.slice(1), options)
  const module = modules.find((each) => path === `/lookup/${formatModuleVersion(each)}`)
  if (module === undefined) throw new Error(`not asked: ${path}`)
  return await at.client.answerLookup(module, options)
}
