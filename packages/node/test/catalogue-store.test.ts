import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Proof } from '@modmesh/fill'
import { formatModuleVersion, type ModuleVersion, parseModuleVersion } from '@modmesh/module'
import { DiskStore } from '@modmesh/store'
import { expect, onTestFinished, test } from 'vitest'
import { buildModuleZip } from '../../../test/support/module-zip.ts'
import { Catalogue } from '../src/catalogue.ts'

const proven: Proof = { kind: 'checksum-db', database: 'sum.test', record: 1 }
const unproven: Proof = { kind: 'upstream' }
const { signal } = new AbortController()

async function tempDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'modmesh-catalogue-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  return dir
}

function module(version: string): ModuleVersion {
  return parseModuleVersion('example.com/mod', version)
}

async function put(
  store: DiskStore,
  which: ModuleVersion,
  { content = '', proof = proven } = {},
): Promise<void> {
  const files = { 'go.mod': `module ${which.path}\n`, 'a.go': `package mod\n${content}` }
  await using stack = new AsyncDisposableStack()
  const staged = await store.stageZip(which)
  stack.defer(() => staged.discard())
  await staged.write(buildModuleZip(which, files))
  await staged.verify(undefined, { signal })
  await staged.commit(proof)
}

function byTime(catalogue: Catalogue): string[] {
  return catalogue.since(Number.NEGATIVE_INFINITY, 100).map((each) => each.module.version)
}

function byName(catalogue: Catalogue): string[] {
  return catalogue.after(undefined, 100).map((each) => formatModuleVersion(each.module))
}

test('follows a store on disk: what is committed, replaced, evicted and found damaged', async () => {
  const dir = await tempDir()
  await using store = await DiskStore.open({ dir, evictGraceMs: 0 })
  const catalogue = new Catalogue({ store, clock: { wallMs: Date.now } })
  await put(store, module('v1.1.0'), { proof: unproven })
  expect(byTime(catalogue)).toEqual(['v1.1.0'])
  await Promise.all(['v1.2.0', 'v1.3.0', 'v1.10.0'].map((version) => put(store, module(version))))
  await put(store, module('v1.2.0'))
  expect(byName(catalogue)).toEqual([
    'example.com/mod@v1.1.0',
    'example.com/mod@v1.2.0',
    'example.com/mod@v1.3.0',
    'example.com/mod@v1.10.0',
  ])
  // Other content with a better proof takes the place of what was there: it is new.
  await put(store, module('v1.1.0'), { content: '// right\n' })
  expect(byTime(catalogue).at(-1)).toBe('v1.1.0')
  expect(byName(catalogue)).toHaveLength(4)
  const damaged = (await store.findZip(module('v1.3.0')))?.zipDigest ?? ''
  await writeFile(join(dir, 'store/v1/zip', damaged.slice(0, 2), damaged.slice(2, 4), damaged), 'x')
  expect(await store.findZip(module('v1.3.0'))).toBeUndefined()
  expect(byTime(catalogue).toSorted()).toEqual(['v1.1.0', 'v1.10.0', 'v1.2.0'])
  await store.shrink(0)
  expect([byTime(catalogue), byName(catalogue)]).toEqual([[], []])
})

test('has the same order after a restart, also of what came at the same moment', async () => {
  const dir = await tempDir()
  const versions = ['v1.9.0', 'v1.10.0', 'v1.2.0', 'v1.1.0']
  {
    await using store = await DiskStore.open({ dir, wallMs: () => 1_000 })
    for (const version of versions) await put(store, module(version))
  }
  const read = async (): Promise<unknown> => {
    await using store = await DiskStore.open({ dir })
    return new Catalogue({ store, clock: { wallMs: Date.now } }).since(0, 100)
  }
  const first = await read()
  // Without its index the store reads its folders, in another order.
  const folders = await readdir(join(dir, 'store/v1'))
  for (const name of folders.filter((each) => each.startsWith('index'))) {
    await rm(join(dir, 'store/v1', name), { recursive: true })
  }
  expect(await read()).toEqual(first)
  expect(first).toMatchObject([
    { module: module('v1.1.0'), admittedUs: 1_000_000 },
    { module: module('v1.2.0'), admittedUs: 1_000_001 },
    { module: module('v1.9.0'), admittedUs: 1_000_002 },
    { module: module('v1.10.0'), admittedUs: 1_000_003 },
  ])
})
