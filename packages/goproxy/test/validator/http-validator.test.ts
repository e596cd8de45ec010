import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { ValidatorUnavailableError } from '@modmesh/fill'
import { parseModuleVersion } from '@modmesh/module'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { HttpValidator } from '../../src/validator/http-validator.ts'

const module = parseModuleVersion('example.com/Mod', 'v1.2.3')

let stack: AsyncDisposableStack
beforeEach(() => {
  stack = new AsyncDisposableStack()
})
afterEach(() => stack.disposeAsync())

type Answer = (request: IncomingMessage, response: ServerResponse) => unknown

async function start(answer: Answer, userInfo = '', timeoutMs = 30_000): Promise<HttpValidator> {
  const server = createServer((request, response) => void answer(request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  stack.defer(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const url = new URL(`http://${userInfo}127.0.0.1:${port}/check?key=hidden`)
  return stack.use(new HttpValidator({ url, timeoutMs }))
}

const { signal } = new AbortController()

describe('a validator', () => {
  test('is sent the module and version in both spellings, and allows with 200', async () => {
    const seen: unknown[] = []
    const validator = await start(async (request, response) => {
      const { method, url, headers } = request
      const body: unknown = JSON.parse(await text(request))
      seen.push({ method, url, type: headers['content-type'], auth: headers.authorization, body })
      response.end('fine')
    }, 'me:p%40ss@')
    expect(await validator.check(module, { signal })).toEqual({ kind: 'allowed' })
    const names = { module: 'example.com/Mod', Module: 'example.com/Mod' }
    const body = { ...names, version: 'v1.2.3', Version: 'v1.2.3' }
    const auth = `Basic ${btoa('me:p@ss')}`
    expect(seen).toEqual([
      { method: 'POST', url: '/check?key=hidden', type: 'application/json', auth, body },
    ])
  })

  test('takes a password as it is where that is no percent-encoding', async () => {
    const seen: unknown[] = []
    const validator = await start((request, response) => {
      seen.push(request.headers.authorization)
      response.end()
    }, 'me:100%@')
    expect(await validator.check(module, { signal })).toEqual({ kind: 'allowed' })
    expect(seen).toEqual([`Basic ${btoa('me:100%')}`])
  })

  test('denies with 403 and its text', async () => {
    const validator = await start((_, response) => response.writeHead(403).end(' licence: AGPL\n'))
    const denied = { kind: 'denied', reason: 'licence: AGPL' }
    expect(await validator.check(module, { signal })).toEqual(denied)
  })

  test('denies without a text, too', async () => {
    const validator = await start((_, response) => response.writeHead(403).end())
    const denied = { kind: 'denied', reason: 'no reason given' }
    expect(await validator.check(module, { signal })).toEqual(denied)
  })

  test('that sends text for ever is cut short', async () => {
    const validator = await start((_, response) => {
      response.writeHead(403)
      response.on('drain', () => response.write('x'.repeat(1 << 16)))
      response.write('x'.repeat(1 << 20))
    })
    const verdict = await validator.check(module, { signal })
    expect(verdict.kind === 'denied' && verdict.reason.length).toBe(2048)
  })

  test.for<{ name: string; answer: Answer }>([
    { name: 'an error', answer: (_, response) => response.writeHead(500).end('boom') },
    {
      name: 'a redirect',
      answer: (_, response) => response.writeHead(302, { location: '/' }).end(),
    },
    { name: 'no permission for ourselves', answer: (_, response) => response.writeHead(401).end() },
    { name: 'silence', answer: () => undefined },
    { name: 'a closed connection', answer: (request) => request.socket.destroy() },
    { name: 'no HTTP', answer: (request) => request.socket.end('hello\r\n\r\n') },
    { name: 'half an answer', answer: (_, response) => response.writeHead(200).write('half') },
  ])('whose answer is $name is unavailable', async ({ answer }) => {
    const validator = await start(answer, '', 300)
    const failed: unknown = await validator.check(module, { signal }).catch((error) => error)
    expect(failed).toBeInstanceOf(ValidatorUnavailableError)
    expect(String(failed)).toContain('http://127.0.0.1')
    expect(String(failed)).not.toContain('hidden')
  })
})
