import { createHash, randomBytes } from 'node:crypto'
import { parseModuleVersion } from '@modmesh/module'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type FakeModule, FakeUpstream } from '../support/fake-upstream.ts'
import { freePort } from '../support/free-port.ts'
import { startLyingMember } from '../support/lying-member.ts'
import { filePath, invite, peerOf, statusOf } from '../support/mesh.ts'
import { moduleHashes } from '../support/module-zip.ts'
import { get, startSite } from '../support/site.ts'
import { startSlowLink } from '../support/slow-link.ts'
import { type StartedNode, startNode } from '../support/start-node.ts'

let stack: AsyncDisposableStack
beforeEach(() => {
  stack = new AsyncDisposableStack()
})
afterEach(() => stack.disposeAsync())

const soon = { interval: 50 }
const path = 'example.com/large'
const zipBytes = 40_000_000
const module = moduleOf('v1.0.0', zipBytes)

function moduleOf(version: string, bytes: number) {
  return {
    path,
    version,
    files: {
      'go.mod': `module ${path}\n\ngo 1.20\n`,
      'large.go': 'package large\n',
      // Does not compress.
      'testdata/noise.bin': randomBytes(bytes),
    },
  } satisfies FakeModule
}

/** No two of them are fast enough to do without a third. */
const slow = 8_000_000
const others = 24_000_000

test('a large zip of a slow holder comes from three, each its part', async () => {
  const upstream = stack.use(await FakeUpstream.start({ modules: [module] }))
  const flags = ['--sumdb', upstream.gosumdb, '--connect', 'configured']
  const holders: StartedNode[] = []
  const peers: string[] = []
  let env = {}
  for (const [n, bitsPerSecond] of [slow, others, others].entries()) {
    const toPort = await freePort()
    const own = ['--name', `holder${n}`, '--mesh-listen', `127.0.0.1:${toPort}`]
    const args = [...flags, '--upstream', upstream.url, ...own]
    const holder = stack.use(await startNode({ args, env }))
    if (n === 0) env = { MODMESH_JOIN: await invite(holder) }
    const link = stack.use(await startSlowLink({ toPort, bitsPerSecond }))
    peers.push('--peer', `127.0.0.1:${link.port}`)
    holders.push(holder)
  }
  const sizes = await Promise.all(holders.map((holder) => hold(holder, module)))
  expect(new Set(sizes).size).toBe(1)
  const asker = stack.use(
    await startNode({ args: [...flags, '--upstream', 'off', '--name', 'asker', ...peers], env }),
  )
  for (const { peerId } of holders) {
    await expect.poll(async () => (await peerOf(asker, peerId))?.holds, soon).toBe(1)
  }
  const { status, bytes, tookMs } = await get(asker, filePath(module, 'zip'))
  expect(status).toBe(200)
  expect(bytes.length).toBe(sizes[0])
  // Alone it takes 40 s.
  expect(tookMs).toBeLessThan(20_000)
  const received = await Promise.all(
    holders.map(async ({ peerId }) => (await peerOf(asker, peerId))?.receivedBytes ?? 0),
  )
  for (const part of received) expect(part).toBeGreaterThan(1_000_000)
  expect(received.reduce((sum, part) => sum + part, 0)).toBeLessThan(zipBytes * 1.05)
  for (const { peerId } of holders) expect((await peerOf(asker, peerId))?.blamed).toBeNull()
})

test('a holder that lies in its part is found, and the zip comes true all the same', async () => {
  const lied = moduleOf('v1.0.1', 24_000_000)
  const upstream = stack.use(await FakeUpstream.start({ modules: [lied] }))
  const limit = ['--upload-rate', '6MB/s']
  const site = stack.use(
    await startSite(2, upstream, (n) => (n === 0 ? limit : ['--upstream', 'off'])),
  )
  const [a, asker] = site.nodes
  if (a === undefined || asker === undefined) throw new Error('two started')
  await hold(a, lied)
  const { bytes: zip } = await get(a, filePath(lied, 'zip'))
  const parsed = parseModuleVersion(path, lied.version)
  const { zip: zipHash } = moduleHashes(lied, lied.files)
  const bytes = Uint8Array.from(zip)
  for (let at = 0; at < bytes.length; at += 100_000) bytes[at] = (bytes[at] ?? 0) ^ 1
  const declaredDigest = createHash('sha256').update(zip).digest('hex')
  const lie = { module: parsed, zipHash, body: { bytes, declaredDigest } }
  const liar = stack.use(await startLyingMember(await invite(a), lie))
  for (const { peerId } of [a, liar]) {
    await expect.poll(async () => (await peerOf(asker, peerId))?.holds, soon).toBe(1)
  }
  const answer = await get(asker, filePath(lied, 'zip'))
  expect(answer.status).toBe(200)
  expect(Buffer.compare(answer.bytes, zip)).toBe(0)
  await expect
    .poll(async () => (await peerOf(asker, liar.peerId))?.blamed, soon)
    .toMatchObject({
      avoided: true,
    })
  expect((await peerOf(asker, a.peerId))?.blamed).toBeNull()
})

/** Makes a node hold the module; gives the size of its zip. */
async function hold(holder: StartedNode, held: FakeModule): Promise<number> {
  let size = 0
  for (const suffix of ['info', 'mod', 'zip'] as const) {
    const { status, bytes } = await get(holder, filePath(held, suffix))
    expect(status).toBe(200)
    size = bytes.length
  }
  await expect.poll(async () => (await statusOf(holder)).store.zips, soon).toBe(1)
  return size
}
