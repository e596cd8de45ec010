import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DirectReader } from '@modmesh/goproxy'
import { parseModuleVersion } from '@modmesh/module'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Lanes } from '../../src/direct/lanes.ts'
import { FakeGo } from '../support/fake-go.ts'

let stack: AsyncDisposableStack
let go: FakeGo
let folder = ''
beforeEach(async () => {
  stack = new AsyncDisposableStack()
  go = stack.use(await FakeGo.make())
  const dir = await mkdtemp(join(tmpdir(), 'modmesh-direct-'))
  stack.defer(() => rm(dir, { recursive: true, force: true }))
  folder = join(dir, 'direct/v1')
})
afterEach(() => stack.disposeAsync())

function open(
  init: {
    readonly around?: Readonly<Record<string, string>>
    readonly privatePaths?: readonly string[]
    readonly lanes?: Lanes
  } = {},
): DirectReader {
  const { privatePaths = [], lanes } = init
  const around = { ...go.around, ...init.around }
  return stack.use(
    new DirectReader({ folder, around, privatePaths, caFile: undefined, ...(lanes && { lanes }) }),
  )
}

const maxBytes = 1 << 20
const patient = { maxBytes, signal: new AbortController().signal }

async function read(reader: DirectReader, path: string, options = patient): Promise<string> {
  return new TextDecoder().decode(await reader.read(path, options))
}

async function copy(reader: DirectReader, path: string, options = patient): Promise<string> {
  const chunks: Uint8Array[] = []
  const write = async (chunk: Uint8Array): Promise<void> => {
    chunks.push(chunk)
  }
  await reader.copy(path, { write }, { ...options, onReset: async () => {} })
  return Buffer.concat(chunks).toString()
}

const failure = (of: Promise<unknown>): Promise<unknown> =>
  of.then(
    () => undefined,
    (error: unknown) => error,
  )

describe('a reader of version control', () => {
  test('does nothing before it is asked', async () => {
    open()
    expect(existsSync(folder)).toBe(false)
    expect(await go.calls()).toEqual([])
  })

  test('answers lists, queries, small files and zips', async () => {
    const reader = open()
    expect(await read(reader, '/git.test/x/@v/list')).toBe('v1.0.0\nv1.2.0\n')
    expect(await read(reader, '/git.test/x/@latest')).toBe('{"Version":"v1.2.0"}')
    expect(await read(reader, '/git.test/x/@v/main.info')).toContain('v1.2.1-0.2024')
    expect(await read(reader, '/git.test/x/@v/v1.0.0.info')).toBe('{"Version":"v1.0.0"}')
    expect(await read(reader, '/git.test/!x/@v/v1.0.0.mod')).toBe('module git.test/X\n')
    expect(await copy(reader, '/git.test/x/@v/v1.0.0.zip')).toBe('PK zip of git.test/x@v1.0.0')
  })

  test('asks once for what comes along', async () => {
    const reader = open()
    await copy(reader, '/git.test/x/@v/v1.0.0.zip')
    await read(reader, '/git.test/x/@v/v1.0.0.info')
    await read(reader, '/git.test/x/@v/v1.0.0.mod')
    expect(await go.calls()).toEqual(['mod download -json -- git.test/x@v1.0.0'])
    await reader.forget(parseModuleVersion('git.test/x', 'v1.0.0'))
    await read(reader, '/git.test/x/@v/v1.0.0.mod')
    expect(await go.calls()).toEqual(['list -m -e -json -- git.test/x@v1.0.0'])
  })

  test('asks for the latest without asking for the list again', async () => {
    const reader = open()
    await read(reader, '/git.test/x/@v/list')
    await read(reader, '/git.test/x/@latest')
    expect(await go.calls()).toEqual([
      'list -m -e -json -versions -retracted -- git.test/x',
      'list -m -e -json -- git.test/x@latest',
    ])
  })

  test('asks one child about all prefixes of a path, and about equal questions once', async () => {
    const reader = open()
    const paths = ['git.test/a', 'git.test/a/b', 'git.test/a/b/missing', 'git.test/a']
    const answers = await Promise.allSettled(paths.map((path) => read(reader, `/${path}/@v/list`)))
    expect(answers.map(({ status }) => status)).toEqual([
      'fulfilled',
      'fulfilled',
      'rejected',
      'fulfilled',
    ])
    expect(await go.calls()).toEqual([
      'list -m -e -json -versions -retracted -- git.test/a git.test/a/b git.test/a/b/missing',
    ])
  })

  test('asks other repositories, and other questions, apart: one may hang', async () => {
    const reader = open()
    await Promise.all(
      [
        '/git.test/a/@v/list',
        '/git.test/b/@v/list',
        '/hg.test/a/@v/list',
        '/git.test/a/@v/v1.0.0.info',
      ].map((path) => read(reader, path)),
    )
    expect(await go.calls()).toHaveLength(4)
  })

  test('says what is missing, each time it is asked', async () => {
    const reader = open()
    for (const path of ['/git.test/missing/@v/list', '/git.test/missing/@v/v1.0.0.mod']) {
      expect(await failure(read(reader, path))).toMatchObject({ failure: 'absent' })
    }
    const zip = copy(reader, '/git.test/missing/@v/v1.0.0.zip')
    expect(await failure(zip)).toMatchObject({ failure: 'absent' })
    // How long "not found" is believed is the fill's to say.
    expect(await go.calls()).toHaveLength(3)
  })

  test.for(['@v/list', '@latest', '@v/v1.0.0.info', '@v/v1.0.0.zip'])(
    'tells trouble at %s without secrets and folders',
    async (file) => {
      const home = join(folder, '../../home')
      await mkdir(home, { recursive: true })
      await writeFile(join(home, '.netrc'), 'machine git.test login bob password hunter2-Secret')
      const reader = open({ around: { HOME: home } })
      const path = `/git.test/broken/${file}`
      const error = await failure(file.endsWith('.zip') ? copy(reader, path) : read(reader, path))
      expect(error).toMatchObject({ code: 'FETCH', failure: 'unreachable' })
      const { message } = error as Error
      expect(message).toContain("fatal: Authentication failed for 'https://***@git.test/x'")
      expect(message).not.toContain('hunter2')
      expect(message).not.toContain(folder)
    },
  )

  test('takes a child that says nothing for trouble', async () => {
    const reader = open()
    for (const asked of [
      () => read(reader, '/git.test/silent/@v/list'),
      () => copy(reader, '/git.test/silent/@v/v1.0.0.zip'),
    ]) {
      expect(await failure(asked())).toMatchObject({ code: 'FETCH', failure: 'unreachable' })
    }
  })

  test('takes a child that writes without end for trouble', async () => {
    expect(await failure(read(open(), '/git.test/huge/@v/list'))).toBeInstanceOf(Error)
    await expect.poll(() => readdir(join(folder, 'runs'))).toEqual([])
  })

  test('refuses what is larger than was asked for', async () => {
    const reader = open()
    const small = { ...patient, maxBytes: 10 }
    for (const asked of [
      () => read(reader, '/git.test/x/@v/v1.0.0.mod', small),
      () => copy(reader, '/git.test/x/@v/v1.0.0.zip', small),
    ]) {
      expect(await failure(asked())).toMatchObject({ code: 'FETCH', failure: 'malformed' })
    }
  })

  test('runs a bounded number of children at once', async () => {
    const reader = open({ lanes: new Lanes({ max: 3, maxPerHost: 2, slowMs: 60_000 }) })
    const paths = Array.from({ length: 10 }, (_, n) => `/h${n % 3}.test/slow${n}/@v/v1.0.0.zip`)
    const zips = await Promise.all(paths.map((path) => copy(reader, path)))
    expect(zips).toHaveLength(10)
    const most = await go.mostAtOnce()
    expect(most).toBeGreaterThan(1)
    expect(most).toBeLessThanOrEqual(3)
  })

  test('needs a go, and says so', async () => {
    const reader = open({ around: { PATH: '/nowhere' } })
    expect(await failure(read(reader, '/git.test/x/@v/list'))).toMatchObject({
      failure: 'unreachable',
      message: 'direct: this node has no go command in its PATH',
    })
  })

  test('joins what is private for the user and for the node', async () => {
    const reader = open({
      around: { FAKE_GOPRIVATE: 'own.test' },
      privatePaths: ['*.corp.test', 'git.test'],
    })
    await read(reader, '/git.test/x/@v/list')
    expect(await go.saw('GOPRIVATE')).toBe('own.test,*.corp.test,git.test')
    expect(await go.saw('GOPROXY')).toBe('direct')
    expect(await go.saw('GOMODCACHE')).toMatch(new RegExp(`^${folder}/runs/`, 'u'))
  })
})

describe('a child that hangs', () => {
  const isGone = (pid: number | undefined): boolean => !existsSync(`/proc/${pid}/cwd`)

  async function hang(asked: Promise<unknown>): Promise<number | undefined> {
    asked.catch(() => {}) // looked at later
    await expect.poll(() => go.hanging()).toBeDefined()
    return await go.hanging()
  }

  test('ends when the last who asked has left, and leaves nothing', async () => {
    const reader = open()
    const clients = [new AbortController(), new AbortController()]
    const asked = clients.map(({ signal }) =>
      read(reader, '/git.test/hang/@v/list', { maxBytes, signal }),
    )
    const pid = await hang(Promise.all(asked))
    clients[0]!.abort(new Error('first left'))
    await expect(asked[0]).rejects.toThrow('first left')
    expect(isGone(pid)).toBe(false)
    clients[1]!.abort(new Error('second left'))
    await expect(asked[1]).rejects.toThrow('second left')
    await expect.poll(() => isGone(pid)).toBe(true)
    await expect.poll(() => readdir(join(folder, 'runs'))).toEqual([])
  })

  test('leaves others alone', async () => {
    const reader = open()
    const client = new AbortController()
    const asked = read(reader, '/git.test/hang/@v/list', { maxBytes, signal: client.signal })
    await hang(asked)
    expect(await read(reader, '/git.test/x/@v/list')).toBe('v1.0.0\nv1.2.0\n')
    client.abort(new Error('left'))
    await expect(asked).rejects.toThrow('left')
  })

  test('ends with the reader, which waits for that', async () => {
    const reader = open()
    const asked = copy(reader, '/git.test/hang/@v/v1.0.0.zip')
    const pid = await hang(asked)
    await reader[Symbol.asyncDispose]()
    await expect(asked).rejects.toMatchObject({ message: 'direct: this node is shutting down' })
    expect(isGone(pid)).toBe(true)
    expect(await readdir(join(folder, 'runs'))).toEqual([])
    expect(existsSync(join(folder, 'in-use'))).toBe(false)
  })
})

describe('what a killed process left', () => {
  test('is removed at the first run, and the clones are kept', async () => {
    const clone = join(folder, 'vcs/abc')
    const run = join(folder, 'runs/r1/mod/cache')
    for (const path of [join(clone, 'objects/pack'), join(clone, 'refs'), run]) {
      await mkdir(path, { recursive: true })
    }
    await symlink(join(folder, 'vcs'), join(run, 'vcs'))
    const files = ['HEAD', 'index.lock', 'objects/pack/tmp_pack_1', 'objects/pack/pack-1.pack']
    for (const name of files) await writeFile(join(clone, name), '')
    await writeFile(join(folder, 'in-use'), '')
    const reader = open()
    await read(reader, '/git.test/x/@v/list')
    expect(await readdir(join(folder, 'runs'))).toEqual([])
    expect((await readdir(clone)).toSorted()).toEqual(['HEAD', 'objects', 'refs'])
    expect(await readdir(join(clone, 'objects/pack'))).toEqual(['pack-1.pack'])
  })

  test('is looked for only when there is something', async () => {
    const lock = join(folder, 'vcs/abc/index.lock')
    await mkdir(join(folder, 'vcs/abc'), { recursive: true })
    await writeFile(lock, '')
    await read(open(), '/git.test/x/@v/list')
    expect(existsSync(lock)).toBe(true)
  })
})
