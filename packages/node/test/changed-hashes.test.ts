import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  hashMod,
  type ModuleVersion,
  parseModuleVersion,
  type ZipHash,
  zipHashFromBytes,
} from '@modmesh/module'
import { DiskStore, StoreDamagedError } from '@modmesh/store'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { acceptChanged, listChanged } from '../src/changed-hashes.ts'

const lib = parseModuleVersion('corp.example.com/lib', 'v1.2.0')
const other = parseModuleVersion('corp.example.com/other', 'v0.1.0')
const zipOf = (n: number): ZipHash => zipHashFromBytes(new Uint8Array(32).fill(n))
const modOf = (text: string) => hashMod(new TextEncoder().encode(text))
const atMs = Date.parse('2026-11-21T12:00:00Z')

let dir = ''
let store: DiskStore
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'modmesh-changed-'))
  store = await DiskStore.open({ dir })
})
afterEach(async () => {
  await store[Symbol.asyncDispose]()
  await rm(dir, { recursive: true })
})

async function restart(): Promise<void> {
  await store[Symbol.asyncDispose]()
  store = await DiskStore.open({ dir })
}

/** Of `lib` another zip came, of `other` another go.mod; the mod of `lib` is held. */
async function makeChanges(): Promise<void> {
  const from = 'direct'
  const first = { zip: zipOf(1), mod: modOf('a') }
  await store.firstHashes.update(other, () => ({
    module: other,
    ...first,
    changed: { mod: modOf('b'), from, atMs },
  }))
  await store.firstHashes.update(lib, () => ({
    module: lib,
    ...first,
    changed: { zip: zipOf(2), from, atMs },
  }))
  const bytes = new TextEncoder().encode('module corp.example.com/lib\n')
  const mod = { bytes, hash: hashMod(bytes), proof: { kind: 'upstream' } } as const
  await store.putRecord({ module: lib, mod })
}

const acceptedMs = expect.any(Number) as number
const accept = (...names: string[]) => acceptChanged(store, names, async () => {})

async function firstOf(module: ModuleVersion): Promise<unknown> {
  let found: unknown
  await store.firstHashes.update(module, (kept) => {
    found = kept
    return kept
  })
  return found
}

describe('what changed since it was first seen', () => {
  test('is listed with both hashes, by name, also after a restart', async () => {
    await makeChanges()
    const expected = [
      {
        status: 409,
        module: 'corp.example.com/lib@v1.2.0',
        part: 'zip',
        first: zipOf(1),
        seen: zipOf(2),
        from: 'direct',
        at: '2026-11-21T12:00:00.000Z',
        accept: 'modmesh accept corp.example.com/lib@v1.2.0',
      },
      {
        status: 409,
        module: 'corp.example.com/other@v0.1.0',
        part: 'mod',
        first: modOf('a'),
        seen: modOf('b'),
        from: 'direct',
        at: '2026-11-21T12:00:00.000Z',
        accept: 'modmesh accept corp.example.com/other@v0.1.0',
      },
    ]
    expect(await listChanged(store)).toEqual(expected)
    await restart()
    expect(await listChanged(store)).toEqual(expected)
  })

  test('of both parts is two lines, which one command accepts', async () => {
    const changed = { zip: zipOf(2), mod: modOf('b'), from: 'direct', atMs }
    const first = { module: lib, zip: zipOf(1), mod: modOf('a') }
    await store.firstHashes.update(lib, () => ({ ...first, changed }))
    expect((await listChanged(store)).map(({ part }) => part)).toEqual(['zip', 'mod'])
    const { accepted, waiting } = await accept('corp.example.com/lib@v1.2.0')
    expect(accepted).toHaveLength(2)
    expect(waiting).toEqual([])
    expect(await firstOf(lib)).toEqual({ module: lib, zip: zipOf(2), mod: modOf('b'), acceptedMs })
  })

  test('and is accepted is the first from then on, for good, and what was held goes', async () => {
    await makeChanges()
    const forgotten: ModuleVersion[] = []
    const report = await acceptChanged(store, ['corp.example.com/lib@v1.2.0'], async (module) => {
      forgotten.push(module)
    })
    expect(report.accepted.map(({ module, seen }) => [module, seen])).toEqual([
      ['corp.example.com/lib@v1.2.0', zipOf(2)],
    ])
    expect(report.waiting.map(({ module }) => module)).toEqual(['corp.example.com/other@v0.1.0'])
    expect(report.unknown).toEqual([])
    expect(forgotten).toEqual([lib])
    expect(await store.findRecord(lib)).toBeUndefined()
    await restart()
    expect(await firstOf(lib)).toEqual({ module: lib, zip: zipOf(2), acceptedMs })
    expect((await listChanged(store)).map(({ part }) => part)).toEqual(['mod'])
  })

  test('and is not named, or does not wait, stays as it is', async () => {
    await makeChanges()
    const nobody = ['corp.example.com/lib@v9.9.9', 'x', '__proto__', 'corp.example.com/lib']
    const report = await accept(...nobody)
    expect(report).toMatchObject({ accepted: [], unknown: nobody })
    expect(report.waiting).toHaveLength(2)
    expect(await store.findRecord(lib)).toBeDefined()
    expect(await accept()).toMatchObject({ accepted: [], unknown: [] })
  })

  test('is not lost when the command fails halfway', async () => {
    await makeChanges()
    const broken: Pick<DiskStore, 'firstHashes' | 'remove'> = {
      firstHashes: store.firstHashes,
      remove: async () => {
        throw new Error('made up')
      },
    }
    const failing = acceptChanged(broken, ['corp.example.com/lib@v1.2.0'], async () => {})
    await expect(failing).rejects.toThrow('made up')
    expect(await listChanged(store)).toHaveLength(2)
  })

  test('in a file that rotted is trouble, and no empty list', async () => {
    await makeChanges()
    await restart()
    const folder = join(dir, 'store/v1/first')
    for (const name of await readdir(folder)) await writeFile(join(folder, name), 'rot')
    await expect(listChanged(store)).rejects.toBeInstanceOf(StoreDamagedError)
    await expect(accept()).rejects.toBeInstanceOf(StoreDamagedError)
  })
})
