import { get } from 'node:http'
import { expect, test } from 'vitest'
import type { RunningStatus } from '../../packages/node/src/status.ts'
import { type FakeModule, FakeUpstream } from '../support/fake-upstream.ts'
import { askStatus, filePath, statusOf } from '../support/mesh.ts'
import { type StartedNode, startNode } from '../support/start-node.ts'

const modules: readonly FakeModule[] = Array.from({ length: 12 }, (_, i) => ({
  path: `example.com/m${i}`,
  version: 'v1.0.0',
}))

/** Every kind of request for a module: what is there, what is not, and what is broken. */
function requestsFor(module: FakeModule): readonly string[] {
  const files = (['info', 'mod', 'zip'] as const).map((suffix) => filePath(module, suffix))
  const base = `/${module.path}`
  return [
    ...files,
    `${base}/@v/list`,
    `${base}/@latest`,
    `${base}/@v/main.info`,
    `${base}/@v/v1.9.9.info`,
    `${base}/nothing/@v/list`,
    `/cached-only${base}/@v/v1.0.0.zip`,
    `/cached-only${base}/@v/v1.9.9.zip`,
  ]
}

type Answers = RunningStatus['answers']

function given({ sinceStart }: Answers): number {
  return Object.values(sinceStart).reduce((sum, { answers }) => sum + answers, 0)
}

function found({ levels }: Answers): number {
  return Object.values(levels).reduce((sum, count) => sum + count, -levels.negative)
}

async function total(node: StartedNode): Promise<number> {
  const { answers } = await statusOf(node)
  return given(answers) + answers.failed
}

test('under a mixed load each request is counted once, on one level', async () => {
  await using upstream = await FakeUpstream.start({ modules })
  for (const { path, version } of modules) upstream.addQuery(path, 'main', version)
  const broken: FakeModule = { path: 'example.com/broken', version: 'v1.0.0' }
  upstream.add(broken)
  upstream.break((path) => path.includes('broken'), { kind: 'corrupt', at: 0 })
  const args = ['--upstream', upstream.url, '--sumdb', upstream.gosumdb, '--negative-ttl', '60']
  await using node = await startNode({ args })

  let sent = 0
  const ask = async (path: string, init: RequestInit = {}): Promise<number> => {
    sent++
    const answer = await fetch(node.url + path, init)
    await answer.arrayBuffer()
    return answer.status
  }
  for (let round = 0; round < 4; round++) {
    const paths = [...modules, broken].flatMap(requestsFor)
    const ways: readonly RequestInit[] = [
      {},
      { method: 'HEAD' },
      { headers: { range: 'bytes=0-9' } },
      { headers: { 'disable-module-fetch': 'true' } },
    ]
    await Promise.all(paths.map((path, i) => ask(path, ways[(i + round) % ways.length])))
  }
  // Those that are no questions about modules count for nothing.
  for (const path of ['/', '/-/status', '/-/index', '/nonsense']) await fetch(node.url + path)
  await expect.poll(() => total(node)).toBe(sent)

  const { answers, store } = await askStatus(node)
  const { levels, failed, sinceStart } = answers
  expect(found(answers)).toBe(given(answers))
  expect(sinceStart.store.answers).toBe(levels.memory + levels.disk)
  for (const kind of ['peer', 'remote', 'upstream', 'direct', 'held', 'stale'] as const) {
    expect([kind, levels[kind]]).toEqual([kind, sinceStart[kind].answers])
  }
  for (const level of ['memory', 'disk', 'negative', 'upstream'] as const) {
    expect([level, levels[level]]).not.toEqual([level, 0])
  }
  expect(levels.negative).toBeLessThan(failed)
  expect(store.zips).toBe(modules.length)
  expect(answers.lastHour).toEqual(sinceStart)
  const { stdout } = await node.run(['status'])
  expect(stdout).toContain(
    `Levels     memory ${levels.memory}, disk ${levels.disk}, upstream ${levels.upstream}`,
  )
  expect(stdout).toContain(`not answered ${failed} (${levels.negative} known before)`)
})

test('a request whose client goes away is counted, too', async () => {
  await using upstream = await FakeUpstream.start({ modules })
  upstream.break((path) => path.endsWith('list'), { kind: 'stall' })
  await using node = await startNode({
    args: ['--upstream', upstream.url, '--sumdb', upstream.gosumdb],
  })
  const request = get(`${node.url}/example.com/m0/@v/list`, { agent: false })
  request.on('error', () => undefined) // it is we who hang up
  await expect.poll(() => upstream.count('/example.com/m0/@v/list')).toBe(1)
  const closed = new Promise((resolve) => request.once('close', resolve))
  request.destroy()
  await closed
  await expect.poll(() => total(node)).toBe(1)
  expect((await statusOf(node)).answers.failed).toBe(1)
})
