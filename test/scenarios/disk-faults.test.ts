import { createHash, randomBytes } from 'node:crypto'
import {
  chown,
  cp,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  truncate,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  onTestFailed,
  test,
  vi,
} from 'vitest'
import { Rng } from '../sim/rng.ts'
import { type FakeModule, FakeUpstream } from '../support/fake-upstream.ts'
import { GoHome, type GoResult, goTest } from '../support/go.ts'
import { checkStore, filePath, stagedIn, statusOf } from '../support/mesh.ts'
import { noPrivateDisk, PrivateDisk } from '../support/private-disk.ts'
import { type StartedNode, startNode } from '../support/start-node.ts'

type Module = Required<Pick<FakeModule, 'path' | 'version' | 'files'>>
type Suffix = 'info' | 'mod' | 'zip'
const suffixes = ['info', 'mod', 'zip'] as const
const kib = 1 << 10
const soon = { timeout: 60_000, interval: 50 }

/** Modules of about this size each, under one name. */
function family(name: string, count: number, bytes = 20 * kib): readonly Module[] {
  return Array.from({ length: count }, (_, n) => {
    const path = `example.com/${name}/m${n}`
    const files = { 'go.mod': `module ${path}\n\ngo 1.20\n`, 'noise.bin': randomBytes(bytes) }
    return { path, version: 'v1.0.0', files }
  })
}

const held = family('held', 4)
const fresh = family('fresh', 4)
const large = family('large', 30, 400 * kib)

let stack: AsyncDisposableStack
let upstream: FakeUpstream
/** What a node leaves that filled `held` and was stopped. */
let template: string
beforeAll(async () => {
  upstream = await FakeUpstream.start({ modules: [...held, ...fresh, ...large] })
  template = await mkdtemp(join(tmpdir(), 'modmesh-faults-'))
  stack = new AsyncDisposableStack()
  const node = await start(template)
  await expectAllServed(node, held)
  const isDurable = async (): Promise<void> =>
    expect((await statusOf(node)).store.zips).toBe(held.length)
  await vi.waitFor(isDurable, soon)
  expect(await node.end()).toBe(0)
})
afterAll(async () => {
  await upstream?.[Symbol.asyncDispose]()
  await rm(template, { recursive: true, force: true })
})
beforeEach(async () => {
  stack = new AsyncDisposableStack()
  await upstream.up()
  upstream.forget()
})
afterEach(() => stack.disposeAsync())

async function newDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'modmesh-faults-'))
  stack.defer(() => rm(dir, { recursive: true, force: true }))
  return dir
}

async function start(
  dir: string,
  more: Parameters<typeof startNode>[0] = {},
): Promise<StartedNode> {
  const args = ['--upstream', upstream.url, '--sumdb', upstream.gosumdb, ...(more.args ?? [])]
  return stack.use(await startNode({ ...more, args, dir }))
}

interface Got {
  readonly status: number
  readonly bytes: Buffer
}

async function get(node: StartedNode, module: Module, suffix: Suffix): Promise<Got> {
  // No kept connection: the node may have closed it a moment ago.
  const headers = { connection: 'close' }
  const answer = await fetch(node.url + filePath(module, suffix), { headers })
  try {
    return { status: answer.status, bytes: Buffer.from(await answer.arrayBuffer()) }
  } catch {
    // Cut within the body: `go` takes that for trouble, too.
    return { status: 599, bytes: Buffer.alloc(0) }
  }
}

function truth(module: Module, suffix: Suffix): Buffer {
  return Buffer.from(upstream.bytesOf(filePath(module, suffix)) ?? '')
}

/** The one rule: a 200 is right, and anything else is 5xx with a text. Returns whether it was a 200. */
async function isServed(node: StartedNode, module: Module, suffix: Suffix): Promise<boolean> {
  const { status, bytes } = await get(node, module, suffix)
  const what = `${filePath(module, suffix)}: ${status} ${bytes.subarray(0, 200).toString('latin1')}`
  if (status === 200) {
    expect(bytes.equals(truth(module, suffix)), what).toBe(true)
    return true
  }
  expect(status, what).toBeGreaterThanOrEqual(500)
  return false
}

async function expectAllServed(node: StartedNode, modules: readonly Module[]): Promise<void> {
  for (const module of modules) {
    for (const suffix of suffixes) {
      const { status, bytes } = await get(node, module, suffix)
      const text = status === 200 ? '' : bytes.toString()
      expect({ module: module.path, suffix, status, text }).toMatchObject({ status: 200 })
      expect(bytes.equals(truth(module, suffix)), module.path).toBe(true)
    }
  }
}

/** What could not be had for a while can be had again, in a while. */
async function expectHealed(node: StartedNode, modules: readonly Module[]): Promise<void> {
  for (const module of modules) {
    for (const suffix of suffixes) {
      await expect.poll(() => isServed(node, module, suffix), soon).toBe(true)
    }
  }
}

/** `go mod download` into an empty module cache. */
async function download(node: StartedNode, modules: readonly Module[]): Promise<GoResult> {
  await using go = await GoHome.make({ proxy: node.url, sumdb: upstream.sumdb.keyText })
  return await go.run(['mod', 'download', ...modules.map((m) => `${m.path}@${m.version}`)])
}

/** All of it comes from the store: nobody else is asked. */
async function expectHeld(node: StartedNode, modules: readonly Module[]): Promise<void> {
  upstream.forget()
  await expectAllServed(node, modules)
  expect(upstream.requests.map(({ path }) => path)).toEqual([])
}

async function expectDurable(node: StartedNode, zips: number): Promise<void> {
  await expect.poll(async () => (await statusOf(node)).store.zips, soon).toBe(zips)
}

/** What `go` must not be told: it would ask another proxy, or think that there is no such version. */
function expectNoAbsence({ stderr }: GoResult): void {
  expect(stderr).not.toMatch(/: (404|410) |not found/iu)
}

/** Where a node keeps a zip. */
function zipFile(dir: string, module: Module): string {
  const digest = createHash('sha256').update(truth(module, 'zip')).digest('hex')
  return join(dir, 'store/v1/zip', digest.slice(0, 2), digest.slice(2, 4), digest)
}

const diskTest = noPrivateDisk === undefined ? goTest : test.skip
if (noPrivateDisk !== undefined) console.warn(`skipped: a full disk ${noPrivateDisk}`)

describe('a full disk', () => {
  async function onDisk(megabytes: number) {
    const disk = stack.use(await PrivateDisk.mount(megabytes))
    const begin = (): Promise<StartedNode> => start(disk.inside, { through: disk.through })
    return { disk, begin, node: await begin() }
  }

  diskTest('serves what is held, says why not the rest, and heals without a restart', async () => {
    const { disk, node } = await onDisk(48)
    expect(await download(node, held)).toMatchObject({ code: 0 })
    await expectDurable(node, held.length)
    await disk.fill()

    expect(await download(node, held)).toMatchObject({ code: 0 })
    const failed = await download(node, fresh)
    expect(failed.code).toBe(1)
    expect(failed.stderr).toContain('the disk is full; free space or set --max-size (ENOSPC)')
    expectNoAbsence(failed)
    for (const module of fresh) for (const suffix of suffixes) await isServed(node, module, suffix)
    await expect.poll(() => stagedIn(disk.outside)).toEqual([])
    const status = await node.run(['status'], { through: disk.through })
    expect(status.stdout).toContain('the disk is full')
    expect(status.code).toBe(20)

    await disk.free()
    // Before anything else is kept.
    const statusCode = async (): Promise<unknown> =>
      (await node.run(['status'], { through: disk.through })).code
    await expect.poll(statusCode, soon).toBe(0)
    expect(await download(node, fresh)).toMatchObject({ code: 0 })
    await expectDurable(node, held.length + fresh.length)
    expect(await node.end()).toBe(0)
    const { zips, bad, quarantined } = await checkStore(disk.outside)
    expect({ zips: zips.length, bad, quarantined }).toEqual({ zips: 8, bad: [], quarantined: [] })
  })

  diskTest('at the start of a first lookup never lets an unproven byte through', async () => {
    const { disk, node } = await onDisk(40)
    // Nothing of the checksum database was ever stored.
    await disk.fill()
    const failed = await download(node, fresh)
    expect(failed.code).toBe(1)
    expectNoAbsence(failed)
    for (const module of fresh) for (const suffix of suffixes) await isServed(node, module, suffix)
    await disk.free()
    expect(await download(node, fresh)).toMatchObject({ code: 0 })
    await expectDurable(node, fresh.length)
  })

  diskTest('that fills up under many fills fails some of them, whole and clean', async () => {
    const { disk, node } = await onDisk(32)
    await expectAllServed(node, held)
    await expectDurable(node, held.length)
    const room = join(disk.outside, 'room')
    await writeFile(room, Buffer.alloc(6 * 400 * kib))
    await disk.fill()
    await unlink(room)

    const served = await Promise.all(large.map((module) => isServed(node, module, 'zip')))
    expect(served).toContain(false)
    await expectAllServed(node, held)
    await expect.poll(() => stagedIn(disk.outside), soon).toEqual([])
    const { store } = await statusOf(node)
    expect(store.zips).toBeLessThan(held.length + large.length)

    await disk.free()
    await expectAllServed(node, large)
    await expectDurable(node, held.length + large.length)
    expect(await node.end('SIGKILL')).toBeUndefined()
    const { bad, quarantined } = await checkStore(disk.outside)
    expect({ bad, quarantined }).toEqual({ bad: [], quarantined: [] })
  })

  diskTest(
    'can be started on, serves what is held, and takes in more once there is space',
    async () => {
      const { disk, node, begin } = await onDisk(48)
      await expectAllServed(node, held)
      await expectDurable(node, held.length)
      expect(await node.end()).toBe(0)
      await disk.fill()
      await upstream.down()
      const again = await begin()
      await expectAllServed(again, held)
      for (const module of fresh) expect(await isServed(again, module, 'zip')).toBe(false)
      await upstream.up()
      await disk.free()
      await expect.poll(() => isServed(again, fresh[0] as Module, 'zip'), soon).toBe(true)
      await expectAllServed(again, fresh)
      expect(await again.end()).toBe(0)
      const last = await begin()
      await upstream.down()
      await expectAllServed(last, [...held, ...fresh])
    },
  )
})

describe('a file system that became read-only', () => {
  diskTest('serves what is held, says why not the rest, and heals without a restart', async () => {
    const disk = stack.use(await PrivateDisk.mount(48))
    const node = await start(disk.inside, { through: disk.through })
    await expectAllServed(node, held)
    await expectDurable(node, held.length)
    disk.makeReadOnly(join(disk.inside, 'store/v1'))

    expect(await download(node, held)).toMatchObject({ code: 0 })
    const failed = await download(node, fresh)
    expect(failed.code).toBe(1)
    expect(failed.stderr).toContain('read-only file system; mount it for writing (EROFS)')
    expectNoAbsence(failed)
    disk.makeWritable(join(disk.inside, 'store/v1'))
    expect(await download(node, fresh)).toMatchObject({ code: 0 })
    await expectDurable(node, held.length + fresh.length)
  })

  diskTest('is told at the start, in one line', async () => {
    const disk = stack.use(await PrivateDisk.mount(48))
    const node = await start(disk.inside, { through: disk.through })
    expect(await node.end()).toBe(0)
    disk.makeReadOnly(disk.inside)
    const starting = start(disk.inside, { through: disk.through })
    await expect(starting).rejects.toThrow(/modmesh: [^\n]*read-only[^\n]*\n$/u)
  })
})

describe('permission that got lost', () => {
  diskTest('is told, condemns no zip, and heals when it is given back', async () => {
    const dir = await newDir()
    await chown(dir, 65534, 65534)
    const through = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups']
    const node = await start(dir, { through })
    await expectAllServed(node, held)
    await expectDurable(node, held.length)
    const lost = ['zip', 'staging'].map((name) => join(dir, 'store/v1', name))
    for (const folder of lost) await chown(folder, 0, 0)

    for (const modules of [held, fresh]) {
      const failed = await download(node, modules)
      expect(failed.code).toBe(1)
      expect(failed.stderr).toContain('chown it to the user of the node (EACCES)')
      expectNoAbsence(failed)
      for (const module of modules) await isServed(node, module, 'zip')
    }
    for (const folder of lost) await chown(folder, 65534, 65534)
    await expectAllServed(node, [...held, ...fresh])
    await expectDurable(node, held.length + fresh.length)
    expect(await readdir(join(dir, 'store/v1/quarantine'))).toEqual([])
    expect(upstream.count(filePath(held[0] as Module, 'zip'))).toBe(1)
  })
})

/** A stopped node's directory that holds the `held` modules. */
async function stopped(): Promise<string> {
  const dir = await newDir()
  await cp(template, dir, { recursive: true, filter: (source) => !source.endsWith('.sock') })
  return dir
}

async function filesOf(folder: string): Promise<string[]> {
  return (await readdir(folder)).map((name) => join(folder, name))
}

describe('a broken index', () => {
  const breaks: readonly {
    readonly name: string
    readonly break: (dir: string) => Promise<void>
  }[] = [
    {
      name: 'garbage',
      break: async (dir) => {
        for (const file of await filesOf(join(dir, 'store/v1/index'))) {
          const { size } = await stat(file)
          await writeFile(file, randomBytes(Math.max(size, 100)))
        }
      },
    },
    {
      name: 'cut',
      break: async (dir) => {
        for (const file of await filesOf(join(dir, 'store/v1/index'))) {
          await truncate(file, Math.floor((await stat(file)).size / 2))
        }
      },
    },
    {
      name: 'gone',
      break: (dir) => rm(join(dir, 'store/v1/index'), { recursive: true }),
    },
    {
      name: 'a file',
      break: async (dir) => {
        await rm(join(dir, 'store/v1/index'), { recursive: true })
        await writeFile(join(dir, 'store/v1/index'), 'index')
      },
    },
    {
      name: 'of the future',
      break: async (dir) => {
        const past = await newDir()
        await cp(join(dir, 'store/v1'), past, { recursive: true })
        const node = await start(dir)
        await expectAllServed(node, fresh)
        await expectDurable(node, held.length + fresh.length)
        expect(await node.end()).toBe(0)
        for (const name of ['zip', 'meta']) {
          await rm(join(dir, 'store/v1', name), { recursive: true })
          await cp(join(past, name), join(dir, 'store/v1', name), { recursive: true })
        }
      },
    },
  ]

  test.for(breaks)('($name) costs nothing that was committed', async (broken) => {
    const dir = await stopped()
    await broken.break(dir)
    const node = await start(dir)
    expect((await statusOf(node)).store.zips).toBe(held.length)
    await expectHeld(node, held)
    await expectAllServed(node, fresh)
    await expectDurable(node, held.length + fresh.length)
    expect(await node.end()).toBe(0)
    const { zips, bad } = await checkStore(dir)
    expect({ zips: zips.length, bad }).toEqual({ zips: held.length + fresh.length, bad: [] })
  })
})

describe('zips that were damaged on the disk', () => {
  const damages: readonly ((path: string) => Promise<void>)[] = [
    (path) => truncate(path, 1_000),
    (path) => truncate(path, 0),
    flip,
    unlink,
    (path) => writeFile(path, truth(fresh[0] as Module, 'zip')),
  ]
  const victims = family('victims', damages.length)
  const all = [...victims, ...held]

  /** Changes a byte and puts the modification time back. */
  async function flip(path: string): Promise<void> {
    const { atime, mtime } = await stat(path)
    const bytes = await readFile(path)
    bytes[500] = (bytes[500] ?? 0) ^ 1
    await writeFile(path, bytes)
    await utimes(path, atime, mtime)
  }

  /** A node that holds all, of which each victim is damaged in another way: cut, emptied, flipped, removed, replaced. */
  async function damagedNode(args: readonly string[] = []): Promise<StartedNode> {
    for (const module of victims) upstream.add(module)
    const dir = await newDir()
    const node = await start(dir, { args })
    await expectAllServed(node, all)
    await expectDurable(node, all.length)
    for (const [n, module] of victims.entries()) await damages[n]?.(zipFile(dir, module))
    return node
  }

  function timesAsked(module: Module): number {
    return upstream.count(filePath(module, 'zip'))
  }

  test('are noticed when they are asked for, and filled again', async () => {
    const node = await damagedNode()
    await expectAllServed(node, all)
    await expectDurable(node, all.length)
    expect(node.log().split('damaged, set aside').length - 1).toBe(victims.length)
    expect(all.map(timesAsked)).toEqual([2, 2, 2, 2, 2, 1, 1, 1, 1])
    expect(await node.end()).toBe(0)
    expect(await checkStore(node.dir)).toMatchObject({ bad: [] })
  })

  test('are noticed by the real go, which gets the right ones', async () => {
    const node = await damagedNode()
    expect(await download(node, all)).toMatchObject({ code: 0 })
  })

  test('are 5xx when upstream is away, the others are served, and all when it is back', async () => {
    const node = await damagedNode()
    await upstream.down()
    for (const module of victims) expect(await isServed(node, module, 'zip')).toBe(false)
    await expectAllServed(node, held)
    await upstream.up()
    await expectHealed(node, victims)
  })

  test('are found by scrubbing, and filled again before anybody asks', async () => {
    const node = await damagedNode(['--scrub', '1s'])
    const asked = (): number[] => all.map(timesAsked)
    await expect.poll(asked, soon).toEqual([2, 2, 2, 2, 2, 1, 1, 1, 1])
    await expectDurable(node, all.length)
    await expectHeld(node, all)
    expect(node.log().split('damaged zip fetched anew').length - 1).toBe(victims.length)
  })

  test('are found by verify, and filled again before anybody asks', async () => {
    const node = await damagedNode()
    const { code, stdout } = await node.run(['verify'])
    expect(code).toBe(23)
    for (const { path } of victims) expect(stdout).toContain(`bad zip ${path}@v1.0.0`)
    await expectDurable(node, all.length)
    expect(all.map(timesAsked)).toEqual([2, 2, 2, 2, 2, 1, 1, 1, 1])
    expect(await node.run(['verify'])).toMatchObject({ code: 0 })
    await expectHeld(node, all)
  })
})

describe('a damaged journal', () => {
  const damages: readonly {
    readonly name: string
    readonly damage: (path: string) => Promise<void>
  }[] = [
    { name: 'cut in half', damage: async (path) => truncate(path, (await stat(path)).size >> 1) },
    { name: 'emptied', damage: (path) => truncate(path, 0) },
    { name: 'removed', damage: unlink },
    {
      name: 'garbage',
      damage: async (path) => writeFile(path, randomBytes((await stat(path)).size)),
    },
    {
      name: 'speckled',
      damage: async (path) => {
        const bytes = await readFile(path)
        for (let at = 700; at < bytes.length; at += 900) bytes[at] = (bytes[at] ?? 0) ^ 0x10
        await writeFile(path, bytes)
      },
    },
  ]

  test.for(damages)(
    '($name) serves nothing wrong, keeps all zips and is filled again',
    async ({ damage }) => {
      const dir = await stopped()
      for (const file of await filesOf(join(dir, 'store/v1/meta'))) await damage(file)
      await upstream.down()
      const node = await start(dir)
      for (const module of held) for (const suffix of suffixes) await isServed(node, module, suffix)
      for (const module of held) expect(await isServed(node, module, 'zip')).toBe(true)
      await upstream.up()
      await expectHealed(node, [...held, ...fresh])
      await expectDurable(node, held.length + fresh.length)
      expect(await node.end()).toBe(0)
      await expectHeld(await start(dir), [...held, ...fresh])
    },
  )
})

test('a node killed again and again under load keeps what it said is durable, byte by byte', async () => {
  const seed = Number(process.env['MODMESH_SEED'] ?? Math.floor(Math.random() * 2 ** 32))
  const random = new Rng(seed)
  onTestFailed(() => console.error(`MODMESH_SEED=${seed} repeats it`))
  const dir = await newDir()
  const known = new Set<Module>()
  for (let round = 0; round < 6; round++) {
    const node = await start(dir)
    expect(await stagedIn(dir)).toEqual([])
    upstream.forget()
    for (const module of known) expect(await isServed(node, module, 'zip')).toBe(true)
    expect(upstream.requests.filter(({ path }) => path.endsWith('.zip'))).toEqual([])
    const { store } = await statusOf(node)
    const batch = large.slice(round * 5, round * 5 + 5)
    const load = batch.map((module) => get(node, module, 'zip').catch(() => undefined))
    const before = store.zips
    const due = before + Math.floor(random.between(0, batch.length))
    const zips = async (): Promise<number> => (await statusOf(node)).store.zips
    await expect.poll(zips, { ...soon, interval: 2 }).toBeGreaterThanOrEqual(due)
    const durable = (await node.run(['ls', '--json'])).stdout.split('\n')
    await delay(random.between(0, 30))
    await node.end('SIGKILL')
    await Promise.all(load)
    for (const module of batch) {
      if (durable.some((line) => line.includes(`"${module.path}@`))) known.add(module)
    }
  }
  expect(known.size).toBeGreaterThan(0)
  const { zips, bad, quarantined } = await checkStore(dir)
  expect({ bad, quarantined }).toEqual({ bad: [], quarantined: [] })
  expect(zips.length).toBeGreaterThanOrEqual(known.size)
})
