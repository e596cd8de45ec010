import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type FakeModule, FakeUpstream } from '../support/fake-upstream.ts'
import { GoHome, goTest } from '../support/go.ts'
import { programPath, type RunResult, runModmesh, startNode } from '../support/start-node.ts'

const modules: readonly FakeModule[] = [
  {
    path: 'example.com/lib',
    version: 'v1.0.0',
    files: {
      'go.mod': 'module example.com/lib\n\ngo 1.22\n\nrequire example.com/far v1.0.0\n',
      'lib.go': 'package lib\n',
    },
  },
  { path: 'example.com/far', version: 'v1.0.0' },
]

let upstream: FakeUpstream

beforeAll(async () => {
  upstream = await FakeUpstream.start({ modules })
})
afterAll(async () => {
  await upstream?.[Symbol.asyncDispose]()
})

test('a running node is used, and goes on running', async () => {
  await using node = await startNode({ args: upstreamArgs() })
  const print = 'echo $GOPROXY; echo $GOPRIVATE $GONOSUMDB; echo $MODMESH_JOIN'
  const env = { GOPRIVATE: 'corp.example.com', MODMESH_JOIN: 'secret' }
  const done = await runIn(node.dir, ['sh', '-c', print], env)
  expect(done).toMatchObject({ code: 0, stdout: `${node.url}\ncorp.example.com\n\n` })
  expect((await fetch(`${node.url}/-/healthz`)).status).toBe(200)
})

goTest('without one, a node serves the command, and fetches what its project needs', async () => {
  await using dir = await tempDir()
  const init = { proxy: upstream.url, sumdb: upstream.sumdb.keyText }
  await using online = await GoHome.make(init)
  const folder = await online.project({
    'go.mod': 'module example.com/main\n\ngo 1.22\n\nrequire example.com/lib v1.0.0\n',
    'main.go': 'package main\n\nimport _ "example.com/lib"\n',
  })
  await online.run(['mod', 'tidy'], { cwd: folder })
  upstream.forget()
  await using go = await GoHome.make(init)
  const through = [process.execPath, programPath, 'run', '--dir', dir.path, ...lone(), '--']
  const done = await go.run(['mod', 'download'], { cwd: folder, through })
  expect(done, done.stderr).toMatchObject({ code: 0, stdout: '' })
  expect(upstream.count('/example.com/lib/@v/v1.0.0.zip')).toBe(1)
  // Nothing is left of it: the next one can have the store.
  const again = await runIn(dir.path, ['true'])
  expect(again).toEqual({ code: 0, stdout: '', stderr: '' })
})

goTest(
  'what the project needs comes without being asked for, and not with --no-prefetch',
  async () => {
    await using go = await GoHome.make({ proxy: upstream.url, sumdb: upstream.sumdb.keyText })
    const cwd = await go.project({
      'go.mod': 'module example.com/main\n\ngo 1.22\n\nrequire example.com/lib v1.0.0\n',
    })
    const held = (dir: string) =>
      `until node ${programPath} ls --dir ${dir} | grep -q example.com/lib; do sleep 0.1; done`
    await using dir = await tempDir()
    const shell = ['sh', '-c', `cd ${cwd} && ${held(dir.path)}`]
    const through = ['sh', '-c', `cd ${cwd} && exec "$@"`, 'sh']
    const args = ['run', '--dir', dir.path, ...lone(), '--', ...shell]
    expect(await runModmesh(args, { through })).toMatchObject({ code: 0 })

    await using other = await tempDir()
    upstream.forget()
    const off = ['run', '--no-prefetch', '--dir', other.path, ...lone(), '--', 'sleep', '1']
    expect(await runModmesh(off, { through })).toMatchObject({ code: 0 })
    expect(upstream.count('/example.com/lib/@v/v1.0.0.zip')).toBe(0)
  },
)

test('run ends as its command does', async () => {
  await using node = await startNode()
  expect((await runIn(node.dir, ['sh', '-c', 'exit 7'])).code).toBe(7)
  expect((await runIn(node.dir, ['sh', '-c', 'kill -9 $$'])).code).toBe(137)
})

test('signals go to the command, which has all the time it wants', async () => {
  await using dir = await tempDir()
  const mark = join(dir.path, 'mark')
  const script = `trap 'sleep 0.3; echo got > ${mark}; exit 5' TERM; echo up; while :; do sleep 0.05; done`
  const args = ['run', '--dir', dir.path, ...lone(), '--', 'sh', '-c', script]
  const child = spawn(process.execPath, [programPath, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  child.kill('SIGTERM')
  expect(await once(child, 'close')).toEqual([5, null])
  expect(await readFile(mark, 'utf8')).toBe('got\n')
})

test('what cannot be run is said in one line', async () => {
  await using node = await startNode()
  expect(await runIn(node.dir, ['no-such-program'])).toEqual({
    code: 127,
    stdout: '',
    stderr: 'modmesh: no-such-program: there is no such program\n',
  })
  const bare = await runModmesh(['run', 'go', 'build'])
  expect(bare).toMatchObject({ code: 2, stdout: '' })
  expect(bare.stderr).toContain('modmesh run -- go build ./...')
})

function upstreamArgs(): readonly string[] {
  return ['--upstream', upstream.url, '--sumdb', upstream.gosumdb]
}

/** The flags of a node that is started for a command. */
function lone(): readonly string[] {
  return ['--mdns', 'off', ...upstreamArgs()]
}

function runIn(
  dir: string,
  command: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<RunResult> {
  return runModmesh(['run', '--dir', dir, '--', ...command], { env })
}

async function tempDir(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'modmesh-run-'))
  const remove = () => rm(path, { recursive: true, force: true, maxRetries: 10 })
  return { path, [Symbol.asyncDispose]: remove }
}
