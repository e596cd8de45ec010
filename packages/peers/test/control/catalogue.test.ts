import { describe, expect, test } from 'vitest'
import { Catalogue, readCatalogue } from '../../src/control/catalogue.ts'
import type { Reply } from '../../src/control/message.ts'
import { MemoryShelf } from '../support/memory-shelf.ts'

type Page = Omit<Reply<'catalogue-query'>, 'kind'>
const options = { signal: new AbortController().signal }

/** A shelf that counts how often it is listed. */
function counting(shelf: MemoryShelf) {
  let listings = 0
  const contents = () => {
    listings += 1
    return shelf.contents()
  }
  return { shelf: { mods: () => shelf.mods(), contents }, listings: () => listings }
}

/** A member that answers with these pages, or from a shelf. */
function linkOf(answer: (after: string | undefined) => Page | Promise<Page>) {
  const session = {
    ask: async ({ after }: { readonly after?: string }) => await answer(after),
  }
  return { session } as unknown as Parameters<typeof readCatalogue>[0]
}

async function read(link: Parameters<typeof readCatalogue>[0]): Promise<string[]> {
  const all: string[] = []
  for await (const { module, zipHash } of readCatalogue(link, options)) {
    all.push(`${module.path}@${module.version}${zipHash === undefined ? '' : ' zip'}`)
  }
  return all
}

test('a catalogue of many pages is read whole, in order', async () => {
  const shelf = new MemoryShelf()
  for (let n = 0; n < 3_000; n++) shelf.put(`example.com/m${n}@v1.0.0`, new Uint8Array(1))
  const counted = counting(shelf)
  const catalogue = new Catalogue({ shelf: counted.shelf })
  let pages = 0
  const link = linkOf((after) => {
    pages += 1
    return catalogue.page(after)
  })
  const all = await read(link)
  expect(all).toHaveLength(3_000)
  expect(all).toEqual(all.toSorted())
  expect(all[0]).toBe('example.com/m0@v1.0.0 zip')
  expect(pages).toBeGreaterThan(1)
  expect(counted.listings()).toBe(1)
})

test('who begins to read a catalogue again and again makes no more than one listing at a time', async () => {
  const { shelf, listings } = counting(new MemoryShelf())
  const catalogue = new Catalogue({ shelf })
  await Promise.all(Array.from({ length: 100 }, () => catalogue.page(undefined)))
  expect(listings()).toBe(1)
  for (const after of ['a', 'z', '']) await catalogue.page(after)
  expect(listings()).toBe(1)
})

test('what comes while a catalogue is read is in the next one', async () => {
  const shelf = new MemoryShelf()
  shelf.put('example.com/a@v1.0.0', new Uint8Array(1))
  const catalogue = new Catalogue({ shelf })
  const link = linkOf((after) => catalogue.page(after))
  expect(await read(link)).toEqual(['example.com/a@v1.0.0 zip'])
  shelf.put('example.com/b@v1.0.0', new Uint8Array(1))
  await expect
    .poll(() => read(link))
    .toEqual(['example.com/a@v1.0.0 zip', 'example.com/b@v1.0.0 zip'])
})

test('a catalogue that could not be listed is listed anew', async () => {
  const shelf = new MemoryShelf()
  let isBroken = true
  const mods = () => {
    if (isBroken) throw new Error('a broken disk')
    return shelf.mods()
  }
  const catalogue = new Catalogue({ shelf: { mods, contents: () => shelf.contents() } })
  await expect(catalogue.page(undefined)).rejects.toThrow('a broken disk')
  isBroken = false
  expect(await catalogue.page(undefined)).toMatchObject({ lines: '', last: true })
})

describe('a liar’s catalogue', () => {
  test.for<[string, Page]>([
    ['that begins anew', { lines: 'example.com/b@v1.0.0\nexample.com/a@v1.0.0\n', last: true }],
    ['that repeats itself', { lines: 'example.com/a@v1.0.0\n', last: false }],
    ['of empty pages', { lines: '', last: false }],
    ['of no module', { lines: 'example.com/a\n', last: true }],
    ['with a hash that is none', { lines: 'example.com/a@v1.0.0 h1:x\n', last: true }],
    ['with too many words', { lines: 'example.com/a@v1.0.0 h1: x\n', last: true }],
    ['with a path that go refuses', { lines: '../etc@v1.0.0\n', last: true }],
  ])('%s breaks the protocol', async ([, page]) => {
    await expect(read(linkOf(() => page))).rejects.toMatchObject({ code: 'PROTOCOL' })
  })

  test('without an end is read no further than a member may hold', async () => {
    let n = 10_000
    const link = linkOf(() => ({ lines: `example.com/m${n++}@v1.0.0\n`, last: n > 10_200 }))
    let items = 0
    const reading = async () => {
      for await (const _ of readCatalogue(link, { ...options, maxItems: 100 })) items += 1
    }
    await expect(reading()).rejects.toMatchObject({ code: 'PROTOCOL' })
    expect(items).toBe(100)
  })
})
