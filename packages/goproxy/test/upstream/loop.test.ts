import { parseModuleVersion } from '@modmesh/module'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { type HttpUpstream, ProxyServer, ViaChain } from '../../src/index.ts'
import { fakeSource } from '../support/fake-source.ts'
import { UpstreamKit } from '../support/upstream-kit.ts'

const { signal } = new AbortController()
const module = parseModuleVersion('example.com/m', 'v1.0.0')
const kit = new UpstreamKit()
afterAll(() => kit[Symbol.asyncDispose]())

/** A node with nothing in its store. */
interface Node {
  readonly url: string
  readonly asked: string[]
  /** Who is asked; to be set before the first request. */
  upstream: HttpUpstream | undefined
  readonly via: ViaChain
}

async function startNode(): Promise<Node> {
  const via = new ViaChain()
  const { asked, ...source } = fakeSource()
  const node: Node = { url: '', asked, upstream: undefined, via }
  const server = await ProxyServer.listen(
    {
      source: {
        ...source,
        mod: async (wanted, options) => {
          asked.push(wanted.path)
          if (node.upstream === undefined) throw new Error('no upstream was set')
          const { bytes, from } = await node.upstream.fetchMod(wanted, options)
          return { value: bytes, source: { kind: 'upstream', from } }
        },
      },
      databases: [],
      pages: { get: () => undefined },
    },
    { listen: '127.0.0.1:0', via },
  )
  onTestFinished(() => server.close({ drainMs: 0 }))
  return Object.assign(node, { url: server.url })
}

async function get(url: string, headers: Record<string, string> = {}): Promise<[number, string]> {
  const answer = await fetch(`${url}/example.com/m/@v/v1.0.0.mod`, { headers })
  return [answer.status, await answer.text()]
}

describe('a node', () => {
  test('that is its own upstream says so, and asks itself once', async () => {
    const node = await startNode()
    node.upstream = kit.ask(node.url, { via: node.via })
    const [status, text] = await get(node.url)
    expect(status).toBe(502)
    expect(text).toContain('508 Loop Detected: this node was asked by itself')
    expect(node.asked).toHaveLength(1)
  })

  test('that comes before a good upstream in its own list does no harm', async () => {
    const [node, fake] = [await startNode(), await kit.startFake()]
    fake.add(module)
    node.upstream = kit.ask(`${node.url}|${fake.url}`, { via: node.via })
    expect((await get(node.url))[0]).toBe(200)
  })

  test.for([2, 3])('is found in a ring of %i', async (count) => {
    const nodes = await Promise.all(Array.from({ length: count }, startNode))
    for (const [i, node] of nodes.entries()) {
      node.upstream = kit.ask(nodes[(i + 1) % count]?.url ?? '', { via: node.via })
    }
    const [status, text] = await get(nodes[0]?.url ?? '')
    expect(status).toBe(502)
    expect(text).toContain('this node was asked by itself')
    expect(nodes[0]?.asked).toHaveLength(1)
  })

  test('before another one is no ring', async () => {
    const [outer, inner, fake] = [await startNode(), await startNode(), await kit.startFake()]
    fake.add(module)
    inner.upstream = kit.ask(fake.url, { via: inner.via })
    outer.upstream = kit.ask(inner.url, { via: outer.via })
    expect((await get(outer.url, { via: '1.1 nginx, 1.1 modmesh-other' }))[0]).toBe(200)
    const via = String(fake.requests[0]?.headers['via'])
    expect(via.split(', ')).toHaveLength(3)
    expect(via).toMatch(
      /^1\.1 modmesh-other, 1\.1 modmesh-[0-9a-f]{18}, 1\.1 modmesh-[0-9a-f]{18}$/,
    )
  })

  test('at the end of a line that is too long stops it', async () => {
    const node = await startNode()
    const via = Array.from({ length: 8 }, (_, i) => `1.1 modmesh-${i}`).join(',')
    expect(await get(node.url, { via })).toEqual([508, expect.stringContaining('form a ring')])
    expect(node.asked).toEqual([])
  })

  test('names itself in no request that it does not send for others', async () => {
    const fake = await kit.startFake()
    fake.add(module)
    const via = new ViaChain()
    await kit.ask(fake.url, { via }).fetchMod(module, { signal })
    expect(fake.requests[0]?.headers['via']).toBe(via.header())
  })
})
