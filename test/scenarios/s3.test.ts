import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defaultBudgets } from '@modmesh/fill'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import { type FakeModule, FakeUpstream } from '../support/fake-upstream.ts'
import { GoHome } from '../support/go.ts'
import { askStatus, filePath, statusOf } from '../support/mesh.ts'
import { S3Server, s3Test } from '../support/s3-server.ts'
import { type StartedNode, startNode } from '../support/start-node.ts'

const noise = randomBytes(2 << 20)
const modules: readonly FakeModule[] = [
  { path: 'example.com/lib', version: 'v1.0.0' },
  { path: 'example.com/Some/UPPER', version: 'v0.2.0-Beta.1' },
  {
    path: 'example.com/old',
    version: 'v3.1.0+incompatible',
    files: { 'old.go': 'package old\n' },
  },
  {
    path: 'example.com/large',
    version: 'v1.0.0',
    files: { 'go.mod': 'module example.com/large\n', 'l.go': 'package l\n', 'n.bin': noise },
  },
]
const requires = modules.map(({ path, version }) => `\t${path} ${version}\n`).join('')
const goMod = `module test.local/main\n\ngo 1.20\n\nrequire (\n${requires})\n`
const parts = ['info', 'mod', 'record.json', 'zip']

let stack: AsyncDisposableStack
let server: S3Server
let buckets = 0
beforeAll(async () => {
  stack = new AsyncDisposableStack()
})
afterAll(() => stack.disposeAsync())

interface World {
  readonly upstream: FakeUpstream
  readonly bucket: string
  /** A node that reads and writes the bucket; upstream off for one that has nobody else. */
  readonly node: (init?: NodeInit) => Promise<StartedNode>
  /** Runs `go mod download` with an empty cache of its own; returns the go.sum, which may be given. */
  readonly download: (node: StartedNode, goSum?: string) => Promise<string>
  /** Waits until so many objects are there. */
  readonly holds: (objects: number) => Promise<void>
}

interface NodeInit {
  readonly upstream?: 'off'
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Default: the bucket of this world. */
  readonly s3?: string
}

/** An upstream and a bucket of their own, on the one server. */
async function makeWorld(): Promise<World> {
  server ??= stack.use(await S3Server.start())
  const bucket = `modules-${++buckets}`
  await server.makeBucket(bucket)
  const upstream = stack.use(await FakeUpstream.start({ modules }))
  const node = async (init: NodeInit = {}): Promise<StartedNode> => {
    const list = init.upstream ?? upstream.url
    // With upstream off the database is only known by its key: nobody can be asked.
    const args = ['--upstream', list, '--sumdb', upstream.sumdb.keyText]
    const s3 = init.s3 === 'none' ? [] : ['--s3', init.s3 ?? `s3://${bucket}/go`]
    const env = init.env ?? server.env
    return stack.use(await startNode({ args: [...args, ...s3, ...(init.args ?? [])], env }))
  }
  const download = async (from: StartedNode, goSum?: string): Promise<string> => {
    const sumdb = upstream.sumdb.keyText
    await using go = await GoHome.make({ proxy: from.url, sumdb })
    const sums = goSum === undefined ? {} : { 'go.sum': goSum }
    const cwd = await go.project({ 'go.mod': goMod, ...sums })
    const ended = await go.run(['mod', 'download', 'all'], { cwd })
    expect(ended).toMatchObject({ code: 0, stderr: '' })
    return await readFile(join(cwd, 'go.sum'), 'utf8')
  }
  const holds = async (objects: number): Promise<void> => {
    await expect.poll(() => server.keys(bucket)).toHaveLength(objects)
  }
  return { upstream, bucket, node, download, holds }
}

function median(values: readonly number[] = []): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN
}

const get = (node: StartedNode, module: FakeModule, suffix: 'zip' | 'mod' | 'info') =>
  fetch(node.url + filePath(module, suffix))

describe('a bucket of a real S3 server', () => {
  s3Test('is filled by one node, and fills the next with nobody else to ask', async () => {
    const { upstream, bucket, node, download, holds } = await makeWorld()
    const first = await node()
    const goSum = await download(first)
    const objects = modules.length * parts.length
    await holds(objects)
    const bases = ['!some/!u!p!p!e!r/@v/v0.2.0-!beta.1', 'large/@v/v1.0.0', 'lib/@v/v1.0.0']
    const keys = [...bases, 'old/@v/v3.1.0+incompatible'].flatMap((base) =>
      parts.map((part) => `go/v1/example.com/${base}.${part}`),
    )
    expect(await server.keys(bucket)).toEqual(keys)
    const zip = await readFile(server.fileOf(bucket, 'go/v1/example.com/large/@v/v1.0.0.zip'))
    expect(zip.equals(upstream.bytesOf('/example.com/large/@v/v1.0.0.zip') ?? zip)).toBe(true)
    const written = (await askStatus(first)).remote
    expect(written).toEqual({
      url: `s3://${bucket}/go`,
      access: 'write',
      state: 'on',
      readError: null,
      writeError: null,
      writes: { written: objects, exists: 0, failed: 0, dropped: 0 },
    })

    await upstream.down()
    const second = await node({ upstream: 'off' })
    expect(await download(second, goSum)).toBe(goSum)
    const { answers, store, remote, refused } = await askStatus(second)
    expect(store.zips).toBe(modules.length)
    expect(answers.sinceStart.remote.answers).toBeGreaterThanOrEqual(modules.length)
    expect(answers.sinceStart.remote.bytes).toBeGreaterThan(noise.length)
    expect(answers.levels.remote).toBe(answers.sinceStart.remote.answers)
    expect(answers.sinceStart.upstream.answers).toBe(0)
    expect(refused.total).toBe(0)
    // What it read from there it does not write there again.
    expect(remote?.writes).toEqual({ written: 0, exists: 0, failed: 0, dropped: 0 })
    expect((await second.run(['status'])).stdout).toContain(`s3://${bucket}/go`)
    await upstream.up()
  })

  s3Test('whose objects were altered is refused, costs no answer, and heals', async () => {
    const { upstream, bucket, node, holds } = await makeWorld()
    const [lib] = modules
    if (lib === undefined) throw new Error('no module')
    const writer = await node()
    for (const suffix of ['info', 'mod', 'zip'] as const) await get(writer, lib, suffix)
    await holds(parts.length)
    const fileOf = (part: string) =>
      server.fileOf(bucket, `go/v1/example.com/lib/@v/v1.0.0.${part}`)
    const right = await readFile(fileOf('zip'))
    const altered = Buffer.from(right)
    altered[altered.length >> 1] = (altered[altered.length >> 1] ?? 0) ^ 1
    await writeFile(fileOf('zip'), altered)
    await writeFile(fileOf('mod'), 'module example.com/lib\n\nrequire evil.test/m v1.0.0\n')

    // With nobody else to ask it is trouble, and never "there is none".
    const alone = await node({ upstream: 'off' })
    for (const suffix of ['zip', 'mod'] as const) {
      const { status } = await get(alone, lib, suffix)
      expect(status).toBeGreaterThanOrEqual(500)
    }
    const told = (await askStatus(alone)).refused
    expect(told.latest.map(({ source }) => source)).toEqual(['remote', 'remote'])
    expect((await askStatus(alone)).store.zips).toBe(0)

    const healer = await node()
    const zip = await get(healer, lib, 'zip')
    expect(Buffer.from(await zip.arrayBuffer()).equals(right)).toBe(true)
    const mod = await get(healer, lib, 'mod')
    expect(Buffer.from(await mod.arrayBuffer())).toEqual(
      Buffer.from(upstream.bytesOf('/example.com/lib/@v/v1.0.0.mod') ?? []),
    )
    const read = async (part: string) => (await readFile(fileOf(part))).toString('latin1')
    await expect.poll(() => read('zip')).toBe(right.toString('latin1'))
    await expect.poll(() => read('mod')).not.toContain('evil.test')
    expect(healer.log()).toContain('refused what the remote store sent')
  })

  s3Test('that is down costs nothing, and is used again when it is back', async () => {
    const { upstream, bucket, node, holds } = await makeWorld()
    const more = Array.from({ length: 12 }, (_, n) => ({
      path: 'example.com/many',
      version: `v1.${n}.0`,
    }))
    for (const module of more) upstream.add(module)
    await server.down()
    const [plain, first] = [await node({ s3: 'none' }), await node()]
    const costOf = async (one: StartedNode, module: FakeModule): Promise<number> => {
      const startedMs = performance.now()
      expect((await get(one, module, 'zip')).status).toBe(200)
      return performance.now() - startedMs
    }
    const [without, costs]: number[][] = [[], []]
    for (const module of more) {
      without?.push(await costOf(plain, module))
      costs?.push(await costOf(first, module))
    }
    // A refused connection ends at once: no answer waits for the bucket's head start, let alone longer.
    expect(median(costs)).toBeLessThan(3 * median(without) + defaultBudgets.remoteHeadStartMs / 2)
    const { remote, answers } = await askStatus(first)
    expect(answers.sinceStart.upstream.answers).toBe(more.length)
    expect(remote).toMatchObject({ state: 'down', readError: expect.stringContaining('refused') })
    expect(remote?.writes.written).toBe(0)
    const warned = first.log().split('left alone for a while').length - 1
    expect(warned).toBeGreaterThanOrEqual(1)
    expect(warned).toBeLessThanOrEqual(4)

    await server.up()
    const back = async () => {
      // Each answer from the store offers what is not there yet.
      for (const module of more) await get(first, module, 'zip')
      return (await server.keys(bucket)).filter((key) => key.endsWith('.zip')).length
    }
    await expect.poll(back, { interval: 500 }).toBe(more.length)
    await holds(more.length * 2)
  })
})

describe('the credentials of a bucket', () => {
  s3Test('may be in a profile, and all the rest in the URL', async () => {
    const { bucket, node, holds } = await makeWorld()
    const home = await mkdtemp(join(tmpdir(), 'modmesh-aws-'))
    stack.defer(() => rm(home, { recursive: true, force: true }))
    await mkdir(join(home, '.aws'))
    const { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret } = server.env
    const profile = `[ci]\naws_access_key_id = ${id}\naws_secret_access_key = ${secret}\n`
    await writeFile(join(home, '.aws', 'credentials'), profile)
    const query = `endpoint=${server.endpoint}&region=${server.env['AWS_REGION']}&profile=ci`
    const one = await node({ s3: `s3://${bucket}?${query}`, env: { HOME: home } })
    const [lib] = modules
    if (lib === undefined) throw new Error('no module')
    expect((await get(one, lib, 'mod')).status).toBe(200)
    await holds(2)
    const { remote } = await askStatus(one)
    expect(remote).toMatchObject({ url: `s3://${bucket}`, state: 'on', writeError: null })
  })

  s3Test('that are wrong cost no answer, are told in status, and are shown nowhere', async () => {
    const { node } = await makeWorld()
    const secret = 'a-wrong-secret-that-nobody-may-see'
    const env = { ...server.env, AWS_SECRET_ACCESS_KEY: secret }
    const one = await node({ env, args: ['--log', 'debug'] })
    for (const module of modules) expect((await get(one, module, 'zip')).status).toBe(200)
    await expect.poll(async () => (await statusOf(one)).remote?.writeError).toContain('403')
    const status = await one.run(['status', '--json'])
    expect(status.stdout).toContain('SignatureDoesNotMatch')
    for (const text of [status.stdout, one.log(), one.output()]) {
      expect(text).not.toContain(secret)
      expect(text).not.toContain('Signature=')
    }
  })

  s3Test('that are nowhere keep the node from starting, with the reason', async () => {
    const { node } = await makeWorld()
    const home = await mkdtemp(join(tmpdir(), 'modmesh-aws-'))
    stack.defer(() => rm(home, { recursive: true, force: true }))
    const env = { HOME: home, AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '' }
    await expect(node({ env })).rejects.toThrow(/AWS_ACCESS_KEY_ID/)
  })

  s3Test('that may only read: nothing is written, all is read', async () => {
    const { bucket, node, download, holds } = await makeWorld()
    const goSum = await download(await node())
    await holds(modules.length * parts.length)
    const before = await server.keys(bucket)
    const s3 = `s3://${bucket}/go?access=read`
    const reader = await node({ upstream: 'off', s3 })
    await download(reader, goSum)
    const { remote } = await askStatus(reader)
    expect(remote).toMatchObject({ access: 'read', writes: { written: 0, failed: 0 } })
    expect(await server.keys(bucket)).toEqual(before)
  })
})
