import type { ModuleSource } from '@modmesh/fill'
import { formatModuleVersion, type ModuleVersion, parseModuleVersion } from '@modmesh/module'
import { expect, test } from 'vitest'
import { Refill } from '../src/refill.ts'

type FetchZip = ModuleSource['zip']

function moduleAt(n: number): ModuleVersion {
  return parseModuleVersion(`example.com/m${n}`, 'v1.0.0')
}

/** A source that notes what it is asked, and answers when the test lets it. */
function setUp() {
  const asked: string[] = []
  const lines: string[] = []
  const turns: { readonly end: (error?: Error) => void; readonly signal: AbortSignal }[] = []
  const zip: FetchZip = (module, { signal }) => {
    asked.push(formatModuleVersion(module))
    const { promise, resolve, reject } = Promise.withResolvers<never>()
    const end = (error?: Error): void => {
      if (error === undefined) resolve(undefined as never)
      else reject(error)
    }
    signal.addEventListener('abort', () => reject(signal.reason))
    turns.push({ end, signal })
    return promise
  }
  const log = { info: (_fields: object, text: string) => lines.push(text) }
  const refill = new Refill({ source: { zip }, log: log as never })
  return { refill, asked, lines, turns }
}

test('damaged zips are fetched anew one at a time, each once however often it is told', async () => {
  const { refill, asked, lines, turns } = setUp()
  for (const n of [0, 1, 0, 1, 2]) refill.add(moduleAt(n))
  for (const n of [0, 1, 2]) {
    await expect.poll(() => asked.length).toBe(n + 1)
    turns[n]?.end(n === 1 ? new Error('upstream is away') : undefined)
  }
  await expect.poll(() => lines.length).toBe(3)
  expect(asked).toEqual([0, 1, 2].map((n) => formatModuleVersion(moduleAt(n))))
  expect(lines).toEqual([
    'damaged zip fetched anew',
    'damaged zip not fetched anew',
    'damaged zip fetched anew',
  ])
  await refill[Symbol.asyncDispose]()
})

test('what is damaged again after it was fetched is fetched again', async () => {
  const { refill, asked, lines, turns } = setUp()
  for (const round of [1, 2]) {
    refill.add(moduleAt(0))
    await expect.poll(() => asked.length).toBe(round)
    turns[round - 1]?.end()
    await expect.poll(() => lines.length).toBe(round)
  }
  await refill[Symbol.asyncDispose]()
})

test('a dying disk does not have its whole store fetched', async () => {
  const { refill, asked, turns } = setUp()
  for (let n = 0; n < 1_000; n++) refill.add(moduleAt(n))
  for (let n = 0; n < 64; n++) {
    await expect.poll(() => turns.length).toBe(n + 1)
    turns[n]?.end()
  }
  await refill[Symbol.asyncDispose]()
  expect(asked).toHaveLength(64)
})

test('a node that stops cuts the fetch that runs, begins no other and says nothing', async () => {
  const { refill, asked, lines } = setUp()
  for (const n of [0, 1]) refill.add(moduleAt(n))
  await expect.poll(() => asked.length).toBe(1)
  await refill[Symbol.asyncDispose]()
  refill.add(moduleAt(2))
  expect(asked).toHaveLength(1)
  expect(lines).toEqual([])
})
