import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, expect } from 'vitest'
import { type FakeModule, FakeUpstream } from '../support/fake-upstream.ts'
import { GoHome, goTest } from '../support/go.ts'
import { filePath, peerOf, statusOf } from '../support/mesh.ts'
import { get, startSite } from '../support/site.ts'
import type { StartedNode } from '../support/start-node.ts'

let stack: AsyncDisposableStack
beforeEach(() => {
  stack = new AsyncDisposableStack()
})
afterEach(() => stack.disposeAsync())

const soon = { interval: 20 }
const path = 'example.com/large'
const module: FakeModule = {
  path,
  version: 'v1.0.0',
  files: {
    'go.mod': `module ${path}\n\ngo 1.20\n`,
    'large.go': 'package large\n',
    // Does not compress.
    'testdata/noise.bin': randomBytes(24 << 20),
  },
}
/** So that it lasts long enough to die in the middle. */
const limit = ['--upload-rate', '10MB/s']
/** When the sender ends, bytes. */
const endsAfter = 12 << 20
/** Of what it sent, so much may not have come: what was on its way in buffers and windows, bytes. */
const lost = 6 << 20

/** Two holders of the module, slow to give, and one that has only them to ask. */
async function startAll() {
  const upstream = stack.use(await FakeUpstream.start({ modules: [module] }))
  const site = stack.use(
    await startSite(3, upstream, (n) => (n < 2 ? limit : ['--upstream', 'off'])),
  )
  const [a, b, asker] = site.nodes
  if (a === undefined || b === undefined || asker === undefined) throw new Error('three started')
  const sizes = new Set<number>()
  for (const holder of [a, b]) {
    for (const suffix of ['info', 'mod', 'zip'] as const) {
      const { status, bytes } = await get(holder, filePath(module, suffix))
      expect(status).toBe(200)
      if (suffix === 'zip') sizes.add(bytes.length)
    }
    await expect.poll(async () => (await statusOf(holder)).store.zips, soon).toBe(1)
    await expect.poll(async () => (await peerOf(asker, holder.peerId))?.holds, soon).toBe(1)
  }
  expect(sizes.size).toBe(1)
  const [size = 0] = sizes
  return { upstream, holders: [a, b] as const, asker, size }
}

async function sentTo(asker: StartedNode, holder: StartedNode): Promise<number> {
  return (await peerOf(holder, asker.peerId))?.sentBytes ?? 0
}

/** How a sender ends in the middle. */
const ends: readonly (readonly [string, (sender: StartedNode) => Promise<unknown>])[] = [
  ['killed', (sender) => sender.end('SIGKILL')],
  ['frozen', async (sender) => sender.process.kill('SIGSTOP')],
]

goTest.for(ends)(
  'a zip whose sender is %s goes on at the next holder where it stopped',
  async ([, end]) => {
    const { upstream, holders, asker, size } = await startAll()
    await using go = await GoHome.make({ proxy: asker.url, sumdb: upstream.sumdb.keyText })
    const downloading = go.run(['mod', 'download', `${path}@v1.0.0`])
    const sent = () => Promise.all(holders.map((holder) => sentTo(asker, holder)))
    await expect.poll(async () => Math.max(...(await sent())), soon).toBeGreaterThan(endsAfter)
    const [ofA = 0, ofB = 0] = await sent()
    const [ended, other] = ofA > ofB ? holders : holders.toReversed()
    if (ended === undefined || other === undefined) throw new Error('there are two')
    // On a busy machine the other one is asked for a part of it already.
    const before = Math.min(ofA, ofB)
    stack.defer(() => void ended.process.kill('SIGCONT'))
    await end(ended)
    const { code, stderr } = await downloading
    expect(code, stderr).toBe(0)
    const line = await peerOf(asker, other.peerId)
    expect(line?.receivedBytes).toBeGreaterThan(0)
    expect(line?.receivedBytes).toBeLessThan(size - endsAfter + lost + before)
    expect(await sentTo(asker, other)).toBeGreaterThanOrEqual(line?.receivedBytes ?? 0)
    // Who is gone is named only for what it is blamed for.
    expect((await peerOf(asker, ended.peerId))?.blamed ?? null).toBeNull()
  },
)
