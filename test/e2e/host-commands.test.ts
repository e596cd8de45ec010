import { spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type FakeModule, FakeUpstream } from '../support/fake-upstream.ts'
import { filePath, invite } from '../support/mesh.ts'
import { runModmesh, type StartedNode, startNode } from '../support/start-node.ts'

const module: FakeModule = { path: 'a.test/a', version: 'v1.0.0' }
const goSum = `a.test/a v1.0.0 h1:${'A'.repeat(43)}=\na.test/a v1.0.0/go.mod h1:${'A'.repeat(43)}=\n`

let stack: AsyncDisposableStack
let upstream: FakeUpstream
let node: StartedNode
let dir = ''
beforeAll(async () => {
  stack = new AsyncDisposableStack()
  dir = await mkdtemp(join(tmpdir(), 'modmesh-host-'))
  stack.defer(() => rm(dir, { recursive: true, force: true }))
  upstream = stack.use(await FakeUpstream.start({ modules: [module] }))
  node = stack.use(await startNode({ args: args() }))
})
afterAll(() => stack.disposeAsync())

function args(): readonly string[] {
  return ['--upstream', upstream.url, '--sumdb', upstream.gosumdb]
}

async function fileOf(text: string): Promise<string> {
  const path = join(await mkdtemp(join(dir, 'file-')), 'go.sum')
  await writeFile(path, text)
  return path
}

describe('wait', () => {
  test('returns at once when the node is ready', async () => {
    expect(await node.run(['wait'])).toEqual({ code: 0, stdout: '', stderr: '' })
  })

  test('for a node that never starts ends with 24 and the reason', async () => {
    const { code, stderr } = await runModmesh([
      'wait',
      '--timeout',
      '1s',
      '--dir',
      join(dir, 'none'),
    ])
    expect(code).toBe(24)
    expect(stderr).toContain('not within 1s: no node is running')
  })

  test('for what a go.sum names returns when it is held', async () => {
    const sums = await fileOf(goSum)
    const early = await node.run(['wait', '--for', sums, '--timeout', '1s'])
    expect(early).toMatchObject({ code: 24, stdout: '' })
    expect(early.stderr).toContain('1 of 1 zips not held: a.test/a@v1.0.0')
    const waiting = node.run(['wait', '--for', sums, '--timeout', '30s', '--json'])
    await (await fetch(node.url + filePath(module, 'zip'))).arrayBuffer()
    const { code, stdout } = await waiting
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ schema: 'modmesh.wait/1' })
  })

  test('for peers returns when one has come', async () => {
    const MODMESH_JOIN = await invite(node)
    expect(await node.run(['wait', '--peers', '1', '--timeout', '1s'])).toMatchObject({ code: 24 })
    const waiting = node.run(['wait', '--peers', '1', '--timeout', '30s'])
    stack.use(await startNode({ args: args(), env: { MODMESH_JOIN } }))
    expect(await waiting).toMatchObject({ code: 0 })
  })

  test.for([
    ['--peers', 'many'],
    ['--timeout', 'long'],
    ['--for', '/nowhere'],
  ])('%j is wrong usage', async (words) => {
    expect(await node.run(['wait', ...words])).toMatchObject({ code: 2, stdout: '' })
  })
})

test('stats tells what was answered from where, and how much without upstream', async () => {
  const own = stack.use(await startNode({ args: args() }))
  for (let i = 0; i < 4; i++) {
    await (await fetch(own.url + filePath(module, 'zip'))).arrayBuffer()
  }
  const { code, stdout } = await own.run(['stats', '--json'])
  expect(code).toBe(0)
  const size = upstream.bytesOf(filePath(module, 'zip'))?.length ?? 0
  expect(JSON.parse(stdout)).toMatchObject({
    schema: 'modmesh.stats/1',
    answers: 4,
    bytes: 4 * size,
    savedBytes: 3 * size,
    savedShare: 0.75,
    failed: 0,
    store: { zips: 1 },
  })
  expect((await own.run(['stats'])).stdout).toMatch(/without upstream: 75 % of the answers/u)
  expect(await runModmesh(['stats', '--dir', join(dir, 'none')])).toMatchObject({ code: 21 })
})

describe('config', () => {
  test('names each option with its value and where it comes from, and no secret', async () => {
    const file = join(dir, 'config.toml')
    await writeFile(file, 'ttl = 5\nsite = "oslo"\n')
    const env = { MODMESH_PATH_SECRET: 'hush-hush-hush', MODMESH_SITE: 'bergen' }
    const flags = ['--config', file, '--upstream', 'https://me:pass@proxy.test,direct']
    const { code, stdout } = await runModmesh(['config', ...flags], { env })
    expect(code).toBe(0)
    expect(stdout.split('\n')).toEqual(
      expect.arrayContaining([
        `ttl = 5   # ${file}:1: ttl`,
        'site = bergen   # MODMESH_SITE',
        'path-secret = (set; not shown)   # MODMESH_PATH_SECRET',
        'upstream = https://proxy.test,direct   # --upstream',
        'sumdb = sum.golang.org   # default',
      ]),
    )
    expect(stdout).not.toMatch(/pass|hush/u)
  })

  test.for([
    ['ttl = 5\n', 0, 'ok, 1 options'],
    ['tttl = 5\n', 2, ':1: unknown key "tttl"; did you mean "ttl"?'],
    ['ttl = "soon"\n', 2, ':1: ttl'],
    ['\nsumdb = "a b c d"\n', 2, ':2: sumdb'],
    ['upstream = ""\n', 2, ':1: upstream'],
  ] as const)('--check of %j ends with %i', async ([text, code, says]) => {
    const file = await fileOf(text)
    const result = await runModmesh(['config', '--check', file], { env: { MODMESH_TTL: 'x' } })
    expect(result.code).toBe(code)
    expect(result.stdout + result.stderr).toContain(`${file}${code === 0 ? ': ' : ''}${says}`)
  })
})

test('completion for bash completes commands, those of groups, and flags', async () => {
  const { code, stdout } = await runModmesh(['completion', 'bash'])
  expect(code).toBe(0)
  const completed = (...words: string[]): string[] => {
    const list = ['modmesh', ...words].map((word) => `'${word}'`).join(' ')
    const script = `${stdout}\nCOMP_WORDS=(${list}); COMP_CWORD=${words.length}; _modmesh; printf '%s\\n' "\${COMPREPLY[@]}"`
    const { stdout: out, stderr } = spawnSync('bash', ['-c', script], { encoding: 'utf8' })
    expect(stderr).toBe('')
    return out.trim().split('\n')
  }
  expect(completed('ad')).toEqual(['adopt'])
  expect(completed('root', 'ex')).toEqual(['export'])
  expect(completed('adopt', '--wa')).toEqual(['--watch'])
  expect(completed('start', '--mesh')).toEqual(['--mesh-listen'])
})

test.for(['zsh', 'fish'])('completion for %s names every command', async (shell) => {
  const { code, stdout } = await runModmesh(['completion', shell])
  expect(code).toBe(0)
  for (const command of ['start', 'adopt', 'doctor', 'members']) expect(stdout).toContain(command)
  expect(await runModmesh(['completion', 'csh'])).toMatchObject({ code: 2 })
})
