import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect } from 'vitest'
import { type FakeModule, FakeUpstream } from '../support/fake-upstream.ts'
import { GoHome, goTest } from '../support/go.ts'
import { filePath, statusOf } from '../support/mesh.ts'
import type { ModuleFiles } from '../support/module-zip.ts'
import { type Download, download } from '../support/site.ts'
import type { StartedNode } from '../support/start-node.ts'
import { startTwoSites, type TwoSites } from '../support/two-sites.ts'

let stack: AsyncDisposableStack
beforeEach(() => {
  stack = new AsyncDisposableStack()
})
afterEach(() => stack.disposeAsync())

const soon = { interval: 50 }
const path = 'example.com/wan/large'
const vocabulary = Array.from({ length: 256 }, (_, n) =>
  createHash('sha256')
    .update(`word ${n}`)
    .digest('hex')
    .slice(0, 5 + (n % 6)),
)
const licence = Array.from(
  { length: 150 },
  (_, n) => `// ${createHash('sha256').update(`licence ${n}`).digest('base64')}`,
)

const first: FakeModule = { path, version: 'v1.0.0', files: filesOf(0) }
const next: FakeModule = { path, version: 'v1.1.0', files: filesOf(1) }

describe('a branch behind a link of 20 Mbit/s', () => {
  goTest(
    'gets a first version for less than its zip, and the next one for its changes',
    async () => {
      const { upstream, sites } = await start([first, next])
      const { hq, branch, link } = sites
      const [node] = branch
      if (node === undefined) throw new Error('no node')
      const firstBytes = await hold(hq, first, upstream)
      const nextBytes = await hold(hq, next, upstream)

      const go = stack.use(await GoHome.make({ proxy: node.url, sumdb: upstream.gosumdb }))
      const cost = async (module: FakeModule): Promise<number> => {
        const before = link.bytes.down
        const asked = ['mod', 'download', '-json', `${module.path}@${module.version}`]
        expect(await go.run(asked)).toMatchObject({ code: 0 })
        return link.bytes.down - before
      }
      const firstCost = await cost(first)
      const nextCost = await cost(next)
      expect(firstCost).toBeLessThan(firstBytes * 0.58)
      expect(nextCost).toBeLessThan(nextBytes * 0.03)
      await expectVerified(go, next)
    },
  )

  goTest('gets the next version where only the branch holds the one before', async () => {
    const { upstream, sites } = await start([first, next], { ownUpstream: true })
    const { hq, branch, link } = sites
    const [node] = branch
    if (node === undefined) throw new Error('no node')
    await hold(node, first, upstream)
    const nextBytes = await hold(hq, next, upstream)
    const before = link.bytes.down
    await expectHeld(node, next, upstream)
    expect(link.bytes.down - before).toBeLessThan(nextBytes * 0.12)
  })

  goTest('goes on after a cut without what came before', async () => {
    const { upstream, sites } = await start([first], { bitsPerSecond: 4_000_000 })
    const { hq, branch, link } = sites
    const [node] = branch
    if (node === undefined) throw new Error('no node')
    const bytes = await hold(hq, first, upstream)
    const before = link.bytes.down
    const downloading = expectHeld(node, first, upstream)
    await expect.poll(() => link.bytes.down - before, soon).toBeGreaterThan(bytes * 0.25)
    link.cut()
    const connected = async (): Promise<number> =>
      (await statusOf(node)).mesh.peers.filter((peer) => peer.connected).length
    await expect.poll(connected, soon).toBe(0)
    link.mend()
    await downloading
    expect(link.bytes.down - before).toBeLessThan(bytes * 0.6)
  })
})

async function start(
  modules: readonly FakeModule[],
  { bitsPerSecond = 20_000_000, ownUpstream = false } = {},
): Promise<{ readonly upstream: FakeUpstream; readonly sites: TwoSites }> {
  const upstream = stack.use(await FakeUpstream.start({ modules }))
  const branchArgs = ownUpstream ? ['--upstream', upstream.url] : []
  const init = { branchHosts: 1, bitsPerSecond, branchArgs }
  return { upstream, sites: stack.use(await startTwoSites(upstream, init)) }
}

/** Has a node hold a module version; returns the bytes of its zip. */
async function hold(
  node: StartedNode,
  module: FakeModule,
  upstream: FakeUpstream,
): Promise<number> {
  const zips = (await statusOf(node)).store.zips
  const bytes = await expectHeld(node, module, upstream)
  await expect.poll(async () => (await statusOf(node)).store.zips, soon).toBe(zips + 1)
  return bytes
}

async function expectHeld(
  node: StartedNode,
  module: FakeModule,
  upstream: FakeUpstream,
): Promise<number> {
  const files = await download(node, [module], upstream.sumdb.name)
  const failed = files.filter(({ status }) => status !== 200)
  expect(failed.map(({ bytes }) => Buffer.from(bytes).toString())).toEqual([])
  return zipOf(files, module).bytes.length
}

function zipOf(files: readonly Download[], module: FakeModule): Download {
  const zip = files.find((file) => file.path === filePath(module, 'zip'))
  if (zip === undefined) throw new Error('no zip')
  return zip
}

/** `go` has what upstream has, and believes it. */
async function expectVerified(
  go: GoHome,
  { path: name, version, files }: FakeModule,
): Promise<void> {
  const cwd = await go.project({
    'go.mod': `module test.local/main\n\ngo 1.20\n\nrequire ${name} ${version}\n`,
    'main.go': `package main\n\nimport _ "${name}"\n\nfunc main() {}\n`,
  })
  expect(await go.run(['mod', 'tidy'], { cwd })).toMatchObject({ code: 0 })
  expect((await go.run(['mod', 'verify'], { cwd })).stdout).toBe('all modules verified\n')
  expect(await go.run(['build', './...'], { cwd })).toMatchObject({ code: 0 })
  const extracted = await readFile(join(go.modCache, `${name}@${version}`, 'f7.go'), 'utf8')
  expect(extracted).toBe(files?.['f7.go'])
}

/** Source text of some MB, of which each release changes a line in few files. */
function filesOf(release: number): ModuleFiles {
  const files: Record<string, string> = { 'go.mod': `module ${path}\n\ngo 1.20\n` }
  for (let n = 0; n < 200; n++) {
    const changed = release > 0 && n % 20 === 7 ? `// Release ${release}.\n` : ''
    files[`f${n}.go`] = `package large\n\n${changed}${wordsOf(n)}`
  }
  return files
}

/** Lines that pack like source text: files of a module have much in common, and each its own. */
function wordsOf(seed: number): string {
  const lines = [...licence]
  for (let line = 0; line < 200; line++) {
    const digest = createHash('sha256').update(`${seed} ${line}`).digest()
    const words = [...digest.subarray(0, 6)].map((byte) => vocabulary[byte] ?? '')
    const name = `Value${seed}x${line}`
    lines.push(`// ${name} ${words.join(' ')} ${vocabulary[digest[8] ?? 0]}.`)
    lines.push(`const ${name} = "${words.slice(0, 3).join('-')}"`)
  }
  return `${lines.join('\n')}\n`
}
