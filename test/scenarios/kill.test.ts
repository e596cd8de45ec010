import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, expect, onTestFailed } from 'vitest'
import { Rng } from '../sim/rng.ts'
import { type FakeModule, FakeUpstream } from '../support/fake-upstream.ts'
import { GoHome, type GoResult, goTest } from '../support/go.ts'
import { checkStore, stagedIn, statusOf } from '../support/mesh.ts'
import { moduleHashes } from '../support/module-zip.ts'
import { type StartedNode, startNode } from '../support/start-node.ts'

const kills = 10

/** What one killed fill was to bring: small modules, and one whose body takes many writes. */
type Batch = readonly Required<Pick<FakeModule, 'path' | 'version' | 'files'>>[]

const batches: readonly Batch[] = Array.from({ length: kills }, (_, round) =>
  Array.from({ length: 6 }, (__, n) => {
    const path = `example.com/round${round}/m${n}`
    const noise = randomBytes(n === 0 ? 4 << 20 : 20_000)
    const files = { 'go.mod': `module ${path}\n\ngo 1.20\n`, 'noise.bin': noise }
    return { path, version: 'v1.0.0', files }
  }),
)

let stack: AsyncDisposableStack
beforeEach(() => {
  stack = new AsyncDisposableStack()
})
afterEach(() => stack.disposeAsync())

interface World {
  readonly upstream: FakeUpstream
  readonly dir: string
  /** Starts the node again on the one directory, at a new port. */
  readonly start: () => Promise<StartedNode>
}

async function makeWorld(): Promise<World> {
  const upstream = stack.use(await FakeUpstream.start({ modules: batches.flat(), delayMs: 5 }))
  const dir = await mkdtemp(join(tmpdir(), 'modmesh-killed-'))
  stack.defer(() => rm(dir, { recursive: true, force: true }))
  const args = ['--upstream', upstream.url, '--sumdb', upstream.gosumdb]
  const start = async (): Promise<StartedNode> => stack.use(await startNode({ args, dir }))
  return { upstream, dir, start }
}

/** Downloads a batch into an empty module cache. */
async function download({ upstream }: World, node: StartedNode, batch: Batch): Promise<GoResult> {
  await using go = await GoHome.make({ proxy: node.url, sumdb: upstream.sumdb.keyText })
  return await go.run(['mod', 'download', ...batch.map(nameOf)])
}

/** Kills the node at a random moment of a fill: after some requests to upstream, and a little later. */
async function killDuring(
  world: World,
  node: StartedNode,
  batch: Batch,
  random: Rng,
): Promise<string> {
  const { upstream } = world
  upstream.forget()
  const filling = download(world, node, batch)
  // Each version needs its info, go.mod, record and zip; later a body comes in or is committed.
  const requests = Math.floor(random.between(1, 4 * batch.length))
  const laterMs = Math.floor(random.between(0, 30))
  await expect
    .poll(() => upstream.requests.length, { interval: 1 })
    .toBeGreaterThanOrEqual(requests)
  await delay(laterMs)
  await node.end('SIGKILL')
  const { code } = await filling
  return `killed ${laterMs} ms after request ${requests}, go ended with ${code}`
}

/** What the killed node left verifies whole, and holds all that was complete before. */
async function expectWhole({ dir }: World, before: readonly Batch[], killed: Batch): Promise<void> {
  const { zips, bad, quarantined } = await checkStore(dir)
  expect(bad).toEqual([])
  expect(quarantined).toEqual([])
  const truth = new Set([...before.flat(), ...killed].map(hashOf))
  const found = zips.map(({ zipHash }) => zipHash)
  expect(found.filter((hash) => !truth.has(hash))).toEqual([])
  expect(found).toEqual(expect.arrayContaining(before.flat().map(hashOf)))
}

/** The download that was cut off completes, and all of it becomes durable. */
async function expectCompletes(
  world: World,
  node: StartedNode,
  batch: Batch,
  held: number,
): Promise<void> {
  expect(await stagedIn(world.dir)).toEqual([])
  expect(await download(world, node, batch)).toMatchObject({ code: 0 })
  const zips = async (): Promise<number> => (await statusOf(node)).store.zips
  await expect.poll(zips).toBe(held)
}

goTest(
  'a node that is killed ten times while it fills loses nothing and leaves nothing',
  async () => {
    const seed = Number(process.env['MODMESH_SEED'] ?? Math.floor(Math.random() * 2 ** 32))
    const random = new Rng(seed)
    const moments: string[] = []
    onTestFailed(() => console.error([`MODMESH_SEED=${seed} repeats it`, ...moments].join('\n')))
    const world = await makeWorld()
    for (const [round, batch] of batches.entries()) {
      const before = batches.slice(0, round)
      const node = await world.start()
      const cut = before.at(-1)
      if (cut !== undefined) await expectCompletes(world, node, cut, before.flat().length)
      moments.push(await killDuring(world, node, batch, random.fork(`round ${round}`)))
      await expectWhole(world, before, batch)
    }
    // Most moments are within a fill: else nothing was tested.
    expect(moments.filter((moment) => !moment.endsWith(' 0')).length).toBeGreaterThan(kills / 2)
    const last = await world.start()
    await expectCompletes(world, last, batches.at(-1) ?? [], batches.flat().length)
    expect(await last.end()).toBe(0)
    await expectWhole(world, batches, [])
    expect(await stagedIn(world.dir)).toEqual([])
  },
)

function nameOf({ path, version }: Batch[number]): string {
  return `${path}@${version}`
}

function hashOf(module: Batch[number]): string {
  return moduleHashes(module, module.files).zip
}
