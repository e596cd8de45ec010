import { readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { openTreeHead } from '@modmesh/sumdb'
import { afterEach, beforeEach, describe, expect } from 'vitest'
import type { DatabaseFault } from '../conformance/case.ts'
import type { World } from '../conformance/world.ts'
import { goTest } from '../support/go.ts'
import { statusOf } from '../support/mesh.ts'
import { bystanderName, SumdbSite, victim, victimName } from '../support/sumdb-site.ts'

let stack: AsyncDisposableStack
beforeEach(() => {
  stack = new AsyncDisposableStack()
})
afterEach(() => stack.disposeAsync())

async function start(init?: Parameters<typeof SumdbSite.start>[0]): Promise<SumdbSite> {
  return stack.use(await SumdbSite.start(init))
}

const lookup = `/lookup/${victimName}`

interface Lie {
  readonly name: string
  readonly plant: (world: World) => void
  /** The beginning of the path whose answer must be kept as evidence. */
  readonly evidence: string
}

function lie(name: string, fault: DatabaseFault, evidence: string = lookup): Lie {
  return { name, plant: (world) => world.breakDatabase(fault), evidence }
}

/** A change of the answers to paths that begin so. */
function edited(
  name: string,
  prefix: string,
  change: (body: Uint8Array) => Uint8Array,
  evidence: string = prefix,
): Lie {
  const plant = ({ database }: World): void => {
    database.faults.editBody = (path, body) => (path.startsWith(prefix) ? change(body) : body)
  }
  return { name, plant, evidence }
}

/** From the record to the root: leaf, edge of the leaves, and all above. */
const tiles = ['0/100', '0/273', '1/000', '1/001', '2/000']

const lies: readonly Lie[] = [
  ...tiles.map((tile) =>
    lie(
      `one wrong bit in tile ${tile}`,
      { kind: 'flip', tile: `tile/8/${tile}` },
      `/tile/8/${tile}`,
    ),
  ),
  lie('the record of another module under the asked name', {
    kind: 'swap',
    asked: victimName,
    given: bystanderName,
  }),
  lie('a hash of an altered zip in lines more of the signed note', {
    kind: 'hidden-lines',
    asked: victimName,
    given: bystanderName,
  }),
  lie('a line more in the record', {
    kind: 'extra-line',
    line: `${victim.path} ${victim.version} h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=`,
  }),
  lie('a forged record with the one leaf tile that fits it, and an altered zip', {
    kind: 'forge',
    module: victimName,
  }),
  lie('a record number that is another record', { kind: 'record-number', add: 1 }),
  lie('a bad signature', { kind: 'bad-signature' }),
  lie("another database's name", { kind: 'other-name' }),
  lie('another key', { kind: 'other-key' }),
  {
    name: 'a note without a signature',
    plant: ({ database: { faults } }) => {
      faults.editNote = (note) => note.slice(0, note.lastIndexOf('\n\n') + 2)
    },
    evidence: lookup,
  },
  edited('a lookup that is cut off', lookup, (body) => body.subarray(0, body.length - 40)),
  edited('a lookup that ends after the record', lookup, (body) => body.subarray(0, 60)),
  edited('an empty lookup', lookup, () => new Uint8Array()),
  edited('a tile that is cut short', '/tile/8/1/000', (body) => body.subarray(0, 4_000)),
  edited('a tile of zeros', '/tile/8/2/000', (body) => new Uint8Array(body.length)),
]

describe('what a database lied about is refused, proven, told, and forgotten with the lie', () => {
  goTest.for(lies)('$name', async ({ plant, evidence }) => {
    const site = await start()
    const { world, node, folder } = site
    plant(world)
    await site.expectRefused()

    const files = await site.evidence('refused')
    const file = files.find((bytes) => bytes.toString().startsWith(`asked: ${evidence}`))
    expect(file, files.map((bytes) => bytes.toString().slice(0, 80)).join()).toBeDefined()
    const asked = file?.toString().split('\n')[0]?.slice('asked: '.length) ?? ''
    const answered = Buffer.from(world.database.serve(asked))
    expect(file?.subarray(file.length - answered.length)).toEqual(answered)
    expect(file?.toString('latin1')).toContain(`\nanswer, ${answered.length} bytes:\n`)

    const { checksumDatabase, warnings } = await statusOf(node)
    expect(checksumDatabase.refusedAnswers).toBeGreaterThan(0)
    expect(warnings.join()).toContain('that did not verify')
    expect(warnings.join()).toContain(join(folder, 'refused'))
    expect(node.log()).toContain(victimName)
    const told = await node.run(['status'])
    expect(told.code).toBe(0)
    expect(told.stdout).toContain('! sum.test gave ')
    expect(told.stdout).toContain('report it')

    world.heal()
    await site.expectServed(victimName)
    await site.expectServed(bystanderName)
  })

  goTest('the tiles above are all that a proof is made of', async () => {
    const site = await start()
    await site.expectServed(victimName)
    const asked = site.world.database.requests.filter((path) => path.startsWith('/tile/'))
    const places = asked.map((path) => path.slice('/tile/8/'.length).split('.')[0])
    expect(new Set(places)).toEqual(new Set(tiles))
    expect(await site.evidence('refused')).toEqual([])
  })
})

describe('answers of a size that nobody needs', () => {
  const huge = Buffer.alloc(64 << 20, 'a')
  const paths = [lookup, '/tile/8/0/100', '/tile/8/1/001', '/latest']
  goTest.for(paths)('are trouble, cost no memory and are forgotten: %s', async (prefix) => {
    const site = await start()
    edited('huge', prefix, () => huge).plant(site.world)
    const before = await peakBytes(site.node.pid)
    if (prefix === '/latest') {
      expect((await site.get('/sumdb/sum.test/latest')).status).toBeGreaterThanOrEqual(500)
    } else await site.expectRefused()
    expect((await peakBytes(site.node.pid)) - before).toBeLessThan(huge.length)
    site.world.heal()
    await site.expectServed(victimName)
  })
})

describe('a database that goes back', () => {
  goTest('never takes the node back, and old answers of the same log do no harm', async () => {
    const site = await start()
    await site.expectServed(bystanderName)
    const { size, key } = { size: site.world.database.size(), key: site.world.database.key }
    site.world.breakDatabase({ kind: 'rollback', size: 30_000 })
    await site.expectServed(victimName)
    await site.get('/sumdb/sum.test/latest')
    await site.restart()
    await site.get('/sumdb/sum.test/latest')
    await site.expectServed(victimName)
    const heads = site.witness
      .about('/latest')
      .map(({ body }) => openTreeHead(body.toString(), key))
    expect(heads.map((head) => head.size)).toEqual([size, size])
    const lookups = site.witness.about('/lookup/').map(({ body }) => body.toString())
    for (const body of lookups) expect(body).toContain(`\ngo.sum database tree\n${size}\n`)
    expect((await statusOf(site.node)).checksumDatabase).toMatchObject({ forked: false })
  })
})

interface Fork {
  readonly name: string
  readonly plant: (world: World) => void
}

const forks: readonly Fork[] = [
  { name: 'a greater one', plant: (world) => forkAt(world, 20_000, 500) },
  { name: 'one of the same size', plant: (world) => forkAt(world, 20_000, 0) },
  { name: 'one that differs in its last records only', plant: (world) => forkAt(world, 69_990, 0) },
  { name: 'one made for an altered zip', plant: forkWithForgery },
]

function forkAt(world: World, keep: number, more: number): void {
  world.breakDatabase({ kind: 'fork', keep, size: world.database.size() + more })
}

/** A log that holds from the start of the fork the hashes of a zip that is not the true one. */
function forkWithForgery(world: World): void {
  const { database } = world
  world.breakDatabase({ kind: 'forge', module: victimName })
  const forgery = Buffer.from(database.serve(lookup)).toString().split('\n').slice(1, 3)
  const forked = database.fork(25_000)
  forked.add(victim.path, victim.version, `${forgery.join('\n')}\n`)
  forked.addFiller(database.size() - forked.size() + 10)
  database.serve = (path) => forked.serve(path)
}

describe('a fork is refused for good, and what was proven before is served', () => {
  goTest.for(forks)('$name', async ({ plant }) => {
    const site = await start()
    const { world, folder } = site
    await site.expectServed(bystanderName)
    const ours = world.database.noteAt()
    plant(world)
    const theirs = Buffer.from(world.database.serve('/latest')).toString()
    expect(theirs).not.toBe(ours)
    await site.expectRefused()
    await expectAlarm(site)
    const [file] = await site.evidence('fork')
    expect(file?.toString()).toContain(ours)
    expect(file?.toString()).toContain(theirs)
    await site.expectServed(bystanderName)

    await site.restart()
    await site.expectRefused()
    await expectAlarm(site)
    await site.expectServed(bystanderName)

    // The true log again: somebody has to decide first.
    world.breakDatabase({ kind: 'mend' })
    world.heal()
    await site.expectRefused()
    await site.restart(() => rename(join(folder, 'fork'), join(site.dir, 'for-the-record')))
    await site.expectServed(victimName)
    expect((await statusOf(site.node)).state).toBe('ready')
  })

  async function expectAlarm({ node, folder }: SumdbSite): Promise<void> {
    const { state, checksumDatabase, warnings } = await statusOf(node)
    expect(state).toBe('degraded')
    expect(checksumDatabase.forked).toBe(true)
    expect(warnings.join()).toContain('nothing new is trusted')
    expect(warnings.join()).toContain(join(folder, 'fork'))
    const told = await node.run(['status'])
    expect(told.code).toBe(20)
    expect(told.stdout).toContain('FORKED')
    expect(told.stdout).toContain('To trust it again')
  }

  goTest('a smaller one cannot be told from wrong answers, is refused and heals', async () => {
    const site = await start()
    const { world } = site
    await site.expectServed(bystanderName)
    const ours = world.database.noteAt()
    forkAt(world, 20_000, -500)
    const theirs = Buffer.from(world.database.serve('/latest')).toString()
    for (const restarts of [0, 1]) {
      if (restarts > 0) await site.restart()
      await site.expectRefused()
      await site.expectServed(bystanderName)
    }
    const evidence = Buffer.concat(await site.evidence('refused')).toString()
    expect(evidence).toContain(`signed tree head:\n${ours}`)
    expect(evidence).toContain(theirs)
    world.breakDatabase({ kind: 'mend' })
    await site.expectServed(victimName)
  })

  goTest('one that only a client saw is told to the client by go itself', async () => {
    const site = await start()
    await site.expectServed(bystanderName)
    const forked = site.world.database.fork(20_000)
    forked.addFiller(1)
    forked.add('example.com/evil', 'v1.0.0')
    forked.addFiller(60_000)
    const go = await site.newGo()
    await go.rememberHead('sum.test', forked.noteAt())
    const result = await go.run(['mod', 'download', bystanderName])
    expect(result.code).toBe(1)
    expect(await go.headSize('sum.test')).toBe(forked.size())
  })
})

/** The most memory that a process ever had, bytes. */
async function peakBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  const line = status.split('\n').find((text) => text.startsWith('VmHWM:')) ?? ''
  return Number(line.split(/\s+/u)[1]) * 1_024
}
