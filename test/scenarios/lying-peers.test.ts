import { randomBytes } from 'node:crypto'
import { type ModuleVersion, parseModuleVersion } from '@modmesh/module'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import { type FakeModule, FakeUpstream } from '../support/fake-upstream.ts'
import { GoHome, goTest } from '../support/go.ts'
import { type Lie, type LyingBody, startLyingMember } from '../support/lying-member.ts'
import {
  askStatus,
  checkStore,
  filePath,
  invite,
  peerOf,
  stagedIn,
  statusOf,
  untilMet,
} from '../support/mesh.ts'
import { buildModuleZip, type ModuleFiles, moduleHashes } from '../support/module-zip.ts'
import { type StartedNode, startNode } from '../support/start-node.ts'

const soon = { interval: 50 }

/** One module version per lie: a liar is avoided afterwards, and what is held is not asked for. */
interface Target {
  readonly module: ModuleVersion
  readonly files: ModuleFiles
  readonly zip: Uint8Array
}

interface Misbehaviour {
  readonly name: string
  /** The body that comes instead of the true zip. */
  readonly body: (target: Target) => LyingBody
}

const evil = 'package lib\n\nfunc init() { println("evil") }\n'

const misbehaviours: readonly Misbehaviour[] = [
  { name: 'other bytes', body: ({ zip }) => ({ bytes: randomBytes(zip.length) }) },
  { name: 'one bit changed', body: ({ zip }) => ({ bytes: flip(zip, zip.length >> 1) }) },
  {
    name: 'fewer bytes than declared',
    body: ({ zip }) => ({ bytes: zip.subarray(0, zip.length >> 1), declaredLength: zip.length }),
  },
  { name: 'the beginning of the zip', body: ({ zip }) => ({ bytes: zip.subarray(0, -30) }) },
  {
    name: 'more bytes than declared',
    body: ({ zip }) => ({ bytes: Buffer.concat([zip, zip]), declaredLength: zip.length }),
  },
  {
    name: 'bytes of another digest than declared',
    body: ({ zip }) => ({ bytes: zip, declaredDigest: '0'.repeat(64) }),
  },
  { name: 'a bomb', body: (target) => lyingZip(target, { 'z.go': { bomb: 600 << 20 } }) },
  {
    name: 'a bomb that hides its size',
    body: ({ module, files }) => ({
      bytes: buildModuleZip(
        module,
        { ...files, 'z.go': { bomb: 64 << 20 } },
        { entries: { 'z.go': { size: 100 } } },
      ),
    }),
  },
  {
    name: 'a zip with a name that leaves its folder',
    body: (target) => lyingZip(target, { '../../../evil.go': evil }),
  },
  { name: 'a zip with a changed file', body: (target) => lyingZip(target, { 'lib.go': evil }) },
  { name: 'the zip of another version', body: ({ module }) => ({ bytes: otherVersion(module) }) },
]

function flip(bytes: Uint8Array, at: number): Uint8Array {
  const copy = Uint8Array.from(bytes)
  copy[at] = (copy[at] ?? 0) ^ 1
  return copy
}

function lyingZip({ module, files }: Target, more: ModuleFiles): LyingBody {
  return { bytes: buildModuleZip(module, { ...files, ...more }) }
}

function filesOf(path: string, version: string): ModuleFiles {
  return {
    'go.mod': `module ${path}\n\ngo 1.20\n`,
    'lib.go': `package lib\n\nconst Version = "${version}"\n`,
    'noise.bin': randomBytes(100_000),
  }
}

function otherVersion({ path }: ModuleVersion): Uint8Array {
  return buildModuleZip({ path, version: 'v1.1.0' }, filesOf(path, 'v1.1.0'))
}

function targetOf(path: string): Target & { readonly fake: FakeModule } {
  const files = filesOf(path, 'v1.0.0')
  const module = parseModuleVersion(path, 'v1.0.0')
  const zip = buildModuleZip(module, files)
  return { module, files, zip, fake: { path, version: 'v1.0.0', files } }
}

/** What a member that tells the truth would say; the lies differ from it in one thing. */
function truthOf({ module, files, zip }: Target): Lie & { readonly mod: Uint8Array } {
  return {
    module,
    zipHash: moduleHashes(module, files).zip,
    body: { bytes: zip },
    info: Buffer.from(`{"Version":"${module.version}","Time":"2024-01-02T03:04:05Z"}`),
    mod: Buffer.from(`module ${module.path}\n\ngo 1.20\n`),
  }
}

const targets = new Map(
  [...misbehaviours.map(({ name }) => name), 'record', 'mod', 'info'].map((name, n) => [
    name,
    targetOf(`example.com/lib${n}`),
  ]),
)

function target(name: string): Target {
  const found = targets.get(name)
  if (found === undefined) throw new Error(`no module for ${name}`)
  return found
}

/** Says that another zip is due, under a real proof of the true record. */
function forgedRecord(upstream: FakeUpstream): Lie {
  const { module, files } = target('record')
  const { path, version } = module
  const id = upstream.sumdb.idOf(path, version) ?? -1
  const altered = { ...files, 'lib.go': evil }
  const hashes = moduleHashes(module, altered)
  const name = `${path} ${version}`
  return {
    ...truthOf(target('record')),
    zipHash: hashes.zip,
    body: { bytes: buildModuleZip(module, altered) },
    record: {
      database: upstream.sumdb.name,
      id,
      text: `${name} ${hashes.zip}\n${name}/go.mod ${hashes.mod}\n`,
      hashes: Array.from({ length: 4 }, () => randomBytes(32)),
      head: upstream.sumdb.noteAt(),
    },
  }
}

const forgeries: readonly { readonly name: string; readonly lie: (up: FakeUpstream) => Lie }[] = [
  { name: 'record', lie: forgedRecord },
  {
    name: 'mod',
    lie: () => ({
      ...truthOf(target('mod')),
      mod: Buffer.from('module example.com/evil\n\ngo 1.20\n'),
    }),
  },
  {
    name: 'info',
    lie: () => ({ ...truthOf(target('info')), info: Buffer.from('{"Version":"v1.0.1"}') }),
  },
]

let stack: AsyncDisposableStack
beforeAll(() => {
  stack = new AsyncDisposableStack()
})
afterAll(() => stack.disposeAsync())

interface Scene {
  readonly upstream: FakeUpstream
  /** Who is lied to. */
  readonly victim: StartedNode
  readonly ticket: string
}

async function startUpstream(): Promise<FakeUpstream> {
  const modules = [...targets.values()].map(({ fake }) => fake)
  return stack.use(await FakeUpstream.start({ modules }))
}

/** An honest member holds everything. It sends no inventory, so that the liar is asked before it. */
async function besideHonestHolder(): Promise<Scene> {
  const upstream = await startUpstream()
  const database = ['--sumdb', upstream.sumdb.keyText]
  const args = ['--upstream', upstream.url, '--inventory', 'off', ...database]
  const holder = stack.use(await startNode({ args }))
  for (const { module } of targets.values()) {
    for (const suffix of ['info', 'mod', 'zip'] as const) {
      const answer = await fetch(holder.url + filePath(module, suffix))
      expect(answer.status).toBe(200)
      await answer.bytes()
    }
  }
  await upstream.down()
  const ticket = await invite(holder)
  const env = { MODMESH_JOIN: ticket }
  const victim = stack.use(await startNode({ args: ['--upstream', 'off', ...database], env }))
  await untilMet(victim, holder, { inventory: false })
  return { upstream, victim, ticket }
}

/** Upstream works; its zips and records come late enough for the liar to be first. */
async function beforeUpstream(): Promise<Scene> {
  const upstream = await startUpstream()
  const isLate = (path: string): boolean => path.endsWith('.zip') || path.includes('/lookup/')
  upstream.break(isLate, { kind: 'delay', ms: 500 })
  const args = ['--upstream', upstream.url, '--sumdb', upstream.gosumdb]
  const victim = stack.use(await startNode({ args }))
  return { upstream, victim, ticket: await invite(victim) }
}

/** Nobody but the liar has the modules; the hashes come from the database. */
async function withNobodyElse(): Promise<Scene> {
  const upstream = await startUpstream()
  upstream.break((path) => path.includes('/lookup/'), { kind: 'delay', ms: 500 })
  const args = ['--upstream', 'off', '--sumdb', upstream.gosumdb]
  const victim = stack.use(await startNode({ args }))
  return { upstream, victim, ticket: await invite(victim) }
}

interface LogLine {
  readonly level: string | number
  readonly msg: string
  readonly peer?: string
  readonly module?: string
}

function logOf(node: StartedNode): LogLine[] {
  const lines = node.log().trimEnd().split('\n')
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as LogLine)
}

async function downloadBesideLiar(scene: Scene, lie: Lie) {
  const { victim, upstream, ticket } = scene
  await using liar = await startLyingMember(ticket, lie)
  await expect.poll(async () => (await peerOf(victim, liar.peerId))?.holds, soon).toBe(1)
  await using go = await GoHome.make({ proxy: victim.url, sumdb: upstream.sumdb.keyText })
  const { path, version } = lie.module
  const result = await go.run(['mod', 'download', '-x', `${path}@${version}`])
  expect(result.stderr).not.toContain('SECURITY ERROR')
  return { liar, result }
}

/** The liar is named: in the log with the module, in `status` with the reason. */
async function expectNamed(scene: Scene, liar: string, { module }: Lie): Promise<void> {
  const name = `${module.path}@${module.version}`
  const refusals = logOf(scene.victim).filter((line) => line.peer === liar)
  expect(refusals).toContainEqual(expect.objectContaining({ module: name }))
  const { refused, mesh } = await statusOf(scene.victim)
  expect(refused.latest).toContainEqual(expect.objectContaining({ peer: liar, module: name }))
  const line = mesh.peers.find(({ id }) => id === liar)
  expect(line).toMatchObject({ name: 'liar', blamed: { avoided: true } })
}

/** What was answered 200 is the truth, whoever asks. */
async function expectTruth({ victim }: Scene, { module, zip }: Target): Promise<void> {
  const answer = await fetch(victim.url + filePath(module, 'zip'))
  expect(answer.status).toBe(200)
  expect(Buffer.from(await answer.bytes()).equals(zip)).toBe(true)
  const mod = await fetch(victim.url + filePath(module, 'mod'))
  expect(await mod.text()).toBe(`module ${module.path}\n\ngo 1.20\n`)
}

const scenes = [
  { name: 'beside an honest holder', make: besideHonestHolder, last: 'peer', names: false },
  { name: 'before a working upstream', make: beforeUpstream, last: 'upstream', names: true },
] as const

describe.for(scenes)('a lying peer $name', ({ make, last, names }) => {
  let scene: Scene
  beforeAll(async () => {
    scene = await make()
  })

  goTest.for(misbehaviours)('that sends $name is passed over and named', async (how) => {
    const due = target(how.name)
    const lie = { ...truthOf(due), body: how.body(due) }
    const { liar, result } = await downloadBesideLiar(scene, lie)
    expect(result).toMatchObject({ code: 0 })
    expect(liar.bodiesAsked()).toBe(1)
    await expectNamed(scene, liar.peerId, lie)
    await expectTruth(scene, due)
  })

  goTest.for(forgeries)('that forges a $name is passed over', async ({ name, lie: make }) => {
    const lie = make(scene.upstream)
    const { liar, result } = await downloadBesideLiar(scene, lie)
    expect(result).toMatchObject({ code: 0 })
    // Beside an honest member the liar's answer may come too late to be looked at.
    if (names) await expectNamed(scene, liar.peerId, lie)
    await expectTruth(scene, target(name))
  })

  goTest('leaves nothing in the store', async () => {
    const { store, answers } = await askStatus(scene.victim)
    expect(store.zips).toBe(targets.size)
    expect(answers.sinceStart[last].answers).toBeGreaterThanOrEqual(targets.size)
    await expectOnlyTruth(scene, [...targets.values()])
  })
})

describe('a lying peer with nobody beside it', () => {
  let scene: Scene
  beforeAll(async () => {
    scene = await withNobodyElse()
  })

  goTest.for(misbehaviours)('that sends $name is a failure, never a 200', async (how) => {
    const due = target(how.name)
    const lie = { ...truthOf(due), body: how.body(due) }
    const { liar, result } = await downloadBesideLiar(scene, lie)
    expect(result.code).toBe(1)
    expect(liar.bodiesAsked()).toBeGreaterThanOrEqual(1)
    expectZipNot200(result.stderr, due)
    await expectNamed(scene, liar.peerId, lie)
    expect((await fetch(scene.victim.url + filePath(due.module, 'zip'))).status).not.toBe(200)
  })

  goTest.for(forgeries)('that forges a $name is a failure, never a 200', async (forgery) => {
    const lie = forgery.lie(scene.upstream)
    const { liar, result } = await downloadBesideLiar(scene, lie)
    expect(result.code).toBe(1)
    await expectNamed(scene, liar.peerId, lie)
    const answer = await fetch(scene.victim.url + filePath(lie.module, 'zip'))
    expect(answer.status).not.toBe(200)
  })

  goTest('leaves nothing in the store', async () => {
    expect((await askStatus(scene.victim)).store).toMatchObject({ zips: 0, zipBytes: 0 })
    await expectOnlyTruth(scene, [])
  })
})

/** `go -x` writes each answer with its status. */
function expectZipNot200(stderr: string, { module }: Target): void {
  const lines = stderr.split('\n').filter((line) => line.includes(filePath(module, 'zip')))
  const answers = lines.filter((line) => line.includes(': ') && line.startsWith('# get'))
  expect(answers.length).toBeGreaterThan(0)
  for (const line of answers) expect(line).not.toContain('200 OK')
}

async function expectOnlyTruth({ victim }: Scene, due: readonly Target[]): Promise<void> {
  expect(await victim.end()).toBe(0)
  expect(await stagedIn(victim.dir)).toEqual([])
  const { zips, bad, quarantined } = await checkStore(victim.dir)
  const truth = due.map(({ module, files }) => moduleHashes(module, files).zip)
  expect(zips.map(({ zipHash }) => zipHash).toSorted()).toEqual(truth.toSorted())
  expect(bad).toEqual([])
  expect(quarantined).toEqual([])
}
