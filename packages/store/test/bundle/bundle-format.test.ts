import { parseModuleVersion, parseZipHash } from '@modmesh/module'
import { FakeSumdb } from '@modmesh/sumdb/testing'
import * as fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { BundleReader } from '../../src/bundle/bundle-reader.ts'
import { BundleError } from '../../src/bundle/faults.ts'
import {
  type BundleItem,
  compareItems,
  formatInventory,
  type Inventory,
  nameOf,
  parseInventory,
} from '../../src/bundle/inventory.ts'
import { inChunks, logged, makeBundle, newSigner, type Signer, Site } from './bundle-site.ts'

const digest = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((b) => Buffer.from(b).toString('hex'))
const zipHash = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => parseZipHash(`h1:${Buffer.from(bytes).toString('base64')}`))
const module = fc
  .tuple(fc.nat(50), fc.nat(50))
  .map(([a, b]) => parseModuleVersion(`Example.com/m${a}`.toLowerCase(), `v1.${b}.0`))
const size = fc.nat(2 ** 40)
const part = fc.oneof(
  fc.record({ kind: fc.constantFrom('record', 'mod', 'info'), module, size, digest }),
  fc.record({ kind: fc.constant('zip'), module, size, digest, zipHash }),
) as fc.Arbitrary<BundleItem>

/** Inventories as they are written: sorted, each thing once, what is in it apart from what was before. */
const inventory = fc
  .record({
    signer: fc.uint8Array({ minLength: 32, maxLength: 32 }),
    since: fc.option(digest, { nil: undefined }),
    head: fc.record({ kind: fc.constant('head'), size, digest }),
    parts: fc.array(part, { maxLength: 30 }),
    split: fc.nat(30),
    treeSize: fc.nat(2 ** 40),
  })
  .map(({ signer, since, head, parts, split, treeSize }): Inventory => {
    const distinct = [...new Map(parts.map((each) => [nameOf(each), each])).values()]
    return {
      signer,
      since,
      tree: { database: 'sum.test', size: treeSize },
      items: [head as BundleItem, ...distinct.slice(split).toSorted(compareItems)],
      before: distinct.slice(0, split).toSorted(compareItems),
    }
  })

describe('an inventory', () => {
  test('is read as it was written', () => {
    fc.assert(
      fc.property(inventory, (written) => {
        const read = parseInventory(formatInventory(written))
        expect(read).toEqual({ ...written, signer: Buffer.from(written.signer) })
        expect(formatInventory(read)).toEqual(formatInventory(written))
      }),
    )
  })

  test.for([
    ['of another version', (text: string) => text.replace('bundle 1', 'bundle 2')],
    [
      'that leads out of its folder',
      (text: string) => text.replace('+ mod', 'tree ../../x 5\n+ mod'),
    ],
    ['without a signer', (text: string) => text.replace(/signer .*\n/u, '')],
    ['with a line twice', (text: string) => `${text}${text.split('\n').at(-2)}\n`],
    [
      'with a size that is none',
      (text: string) => text.replace('mod example.com/a v1.0.0 7', 'mod example.com/a v1.0.0 07'),
    ],
    ['with a word more', (text: string) => text.replace('v1.0.0 7', 'v1.0.0 7 8')],
    ['with an unknown kind', (text: string) => text.replace('+ mod', '+ exe')],
    ['with a module path that is none', (text: string) => text.replace('example.com/a', '../../a')],
    ['with a record and no tree', (text: string) => text.replace('+ mod', '+ record')],
    ['that is cut in a line', (text: string) => text.slice(0, -3)],
    ['with what is before first', (text: string) => text.replace('+ mod', '= mod')],
  ] as const)('%s is no bundle', ([, change]) => {
    const hex = '7'.repeat(64)
    const text = `modmesh bundle 1\nsigner ${hex}\n+ mod example.com/a v1.0.0 7 ${hex}\n+ mod example.com/b v1.0.0 7 ${hex}\n`
    expect(parseInventory(Buffer.from(text)).items).toHaveLength(2)
    expect(change(text)).not.toBe(text)
    expect(() => parseInventory(Buffer.from(change(text)))).toThrow(BundleError)
  })
})

describe('a bundle', () => {
  let bundle: Uint8Array
  let signer: Signer
  const make = async (): Promise<Uint8Array> => {
    const sumdb = new FakeSumdb()
    const made = [
      logged(sumdb, 'example.com/a', 'v1.0.0'),
      logged(sumdb, 'example.com/b', 'v1.0.0'),
    ]
    sumdb.addFiller(600)
    const site = await Site.open(sumdb, { isOnline: true })
    for (const each of made) await site.hold(each)
    return await makeBundle(
      site,
      made.map(({ module }) => module),
      { signer },
    )
  }
  beforeAll(() => {
    signer = newSigner()
  })

  test('is the same, byte by byte, each time it is made', async () => {
    bundle = await make()
    expect(Buffer.compare(await make(), bundle)).toBe(0)
  })

  test('is read the same in pieces of any size', async () => {
    const whole = await readAll(bundle)
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: bundle.length }), async (chunk) => {
        expect(await readAll(bundle, chunk)).toEqual(whole)
      }),
      { numRuns: 20 },
    )
  })

  test('that ends anywhere too early is named truncated', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(bundle.length - 1), async (length) => {
        expect(await faultOf(bundle.subarray(0, length))).toBe('BUNDLE_TRUNCATED')
      }),
      { numRuns: 150 },
    )
  })

  test('with any bit flipped is refused, and named altered after its first bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(bundle.length - 1), fc.nat(7), async (at, bit) => {
        const changed = Uint8Array.from(bundle)
        changed[at] = (changed[at] ?? 0) ^ (1 << bit)
        const fault = await faultOf(changed)
        if (at >= 20) expect(fault).toBe('BUNDLE_ALTERED')
        else expect(fault).toMatch(/^BUNDLE_(FORMAT|ALTERED|TRUNCATED)$/u)
      }),
      { numRuns: 200 },
    )
  })

  test('with something at its end is named altered', async () => {
    expect(await faultOf(Buffer.concat([bundle, Buffer.of(0)]))).toBe('BUNDLE_ALTERED')
  })

  test('whose signer was exchanged for another key is named altered', async () => {
    const other = newSigner()
    const changed = Buffer.from(bundle)
    Buffer.from(other.publicKey).copy(changed, 20)
    expect(await faultOf(changed)).toBe('BUNDLE_ALTERED')
    const length = changed.readUInt32BE(16)
    const list = changed.subarray(116, 116 + length)
    const text = Buffer.concat([Buffer.from('modmesh bundle inventory\n'), list])
    Buffer.from(other.sign(text)).copy(changed, 52)
    expect(await faultOf(changed)).toBe('BUNDLE_ALTERED')
  })

  test('of any other bytes is none', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 16, maxLength: 400 }), async (bytes) => {
        expect(await faultOf(bytes)).toBe('BUNDLE_FORMAT')
      }),
      { numRuns: 100 },
    )
  })
})

/** Every thing in a bundle by name; throws as the reader does. */
async function readAll(bytes: Uint8Array, chunk?: number): Promise<ReadonlyMap<string, string>> {
  const reader = await BundleReader.open(inChunks(bytes, chunk))
  const read = new Map<string, string>()
  for (const item of reader.inventory.items) {
    if (item.kind !== 'zip')
      read.set(nameOf(item), Buffer.from(await reader.read(item)).toString('hex'))
    else {
      const parts: string[] = []
      for await (const piece of reader.pieces(item)) parts.push(Buffer.from(piece).toString('hex'))
      read.set(nameOf(item), parts.join(''))
    }
  }
  await reader.end()
  return read
}

async function faultOf(bytes: Uint8Array): Promise<string | undefined> {
  try {
    await readAll(bytes)
    return undefined
  } catch (error) {
    return error instanceof BundleError ? error.code : `no fault: ${String(error)}`
  }
}
