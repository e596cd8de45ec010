import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { SeedReport } from '../../packages/node/src/seed/seed-report.ts'
import { type FakeModule, FakeUpstream } from '../support/fake-upstream.ts'
import { checkStore, filePath, statusOf } from '../support/mesh.ts'
import { download, get } from '../support/site.ts'
import { programPath, type StartedNode } from '../support/start-node.ts'
import { startTwoSites } from '../support/two-sites.ts'

let stack: AsyncDisposableStack
beforeEach(() => {
  stack = new AsyncDisposableStack()
})
afterEach(() => stack.disposeAsync())

const soon = { interval: 50 }

test('a site of four is filled from one member, over two interruptions, each version over the link once', async () => {
  const modules = makeModules(80)
  const upstream = stack.use(await FakeUpstream.start({ modules }))
  const init = { branchHosts: 4, bitsPerSecond: 40_000_000 }
  const sites = stack.use(await startTwoSites(upstream, init))
  const { hq, link } = sites
  const bytes = await fill(hq, modules, upstream)
  const before = link.bytes.down
  const [first, second] = sites.branch
  if (first === undefined || second === undefined) throw new Error('nobody is there')

  // The command is killed, and its node goes on with what it has begun.
  const cut = spawn(process.execPath, [programPath, 'seed', '--from', 'hq', '--dir', first.dir])
  await expect.poll(() => link.bytes.down - before, soon).toBeGreaterThan(bytes / 4)
  cut.kill('SIGKILL')

  // The giver dies under the second one, and comes back.
  const waiting = first.run(['seed', '--from', 'hq', '--json'])
  await expect.poll(() => link.bytes.down - before, soon).toBeGreaterThan(bytes / 2)
  await hq.end('SIGKILL')
  await sites.restartHq()
  const { code, stdout, stderr } = await waiting
  expect(stdout, stderr).not.toBe('')
  const report = JSON.parse(stdout) as SeedReport & { readonly schema: string }
  const lacking = report.modules.filter((line) => line.missing !== null)
  expect([code, lacking, stderr]).toEqual([0, [], expect.anything()])
  const { schema, total, complete, replicas, members } = report
  expect({ schema, total, complete, replicas, members: members.toSorted() }).toEqual({
    schema: 'modmesh.seed/1',
    total: 80,
    complete: 80,
    replicas: 2,
    members: ['b0', 'b1', 'b2', 'b3'],
  })
  for (const { held, missing } of report.modules)
    expect([held.length >= 2, missing]).toEqual([true, null])
  // Who came back may be reached around the link here: the nodes count what they took of its site.
  const crossed = await takenFrom('hq', sites.branch)
  // What was under way at each interruption may come again.
  expect(crossed).toBeGreaterThanOrEqual(bytes)
  expect(crossed).toBeLessThan(bytes * 1.1)

  // Whatever a member does not hold it gets of the site, with the giver gone.
  const again = await first.run(['seed', '--from', 'hq', '--json'])
  expect([again.code, JSON.parse(again.stdout).crossed]).toEqual([0, 0])
  expect(await takenFrom('hq', sites.branch)).toBe(crossed)
  for (const node of sites.branch) expect((await statusOf(node)).store.zips).toBeLessThanOrEqual(80)
  const done = await download(second, modules, upstream.sumdb.name)
  expect(done.filter(({ status }) => status !== 200)).toEqual([])
  expect(await second.end()).toBe(0)
  expect((await checkStore(second.dir)).bad).toEqual([])
})

test('what the giver has not, and a giver that is not there, are told', async () => {
  const modules = makeModules(2)
  const upstream = stack.use(await FakeUpstream.start({ modules }))
  const init = { branchHosts: 1, bitsPerSecond: 100_000_000 }
  const { hq, branch } = stack.use(await startTwoSites(upstream, init))
  const [node] = branch
  if (node === undefined) throw new Error('nobody is there')
  await fill(hq, modules, upstream)
  // One that was never seen is not waited for.
  const nobody = await node.run(['seed', '--from', 'laptop'])
  expect([nobody.code, nobody.stderr]).toEqual([24, expect.stringContaining('no member laptop')])
  const both = await node.run(['seed', '--from', 'hq', '--all', '--for', 'go.sum'])
  expect(both.code).toBe(2)
  await node.run(['site', 'limit', 'hq', 'metered'])
  const metered = await node.run(['seed', '--from', 'hq'])
  expect([metered.code, metered.stderr]).toEqual([20, expect.stringContaining('is metered')])
  expect((await get(node, filePath(modules[0] ?? none, 'zip'))).status).toBe(200)
  await node.run(['site', 'limit', 'hq', 'open'])
  const { code, stdout } = await node.run(['seed', '--from', 'hq'])
  expect(`${code} ${stdout}`).toContain(
    '0 2 of 2 module versions are held by 1 member of site branch',
  )
})

/** Bytes of zips that nodes took from a site so far. */
async function takenFrom(site: string, nodes: readonly StartedNode[]): Promise<number> {
  const all = await Promise.all(nodes.map(statusOf))
  const links = all.flatMap(({ mesh }) => mesh.sites).filter((link) => link.site === site)
  return links.reduce((sum, { takenBytes }) => sum + takenBytes, 0)
}

const none = { path: '', version: '' }

function makeModules(count: number): FakeModule[] {
  return Array.from({ length: count }, (_, n) => ({
    path: `example.com/seed/m${n}`,
    version: 'v1.0.0',
    files: {
      'go.mod': `module example.com/seed/m${n}\n`,
      'noise.bin': randomBytes(n % 8 === 0 ? 600_000 : 20_000),
    },
  }))
}

/** Has a node hold everything; returns the bytes of the zips. */
async function fill(
  node: StartedNode,
  modules: readonly FakeModule[],
  upstream: FakeUpstream,
): Promise<number> {
  await download(node, modules, upstream.sumdb.name)
  await expect.poll(async () => (await statusOf(node)).store.zips, soon).toBe(modules.length)
  return (await statusOf(node)).store.zipBytes
}

test('a member that is allowed to seeds a site by appearing', async () => {
  const modules = makeModules(6)
  const upstream = stack.use(await FakeUpstream.start({ modules }))
  const init = { branchHosts: 2, bitsPerSecond: 100_000_000, branchArgs: ['--seed-from', 'hq'] }
  const sites = stack.use(await startTwoSites(upstream, init))
  const { hq, branch } = sites
  const bytes = await fill(hq, modules, upstream)
  await hq.end()
  await sites.restartHq()
  for (const node of branch) {
    await expect.poll(async () => (await statusOf(node)).store.zips, soon).toBe(modules.length)
  }
  const logs = branch.map((node) => node.log()).join('')
  await expect
    .poll(() => branch.map((node) => node.log()).join(''), soon)
    .toContain('took what a visitor has')
  expect(logs).not.toContain('a visitor was lost')
  expect(await takenFrom('hq', branch)).toBe(bytes)
})
