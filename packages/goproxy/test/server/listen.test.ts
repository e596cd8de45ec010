import { link, mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ListenError, ProxyServer } from '../../src/index.ts'
import { fakeSource } from '../support/fake-source.ts'
import { serve } from '../support/serve.ts'

const list = '/golang.org/x/text/@v/list'

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'modmesh-listen-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

function ask(
  socketPath: string,
  headers: Record<string, string> = {},
): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const options = { socketPath, path: list, headers: { host: 'localhost', ...headers } }
    request(options, (answer) => {
      answer.resume()
      resolve(answer.statusCode)
    })
      .on('error', reject)
      .end()
  })
}

describe('several addresses', () => {
  test('a port and a socket serve the same', async () => {
    const path = join(folder, 's')
    await using served = await serve({ listen: ['127.0.0.1:0', `unix:${path}`] })
    expect((await served.get(list)).status).toBe(200)
    expect(await ask(path)).toBe(200)
    expect(served.server.addresses).toEqual([
      { kind: 'tcp', host: '127.0.0.1', port: served.port },
      { kind: 'unix', path },
    ])
  })

  test('the guards are those of the port on a socket, too', async () => {
    const path = join(folder, 's')
    await using served = await serve({
      listen: ['127.0.0.1:0', `unix:${path}`],
      pathSecret: 's3cret',
    })
    expect(await ask(path)).toBe(404)
    expect(await ask(path, { host: 'evil.test' })).toBe(403)
    expect(await ask(path, { origin: 'http://evil.test' })).toBe(403)
    expect(served.source.asked).toEqual([])
  })

  test('a socket alone is enough, and is gone after the end', async () => {
    const path = join(folder, 's')
    {
      await using served = await serveOnly(`unix:${path}`)
      expect(await ask(path)).toBe(200)
      expect(() => served.address).toThrow(ListenError)
    }
    await expect(stat(path)).rejects.toThrow('ENOENT')
  })

  test('one that cannot be had closes those before it', async () => {
    const path = join(folder, 's')
    const asked = serve({ listen: [`unix:${path}`, 'unix:/nowhere/at/all'] })
    await expect(asked).rejects.toThrow('no such folder')
    await expect(stat(path)).rejects.toThrow('ENOENT')
  })
})

describe('a socket that is there already', () => {
  test('is replaced when the process behind it was killed', async () => {
    const path = join(folder, 's')
    await leaveSocket(path)
    await using server = await serveOnly(`unix:${path}`)
    expect(server.addresses).toHaveLength(1)
    expect(await ask(path)).toBe(200)
  })

  test('is left alone when somebody serves there', async () => {
    const path = join(folder, 's')
    await using first = await serveOnly(`unix:${path}`)
    await expect(serve({ listen: `unix:${path}` })).rejects.toThrow('in use')
    expect(first.addresses).toHaveLength(1)
    expect(await ask(path)).toBe(200)
  })

  test.for(['a file', 'a symbolic link'])('is left alone when it is %s', async (kind) => {
    const path = join(folder, 's')
    if (kind === 'a file') await writeFile(path, 'mine')
    else await symlink('/nowhere', path)
    await expect(serve({ listen: `unix:${path}` })).rejects.toThrow('in use')
  })
})

function serveOnly(listen: string): Promise<ProxyServer> {
  const pages = { get: () => undefined }
  return ProxyServer.listen({ source: fakeSource(), databases: [], pages }, { listen })
}

/** What a killed process leaves behind: a socket file that nobody answers on. */
async function leaveSocket(path: string): Promise<void> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(`${path}.live`, resolve))
  await link(`${path}.live`, path)
  await new Promise<void>((resolve) => server.close(() => resolve()))
}
