import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { InvalidEnvProxyError } from '../../src/errors.ts'
import { readEnvProxies } from '../../src/upstream/env-proxies.ts'
import { startTls, tlsFile } from '../support/tls-server.ts'
import { tunnel } from '../support/tunnel.ts'
import { module, UpstreamKit } from '../support/upstream-kit.ts'

const { signal } = new AbortController()
const kit = new UpstreamKit()
afterAll(() => kit[Symbol.asyncDispose]())

const both = { HTTP_PROXY: 'http://plain:1', HTTPS_PROXY: 'http://secure:2' }

describe('the proxy for', () => {
  test.for([
    ['http://a.example/', both, 'plain:1'],
    ['https://a.example/', both, 'secure:2'],
    ['https://a.example/', { HTTP_PROXY: 'http://plain:1' }, undefined],
    ['http://a.example/', { http_proxy: 'http://lower:1' }, 'lower:1'],
    [
      'http://a.example/',
      { HTTP_PROXY: 'http://upper:1', http_proxy: 'http://lower:1' },
      'upper:1',
    ],
    ['http://a.example/', { HTTP_PROXY: 'bare:8080' }, 'bare:8080'],
    ['http://a.example/', { HTTP_PROXY: '' }, undefined],
    // This machine itself, whatever it is called.
    ['http://localhost/', both, undefined],
    ['https://127.0.0.1:4443/', both, undefined],
    ['https://[::1]/', both, undefined],
  ] as const)('%s with %o is %s', ([url, env, proxy]) => {
    expect(readEnvProxies(env)(new URL(url))?.host).toBe(proxy)
  })

  test.for([
    ['*', 'https://a.example/', true],
    ['a.example', 'https://a.example/', true],
    ['a.example', 'https://sub.a.example/', true],
    ['a.example', 'https://nota.example/', false],
    ['.a.example', 'https://sub.a.example/', true],
    ['.a.example', 'https://a.example/', false],
    ['*.a.example', 'https://sub.a.example/', true],
    ['*.a.example', 'https://a.example/', false],
    ['A.Example', 'https://a.example/', true],
    ['a.example', 'https://a.example./', true],
    ['a.example:443', 'https://a.example/', true],
    ['a.example:8443', 'https://a.example/', false],
    ['a.example:8443', 'https://a.example:8443/', true],
    [' b.example , a.example ', 'https://a.example/', true],
    ['10.1.2.3', 'https://10.1.2.3/', true],
    ['10.0.0.0/8', 'https://10.1.2.3/', true],
    ['10.0.0.0/8', 'https://11.1.2.3/', false],
    ['fd00::/8', 'https://[fd00::1]/', true],
    ['[fd00::1]:443', 'https://[fd00::1]/', true],
    ['10.0.0.0/99', 'https://10.1.2.3/', false],
    [',,', 'https://a.example/', false],
    ['', 'https://a.example/', false],
  ] as const)('NO_PROXY=%s leaves %s out: %s', ([NO_PROXY, url, isOut]) => {
    for (const name of ['NO_PROXY', 'no_proxy']) {
      const proxy = readEnvProxies({ ...both, [name]: NO_PROXY })(new URL(url))
      expect(proxy === undefined).toBe(isOut)
    }
  })

  test.for(['socks5://user:hunter2@a:1', 'ftp://user:hunter2@a', 'http://user:hunter2@:80'])(
    'none can be %s, and its password is not shown',
    (text) => {
      const read = () => readEnvProxies({ HTTPS_PROXY: text })
      expect(read).toThrow(InvalidEnvProxyError)
      expect(read).not.toThrow(/hunter2/)
    },
  )
})

interface Seen {
  readonly method: string
  readonly target: string
  readonly authorization: string | undefined
}

/** A proxy that leads every CONNECT to one port of this machine, and answers everything else itself. */
async function startProxy(to: number): Promise<{ readonly url: string; readonly seen: Seen[] }> {
  const seen: Seen[] = []
  const note = ({ method = '', url = '', headers }: IncomingMessage) =>
    seen.push({ method, target: url, authorization: headers['proxy-authorization'] })
  const server = createServer((request, response) => {
    note(request)
    response.end('module from.proxy\n')
  })
  server.on('connect', (request, client) => {
    note(request)
    tunnel(client, to)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  return { url: `http://me:hunter2@127.0.0.1:${(server.address() as AddressInfo).port}`, seen }
}

describe('through a proxy', () => {
  test('https is tunnelled: the proxy sees a name, our password for it, and nothing of ours', async () => {
    await using origin = await startTls((_, response) => response.end('module example.com/m\n'))
    const proxy = await startProxy(origin.port)
    const env = { HTTPS_PROXY: proxy.url }
    const upstream = kit.ask('https://a.modmesh.test', { env, caFile: tlsFile('ca.pem') })
    const { bytes } = await upstream.fetchMod(module, { signal })
    expect(Buffer.from(bytes).toString()).toBe('module example.com/m\n')
    const authorization = `Basic ${Buffer.from('me:hunter2').toString('base64')}`
    const tunnel = { method: 'CONNECT', target: 'a.modmesh.test:443', authorization }
    // One to find out that HTTP/2 is not offered, and one to ask over.
    expect(proxy.seen).toEqual([tunnel, tunnel])
    expect(origin.seen[0]?.headers['proxy-authorization']).toBeUndefined()
  })

  test('http is asked of the proxy', async () => {
    const proxy = await startProxy(1)
    const upstream = kit.ask('http://a.modmesh.test', { env: { HTTP_PROXY: proxy.url } })
    const { bytes } = await upstream.fetchMod(module, { signal })
    expect(Buffer.from(bytes).toString()).toBe('module from.proxy\n')
    expect(proxy.seen.map(({ target }) => target)).toEqual([
      'http://a.modmesh.test/example.com/%21upper/mod/@v/v1.0.0.mod',
    ])
  })

  test('that is dead the upstream is unreachable, and its password is not shown', async () => {
    const env = { HTTPS_PROXY: 'http://me:hunter2@127.0.0.1:1' }
    const upstream = kit.ask('https://a.modmesh.test', { env })
    const asked = upstream.fetchMod(module, { signal })
    await expect(asked).rejects.toThrow(/refused/)
    await expect(asked).rejects.not.toThrow(/hunter2/)
  })
})
