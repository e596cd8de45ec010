import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type FakeModule, FakeUpstream } from '../support/fake-upstream.ts'
import { GoHome, goTest } from '../support/go.ts'
import { NetworkNamespace, namespaceTest } from '../support/network-namespace.ts'
import { type StartedNode, type StartNodeInit, startNode } from '../support/start-node.ts'

const run = promisify(execFile)
const hello: FakeModule = { path: 'example.com/hello', version: 'v1.2.0' }
const info = '/example.com/hello/@v/v1.2.0.info'
const secret = 'for-the-containers'
/** The name that `docker build --add-host` gives to the host. */
const hostName = 'host.docker.internal'
const netTest = goTest === test ? namespaceTest : goTest

let upstream: FakeUpstream
beforeAll(async () => {
  upstream = await FakeUpstream.start({ modules: [hello] })
})
afterAll(() => upstream?.[Symbol.asyncDispose]())

function start(listen: readonly string[], more: readonly string[] = []): Promise<StartedNode> {
  const addresses = listen.flatMap((address) => ['--listen', address])
  const sources = ['--upstream', upstream.url, '--sumdb', upstream.gosumdb]
  return startNode({ args: [...addresses, ...sources, ...more] } satisfies StartNodeInit)
}

/** The lines of `modmesh env` that begin with `#   GOPROXY=`: what they say is to be typed. */
async function printedProxies(node: StartedNode): Promise<readonly string[]> {
  const { code, stdout } = await node.run(['env'])
  expect(code).toBe(0)
  const sign = '#   GOPROXY='
  return stdout
    .split('\n')
    .flatMap((line) => (line.startsWith(sign) ? [line.slice(sign.length)] : []))
}

/** Downloads the module inside a network, with nothing of another network in the way. */
async function download(network: NetworkNamespace, proxy: string) {
  await using go = await GoHome.make({ proxy, sumdb: upstream.sumdb.keyText })
  const { through } = network
  return await go.run(['mod', 'download', 'example.com/hello@v1.2.0'], { through })
}

/** Status of one request from inside. */
async function statusInside(
  { through }: NetworkNamespace,
  url: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<number> {
  const script = `require('node:http').get(process.argv[1], { headers: JSON.parse(process.argv[2]) }, (r) => {
    console.log(r.statusCode); r.resume() }).on('error', (e) => console.log(e.code))`
  const command = [...through, process.execPath, '-e', script, url, JSON.stringify(headers)]
  const [program = '', ...words] = command
  const { stdout } = await run(program, words)
  return Number(stdout.trim())
}

describe('a build in a container', () => {
  netTest('reaches the node on the bridge with the line that env prints', async () => {
    await using network = await NetworkNamespace.make()
    await using node = await start(
      ['127.0.0.1:0', `${network.hostAddress}:0`],
      ['--path-secret', secret],
    )
    const [proxy = '', ...others] = await printedProxies(node)
    expect(others).toEqual([])
    expect(proxy).toMatch(new RegExp(`^http://${network.hostAddress}:\\d+/${secret}$`))
    expect(await download(network, proxy)).toMatchObject({ code: 0 })
    // The reason for all of this: loopback is another one inside.
    const loopback = await download(network, `${node.url}/${secret}`)
    expect(loopback.code).not.toBe(0)
    expect(loopback.stderr).toContain('connection refused')
  })

  netTest('reaches the node by the name that --add-host gives it', async () => {
    await using network = await NetworkNamespace.make({ hostName })
    await using node = await start(
      ['127.0.0.1:0', `${network.hostAddress}:0`],
      ['--path-secret', secret, '--host', hostName],
    )
    const [proxy = ''] = await printedProxies(node)
    expect(proxy).toMatch(new RegExp(`^http://${hostName}:\\d+/${secret}$`))
    expect(await download(network, proxy)).toMatchObject({ code: 0 })
  })

  netTest('reaches a node that listens on all addresses', async () => {
    await using network = await NetworkNamespace.make()
    await using node = await start(['0.0.0.0:0'], ['--path-secret', secret])
    const proxies = await printedProxies(node)
    const proxy = proxies.find((each) => each.startsWith(`http://${network.hostAddress}:`)) ?? ''
    expect(await download(network, proxy)).toMatchObject({ code: 0 })
  })

  netTest('learns nothing without the secret, under another name or as a web page', async () => {
    await using network = await NetworkNamespace.make({ hostName })
    await using node = await start(
      ['127.0.0.1:0', `${network.hostAddress}:0`],
      ['--path-secret', secret],
    )
    const [proxy = ''] = await printedProxies(node)
    const bare = proxy.slice(0, -`/${secret}`.length)
    const { port } = new URL(proxy)
    expect(await statusInside(network, proxy + info)).toBe(200)
    const before = upstream.count()
    expect(await statusInside(network, bare + info)).toBe(404)
    expect(await statusInside(network, `${bare}/${secret}x${info}`)).toBe(404)
    expect(await statusInside(network, `http://${hostName}:${port}/${secret}${info}`)).toBe(403)
    expect(await statusInside(network, proxy + info, { host: 'rebound.example' })).toBe(403)
    expect(await statusInside(network, proxy + info, { origin: 'https://evil.example' })).toBe(403)
    expect(upstream.count()).toBe(before)
  })

  netTest('reaches a socket that is mounted into it, through a forwarder', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'modmesh-socket-'))
    const path = join(folder, 'proxy.sock')
    try {
      await using network = await NetworkNamespace.make()
      await using node = await start(['127.0.0.1:0', `unix:${path}`])
      expect((await node.run(['env'])).stdout).toContain(`#   unix:${path}\n`)
      const forwarder = forward(network, path)
      try {
        const [line] = await once(forwarder.stdout, 'data')
        const proxy = `http://127.0.0.1:${String(line).trim()}`
        expect(await download(network, proxy)).toMatchObject({ code: 0 })
        expect(await statusInside(network, proxy + info, { host: 'rebound.example' })).toBe(403)
      } finally {
        forwarder.kill('SIGKILL')
      }
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })
})

/** What `socat TCP-LISTEN:4770,bind=127.0.0.1,fork UNIX-CONNECT:PATH` does, which is not everywhere. */
function forward({ through }: NetworkNamespace, path: string) {
  const script = `const net = require('node:net')
    net.createServer((inside) => {
      const outside = net.connect(process.argv[1])
      inside.pipe(outside).pipe(inside)
      for (const each of [inside, outside]) each.on('error', () => each.destroy())
    }).listen(0, '127.0.0.1', function () { console.log(this.address().port) })`
  const command = [...through, process.execPath, '-e', script, path]
  const [program = '', ...words] = command
  return spawn(program, words, { stdio: ['ignore', 'pipe', 'inherit'] })
}

describe('a node that others reach', () => {
  test('without a secret warns of it, and with one does not', async () => {
    await using open = await start(['127.0.0.1:0', '0.0.0.0:0'])
    await expect.poll(() => open.log()).toContain('set --path-secret')
    await using closed = await start(['127.0.0.1:0', '0.0.0.0:0'], ['--path-secret', secret])
    await using local = await start(['127.0.0.1:0'])
    await local.run(['env'])
    expect(closed.log() + local.log()).not.toContain('set --path-secret')
  })
})
