import { execFileSync } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type ModuleVersion, ZipRulesError } from '@modmesh/module'
import { describe, expect, test, vi } from 'vitest'
import {
  buildModuleZip,
  type ModuleFiles,
  type ModuleZipOptions,
  moduleHashes,
} from '../../../test/support/module-zip.ts'
import { DiskStore } from '../src/disk-store.ts'
import type { StoreEvent } from '../src/store-event.ts'
import { verifyZipFile } from '../src/zip-verify.ts'
import { tempDir } from './support/temp-dir.ts'
import { moduleAt, putZip, readZip } from './support/zips.ts'

const module = moduleAt('v1.0.0')
const files: ModuleFiles = {
  'go.mod': 'module example.com/mod\n',
  'a.go': 'package mod // a\n'.repeat(100),
  'empty.go': '',
  'sub/ü.go': 'package sub\n',
}
const zipHash = moduleHashes(module, files).zip

async function fileOf(bytes: Uint8Array): Promise<string> {
  const path = join(await tempDir(), 'a.zip')
  await writeFile(path, bytes)
  return path
}

const field = (tag: number, data: string): Uint8Array => {
  const bytes = Buffer.alloc(4 + data.length)
  bytes.writeUInt16LE(tag, 0)
  bytes.writeUInt16LE(data.length, 2)
  bytes.write(data, 4, 'latin1')
  return bytes
}

interface Case {
  readonly name: string
  readonly options: ModuleZipOptions
}

const plain: readonly Case[] = [
  { name: 'as Go writes it', options: {} },
  { name: 'with sizes in the local headers', options: { all: { dataDescriptor: false } } },
  { name: 'stored', options: { all: { method: 'store', dataDescriptor: false } } },
  { name: 'with a time stamp field', options: { all: { extra: field(0x5455, 'abcde') } } },
]

const odd: readonly Case[] = [
  { name: 'a Unicode path field', options: { entries: { 'a.go': { unicodePath: 'evil.go' } } } },
  { name: 'another local name', options: { entries: { 'a.go': { localName: 'b.go' } } } },
  { name: 'another local method', options: { entries: { 'a.go': { local: { method: 0 } } } } },
  { name: 'another local size', options: { entries: { 'a.go': { local: { size: 3 } } } } },
  { name: 'another local checksum', options: { entries: { 'a.go': { local: { crc: 3 } } } } },
  { name: 'a comment', options: { comment: 'hello' } },
  { name: 'trailing bytes', options: { trailing: Buffer.from('more') } },
  { name: 'leading bytes', options: { leading: Buffer.from('#!/bin/sh\n') } },
  {
    name: 'leading bytes that the offsets count',
    options: { leading: Buffer.from('#!/bin/sh\n'), shiftOffsets: true },
  },
  { name: 'a gap', options: { entries: { 'a.go': { gap: Buffer.from('secret') } } } },
  { name: 'a gap before the directory', options: { gapBeforeDirectory: Buffer.from('secret') } },
  { name: 'an entry that the directory hides', options: { entries: { 'x.go': { hidden: true } } } },
  { name: 'a descriptor without signature', options: { all: { dataDescriptor: 'no-signature' } } },
  { name: 'stored with a descriptor', options: { all: { method: 'store', dataDescriptor: true } } },
  { name: 'zip64 sizes', options: { entries: { 'a.go': { zip64: true } } } },
  { name: 'a zip64 directory', options: { zip64: true } },
  { name: 'a cut extra field', options: { all: { extra: Buffer.from([1, 2, 255, 255]) } } },
]

const refused: readonly Case[] = [
  { name: 'a wrong checksum', options: { entries: { 'a.go': { crc: 1 } } } },
  { name: 'a size too small', options: { entries: { 'a.go': { size: 99 } } } },
  { name: 'a size too large', options: { entries: { 'a.go': { size: 99_999 } } } },
  { name: 'a compressed size too small', options: { entries: { 'a.go': { compressedSize: 5 } } } },
  { name: 'overlapping entries', options: { entries: { 'empty.go': { overlap: 1 } } } },
  { name: 'an offset elsewhere', options: { entries: { 'a.go': { offsetShift: 3 } } } },
  { name: 'an unknown method', options: { entries: { 'a.go': { claimedMethod: 12 } } } },
  { name: 'encryption', options: { entries: { 'a.go': { flags: 1 } } } },
  { name: 'a count too large', options: { claimedEntries: 9 } },
  { name: 'a count too small', options: { claimedEntries: 2 } },
  { name: 'an absurd count', options: { claimedEntries: 0xffff } },
  {
    name: 'a name that is not UTF-8',
    options: { entries: { 'a.go': { storedName: Buffer.from([0x61, 0xe9]) } } },
  },
  { name: 'another prefix', options: { prefix: 'example.com/mod@v1.0.1/' } },
  {
    name: 'a name that climbs',
    options: { entries: { 'a.go': { storedName: 'example.com/mod@v1.0.0/../a' } } },
  },
  {
    name: 'two names that differ in case',
    options: { entries: { 'a.go': { storedName: 'example.com/mod@v1.0.0/EMPTY.go' } } },
  },
]

describe('a zip that every parser reads alike', () => {
  test.for(plain)('$name is kept byte by byte', async ({ options }) => {
    const bytes = buildModuleZip(module, files, options)
    expect(await verifyZipFile(await fileOf(bytes), module)).toMatchObject({
      zipHash,
      rewrite: undefined,
    })
  })
})

describe('a zip that parsers could read differently', () => {
  test.for(odd)('$name is kept in its plain form', async ({ options }) => {
    const all = 'x.go' in (options.entries ?? {}) ? { ...files, 'x.go': 'package x\n' } : files
    const { kept, events, held } = await keep(module, buildModuleZip(module, all, options))
    expect(held.zipHash).toBe(zipHash)
    expect(events).toMatchObject([{ kind: 'rewritten', module }])
    // The same entries give the same file, however they were wrapped.
    const method = options.all?.method ?? 'deflate'
    const same = buildModuleZip(module, files, { all: { method, dataDescriptor: false } })
    expect(Buffer.compare(kept, same)).toBe(0)
    expect(await verifyZipFile(await fileOf(kept), module)).toMatchObject({ rewrite: undefined })
  })

  test('a directory in another order than the data keeps its own order', async () => {
    const bytes = Buffer.from(buildModuleZip(module, { 'a.go': 'a', 'b.go': 'b' }))
    const swapped = swapDirectoryEntries(bytes)
    const { events, held } = await keep(module, swapped)
    expect(held.zipHash).toBe(moduleHashes(module, { 'a.go': 'a', 'b.go': 'b' }).zip)
    expect(events).toMatchObject([{ kind: 'rewritten' }])
  })
})

describe('a zip that Go would refuse', () => {
  test.for(refused)('$name is refused', async ({ options }) => {
    const path = await fileOf(buildModuleZip(module, files, options))
    await expect(verifyZipFile(path, module)).rejects.toBeInstanceOf(ZipRulesError)
  })

  test('overlapping entries are refused before anything is inflated', async () => {
    const options = { entries: { 'empty.go': { overlap: 1 } } }
    const isAborted = vi.fn(() => false)
    const path = await fileOf(buildModuleZip(module, files, options))
    await expect(verifyZipFile(path, module, { isAborted })).rejects.toThrow('overlaps')
    expect(isAborted).not.toHaveBeenCalled()
  })

  test('bytes after the compressed data of an entry are refused', async () => {
    const bytes = Buffer.from(
      buildModuleZip(module, { 'a.go': 'package mod\n' }, { all: { dataDescriptor: false } }),
    )
    const stored = appendToOnlyEntry(bytes)
    await expect(verifyZipFile(await fileOf(stored), module)).rejects.toThrow(
      'after its compressed',
    )
  })

  test('each cut is refused', async () => {
    const bytes = buildModuleZip(module, files)
    const path = await fileOf(bytes)
    for (let length = bytes.length - 1; length >= 0; length -= 7) {
      await writeFile(path, bytes.subarray(0, length))
      await expect(verifyZipFile(path, module)).rejects.toBeInstanceOf(ZipRulesError)
    }
  })

  test('another h1 than expected is refused with both', async () => {
    const path = await fileOf(buildModuleZip(module, { 'a.go': 'package other\n' }))
    await expect(verifyZipFile(path, module, { expected: zipHash })).rejects.toMatchObject({
      code: 'HASH_MISMATCH',
      expected: zipHash,
    })
  })
})

describe('a large entry', () => {
  const content = Buffer.alloc(5 << 20, 'large entry, ')
  test.for<ModuleZipOptions>([{}, { all: { method: 'store', dataDescriptor: false } }])(
    'is hashed in pieces to the same h1',
    async (options) => {
      const large = { 'large.txt': content }
      const path = await fileOf(buildModuleZip(module, large, options))
      expect(await verifyZipFile(path, module)).toMatchObject({
        zipHash: moduleHashes(module, large).zip,
        rewrite: undefined,
      })
    },
  )

  test.for([
    { name: 'larger than declared', tweak: { size: (5 << 20) - 1 } },
    { name: 'smaller than declared', tweak: { size: (5 << 20) + 1 } },
    { name: 'with a wrong checksum', tweak: { crc: 1 } },
    { name: 'cut', tweak: { compressedSize: 100 } },
  ])('$name is refused', async ({ tweak }) => {
    const zip = buildModuleZip(
      module,
      { 'large.txt': content },
      { entries: { 'large.txt': tweak } },
    )
    await expect(verifyZipFile(await fileOf(zip), module)).rejects.toBeInstanceOf(ZipRulesError)
  })

  test('bombs cost bounded memory', async () => {
    const bomb = buildModuleZip(module, {
      'a.txt': { bomb: 100 << 20 },
      ...Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`${i}.txt`, { bomb: 2 << 20 }])),
    })
    expect(bomb.length).toBeLessThan(1 << 20)
    const path = await fileOf(bomb)
    // In a process of its own: what other tests left in memory must not count.
    const child = fileURLToPath(new URL('./support/verify-child.ts', import.meta.url))
    const growth = Number(execFileSync(process.execPath, [child, path]).toString())
    expect(growth).toBeGreaterThan(0)
    // Less than the larger entry alone; a good deal of it is garbage, more on a busy machine.
    expect(growth).toBeLessThan(96 << 20)
  })
})

async function keep(
  of: ModuleVersion,
  bytes: Uint8Array,
): Promise<{
  readonly kept: Buffer
  readonly events: readonly StoreEvent[]
  readonly held: Awaited<ReturnType<typeof putZip>>
}> {
  const dir = await tempDir()
  const events: StoreEvent[] = []
  await using store = await DiskStore.open({ dir, report: (event) => events.push(event) })
  const held = await putZip(store, of, bytes)
  const kept = await readZip(held)
  const digest = held.zipDigest
  const path = join(dir, 'store/v1/zip', digest.slice(0, 2), digest.slice(2, 4), digest)
  expect(await readFile(path)).toEqual(kept)
  return { kept, events, held }
}

/** Swaps the two directory entries of a zip with names of one length. */
function swapDirectoryEntries(bytes: Buffer): Buffer {
  const end = bytes.length - 22
  const start = bytes.readUInt32LE(end + 16)
  const middle = start + (end - start) / 2
  return Buffer.concat([
    bytes.subarray(0, start),
    bytes.subarray(middle, end),
    bytes.subarray(start, middle),
    bytes.subarray(end),
  ])
}

/** Adds four bytes to the compressed data of a zip with one entry, sizes and offsets adjusted. */
function appendToOnlyEntry(bytes: Buffer): Buffer {
  const start = bytes.readUInt32LE(bytes.length - 6)
  const grown = Buffer.concat([bytes.subarray(0, start), Buffer.alloc(4), bytes.subarray(start)])
  grown.writeUInt32LE(grown.readUInt32LE(18) + 4, 18)
  grown.writeUInt32LE(grown.readUInt32LE(start + 4 + 20) + 4, start + 4 + 20)
  grown.writeUInt32LE(start + 4, grown.length - 6)
  return grown
}
