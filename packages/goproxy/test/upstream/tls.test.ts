import { readFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { parseModuleVersion } from '@modmesh/module'
import { expect, onTestFinished, test } from 'vitest'
import {
  HttpFetcher,
  HttpUpstream,
  InvalidCaFileError,
  parseUpstreamRoutes,
} from '../../src/index.ts'

const module = parseModuleVersion('example.com/m', 'v1.0.0')
const { signal } = new AbortController()
const file = (name: string): string =>
  fileURLToPath(new URL(`../../testdata/tls/${name}`, import.meta.url))

async function startTls(location?: string): Promise<{ url: string; count: () => number }> {
  let count = 0
  const [key, cert] = await Promise.all([
    readFile(file('server.key')),
    readFile(file('server.pem')),
  ])
  const server = createServer({ key, cert }, (_, response) => {
    count++
    if (location === undefined) response.end('module example.com/m\n')
    else response.writeHead(302, { location }).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  return { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, count: () => count }
}

function ask(list: string, caFile?: string): HttpUpstream {
  const http = new HttpFetcher({}, { caFile })
  onTestFinished(() => http[Symbol.asyncDispose]())
  const upstreams = parseUpstreamRoutes(list, { otherwise: 'off' })
  return new HttpUpstream({ http }, { upstreams, offline: false })
}

test('an upstream under an authority of our own is trusted with its file', async () => {
  const { url } = await startTls()
  const { bytes } = await ask(url, file('ca.pem')).fetchMod(module, { signal })
  expect(Buffer.from(bytes).toString()).toBe('module example.com/m\n')
})

test('an upstream under an unknown authority is refused at once and says why', async () => {
  const { url, count } = await startTls()
  await expect(ask(url).fetchMod(module, { signal })).rejects.toThrow(/certificate/)
  expect(count()).toBe(0)
})

test('a redirect from https to http is refused', async () => {
  const { url } = await startTls('http://127.0.0.1:1/x')
  const asked = ask(url, file('ca.pem')).fetchMod(module, { signal })
  await expect(asked).rejects.toThrow(/refused redirect to http:/)
})

test.for(['no-such.pem', 'server.key', 'README.md'])('%s is no certificate file', (name) => {
  expect(() => ask('https://a.test', file(name))).toThrow(InvalidCaFileError)
})
