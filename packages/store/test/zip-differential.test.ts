import { execFileSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ZipHash, ZipRulesError } from '@modmesh/module'
import { afterAll, beforeAll, expect } from 'vitest'
import { goTest } from '../../../test/support/go.ts'
import { buildModuleZip, type ModuleZipOptions } from '../../../test/support/module-zip.ts'
import { type VerifiedZip, verifyZipFile } from '../src/zip-verify.ts'
import { moduleAt } from './support/zips.ts'

const seed = Number(process.env.MODMESH_ZIP_SEED ?? Math.floor(Math.random() * 2 ** 31))
const count = Number(process.env.MODMESH_ZIP_CASES ?? 400)
const module = moduleAt('v1.0.0')
let dir = ''

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'modmesh-zips-'))
  return () => rm(dir, { recursive: true })
})

/** Go's verdict on each file: its h1, or undefined where it refuses. */
function askGo(paths: readonly string[]): (string | undefined)[] {
  const program = join(dir, 'hash-zips')
  const source = join(import.meta.dirname, 'support/hash-zips.go')
  execFileSync('go', ['build', '-o', program, source], { env: { ...process.env, GOFLAGS: '' } })
  const lines = execFileSync(program, { input: paths.join('\n') })
    .toString('utf8')
    .split('\n')
  return paths.map((_, i) => (lines[i] === 'refused' ? undefined : lines[i]))
}

goTest(`we never take a zip that Go refuses, nor with another h1 (seed ${seed})`, async () => {
  const random = generator(seed)
  const paths: string[] = []
  for (let i = 0; i < count; i++) {
    const path = join(dir, `${i}.zip`)
    await writeFile(path, mutate(random, pick(random, bases)))
    paths.push(path)
  }
  const expected = askGo(paths)
  const tally = { both: 0, goOnly: 0, neither: 0, rewritten: 0 }
  for (const [i, path] of paths.entries()) {
    const ours = await tryVerify(path)
    if (ours === undefined) {
      tally[expected[i] === undefined ? 'neither' : 'goOnly']++
      continue
    }
    expect({ case: i, h1: ours.zipHash }).toEqual({ case: i, h1: expected[i] })
    tally.both++
    if (ours.rewrite !== undefined) tally.rewritten += await checkRewrite(path, ours)
  }
  // The mutations must reach every verdict, or this test says nothing.
  expect(tally.both).toBeGreaterThan(count / 20)
  expect(tally.neither).toBeGreaterThan(count / 20)
  expect(tally.rewritten).toBeGreaterThan(0)
})

/** What a rewrite makes is read alike by both, too. */
async function checkRewrite(path: string, zip: VerifiedZip): Promise<number> {
  const old = await readFile(path)
  const parts = zip.rewrite?.parts ?? []
  const bytes = parts.map((part) =>
    part.kind === 'bytes' ? part.bytes : old.subarray(part.start, part.end),
  )
  await writeFile(path, Buffer.concat(bytes))
  const again = await verifyZipFile(path, module)
  expect(again).toMatchObject({ zipHash: zip.zipHash, rewrite: undefined })
  rewritten.set(path, zip.zipHash)
  return 1
}

const rewritten = new Map<string, ZipHash>()
afterAll(() => {
  if (rewritten.size > 0) {
    expect(askGo([...rewritten.keys()])).toEqual([...rewritten.values()])
  }
})

/** What we say: undefined where we refuse, and nothing but a ZipRulesError may say so. */
async function tryVerify(path: string): Promise<VerifiedZip | undefined> {
  try {
    return await verifyZipFile(path, module)
  } catch (error) {
    expect(error).toBeInstanceOf(ZipRulesError)
    return undefined
  }
}

const files = {
  'go.mod': 'module example.com/mod\n',
  'a.go': 'package mod // a\n'.repeat(20),
  'stored.bin': Buffer.alloc(100, 7),
  'dir/': '',
  'é.go': '',
}
const variants: readonly ModuleZipOptions[] = [
  {},
  { all: { dataDescriptor: false } },
  { all: { method: 'store', dataDescriptor: false } },
  { all: { dataDescriptor: 'no-signature' } },
  { zip64: true, all: { zip64: true } },
  { comment: 'PK\u0005\u0006 is in here' },
  { leading: Buffer.from('leading bytes') },
  { leading: Buffer.from('leading bytes'), shiftOffsets: true },
  { trailing: Buffer.from('trailing bytes') },
  { gapBeforeDirectory: Buffer.from('PK\u0001\u0002 gap') },
  { entries: { 'a.go': { unicodePath: 'b.go', gap: Buffer.from('PK\u0003\u0004') } } },
]
const bases = variants.map((options) => Buffer.from(buildModuleZip(module, files, options)))

type Random = (below: number) => number

/** A few changes, most of them where the structure is. */
function mutate(random: Random, base: Buffer): Buffer {
  let bytes: Buffer = Buffer.from(base)
  for (let i = random(3); i >= 0; i--) bytes = pick(random, mutations)(bytes, random)
  return bytes
}

const mutations: readonly ((bytes: Buffer, random: Random) => Buffer)[] = [
  (bytes) => bytes,
  (bytes, random) => {
    bytes[random(bytes.length)] = random(256)
    return bytes
  },
  (bytes, random) => setNearSignature(bytes, random, random(256)),
  (bytes, random) => setNearSignature(bytes, random, pick(random, [0, 1, 8, 255])),
  (bytes, random) => {
    const at = random(bytes.length)
    return Buffer.concat([bytes.subarray(0, at), Buffer.alloc(random(5), 1), bytes.subarray(at)])
  },
  (bytes, random) => {
    const at = random(bytes.length)
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + random(4))])
  },
  (bytes, random) => {
    const from = random(bytes.length)
    bytes.copyWithin(random(bytes.length), from, from + random(60))
    return bytes
  },
  (bytes, random) => Buffer.concat([bytes, bytes.subarray(random(bytes.length))]),
  (bytes, random) => bytes.subarray(0, bytes.length - random(30)),
]

/** Changes a byte within the headers, which are a small part of the bytes. */
function setNearSignature(bytes: Buffer, random: Random, value: number): Buffer {
  const places: number[] = []
  for (let at = bytes.indexOf('PK'); at >= 0; at = bytes.indexOf('PK', at + 1)) places.push(at)
  if (places.length === 0) return bytes
  const at = pick(random, places) + random(60)
  if (at < bytes.length) bytes[at] = value
  return bytes
}

function pick<T>(random: Random, items: readonly T[]): T {
  return items[random(items.length)]!
}

/** mulberry32: small, and the same for the same seed. */
function generator(from: number): Random {
  let state = from
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}
