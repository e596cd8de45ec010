import { afterEach, beforeEach, expect } from 'vitest'
import { type FakeModule, FakeUpstream } from '../support/fake-upstream.ts'
import { GoHome, goTest } from '../support/go.ts'
import { askStatus, invite, peerOf, statusOf } from '../support/mesh.ts'
import { type StartedNode, startNode } from '../support/start-node.ts'

const modules: readonly FakeModule[] = [
  ...Array.from({ length: 8 }, (_, n) => ({ path: `example.com/far${n}`, version: 'v1.0.0' })),
  { path: 'example.com/Far/Upper', version: 'v2.0.0+incompatible' },
]
const names = modules.map(({ path, version }) => `${path}@${version}`)

let stack: AsyncDisposableStack
beforeEach(() => {
  stack = new AsyncDisposableStack()
})
afterEach(() => stack.disposeAsync())

async function connectedTo(node: StartedNode): Promise<string[]> {
  const { mesh } = await statusOf(node)
  return mesh.peers.filter((peer) => peer.connected).map(({ id }) => id)
}

/** How the holder connects: left alone it dials everybody it hears of. */
const holders = [
  { name: 'a holder that dials nobody', args: ['--connect', 'configured'], isFar: true },
  { name: 'a holder', args: [], isFar: false },
] as const

goTest.for(holders)('a node gets through its only peer what $name has', async ({ args, isFar }) => {
  const upstream = stack.use(await FakeUpstream.start({ modules }))
  const database = ['--sumdb', upstream.sumdb.keyText]
  const home = { sumdb: upstream.sumdb.keyText }
  const a = stack.use(await startNode({ args: ['--upstream', upstream.url, ...database, ...args] }))
  const goA = stack.use(await GoHome.make({ ...home, proxy: a.url }))
  expect(await goA.run(['mod', 'download', ...names])).toMatchObject({ code: 0 })
  const env = { MODMESH_JOIN: await invite(a) }
  const off = ['--upstream', 'off', ...database]
  const b = stack.use(await startNode({ args: off, env }))
  await expect.poll(() => connectedTo(b)).toEqual([a.peerId])
  upstream.break(() => true, { kind: 'stall' })
  upstream.forget()

  const [addressOfB = ''] = (await statusOf(b)).mesh.addresses
  const onlyB = ['--connect', 'configured', '--peer', addressOfB, '--inventory', 'off']
  const c = stack.use(await startNode({ args: [...off, ...onlyB], env }))
  await expect.poll(() => connectedTo(c)).toContain(b.peerId)

  if (isFar) expect(await connectedTo(c)).toEqual([b.peerId])

  const goC = stack.use(await GoHome.make({ ...home, proxy: c.url }))
  const download = async (): Promise<string> => {
    const { code, stderr } = await goC.run(['mod', 'download', ...names])
    return code === 0 ? 'done' : stderr
  }
  // A tells the DHT in the background, at its own pace.
  await expect.poll(download, { timeout: 120_000 }).toBe('done')

  // Answered when verified, which is before they are durable.
  await expect.poll(async () => (await statusOf(c)).store.zips).toBe(modules.length)
  expect((await statusOf(b)).store.zips).toBe(0)
  const { mesh } = await askStatus(c)
  const given = mesh.peers.find(({ id }) => id === a.peerId)?.receivedBytes ?? 0
  expect(given).toBeGreaterThan(modules.length * 100)
  expect((await peerOf(a, c.peerId))?.sentBytes).toBe(given)
  expect((await peerOf(c, b.peerId))?.receivedBytes).toBe(0)
  expect(upstream.requests).toEqual([])
})
