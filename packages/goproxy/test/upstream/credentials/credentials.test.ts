import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import type { RequestListener } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseModuleVersion } from '@modmesh/module'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { Credentials, type HttpUpstream } from '../../../src/index.ts'
import { startTls, type TlsServer, tlsFile } from '../../support/tls-server.ts'
import { UpstreamKit } from '../../support/upstream-kit.ts'

const { signal } = new AbortController()
const module = parseModuleVersion('example.com/m', 'v1.0.0')
const kit = new UpstreamKit()
let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'modmesh-credentials-'))
})
afterAll(async () => {
  await kit[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})
let serial = 0
beforeEach(() => {
  serial++
})

const basic = (user: string): string => `Basic ${Buffer.from(user).toString('base64')}`
const answerMod: RequestListener = (_, response) => {
  response.end('module example.com/m\n')
}

async function start(listener: RequestListener = answerMod): Promise<TlsServer> {
  const server = await startTls(listener)
  onTestFinished(() => server[Symbol.asyncDispose]())
  return server
}

/** Asks with credentials of a GOAUTH value. */
function ask(list: string, goauth: string, env: Record<string, string> = {}): HttpUpstream {
  const credentials = new Credentials({
    goauth,
    env: { PATH: process.env.PATH, HOME: folder, GIT_CONFIG_NOSYSTEM: '1', ...env },
    home: folder,
  })
  onTestFinished(() => credentials[Symbol.asyncDispose]())
  return kit.ask(list, { credentials, caFile: tlsFile('ca.pem') })
}

/** Writes a file of the test's own and returns its path. */
async function write(name: string, text: string): Promise<string> {
  const path = join(folder, `${serial}-${name}`)
  await writeFile(path, text)
  return path
}

/** A program; it appends its arguments to `<path>.calls`. */
async function program(script: string): Promise<string> {
  const path = await write('helper.sh', `#!/bin/sh\necho "$@" >>"$0.calls"\n${script}\n`)
  await chmod(path, 0o755)
  return path
}

const callsOf = async (path: string): Promise<string[]> =>
  (await readFile(`${path}.calls`, 'utf8')).trimEnd().split('\n')

/** Lets in who says the word, tells others 401. */
const guarded =
  (authorization: string, status = 401): RequestListener =>
  (request, response) => {
    if (request.headers.authorization === authorization) response.end('module example.com/m\n')
    else response.writeHead(status, { 'www-authenticate': 'Basic' }).end()
  }

describe('a netrc file', () => {
  test.for<[string, (port: number) => string]>([
    ['a host', () => '127.0.0.1'],
    ['a host and its port', (port) => `127.0.0.1:${port}`],
  ])('names %s', async ([, machine]) => {
    const server = await start()
    const file = await write('netrc', `machine ${machine(server.port)} login u password hunter2\n`)
    for (const upstream of [
      ask(server.url, 'netrc', { NETRC: file }),
      ask(server.url, `netrc ${file}`),
    ]) {
      await upstream.fetchMod(module, { signal })
    }
    expect(server.seen.map(({ headers }) => headers.authorization)).toEqual(
      Array(2).fill(basic('u:hunter2')),
    )
  })

  test('is ~/.netrc where nothing else is said', async () => {
    const server = await start()
    await writeFile(join(folder, '.netrc'), 'machine 127.0.0.1 login home password hunter2\n')
    onTestFinished(() => rm(join(folder, '.netrc')))
    await ask(server.url, 'netrc').fetchMod(module, { signal })
    expect(server.seen[0]?.headers.authorization).toBe(basic('home:hunter2'))
  })

  test('is nothing for other hosts, for http, for off and beside a password in the URL', async () => {
    const [server, plain] = [await start(), await kit.startFake()]
    const others = await write('others', 'machine localhost login u password hunter2\n')
    await ask(server.url, 'netrc', { NETRC: others }).fetchMod(module, { signal })
    const file = await write('netrc', 'machine 127.0.0.1 login u password hunter2\n')
    await ask(server.url, 'off', { NETRC: file }).fetchMod(module, { signal })
    await ask(plain.url, 'netrc', { NETRC: file })
      .fetchList(module.path, { signal })
      .catch(() => {}) // 404
    const withUser = server.url.replace('://', '://me:own@')
    await ask(withUser, 'netrc', { NETRC: file }).fetchMod(module, { signal })
    expect(server.seen.map(({ headers }) => headers.authorization)).toEqual([
      undefined,
      undefined,
      basic('me:own'),
    ])
    expect(plain.requests.map(({ headers }) => headers['authorization'])).toEqual([undefined])
  })

  test('is read again after 401: a new password needs no restart', async () => {
    let wanted = basic('u:old')
    const server = await start((request, response) => guarded(wanted)(request, response))
    const file = await write('netrc', 'machine 127.0.0.1 login u password old\n')
    const upstream = ask(server.url, 'netrc', { NETRC: file })
    await upstream.fetchMod(module, { signal })
    wanted = basic('u:new')
    await writeFile(file, 'machine 127.0.0.1 login u password new\n')
    expect((await upstream.fetchMod(module, { signal })).from).toBe(server.url)
    expect(server.seen).toHaveLength(3)
  })

  test('that was named and cannot be read is told with the 401', async () => {
    const server = await start(guarded('none'))
    const asked = ask(server.url, `netrc ${folder}/no-such`).fetchMod(module, { signal })
    await expect(asked).rejects.toThrow(/401.*netrc file cannot be read \(ENOENT\)/)
  })
})

describe('redirects', () => {
  test('take no credentials to another host, nor to another port', async () => {
    const file = await write(
      'netrc',
      'machine 127.0.0.1 login u password hunter2\nmachine localhost login l password hunter2\n',
    )
    const target = await start()
    for (const host of ['localhost', '127.0.0.1']) {
      const to = `https://${host}:${target.port}/x`
      const server = await start((_, response) => response.writeHead(302, { location: to }).end())
      await ask(server.url, 'netrc', { NETRC: file }).fetchMod(module, { signal })
      expect(server.seen[0]?.headers.authorization).toBe(basic('u:hunter2'))
    }
    expect(target.seen.map(({ headers }) => headers.authorization)).toEqual([undefined, undefined])
  })

  test('to a path with two slashes look up no other host', async () => {
    const file = await write('netrc', 'machine other.test login u password hunter2\n')
    const server = await start((request, response) => {
      if (request.url?.startsWith('//') === true) response.end('module example.com/m\n')
      else response.writeHead(302, { location: `${server.url}//other.test/x` }).end()
    })
    await ask(server.url, 'netrc', { NETRC: file }).fetchMod(module, { signal })
    expect(server.seen.map(({ headers }) => headers.authorization)).toEqual([undefined, undefined])
  })
})

describe('a program', () => {
  test('runs once before the first request, and its headers go where it says', async () => {
    const server = await start()
    const path = await program(
      `printf 'https://127.0.0.1:${server.port}/go/\\n\\nAuthorization: Bearer hunter2\\nX-Team: a\\n\\n'`,
    )
    const upstream = ask(`${server.url}/go|${server.url}/gone`, path)
    for (let i = 0; i < 3; i++) await upstream.fetchMod(module, { signal })
    expect(server.seen.map(({ headers }) => [headers.authorization, headers['x-team']])).toEqual(
      Array(3).fill(['Bearer hunter2', 'a']),
    )
    expect(await callsOf(path)).toEqual([''])
    await ask(`${server.url}/gone`, path).fetchMod(module, { signal })
    expect(server.seen.at(-1)?.headers.authorization).toBeUndefined()
  })

  test('is told of a 401, with the URL and the answer, and the request is sent again', async () => {
    const server = await start(guarded('Bearer hunter2'))
    const path = await program(
      `[ -n "$1" ] || exit 0\ncat >"$0.stdin"\nprintf 'https://127.0.0.1:${server.port}\\n\\nAuthorization: Bearer hunter2\\n\\n'`,
    )
    const upstream = ask(server.url, path)
    const all = Array.from({ length: 20 }, () => upstream.fetchMod(module, { signal }))
    expect(await Promise.all(all)).toHaveLength(20)
    const url = `${server.url}/example.com/m/@v/v1.0.0.mod`
    expect(await callsOf(path)).toEqual(['', url])
    const stdin = await readFile(`${path}.stdin`, 'utf8')
    expect(stdin).toMatch(/^HTTP\/1\.1 401 Unauthorized\n/)
    expect(stdin).toContain('www-authenticate: Basic\n')
    expect(stdin).toMatch(/\n\n$/)
  })

  test('is asked about 404 once, not for each missing module', async () => {
    const server = await start((_, response) => response.writeHead(404).end('no'))
    const path = await program('exit 0')
    const upstream = ask(server.url, path)
    for (let i = 0; i < 5; i++) {
      const missing = parseModuleVersion(`example.com/m${i}`, 'v1.0.0')
      await expect(upstream.fetchMod(missing, { signal })).rejects.toMatchObject({
        code: 'MODULE_NOT_FOUND',
      })
    }
    expect(await callsOf(path)).toHaveLength(2)
    expect(server.seen).toHaveLength(5)
  })

  test.for<[string, string, RegExp]>([
    ['fails', 'echo hunter2 >&2\nexit 3', /helper\.sh failed with exit code 3/],
    ['prints nonsense', 'echo hunter2', /no empty line after the URLs/],
    ['prints for ever', 'yes hunter2', /printed too much/],
    ['is killed', 'kill -9 $$', /was ended by SIGKILL/],
  ])('that %s is told with the 401, without what it said', async ([, script, message]) => {
    const server = await start(guarded('none'))
    const path = await program(script)
    const asked = ask(server.url, `${path} --token=hunter2`).fetchMod(module, { signal })
    await expect(asked).rejects.toThrow(message)
    await expect(asked).rejects.not.toThrow(/hunter2/)
  })

  test('that does not exist is told with the 401', async () => {
    const server = await start(guarded('none'))
    const asked = ask(server.url, `${folder}/no-such hunter2`).fetchMod(module, { signal })
    await expect(asked).rejects.toThrow(/no-such cannot be run \(ENOENT\)/)
    await expect(asked).rejects.not.toThrow(/hunter2/)
  })

  test('does not see our own settings', async () => {
    const server = await start()
    const path = await program('env >"$0.env"')
    await ask(server.url, path, { MODMESH_PATH_SECRET: 'hunter2', KEPT: 'yes' }).fetchMod(module, {
      signal,
    })
    const env = await readFile(`${path}.env`, 'utf8')
    expect(env).toContain('KEPT=yes')
    expect(env).not.toContain('hunter2')
  })

  test('that hangs ends with the node', async () => {
    const server = await start()
    const path = await program('echo $$ >"$0.pid"\nsleep 60 & sleep 60')
    const credentials = new Credentials({ goauth: path, env: process.env, home: folder })
    const asked = kit
      .ask(server.url, { credentials, caFile: tlsFile('ca.pem') })
      .fetchMod(module, { signal })
    await expect.poll(() => readFile(`${path}.pid`, 'utf8').catch(() => '')).toMatch(/\d/)
    await credentials[Symbol.asyncDispose]()
    await expect(asked).resolves.toMatchObject({ from: server.url })
  })

  test('that comes first is preferred, the longer path before it', async () => {
    const server = await start()
    const print = (path: string, word: string): string =>
      `printf 'https://127.0.0.1:${server.port}${path}\\n\\nAuthorization: ${word}\\n\\n'`
    const first = await program(print('', 'first'))
    serial++
    const second = await program(`${print('', 'second')}\n${print('/long', 'long')}`)
    const goauth = `${first}; ${second}`
    await ask(server.url, goauth).fetchMod(module, { signal })
    await ask(`${server.url}/long`, goauth).fetchMod(module, { signal })
    await ask(`${server.url}/longer`, goauth).fetchMod(module, { signal })
    expect(server.seen.map(({ headers }) => headers.authorization)).toEqual([
      'first',
      'long',
      'first',
    ])
  })
})

describe('git', () => {
  /** A git configuration whose helper answers with a password and writes down what it is told. */
  async function gitHome(answer: string): Promise<{ env: Record<string, string>; path: string }> {
    const path = await program(`cat >>"$0.told"; [ "$1" = get ] && printf '${answer}'; exit 0`)
    const config = await write('gitconfig', `[credential]\n\thelper = ${path}\n`)
    return { env: { GIT_CONFIG_GLOBAL: config }, path }
  }

  test('fills in a name and a password after 401, and hears that they were good', async () => {
    const server = await start(guarded(basic('u:hunter2')))
    const { env, path } = await gitHome('username=u\\npassword=hunter2\\n')
    const upstream = ask(server.url, `git ${folder}`, env)
    expect((await upstream.fetchMod(module, { signal })).from).toBe(server.url)
    await expect.poll(() => callsOf(path)).toEqual(['get', 'store'])
    await upstream.fetchMod(module, { signal })
    expect(server.seen).toHaveLength(3)
  })

  test('hears that a password was refused', async () => {
    const server = await start(guarded('none'))
    const { env, path } = await gitHome('username=u\\npassword=hunter2\\n')
    const asked = ask(server.url, `git ${folder}`, env).fetchMod(module, { signal })
    await expect(asked).rejects.toThrow('401')
    await expect(asked).rejects.not.toThrow(/hunter2/)
    await expect.poll(() => callsOf(path)).toEqual(['get', 'erase'])
  })

  test('may not answer for another host', async () => {
    const server = await start(guarded('none'))
    const { env } = await gitHome(
      'protocol=https\\nhost=other.test\\nusername=u\\npassword=hunter2\\n',
    )
    const asked = ask(server.url, `git ${folder}`, env).fetchMod(module, { signal })
    await expect(asked).rejects.toThrow(/401.*answered for another URL/)
    expect(server.seen).toHaveLength(1)
  })

  test('that knows nothing does not ask at a terminal', async () => {
    const server = await start(guarded('none'))
    const { env } = await gitHome('')
    const asked = ask(server.url, `git ${folder}`, env).fetchMod(module, { signal })
    await expect(asked).rejects.toThrow(/401.*git failed with exit code 128/)
  })
})
