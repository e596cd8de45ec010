import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type FakeModule, FakeUpstream } from '../support/fake-upstream.ts'
import { filePath, peerOf, statusOf } from '../support/mesh.ts'
import { type Download, get } from '../support/site.ts'
import { type StartedNode, startNode } from '../support/start-node.ts'

let stack: AsyncDisposableStack
beforeEach(() => {
  stack = new AsyncDisposableStack()
})
afterEach(() => stack.disposeAsync())

const soon = { interval: 50 }

/** A node that holds modules of some bytes each, with limits of its own. */
interface Holder {
  readonly node: StartedNode
  readonly upstream: FakeUpstream
  readonly modules: readonly FakeModule[]
  /** Bytes of all zips. */
  readonly bytes: number
}

async function startHolder(
  made: { readonly count: number; readonly bytes: number },
  args: readonly string[],
): Promise<Holder> {
  const modules = Array.from({ length: made.count }, (_, n) => ({
    path: `example.com/m${n}`,
    version: 'v1.0.0',
    files: {
      'go.mod': `module example.com/m${n}\n`,
      // Does not compress, and is too large to come along with an answer.
      'noise.bin': randomBytes(made.bytes),
    },
  }))
  const upstream = stack.use(await FakeUpstream.start({ modules }))
  const from = ['--upstream', upstream.url, '--sumdb', upstream.gosumdb]
  const node = stack.use(await startNode({ args: [...from, ...args] }))
  const all = await getAll(node, modules)
  const bytes = all.reduce((sum, { bytes }) => sum + bytes.length, 0)
  await expect.poll(async () => (await statusOf(node)).store.zips, soon).toBe(made.count)
  return { node, upstream, modules, bytes }
}

/** A node that has nobody but the holder to ask. */
async function startAsker({ node, upstream }: Holder, site: string): Promise<StartedNode> {
  const { stdout, code, stderr } = await node.run(['invite', '--site', site])
  if (code !== 0) throw new Error(`invite failed: ${stderr}`)
  const args = ['--upstream', 'off', '--sumdb', upstream.gosumdb]
  const asker = stack.use(await startNode({ args, env: { MODMESH_JOIN: stdout.trim() } }))
  await expect.poll(async () => (await peerOf(asker, node.peerId))?.connected, soon).toBe(true)
  return asker
}

async function getAll(node: StartedNode, modules: readonly FakeModule[]): Promise<Download[]> {
  return await Promise.all(modules.map((module) => get(node, filePath(module, 'zip'))))
}

/** Fetches everything at once; all must come from the peer. Returns how long that took, ms. */
async function fill(node: StartedNode, { modules, bytes }: Holder): Promise<number> {
  const startedMs = performance.now()
  const all = await getAll(node, modules)
  const tookMs = performance.now() - startedMs
  expect(all.map(({ status }) => status)).toEqual(modules.map(() => 200))
  expect(all.reduce((sum, { bytes }) => sum + bytes.length, 0)).toBe(bytes)
  expect(all.every(({ source }) => /detail=(?:peer|wan)/u.test(source))).toBe(true)
  return tookMs
}

/** What a burst may take off, and how late timers are. */
const leastShare = 0.85

describe('a node with --upload-rate', () => {
  test('gives no faster than that, and without it faster', async () => {
    const rate = 800_000
    const holder = await startHolder({ count: 8, bytes: 300_000 }, ['--upload-rate', '800kB/s'])
    const slow = await startAsker(holder, 'default')
    const expectedMs = (holder.bytes / rate) * 1_000
    const slowly = fill(slow, holder)
    await expect
      .poll(async () => (await statusOf(holder.node)).mesh.uploads, soon)
      .toMatchObject({ limits: { bytesPerSecond: rate, streams: 24 }, wan: { streams: 0 } })
    const { stdout } = await holder.node.run(['status'])
    expect(stdout).toMatch(/^Uploads {4}\d+ of at most 24 at once, .*\/s of at most 800 kB\/s/mu)
    const tookMs = await slowly
    expect(tookMs).toBeGreaterThan(expectedMs * leastShare)
    const given = await peerOf(holder.node, slow.peerId)
    expect(given).toMatchObject({ sentBytes: holder.bytes, blamed: null })
    const unlimited = await restarted(holder)
    // Others use the machine, too: one of some is quick.
    const quickly = async () => await fill(await startAsker(unlimited, 'default'), unlimited)
    await expect.poll(quickly).toBeLessThan(tookMs / 1.5)
  })
})

describe('a node with --upload-rate-wan', () => {
  test('gives other sites no more, and its own as fast as before', async () => {
    const rate = 500_000
    const limits = ['--upload-rate-wan', '500kB/s', '--upload-streams-wan-peer', '2']
    const holder = await startHolder({ count: 6, bytes: 300_000 }, limits)
    const near = await startAsker(holder, 'default')
    const far = await startAsker(holder, 'far')
    const ofFar = fill(far, holder)
    const { wan } = (await statusOf(holder.node)).mesh.uploads ?? {}
    expect(wan?.limits).toMatchObject({ bytesPerSecond: rate, peerStreams: 2 })
    const nearMs = await fill(near, holder)
    const farMs = await ofFar
    expect(farMs).toBeGreaterThan((holder.bytes / rate) * 1_000 * leastShare)
    expect(nearMs).toBeLessThan(farMs / 1.5)
    const { stdout } = await near.run(['peers', '--json'])
    expect(JSON.parse(stdout)).toMatchObject({
      peers: [{ receivedBytes: holder.bytes, blamed: null }, {}],
    })
  })
})

describe('a node that may give one zip at once', () => {
  test('gives all that is asked of it in the end, for longer than a peer is waited for otherwise', async () => {
    const limits = ['--upload-streams', '1', '--upload-rate', '200kB/s']
    const holder = await startHolder({ count: 16, bytes: 80_000 }, limits)
    const asker = await startAsker(holder, 'default')
    const tookMs = await fill(asker, holder)
    // The design gives peers that do not answer 5 s.
    expect(tookMs).toBeGreaterThan(5_500)
    const uploads = (await statusOf(holder.node)).mesh.uploads
    expect(uploads?.limits).toMatchObject({ streams: 1, peerStreams: 1 })
    expect(uploads?.refused).toBeGreaterThan(0)
    expect(await peerOf(holder.node, asker.peerId)).toMatchObject({ sentBytes: holder.bytes })
  })
})

/** The same node, without limits. */
async function restarted(holder: Holder): Promise<Holder> {
  const { upstream, node } = holder
  expect(await node.end()).toBe(0)
  const args = ['--upstream', upstream.url, '--sumdb', upstream.gosumdb]
  return { ...holder, node: stack.use(await startNode({ dir: node.dir, args })) }
}
