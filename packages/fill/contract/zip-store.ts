import {
  hashMod,
  type ModuleVersion,
  maxZipBytes,
  parseModuleVersion,
  type ZipHash,
  ZipRulesError,
} from '@modmesh/module'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { HashMismatchError } from '../src/errors.ts'
import type { Proof } from '../src/proof.ts'
import type { HeldZip, StagedZip, ZipStore } from '../src/zip-store.ts'

/** A store under test. */
export interface OpenStore {
  readonly store: ZipStore
  /** Opens the same folder again, as after a clean stop; the first store is closed by it. */
  readonly reopen?: () => Promise<ZipStore>
  readonly dispose: () => Promise<void>
  /** The size limit it was opened with, where a test cannot afford to write the real one. */
  readonly maxZipBytes?: number
}

/** Zips the store under test takes for real. */
export interface ZipMaker {
  /** A valid zip of the module; another `content` gives another h1. */
  make(
    module: ModuleVersion,
    content: string,
  ): Promise<{ readonly bytes: Uint8Array; readonly zipHash: ZipHash }>
  /** Bytes that break the zip rules. */
  readonly broken: Uint8Array
}

/** What every ZipStore promises. */
export function zipStoreContract(
  name: string,
  open: () => Promise<OpenStore>,
  zips: ZipMaker,
): void {
  describe(`${name} keeps the contract of a ZipStore`, () => {
    let opened: OpenStore
    let store: ZipStore
    beforeEach(async () => {
      opened = await open()
      store = opened.store
    })
    afterEach(async () => {
      await opened.dispose()
    })

    const stage = async (module: ModuleVersion, bytes: Uint8Array): Promise<StagedZip> => {
      const staged = await store.stageZip(module)
      for (let at = 0; at < bytes.length; at += 1000) {
        await staged.write(bytes.subarray(at, at + 1000))
      }
      return staged
    }
    const put = async (module: ModuleVersion, content: string) => {
      const zip = await zips.make(module, content)
      const staged = await stage(module, zip.bytes)
      await staged.verify(zip.zipHash, never)
      return { ...zip, held: await staged.commit(proof) }
    }

    test('what was written so far can be read, and nothing of it once it is discarded', async () => {
      const staged = await store.stageZip(m1)
      const bytes = new Uint8Array(1_000).map((_, n) => n)
      await staged.write(bytes.subarray(0, 400))
      await staged.write(bytes.subarray(400))
      const read = await staged.readSoFar({ start: 100, end: 900 })
      expect(Buffer.from(read)).toEqual(Buffer.from(bytes.subarray(100, 900)))
      await expect(staged.readSoFar({ start: 0, end: 1_001 })).rejects.toThrow()
      await staged.discard()
      await expect(staged.readSoFar({ start: 0, end: 10 })).rejects.toThrow()
    })

    test('a zip that was written ahead in parts and joined is the same as one that was appended', async () => {
      const { bytes, zipHash } = await zips.make(m1, 'parts')
      const whole = await stage(m1, bytes)
      const [third, half] = [Math.floor(bytes.length / 3), Math.floor(bytes.length / 2)]
      const staged = await store.stageZip(m1)
      await staged.writeAhead(bytes.subarray(half), half)
      await staged.write(bytes.subarray(0, third))
      expect(staged.size).toBe(third)
      await staged.writeAhead(bytes.subarray(third, half), third)
      await staged.join(half)
      await staged.join(bytes.length)
      expect(staged.size).toBe(bytes.length)
      expect(await staged.digest()).toBe(await whole.digest())
      const read = await staged.readSoFar({ start: 0, end: bytes.length })
      expect(Buffer.compare(read, bytes)).toBe(0)
      await staged.verify(zipHash, never)
      const held = await staged.commit(proof)
      await whole.verify(zipHash, never)
      expect(held.zipDigest).toBe(whole.readable(proof).zipDigest)
      await whole.discard()
    })

    test('no part is written beyond the size limit', async () => {
      const staged = await store.stageZip(m1)
      const limit = opened.maxZipBytes ?? maxZipBytes
      await expect(staged.writeAhead(new Uint8Array(2), limit - 1)).rejects.toThrow(ZipRulesError)
      await staged.discard()
    })

    test('a committed zip is found by name and by content, with its bytes', async () => {
      const { bytes, zipHash, held } = await put(m1, 'one')
      expect(held).toMatchObject({ module: m1, zipHash, size: bytes.length, proof })
      for (const found of [await store.findZip(m1), await store.findContent(zipHash)]) {
        expect(found).toMatchObject({ module: m1, zipHash, zipDigest: held.zipDigest, proof })
        expect(await read(found)).toEqual(Buffer.from(bytes))
      }
    })

    test('a range reads just its bytes', async () => {
      const { bytes, held } = await put(m1, 'one')
      expect(await read(held, { start: 3, end: 9 })).toEqual(Buffer.from(bytes.subarray(3, 9)))
    })

    test('a verified zip can be read before, during and after its commit', async () => {
      const { bytes, zipHash } = await zips.make(m1, 'one')
      const staged = await stage(m1, bytes)
      await staged.verify(zipHash, never)
      const readable = staged.readable(proof)
      expect(readable).toMatchObject({ module: m1, zipHash, size: bytes.length, proof })
      expect(await read(readable)).toEqual(Buffer.from(bytes))
      const begun = readable.read()
      const committing = staged.commit(proof)
      const [during, held] = await Promise.all([read(readable), committing])
      expect(during).toEqual(Buffer.from(bytes))
      expect(held).toMatchObject({ zipHash, zipDigest: readable.zipDigest })
      expect(await read(readable, { start: 3, end: 9 })).toEqual(Buffer.from(bytes.subarray(3, 9)))
      expect(await read({ ...readable, read: () => begun })).toEqual(Buffer.from(bytes))
    })

    test('what is not verified cannot be read', async () => {
      const { bytes, zipHash } = await zips.make(m1, 'one')
      const staged = await stage(m1, bytes)
      expect(() => staged.readable(proof)).toThrow()
      await staged.verify(zipHash, never)
      await staged.write(new Uint8Array([1]))
      expect(() => staged.readable(proof)).toThrow()
      await staged.discard()
      expect(() => staged.readable(proof)).toThrow()
    })

    test('nothing is found before the commit', async () => {
      const { bytes, zipHash } = await zips.make(m1, 'one')
      const staged = await stage(m1, bytes)
      expect(staged.size).toBe(bytes.length)
      await staged.verify(zipHash, never)
      expect(await store.findZip(m1)).toBeUndefined()
      expect(await store.findContent(zipHash)).toBeUndefined()
      await staged.discard()
      expect(await store.findZip(m1)).toBeUndefined()
    })

    test('another hash than expected is refused with both', async () => {
      const { bytes } = await zips.make(m1, 'one')
      const { zipHash: expected } = await zips.make(m1, 'two')
      const { zipHash: actual } = await zips.make(m1, 'one')
      const staged = await stage(m1, bytes)
      const verifying = staged.verify(expected, never)
      await expect(verifying).rejects.toBeInstanceOf(HashMismatchError)
      await expect(verifying).rejects.toMatchObject({ expected, actual })
      await expect(staged.commit(proof)).rejects.toThrow()
      await staged.discard()
      expect(await store.findZip(m1)).toBeUndefined()
    })

    test('what is no module zip is refused, whatever is expected', async () => {
      const staged = await stage(m1, zips.broken)
      await expect(staged.verify(undefined, never)).rejects.toBeInstanceOf(ZipRulesError)
      await staged.discard()
    })

    test('a cut zip is refused', async () => {
      const { bytes, zipHash } = await zips.make(m1, 'one')
      const staged = await stage(m1, bytes.subarray(0, bytes.length - 1))
      await expect(staged.verify(zipHash, never)).rejects.toThrow()
      await staged.discard()
    })

    test('bytes written after the check are not covered by it', async () => {
      const { bytes, zipHash } = await zips.make(m1, 'one')
      const staged = await stage(m1, bytes)
      await staged.verify(zipHash, never)
      await staged.write(new Uint8Array([1]))
      await expect(staged.commit(proof)).rejects.toThrow()
      await staged.discard()
      expect(await store.findZip(m1)).toBeUndefined()
    })

    test('without an expected hash the one seen is returned', async () => {
      const { bytes, zipHash } = await zips.make(m1, 'one')
      const staged = await stage(m1, bytes)
      expect(await staged.verify(undefined, never)).toBe(zipHash)
      await staged.discard()
    })

    test('a reset starts over', async () => {
      const wrong = await zips.make(m1, 'wrong')
      const right = await zips.make(m1, 'right')
      const staged = await stage(m1, wrong.bytes)
      await staged.reset()
      expect(staged.size).toBe(0)
      await staged.write(right.bytes)
      await staged.verify(right.zipHash, never)
      expect(await read(await staged.commit(proof))).toEqual(Buffer.from(right.bytes))
    })

    test('two fills of one zip end with one zip', async () => {
      const { bytes, zipHash } = await zips.make(m1, 'one')
      const both = await Promise.all([stage(m1, bytes), stage(m1, bytes)])
      for (const staged of both) await staged.verify(zipHash, never)
      const held = await Promise.all(both.map((staged) => staged.commit(proof)))
      for (const zip of held) expect(await read(zip)).toEqual(Buffer.from(bytes))
      expect(await list(store)).toHaveLength(1)
    })

    test('discard after commit does nothing', async () => {
      const { bytes, zipHash } = await zips.make(m1, 'one')
      const staged = await stage(m1, bytes)
      await staged.verify(zipHash, never)
      await staged.commit(proof)
      await staged.discard()
      expect(await read(await store.findZip(m1))).toEqual(Buffer.from(bytes))
    })

    test('the size limit is enforced while writing', async ({ skip }) => {
      const { maxZipBytes } = opened
      if (maxZipBytes === undefined) return skip()
      const staged = await store.stageZip(m1)
      const chunk = new Uint8Array(1 << 20)
      const flood = async () => {
        for (let sent = 0; sent <= maxZipBytes; sent += chunk.length) await staged.write(chunk)
      }
      await expect(flood()).rejects.toBeInstanceOf(ZipRulesError)
      await staged.discard()
    })

    test('parts of a record are merged, and a later part does not drop an earlier one', async () => {
      expect(await store.findRecord(m1)).toBeUndefined()
      const info = { bytes: text('{"Version":"v1.0.0"}'), from: 'upstream' as const }
      const mod = { bytes: modText, hash: hashMod(modText), proof }
      await store.putRecord({ module: m1, info })
      await store.putRecord({ module: m1, mod })
      const record = await store.findRecord(m1)
      expect(record?.info?.from).toBe('upstream')
      expect(Buffer.from(record?.info?.bytes ?? [])).toEqual(Buffer.from(info.bytes))
      expect(record?.mod).toMatchObject({ hash: mod.hash, proof })
      expect(Buffer.from(record?.mod?.bytes ?? [])).toEqual(Buffer.from(modText))
    })

    test('records put at once are all kept', async () => {
      const modules = Array.from({ length: 100 }, (_, i) => module(`v1.0.${i}`))
      const mod = { bytes: modText, hash: hashMod(modText), proof }
      await Promise.all(modules.map((each) => store.putRecord({ module: each, mod })))
      for (const each of modules) expect((await store.findRecord(each))?.mod?.hash).toBe(mod.hash)
    })

    test('versions are those with a verified go.mod or a zip', async () => {
      await put(m1, 'one')
      await store.putRecord({ module: m2, mod: { bytes: modText, hash: hashMod(modText), proof } })
      const info = { bytes: text('{"Version":"v3.0.0"}'), from: 'peer' as const }
      await store.putRecord({ module: module('v1.9.0'), info })
      expect([...(await store.versions(m1.path))].sort()).toEqual(['v1.0.0', 'v1.1.0'])
      expect(await store.versions(module('v1.0.0', 'example.com/mo').path)).toEqual([])
    })

    test('contents lists every zip once with its proof', async () => {
      const one = await put(m1, 'one')
      const two = await put(m2, 'two')
      const listed = await list(store)
      expect(listed.map((each) => each.zipHash).sort()).toEqual([one.zipHash, two.zipHash].sort())
      for (const each of listed) expect(each.proof).toEqual(proof)
    })

    test('names that differ only in case are different modules', async () => {
      const upper = module('v1.0.0', 'example.com/Mod')
      const one = await put(m1, 'lower')
      const two = await put(upper, 'upper')
      expect((await store.findZip(m1))?.zipHash).toBe(one.zipHash)
      expect((await store.findZip(upper))?.zipHash).toBe(two.zipHash)
    })

    test('a store opened again holds what was committed, and nothing that was only staged', async ({
      skip,
    }) => {
      const { reopen } = opened
      if (reopen === undefined) return skip()
      const { bytes, zipHash } = await put(m1, 'one')
      const mod = { bytes: modText, hash: hashMod(modText), proof }
      await store.putRecord({ module: m2, mod })
      await stage(m2, bytes)
      const again = await reopen()
      const found = await again.findZip(m1)
      expect(found).toMatchObject({ zipHash, proof })
      expect(await read(found)).toEqual(Buffer.from(bytes))
      expect((await again.findRecord(m2))?.mod?.hash).toBe(mod.hash)
      expect(await again.findZip(m2)).toBeUndefined()
    })
  })
}

const never: { readonly signal: AbortSignal } = { signal: new AbortController().signal }
const proof: Proof = { kind: 'checksum-db', database: 'sum.example', record: 7 }
const m1: ModuleVersion = module('v1.0.0')
const m2: ModuleVersion = module('v1.1.0')
const modText: Uint8Array = text('module example.com/mod\n')

function module(version: string, path = 'example.com/mod'): ModuleVersion {
  return parseModuleVersion(path, version)
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(value)
}

async function read(
  zip: HeldZip | undefined,
  range?: { readonly start: number; readonly end: number },
): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of zip?.read(range) ?? []) chunks.push(chunk)
  return Buffer.concat(chunks)
}

async function list(store: ZipStore) {
  const found = []
  for await (const each of store.contents()) found.push(each)
  return found
}
