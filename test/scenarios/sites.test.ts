import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type FakeModule, FakeUpstream } from '../support/fake-upstream.ts'
import { filePath, statusOf } from '../support/mesh.ts'
import { type Download, download, get } from '../support/site.ts'
import type { StartedNode } from '../support/start-node.ts'
import { startTwoSites } from '../support/two-sites.ts'

let stack: AsyncDisposableStack
beforeEach(() => {
  stack = new AsyncDisposableStack()
})
afterEach(() => stack.disposeAsync())

const soon = { timeout: 30_000, interval: 50 }

describe('three hosts of a branch without internet', () => {
  test('that start together bring each zip over the link once', async () => {
    const modules = makeModules(12, 'once')
    const upstream = stack.use(await FakeUpstream.start({ modules }))
    const init = { branchHosts: 3, bitsPerSecond: 20_000_000 }
    const { hq, branch, link } = stack.use(await startTwoSites(upstream, init))
    const bytes = await fill(hq, modules, upstream)
    const before = link.bytes.down
    upstream.forget()
    const all = await Promise.all(
      branch.map((node) => download(node, modules, databaseOf(upstream))),
    )
    for (const downloads of all) expectAll(downloads, upstream)
    const crossed = link.bytes.down - before
    expect(crossed).toBeGreaterThan(bytes)
    expect(crossed).toBeLessThan(bytes * 1.15 + modules.length * 12_000)
    // The checksum database has an address of its own.
    expect([...upstream.counts().keys()].filter((path) => path.includes('/@v/'))).toEqual([])
  })
})

/** Half of them large. */
function makeModules(count: number, name: string): FakeModule[] {
  return Array.from({ length: count }, (_, n) => ({
    path: `example.com/${name}/m${n}`,
    version: 'v1.0.0',
    files: {
      'go.mod': `module example.com/${name}/m${n}\n`,
      'noise.bin': randomBytes(n % 2 === 0 ? 30_000 : 700_000),
    },
  }))
}

function databaseOf(upstream: FakeUpstream): string {
  return upstream.sumdb.name
}

/** Has a node hold everything; returns the bytes of the zips. */
async function fill(
  node: StartedNode,
  modules: readonly FakeModule[],
  upstream: FakeUpstream,
): Promise<number> {
  expectAll(await download(node, modules, databaseOf(upstream)), upstream)
  await expect.poll(async () => (await statusOf(node)).store.zips, soon).toBe(modules.length)
  const zips = await Promise.all(modules.map((module) => get(node, filePath(module, 'zip'))))
  return zips.reduce((sum, { bytes }) => sum + bytes.length, 0)
}

/** Every answer is there and true. */
function expectAll(downloads: readonly Download[], upstream: FakeUpstream): void {
  const failed = downloads.filter(({ status }) => status !== 200)
  expect(failed.map(({ status, path }) => `${status} ${path}`)).toEqual([])
  for (const { path, bytes } of downloads) {
    const due = upstream.bytesOf(path)
    if (due !== undefined) expect(Buffer.compare(bytes, due), path).toBe(0)
  }
}
