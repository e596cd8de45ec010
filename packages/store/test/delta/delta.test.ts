import { randomBytes } from 'node:crypto'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { zstdCompressSync } from 'node:zlib'
import {
  type DeltaForm,
  type DeltaOffer,
  DeltaRefusedError,
  type HeldZip,
  type MissingFiles,
  type ToldManifest,
  type ZipRebuild,
} from '@modmesh/fill'
import { encodeIndices, VarintWriter } from '@modmesh/module'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  buildModuleZip,
  type ModuleFiles,
  moduleHashes,
} from '../../../../test/support/module-zip.ts'
import { ChunkReader } from '../../src/delta/chunk-reader.ts'
import { DiskStore } from '../../src/disk-store.ts'
import { tempDir } from '../support/temp-dir.ts'
import { moduleAt, never, putZip } from '../support/zips.ts'

const old = moduleAt('v1.0.0')
const next = moduleAt('v1.1.0')
const text = (seed: string, lines: number): string =>
  Array.from(
    { length: lines },
    (_, n) => `func ${seed}${(n * 7919) % 1009}() int { return ${n} }\n`,
  ).join('')

/** Above what is treated in one piece. */
const largeBytes = 1_200_000

/** A file of each kind that is treated in its own way. */
const before: ModuleFiles = {
  'go.mod': 'module example.com/mod\n',
  'empty.go': '',
  'same.go': text('same', 400),
  'changed.go': text('changed', 2_000),
  'dropped.go': text('dropped', 30),
  'large.bin': Buffer.alloc(largeBytes, 'large '),
  'magic.zst': Buffer.concat([Buffer.from([0x37, 0xa4, 0x30, 0xec]), randomBytes(4_000)]),
  'ü/tiny': 'x',
}
const after: ModuleFiles = {
  ...before,
  'empty.go': 'package mod\n',
  'changed.go': `${text('changed', 2_000)}func added() {}\n`,
  'large.bin': Buffer.concat([Buffer.alloc(largeBytes, 'large '), randomBytes(1_000)]),
  'magic.zst': Buffer.concat([before['magic.zst'] as Buffer, Buffer.from('more')]),
  'new.go': text('new', 100),
  'random.bin': randomBytes(largeBytes),
  'ü/tiny': 'y',
}

let sender: DiskStore
let receiver: DiskStore
let receiverDir: string
let zip: HeldZip
let offer: DeltaOffer
const removals: (() => Promise<void>)[] = []
beforeAll(async () => {
  sender = await DiskStore.open({ dir: await tempDir((work) => removals.push(work)) })
  receiverDir = await tempDir((work) => removals.push(work))
  receiver = await DiskStore.open({ dir: receiverDir })
  await putZip(sender, old, buildModuleZip(old, before))
  zip = await putZip(sender, next, buildModuleZip(next, after))
  await putZip(receiver, old, buildModuleZip(old, before))
  offer = sender.deltas.offer(zip, { mayUse: () => true })
})
afterAll(async () => {
  await sender[Symbol.asyncDispose]()
  await receiver[Symbol.asyncDispose]()
  for (const remove of removals) await remove()
})

describe('a zip is put together, with the h1 it must have', () => {
  test.for<[string, { readonly base: 'shared' | 'sketched' | 'none'; readonly form: DeltaForm }]>([
    [
      'against an old version that both hold, packed against its files',
      { base: 'shared', form: 'P' },
    ],
    ['against an old version that both hold, in one frame', { base: 'shared', form: 'S' }],
    ['against an old version that only the receiver holds', { base: 'sketched', form: 'S' }],
    ['against an old version, entries as they are', { base: 'sketched', form: 'F' }],
    ['with nothing before, in one frame', { base: 'none', form: 'S' }],
    ['with nothing before, entries as they are', { base: 'none', form: 'F' }],
  ])('%s', async ([, { base, form }]) => {
    const rebuild = await receiver.deltas.rebuild(next, zip.zipHash, never)
    const told = await tell(rebuild, base)
    expect(told).toMatchObject({
      base: base === 'none' ? undefined : 0,
      isBaseShared: base === 'shared',
    })
    await rebuild.takeManifest(told, never)
    const wire = await bring(rebuild, form)
    expect(rebuild.missing()).toMatchObject({ changedCount: 0, addedCount: 0 })
    await expectZip(rebuild)
    const random = largeBytes
    const most = { P: random + 12_000, S: random + 20_000, F: zip.size }
    if (base !== 'none') expect(wire).toBeLessThan(most[form])
  })
})

test('what one fetch brought is there for the next, and is not asked for again', async () => {
  const first = await receiver.deltas.rebuild(next, zip.zipHash, never)
  await first.takeManifest(await tell(first, 'none'), never)
  const sink = first.receive('S', all(first.missing()), never)
  let sent = 0
  for await (const chunk of offer.files({ form: 'S', files: all(first.missing()) }, never)) {
    if (sent > 100_000) break
    sent += chunk.length
    await sink.write(chunk)
  }
  await first.release(false)

  const second = await receiver.deltas.rebuild(next, zip.zipHash, never)
  expect(second.hasManifest).toBe(true)
  const { addedCount } = second.missing()
  expect(addedCount).toBeGreaterThan(0)
  expect(addedCount).toBeLessThan(Object.keys(after).length)
  await bring(second, 'F')
  await expectZip(second)
  expect((await readdir(join(receiverDir, 'store/v1/staging'))).length).toBe(0)
})

test('a second fetch of the same content waits for the first, and goes on with what it left', async () => {
  const first = await receiver.deltas.rebuild(next, zip.zipHash, never)
  await first.takeManifest(await tell(first, 'shared'), never)
  const waiting = receiver.deltas.rebuild(next, zip.zipHash, never)
  const leaves = new AbortController()
  const leaving = receiver.deltas.rebuild(next, zip.zipHash, { signal: leaves.signal })
  leaves.abort(new Error('gone'))
  await expect(leaving).rejects.toThrow('gone')
  await first.release(false)
  const second = await waiting
  expect(second.hasManifest).toBe(true)
  await second.release(true)
})

async function tell(
  rebuild: ZipRebuild,
  how: 'shared' | 'sketched' | 'none',
): Promise<ToldManifest> {
  const [base] = rebuild.bases
  if (base === undefined) throw new Error('no base')
  const sketch = how === 'sketched' ? await rebuild.sketch(base, never) : undefined
  const bases = how === 'none' ? [] : [{ zipHash: base.zipHash, sketch }]
  const mayUse = (): boolean => how === 'shared'
  const told = sender.deltas.offer(zip, { mayUse })
  return await told.tell({ bases, hasManifest: false }, never)
}

/** Fetches all that is missing; returns how many bytes that took. */
async function bring(rebuild: ZipRebuild, form: DeltaForm): Promise<number> {
  const { changed, added } = rebuild.missing()
  const [base] = rebuild.bases
  const asked =
    form === 'P' && base !== undefined
      ? ([
          { form, base: base.zipHash, files: changed },
          { form: 'S', files: added },
        ] as const)
      : ([
          { form, files: changed },
          { form, files: added },
        ] as const)
  let bytes = 0
  for (const each of asked) {
    const sink = rebuild.receive(each.form, each.files, never)
    for await (const chunk of offer.files(each, never)) {
      bytes += chunk.length
      await sink.write(chunk)
    }
    await sink.end()
  }
  return bytes
}

function all({ added }: MissingFiles): Uint8Array {
  return added
}

async function expectZip(rebuild: ZipRebuild): Promise<void> {
  const staged = await receiver.stageZip(next)
  await rebuild.writeTo(staged, never)
  expect(await staged.verify(zip.zipHash, never)).toBe(moduleHashes(next, after).zip)
  await staged.discard()
  await rebuild.release(true)
}

describe('a liar', () => {
  test.for<DeltaForm>(['P', 'S', 'F'])(
    'that changes one byte of files in form %s is found before anything is kept of it',
    async (form) => {
      const rebuild = await receiver.deltas.rebuild(next, zip.zipHash, never)
      if (!rebuild.hasManifest) await rebuild.takeManifest(await tell(rebuild, 'shared'), never)
      const [base] = rebuild.bases
      const { changed, changedCount } = rebuild.missing()
      const asked = { form, files: changed, ...(base && { base: base.zipHash }) }
      const chunks: Uint8Array[] = []
      for await (const chunk of offer.files(asked, never)) chunks.push(chunk)
      const honest = Buffer.concat(chunks)
      for (const share of [0, 0.1, 0.4, 0.7, 0.999]) {
        const bytes = Buffer.from(honest)
        const at = Math.floor(share * bytes.length)
        bytes[at] = (bytes[at] ?? 0) ^ 0x11
        const sink = rebuild.receive(form, changed, never)
        const sent = sink.write(bytes).then(() => sink.end())
        await expect(sent).rejects.toBeInstanceOf(DeltaRefusedError)
      }
      // What verified before the lie may be kept; a file that was changed never is.
      expect(rebuild.missing().changedCount).toBeGreaterThan(0)
      expect(rebuild.missing().changedCount).toBeLessThanOrEqual(changedCount)
      await rebuild.release(true)
    },
  )

  test.for<DeltaForm>(['P', 'S', 'F'])(
    'that sends a file nobody asked for is refused, in form %s',
    async (form) => {
      const rebuild = await receiver.deltas.rebuild(next, zip.zipHash, never)
      await rebuild.takeManifest(await tell(rebuild, 'shared'), never)
      const [base] = rebuild.bases
      const { changed, all: everything } = rebuild.missing()
      const files = form === 'P' ? changed : everything
      const asked = { form, files, ...(base && { base: base.zipHash }) }
      const sink = rebuild.receive(form, encodeIndices([]), never)
      const sent = async (): Promise<void> => {
        for await (const chunk of offer.files(asked, never)) await sink.write(chunk)
        await sink.end()
      }
      const failure: unknown = await sent().catch((error: unknown) => error)
      await rebuild.release(true)
      expect(failure).toMatchObject({ code: 'DELTA_REFUSED' })
    },
  )

  test('that tells another manifest is refused', async () => {
    const rebuild = await receiver.deltas.rebuild(next, zip.zipHash, never)
    const told = await tell(rebuild, 'shared')
    for (let at = 0; at < told.packed.length; at += 7) {
      const packed = Buffer.from(told.packed)
      packed[at] = (packed[at] ?? 0) ^ 1
      const lie = rebuild.takeManifest({ ...told, packed }, never)
      await expect(lie).rejects.toMatchObject({ code: 'DELTA_REFUSED', why: 'lie' })
    }
    const elsewhere = rebuild.takeManifest({ ...told, base: 3 }, never)
    await expect(elsewhere).rejects.toMatchObject({ why: 'lie' })
    expect(rebuild.hasManifest).toBe(false)
    await rebuild.release(true)
  })

  test('that sends what does not verify leaves nothing of it on the disk', async () => {
    const rebuild = await receiver.deltas.rebuild(next, zip.zipHash, never)
    await rebuild.takeManifest(await tell(rebuild, 'none'), never)
    const size = 4 << 20
    const head = new VarintWriter()
    for (const number of [8, size, size]) head.number(number)
    const sink = rebuild.receive('F', rebuild.missing().all, never)
    const sent = async (): Promise<void> => {
      await sink.write(head.finish())
      for (let at = 0; at < size; at += 65_536) await sink.write(randomBytes(65_536))
      await sink.end()
    }
    await expect(sent()).rejects.toMatchObject({ code: 'DELTA_REFUSED' })
    const staging = join(receiverDir, 'store/v1/staging')
    const sizes = async (): Promise<number[]> =>
      await Promise.all(
        (await readdir(staging)).map(async (name) => (await stat(join(staging, name))).size),
      )
    expect(await sizes()).not.toEqual([0])
    await rebuild.release(false)
    expect(await sizes()).toEqual([0])
    const again = await receiver.deltas.rebuild(next, zip.zipHash, never)
    expect(again.hasManifest).toBe(true)
    await bring(again, 'F')
    await expectZip(again)
  })

  test('that sends a file byte by byte has it read all the same', async () => {
    const length = 300_000
    const chunks = async function* (): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < length; at++) yield Uint8Array.of(at)
    }
    const bytes = await new ChunkReader(chunks()).whole(length)
    expect(bytes).toHaveLength(length)
    expect(bytes.every((byte, at) => byte === (at & 255))).toBe(true)
  })

  test('that sends a bomb is cut off at the size that a zip may have', async () => {
    const rebuild = await receiver.deltas.rebuild(next, zip.zipHash, never)
    await rebuild.takeManifest(await tell(rebuild, 'none'), never)
    const size = new VarintWriter()
    size.number(600 << 20)
    const sink = rebuild.receive('S', rebuild.missing().all, never)
    const sent = sink.write(zstdCompressSync(size.finish())).then(() => sink.end())
    await expect(sent).rejects.toMatchObject({ code: 'DELTA_REFUSED' })
    await rebuild.release(true)
  })
})
