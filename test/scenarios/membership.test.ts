import { stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { MembersReport } from '../../packages/node/src/mesh-answers.ts'
import { invite, statusOf } from '../support/mesh.ts'
import { type StartedNode, type StartNodeInit, startNode } from '../support/start-node.ts'

let stack: AsyncDisposableStack
beforeEach(() => {
  stack = new AsyncDisposableStack()
})
afterEach(() => stack.disposeAsync())

async function node(name: string, init: StartNodeInit = {}): Promise<StartedNode> {
  const args = ['--upstream', 'off', '--sumdb', 'off', '--name', name, ...(init.args ?? [])]
  return stack.use(await startNode({ ...init, args }))
}

/** Runs a command that has to work. */
async function run(on: StartedNode, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await on.run(args)
  expect({ args, code, stderr: code === 0 ? '' : stderr }).toEqual({ args, code: 0, stderr: '' })
  return stdout
}

async function members(on: StartedNode): Promise<MembersReport['members']> {
  return (JSON.parse(await run(on, 'members', '--json')) as MembersReport).members
}

async function standingOf(on: StartedNode, name: string): Promise<string | undefined> {
  return (await members(on)).find((member) => member.name === name)?.standing
}

async function connectedTo(on: StartedNode): Promise<string[]> {
  const { mesh } = await statusOf(on)
  return mesh.peers.flatMap(({ name, connected }) => (connected ? [name] : [])).toSorted()
}

function patiently<T>(value: () => Promise<T>): ReturnType<typeof expect.poll<Promise<T>>> {
  return expect.poll(value, { interval: 100 })
}

/** Its address at the mesh, to be started there again. */
async function listenOf(on: StartedNode): Promise<string> {
  const [address = ''] = (await statusOf(on)).mesh.addresses
  const [, , host, , port] = address.split('/')
  return `${host}:${port}`
}

describe('a revoked member', () => {
  test('is out within 5 s, and still out after everybody has restarted', async () => {
    const a = await node('a')
    const ticket = await invite(a)
    const env = { MODMESH_JOIN: ticket }
    const [b, c] = [await node('b', { env }), await node('c', { env })]
    await patiently(() => connectedTo(a)).toEqual(['b', 'c'])
    await patiently(() => connectedTo(c)).toEqual(['a', 'b'])
    await patiently(() => standingOf(b, 'b')).toBe('member')

    const said = await run(a, 'revoke', 'b', '--why', 'lost')
    const beganMs = performance.now()
    expect(said).toContain(`Revoked b (${b.peerId})`)
    await patiently(() => connectedTo(c)).toEqual(['a'])
    await patiently(() => connectedTo(b)).toEqual([])
    expect(performance.now() - beganMs).toBeLessThan(5_000)

    const listens = await Promise.all([a, b, c].map(listenOf))
    const dirs = [a, b, c].map(({ dir }) => dir)
    for (const one of [a, b, c]) expect(await one.end()).toBe(0)
    const again = async (at: number, name: string): Promise<StartedNode> => {
      const peers = listens.filter((_, other) => other !== at).flatMap((l) => ['--peer', l])
      const args = ['--mesh-listen', listens[at] ?? '', ...peers]
      return await node(name, { dir: dirs[at] ?? '', args, env })
    }
    const b2 = await again(1, 'b')
    const c2 = await again(2, 'c')
    const a2 = await again(0, 'a')
    await patiently(() => connectedTo(a2)).toEqual(['c'])
    await patiently(async () => (await statusOf(b2)).warnings.join()).toContain(
      '2 members of the mesh refuse this node: revoked',
    )
    expect(await connectedTo(c2)).toEqual(['a'])

    // A new identity and the old ticket: nobody takes it.
    const x = await node('x', { env, args: listens.flatMap((l) => ['--peer', l]) })
    await patiently(async () => (await statusOf(x)).warnings.join()).toContain('refuse this node')
    // The two that are out may find each other; nobody in the mesh talks to either.
    expect((await connectedTo(x)).filter((name) => name !== 'b')).toEqual([])
    expect(await connectedTo(a2)).toEqual(['c'])
    expect(await connectedTo(c2)).toEqual(['a'])
  }, 300_000)
})

describe('a fleet', () => {
  test('joins unattended by one variable, and no more hosts than the ticket has uses', async () => {
    const a = await node('a')
    const ticket = (await run(a, 'invite', '--uses', '2', '--expires', '1h')).trim()
    const env = { MODMESH_JOIN: ticket }
    const all = ['b', 'c', 'd', 'e']
    const fleet = await Promise.all(all.map((name) => node(name, { env })))
    const standings = () => Promise.all(fleet.map((one, at) => standingOf(one, all[at] ?? '')))
    const inNow = async () => (await standings()).filter((word) => word === 'member').length
    await patiently(inNow).toBe(2)
    const final = await standings()
    const inside = fleet.filter((_, at) => final[at] === 'member')
    const names = all.filter((_, at) => final[at] === 'member')
    await patiently(() => connectedTo(a)).toEqual(names)
    for (const [at, one] of inside.entries()) {
      const others = ['a', ...names.filter((name) => name !== names[at])]
      await patiently(() => connectedTo(one)).toEqual(others)
    }
    // The variable stays set: a restart of one that is in changes nothing.
    const [one] = inside
    await one?.end()
    const back = await node(names[0] ?? '', { dir: one?.dir ?? '', env })
    await patiently(async () => (await connectedTo(back)).length).toBe(2)
    expect(back.peerId).toBe(one?.peerId)
  }, 300_000)
})

describe('an administrator', () => {
  test('takes over by the exported root key; a new key and leaving work without help', async () => {
    const a = await node('a')
    const file = join(a.dir, 'ticket')
    await writeFile(file, await invite(a), { mode: 0o600 })
    const b = await node('b', { args: ['--join', file] })
    await patiently(() => connectedTo(a)).toEqual(['b'])
    const lone = await node('c')
    expect((await lone.run(['members'])).stdout).toContain('in no mesh')
    expect(await run(lone, 'join', file)).toContain('connected to ')
    await patiently(() => connectedTo(a)).toEqual(['b', 'c'])
    await patiently(() => connectedTo(b)).toEqual(['a', 'c'])

    const denied = await b.run(['revoke', 'c'])
    expect(denied.code).toBe(1)
    expect(denied.stderr).toContain('this node may not revoke')
    const key = await run(a, 'root', 'export')
    await a.end()
    const taken = await b.run(['root', 'import', '-'], { input: key })
    expect(taken).toMatchObject({ code: 0 })
    expect(await run(b, 'root', 'rotate')).toContain('Members that stay: 3')
    await patiently(() => connectedTo(b)).toEqual(['c'])

    // The same member with a new key.
    await run(lone, 'rekey')
    const listen = await listenOf(b)
    await lone.end()
    const renewed = await node('c', { dir: lone.dir, args: ['--peer', listen] })
    expect(renewed.peerId).not.toBe(lone.peerId)
    await patiently(() => connectedTo(b)).toEqual(['c'])
    await patiently(() => standingOf(renewed, 'c')).toBe('member')

    await run(renewed, 'leave')
    await patiently(() => connectedTo(b)).toEqual([])
    expect((await renewed.run(['members'])).stdout).toContain('in no mesh')
    for (const name of ['membership', 'ledger', 'roster']) {
      expect((await stat(join(b.dir, 'mesh', name))).mode & 0o777).toBe(0o600)
    }
  }, 300_000)
})
