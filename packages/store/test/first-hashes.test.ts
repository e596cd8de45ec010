import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { firstHashesContract } from '@modmesh/fill/contract'
import { hashMod, parseModuleVersion, type ZipHash, zipHashFromBytes } from '@modmesh/module'
import { DiskStore, StoreDamagedError } from '@modmesh/store'
import { describe, expect, onTestFinished, test } from 'vitest'

firstHashesContract('the disk', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'modmesh-first-'))
  let store = await DiskStore.open({ dir })
  return {
    hashes: store.firstHashes,
    reopen: async () => {
      await store[Symbol.asyncDispose]()
      store = await DiskStore.open({ dir })
      return store.firstHashes
    },
    dispose: async () => {
      await store[Symbol.asyncDispose]()
      await rm(dir, { recursive: true })
    },
  }
})

async function open(): Promise<{ readonly dir: string; readonly store: DiskStore }> {
  const dir = await mkdtemp(join(tmpdir(), 'modmesh-first-'))
  const store = await DiskStore.open({ dir })
  onTestFinished(async () => {
    await store[Symbol.asyncDispose]()
    await rm(dir, { recursive: true })
  })
  return { dir, store }
}

const versionOf = (n: number) => parseModuleVersion(`corp.example.com/lib${n}`, 'v1.0.0')
const zipOf = (n: number): ZipHash => zipHashFromBytes(new Uint8Array(32).fill(n))

describe('first hashes on disk', () => {
  test('of many modules are spread over files, and all found', async () => {
    const { dir, store } = await open()
    const numbers = Array.from({ length: 40 }, (_, n) => n)
    await Promise.all(
      numbers.map((n) =>
        store.firstHashes.update(versionOf(n), () => ({ module: versionOf(n), zip: zipOf(n) })),
      ),
    )
    const names = await readdir(join(dir, 'store/v1/first'))
    expect(names.filter((name) => !name.includes('.')).length).toBeGreaterThan(10)
    const found: (ZipHash | undefined)[] = []
    for (const n of numbers) {
      await store.firstHashes.update(versionOf(n), (kept) => {
        found.push(kept?.zip)
        return kept
      })
    }
    expect(found).toEqual(numbers.map(zipOf))
  })

  test('that came otherwise later are listed until that is over', async () => {
    const { store } = await open()
    const { firstHashes } = store
    expect(await firstHashes.changed()).toEqual([])
    const changed = { mod: hashMod(new Uint8Array(1)), from: 'direct', atMs: 1 }
    for (const n of [3, 1, 2]) {
      const module = versionOf(n)
      await firstHashes.update(module, () => ({ module, zip: zipOf(n), ...(n < 3 && { changed }) }))
    }
    const listed = await firstHashes.changed()
    expect(listed.map(({ module }) => module)).toEqual([versionOf(1), versionOf(2)])
    await firstHashes.update(versionOf(1), () => ({ module: versionOf(1), zip: zipOf(9) }))
    expect((await firstHashes.changed()).map(({ module }) => module)).toEqual([versionOf(2)])
  })

  test('survive rot in one copy, and are no guess when both are gone', async () => {
    const { dir, store } = await open()
    const module = versionOf(1)
    await store.firstHashes.update(module, () => ({ module, zip: zipOf(1) }))
    const folder = join(dir, 'store/v1/first')
    const [name = ''] = await readdir(folder)
    const rot = async (file: string): Promise<void> => {
      const bytes = await readFile(join(folder, file))
      bytes[bytes.length - 3] = (bytes.at(-3) ?? 0) ^ 1
      await writeFile(join(folder, file), bytes)
    }
    await rot(name)
    let zip: ZipHash | undefined
    await store.firstHashes.update(module, (kept) => {
      zip = kept?.zip
      return kept
    })
    expect(zip).toBe(zipOf(1))
    await rot(`${name}.2`)
    const asked = store.firstHashes.update(module, (kept) => kept)
    await expect(asked).rejects.toBeInstanceOf(StoreDamagedError)
  })
})

test('what is removed is not found, but as if it had never been there', async () => {
  const { store } = await open()
  const module = versionOf(1)
  const bytes = new TextEncoder().encode('module corp.example.com/lib1\n')
  const proof = { kind: 'upstream' } as const
  const info = new TextEncoder().encode('{"Version":"v1.0.0"}')
  await store.putRecord({
    module,
    mod: { bytes, hash: hashMod(bytes), proof },
    info: { bytes: info, from: 'upstream' },
  })
  expect(await store.versions(module.path)).toEqual(['v1.0.0'])
  await store.remove(module)
  expect(await store.findRecord(module)).toBeUndefined()
  expect(await store.versions(module.path)).toEqual([])
  await store.remove(module)
})
