import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type FakeModule, FakeUpstream } from '../support/fake-upstream.ts'
import { filePath, invite, untilMet } from '../support/mesh.ts'
import { runModmesh, type StartedNode, startNode } from '../support/start-node.ts'

const hello: FakeModule = { path: 'example.com/hello', version: 'v1.2.0' }
const name = `${hello.path}@${hello.version}`

let stack: AsyncDisposableStack
let upstream: FakeUpstream
beforeEach(async () => {
  stack = new AsyncDisposableStack()
  upstream = stack.use(await FakeUpstream.start({ modules: [hello] }))
})
afterEach(() => stack.disposeAsync())

async function start(args: readonly string[], env: Record<string, string> = {}) {
  const database = ['--sumdb', upstream.sumdb.keyText]
  return stack.use(await startNode({ args: [...database, ...args], env }))
}

async function get(node: StartedNode, suffix: 'zip' | 'mod' | 'info'): Promise<number> {
  const response = await fetch(node.url + filePath(hello, suffix))
  await response.arrayBuffer()
  return response.status
}

async function json(node: StartedNode, args: readonly string[]) {
  const { code, stdout } = await node.run([...args, '--json'])
  return { code, report: JSON.parse(stdout) as unknown }
}

describe('two nodes', () => {
  let a: StartedNode
  let b: StartedNode
  beforeEach(async () => {
    a = await start(['--upstream', upstream.url, '--name', 'alpha'])
    expect(await get(a, 'zip')).toBe(200)
    const env = { MODMESH_JOIN: await invite(a) }
    b = await start(['--upstream', 'off', '--name', 'beta', '--site', 'rome'], env)
    await untilMet(b, a)
  })

  test('say why: one had it from upstream, the other from the one', async () => {
    expect((await json(b, ['why', name])).code).toBe(1)
    expect(await get(b, 'zip')).toBe(200)
    expect(await get(b, 'zip')).toBe(200)

    const first = await json(a, ['why', name])
    expect(first.code).toBe(0)
    expect(first.report).toMatchObject({
      schema: 'modmesh.why/1',
      module: name,
      next: 'store',
      held: { proof: expect.stringContaining('record ') as string },
    })
    expect(first.report).toHaveProperty(
      'trace.steps',
      expect.arrayContaining([
        expect.objectContaining({ step: 'upstream-chosen', what: 'zip', why: 'no-peers' }),
        expect.objectContaining({ step: 'asked', source: 'upstream', outcome: 'gave' }),
        expect.objectContaining({ step: 'answered', what: 'zip', source: 'upstream' }),
      ]),
    )

    const { code, report } = await json(b, ['why', name])
    expect(code).toBe(0)
    expect(report).toMatchObject({ next: 'store', peers: [{ id: a.peerId, name: 'alpha' }] })
    expect(report).toHaveProperty('trace.hits', 1)
    const steps = expect.arrayContaining([
      expect.objectContaining({
        step: 'peers-told',
        answers: [{ peer: a.peerId, holdsZip: true }],
      }),
      expect.objectContaining({ step: 'asked', peer: a.peerId, outcome: 'gave' }),
      expect.objectContaining({ step: 'answered', source: 'peer', peer: a.peerId }),
    ])
    expect(report).toHaveProperty('trace.steps', steps)

    const { stdout } = await b.run(['why', name])
    expect(stdout).toContain('from the store of this node')
    expect(stdout).toMatch(/answered in .*from alpha/)
  })

  test('say who is who, what was given and taken, and why one is away', async () => {
    expect(await get(b, 'zip')).toBe(200)
    const seenByB = await json(b, ['peers'])
    expect(seenByB.code).toBe(0)
    expect(seenByB.report).toMatchObject({
      schema: 'modmesh.peers/1',
      mesh: b.mesh,
      self: { id: b.peerId, site: 'rome' },
      peers: [{ id: a.peerId, name: 'alpha', connected: true, notConnected: null, blamed: null }],
      unreached: [],
    })
    const bytes = (await json(a, ['peers'])).report
    expect(bytes).toMatchObject({ peers: [{ id: b.peerId, name: 'beta', site: 'rome' }] })
    const received = (seenByB.report as { peers: { receivedBytes: number }[] }).peers[0]
    const sent = (bytes as { peers: { sentBytes: number }[] }).peers[0]
    expect(received?.receivedBytes).toBeGreaterThan(100)
    expect(sent?.sentBytes).toBe(received?.receivedBytes)
    expect((await b.run(['peers'])).stdout).toMatch(/alpha +default +connected/)

    await a.end('SIGKILL')
    const away = () => json(b, ['peers'])
    await expect.poll(away).toMatchObject({
      code: 20,
      report: {
        peers: [
          {
            id: a.peerId,
            connected: false,
            lastSeenAt: expect.stringMatching(/^\d{4}-/) as string,
            notConnected: expect.stringContaining('ECONNREFUSED') as string,
          },
        ],
      },
    })
  })
})

test('an address that leads to nobody is told with the reason', async () => {
  const a = await start(['--upstream', 'off'])
  const env = { MODMESH_JOIN: await invite(a) }
  const b = await start(['--upstream', 'off', '--peer', '127.0.0.1:1'], env)
  await expect
    .poll(async () => (await b.run(['peers'])).stdout)
    .toMatch(/^\S*127\.0\.0\.1\S+: not reached \(\d+ tr(y|ies)\): .*ECONNREFUSED/m)
})

test('a lone node answers both, and says what it is', async () => {
  const node = await start(['--upstream', 'off'])
  expect(await node.run(['peers'])).toMatchObject({
    code: 0,
    stdout: 'This node is in no mesh. To make one: modmesh invite\n',
  })
  expect(await node.run(['why', name])).toMatchObject({
    code: 1,
    stdout: expect.stringContaining('nobody can be asked') as string,
  })
  const names = ['example.com/hello@', '../up@v1.0.0', '@v1.0.0', 'example.com/hello@nonsense']
  for (const given of names) {
    expect(await node.run(['why', given])).toMatchObject({ code: 2, stdout: '' })
  }
})

const wrong = [
  { args: ['why'], code: 2 },
  { args: ['why', 'example.com/hello'], code: 2 },
  { args: ['why', name], code: 21 },
  { args: ['peers'], code: 21 },
] as const
test.for(wrong)('$args without a node ends with $code', async ({ args, code }) => {
  const result = await runModmesh([...args, '--dir', '/nonexistent/modmesh'])
  expect(result).toMatchObject({ code, stdout: '' })
  expect(result.stderr).toMatch(/^modmesh: /)
})
