import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type FakeModule, FakeUpstream } from '../support/fake-upstream.ts'
import { statusOf } from '../support/mesh.ts'
import { type Download, download, startSite } from '../support/site.ts'
import type { StartedNode } from '../support/start-node.ts'

let stack: AsyncDisposableStack
beforeEach(() => {
  stack = new AsyncDisposableStack()
})
afterEach(() => stack.disposeAsync())

function makeModules(count: number, name: string): FakeModule[] {
  return Array.from({ length: count }, (_, n) => ({
    path: `example.com/${name}${n}`,
    version: 'v1.0.0',
    files: {
      'go.mod': `module example.com/${name}${n}\n\ngo 1.20\n`,
      'data.bin': randomBytes(10_000),
    },
  }))
}

/** How often upstream was asked for each file that is the same for ever, tiles and heads left out. */
function fileCounts(upstream: FakeUpstream): Map<string, number> {
  const files = [...upstream.counts()].filter(
    ([path]) => path.includes('/@v/') || path.includes('/lookup/'),
  )
  return new Map(files)
}

/** Requests per file. */
function amplification(upstream: FakeUpstream): number {
  const counts = [...fileCounts(upstream).values()]
  return counts.reduce((sum, count) => sum + count, 0) / counts.length
}

/** Files that were asked for more than once. */
function repeated(upstream: FakeUpstream): [string, number][] {
  return [...fileCounts(upstream)].filter(([, count]) => count > 1)
}

function failed(downloads: readonly Download[]): string[] {
  return downloads.filter(({ status }) => status !== 200).map((d) => `${d.status} ${d.path}`)
}

async function messagesPerFile(node: StartedNode, files: number): Promise<number> {
  const { mesh } = await statusOf(node)
  const { inventory, heartbeat, hello, peers, ...rest } = mesh.messagesSent
  const sum = Object.entries(rest).filter(([kind]) => kind.endsWith('-query'))
  return sum.reduce((total, [, count]) => total + count, 0) / files
}

describe('a site of five, cold', () => {
  test('asks upstream once for each file that all want at one instant', async () => {
    const modules = makeModules(40, 'once')
    const upstream = stack.use(await FakeUpstream.start({ modules, delayMs: 20 }))
    const { nodes } = stack.use(await startSite(5, upstream))
    const all = await Promise.all(nodes.map((n) => download(n, modules, upstream.sumdb.name)))
    for (const downloads of all) {
      expect(failed(downloads)).toEqual([])
      for (const { path, bytes } of downloads) {
        const due = upstream.bytesOf(path)
        if (due !== undefined) expect(Buffer.compare(bytes, due), path).toBe(0)
      }
    }
    for (const node of nodes) {
      const { siteFetches, mesh, answers } = await statusOf(node)
      console.log(JSON.stringify({ siteFetches, sent: mesh.messagesSent, levels: answers.levels }))
      console.log('messages per file', await messagesPerFile(node, modules.length * 4))
    }
    expect(repeated(upstream)).toEqual([])
    expect(amplification(upstream)).toBe(1)
    expect(fileCounts(upstream).size).toBe(modules.length * 4)
  })
})
