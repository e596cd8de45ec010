import { spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { runModmesh, startNode } from '../support/start-node.ts'

const off = ['--upstream', 'off', '--sumdb', 'off']
const namespace = ['unshare', '-n']
const hasNamespaces = process.getuid?.() === 0 && spawnSync('unshare', ['-n', 'true']).status === 0

let stack: AsyncDisposableStack
beforeEach(() => {
  stack = new AsyncDisposableStack()
})
afterEach(() => stack.disposeAsync())

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'modmesh-beside-'))
  stack.defer(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** Directories without a running node, and how they came to be. */
const nodeless: readonly { readonly name: string; readonly make: () => Promise<string> }[] = [
  { name: 'that was never used', make: async () => join(await newFolder(), 'none') },
  { name: 'whose node was killed and left its socket', make: killedNode },
]

async function killedNode(): Promise<string> {
  const dir = await newFolder()
  const node = stack.use(await startNode({ dir, args: off }))
  await node.end('SIGKILL')
  return dir
}

/** Where a command runs: here, or where no address of the node's can be reached. */
const places = [
  { place: 'here', through: [] },
  { place: 'in another network namespace', through: namespace },
] as const

describe.for(places)('without a node, $place,', ({ through }) => {
  const skipped = through.length > 0 && !hasNamespaces
  const plainTest = skipped ? test.skip : test
  if (skipped) console.warn('skipped: network namespaces need root and unshare')

  plainTest.for(nodeless)('a directory $name', async ({ make }) => {
    const dir = await make()
    const status = await runModmesh(['status', '--dir', dir], { through })
    expect(status.code).toBe(21)
    expect(status.stdout).toContain('NOT RUNNING')
    const json = await runModmesh(['status', '--json', '--dir', dir], { through })
    expect(json.code).toBe(21)
    expect(JSON.parse(json.stdout)).toMatchObject({ running: false })
    const invite = await runModmesh(['invite', '--dir', dir], { through })
    expect(invite).toMatchObject({ code: 21, stdout: '' })
    expect(invite.stderr).toMatch(/^modmesh: [^\n]+\n$/u)
    for (const args of [['--help'], ['invite', '--help']]) {
      const help = await runModmesh(args, { through })
      expect(help).toMatchObject({ code: 0, stderr: '' })
      expect(help.stdout).not.toBe('')
    }
  })
})

test('a node in a network namespace of its own is asked from outside it', async (context) => {
  if (!hasNamespaces) context.skip('network namespaces need root and unshare')
  // The new namespace's loopback is down until it is told otherwise.
  const through = [...namespace, 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh']
  if (spawnSync('ip', ['link']).status !== 0) context.skip('needs the ip command')
  const node = stack.use(await startNode({ args: off, through }))
  await expect(fetch(`${node.url}/-/healthz`)).rejects.toThrow('fetch failed')
  expect((await node.run(['status'])).stdout).toContain('READY')
  const invited = await node.run(['invite'])
  expect(invited).toMatchObject({ code: 0 })
  expect(invited.stdout).toMatch(/^modmesh1[\w-]+\n$/u)
  const { stdout } = await node.run(['status', '--json'])
  expect(JSON.parse(stdout)).toMatchObject({ running: true, mesh: { id: expect.any(String) } })
})
