import { FakeClock } from '@modmesh/fill/twins'
import { parseModuleVersion, parseZipDigest } from '@modmesh/module'
import { expect, test } from 'vitest'
import { maxPartBytes, maxWholeBodies, partWaitMs } from '../src/limits.ts'
import type { ZipPart } from '../src/peers.ts'
import { ZipParts } from '../src/zip-parts.ts'
import type { HeldZip } from '../src/zip-store.ts'
import { patient } from './support/world.ts'

const module = parseModuleVersion('example.com/m', 'v1.0.0')
const digest = parseZipDigest('a'.repeat(64))

function open(held?: Pick<HeldZip, 'zipDigest' | 'size' | 'read'>): {
  readonly parts: ZipParts
  readonly clock: FakeClock
} {
  const clock = new FakeClock()
  const findZip = async (): Promise<HeldZip | undefined> => held as HeldZip | undefined
  return { parts: new ZipParts({ clock, findZip }), clock }
}

function body(bytes: Uint8Array, id = 1): Parameters<ZipParts['show']>[1] {
  const read = async ({ start, end }: { readonly start: number; readonly end: number }) =>
    bytes.subarray(start, end)
  return () => ({ id, bytes: bytes.length, moves: 3, read })
}

async function bytesOf(part: ZipPart | undefined): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of part?.chunks ?? []) chunks.push(chunk)
  return Buffer.concat(chunks)
}

const begin = { body: undefined, offset: 0 }

test('what has come so far is given, from where the part before ended', async () => {
  const { parts } = open()
  const bytes = new Uint8Array(700_000).map((_, n) => n % 251)
  parts.show(module, body(bytes))
  const first = await parts.next(module, begin, patient)
  expect(first).toMatchObject({ body: 1, length: bytes.length, isLast: false })
  expect(Buffer.compare(await bytesOf(first), bytes)).toBe(0)
  const next = await parts.next(module, { body: 1, offset: 600_000 }, patient)
  expect(Buffer.compare(await bytesOf(next), bytes.subarray(600_000))).toBe(0)
  expect(parts.progressOf(module)).toMatchObject({ bytes: 700_000, moves: 3 })
})

test('a part has a largest size', async () => {
  const { parts } = open()
  parts.show(module, () => ({
    id: 1,
    bytes: 10 * maxPartBytes,
    moves: 0,
    read: async () => new Uint8Array(),
  }))
  expect((await parts.next(module, begin, patient))?.length).toBe(maxPartBytes)
})

test('when nothing more has come, an empty part is given after a moment', async () => {
  const { parts, clock } = open()
  parts.show(module, body(new Uint8Array(10)))
  const asked = parts.next(module, { body: 1, offset: 10 }, patient)
  let part: ZipPart | undefined
  void asked.then((given) => {
    part = given
  })
  await clock.settle()
  while (part === undefined && (await clock.step())) await clock.settle()
  expect(part).toMatchObject({ length: 0, isLast: false })
  expect(clock.monotonicMs()).toBeGreaterThanOrEqual(partWaitMs)
})

test('a body that began anew, and one that ended without a zip, are nothing', async () => {
  const { parts } = open()
  const forget = parts.show(module, body(new Uint8Array(10), 2))
  expect(await parts.next(module, { body: 1, offset: 5 }, patient)).toBeUndefined()
  forget()
  expect(await parts.next(module, { body: 2, offset: 5 }, patient)).toBeUndefined()
  expect(await parts.next(module, begin, patient)).toBeUndefined()
})

test('the rest of what was kept is given to those who were streaming it, and to nobody else', async () => {
  const bytes = new Uint8Array(1_000).fill(7)
  const held = {
    zipDigest: digest,
    size: bytes.length,
    async *read({ start, end } = { start: 0, end: bytes.length }) {
      yield bytes.subarray(start, end)
    },
  }
  const { parts } = open(held)
  parts.showWhole(module, 5, digest)
  const rest = await parts.next(module, { body: 5, offset: 400 }, patient)
  expect(rest).toMatchObject({ length: 600, isLast: true })
  expect(await bytesOf(rest)).toHaveLength(600)
  expect(await parts.next(module, { body: 4, offset: 400 }, patient)).toBeUndefined()
  expect(await parts.next(module, begin, patient)).toBeUndefined()
  const end = await parts.next(module, { body: 5, offset: 1_000 }, patient)
  expect(end).toMatchObject({ length: 0, isLast: true })
})

test('what is held in another form is none of that body', async () => {
  const other = parseZipDigest('b'.repeat(64))
  const { parts } = open({ zipDigest: other, size: 10, async *read() {} })
  parts.showWhole(module, 5, digest)
  expect(await parts.next(module, { body: 5, offset: 4 }, patient)).toBeUndefined()
})

test('only so many whole bodies are remembered', async () => {
  const { parts } = open({ zipDigest: digest, size: 10, async *read() {} })
  parts.showWhole(module, 5, digest)
  for (let n = 0; n < maxWholeBodies; n++) {
    parts.showWhole(parseModuleVersion('example.com/m', `v2.0.${n}+incompatible`), 6, digest)
  }
  expect(await parts.next(module, { body: 5, offset: 4 }, patient)).toBeUndefined()
})
