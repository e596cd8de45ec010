import { mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ModuleNotFoundError, UpstreamUnavailableError } from '@modmesh/fill'
import { maxInfoBytes, parseModuleVersion } from '@modmesh/module'
import { expect, onTestFinished, test } from 'vitest'
import { HttpFetcher, HttpUpstream, parseUpstreamRoutes } from '../../src/index.ts'

const module = parseModuleVersion('example.com/Upper/mod', 'v1.0.0')
const { signal } = new AbortController()

interface Tree {
  readonly url: string
  readonly versions: string
  upstream(list?: string): HttpUpstream
}

/** A folder as `GOMODCACHE/cache/download` has it, under a name that needs escapes in a URL. */
async function makeTree(): Promise<Tree> {
  const root = await mkdtemp(join(tmpdir(), 'modmesh file #'))
  const versions = join(root, 'example.com/!upper/mod/@v')
  await mkdir(versions, { recursive: true })
  await writeFile(join(versions, 'list'), 'v1.0.0\n')
  await writeFile(join(versions, 'v1.0.0.info'), '{"Version":"v1.0.0"}')
  await writeFile(join(versions, 'v1.0.0.mod'), 'module example.com/Upper/mod\n')
  await writeFile(join(versions, 'v1.0.0.zip'), `PK${'x'.repeat(200_000)}`)
  const { href: url } = pathToFileURL(root)
  onTestFinished(() => rm(root, { recursive: true, force: true }))
  return {
    url,
    versions,
    upstream: (list = url) => {
      const http = new HttpFetcher({})
      onTestFinished(() => http[Symbol.asyncDispose]())
      const upstreams = parseUpstreamRoutes(list, { otherwise: 'off' })
      return new HttpUpstream({ http }, { upstreams, offline: false })
    },
  }
}

test('a folder answers every kind of file', async () => {
  const tree = await makeTree()
  const upstream = tree.upstream()
  let size = 0
  const sink = {
    write: async (chunk: Uint8Array) => {
      size += chunk.length
    },
  }
  const onReset = (): Promise<void> => Promise.reject(new Error('not expected'))
  await upstream.fetchZip(module, sink, { signal, onReset })
  expect(size).toBe(200_002)
  const answers = await Promise.all([
    upstream.fetchMod(module, { signal }),
    upstream.fetchInfo(module, { signal }),
    upstream.fetchList(module.path, { signal }),
  ])
  expect(answers.map(({ bytes }) => Buffer.from(bytes).toString())).toEqual([
    'module example.com/Upper/mod\n',
    '{"Version":"v1.0.0"}',
    'v1.0.0\n',
  ])
  expect(answers[0].from).toMatch(/^file:\/\/.*modmesh file #/)
})

test('what is missing is not found', async () => {
  const tree = await makeTree()
  const upstream = tree.upstream()
  await expect(upstream.fetchLatest(module.path, { signal })).rejects.toBeInstanceOf(
    ModuleNotFoundError,
  )
  const none = parseModuleVersion('example.com/none', 'v1.0.0')
  await expect(upstream.fetchMod(none, { signal })).rejects.toBeInstanceOf(ModuleNotFoundError)
  const notThere = tree.upstream(`${tree.url}/nowhere`)
  await expect(notThere.fetchMod(module, { signal })).rejects.toBeInstanceOf(ModuleNotFoundError)
})

test('a missing file goes on to the next folder', async () => {
  const tree = await makeTree()
  const upstream = tree.upstream(`${tree.url}/nowhere,${tree.url}`)
  expect((await upstream.fetchMod(module, { signal })).bytes).toHaveLength(29)
})

test('a file that cannot be read is no 404', async () => {
  const tree = await makeTree()
  const file = join(tree.versions, 'v1.0.0.mod')
  await rm(file)
  await symlink(file, file)
  const asked = tree.upstream().fetchMod(module, { signal })
  await expect(asked).rejects.toBeInstanceOf(UpstreamUnavailableError)
})

test('a file over its limit is refused', async () => {
  const tree = await makeTree()
  await truncate(join(tree.versions, 'v1.0.0.info'), maxInfoBytes + 1)
  await expect(tree.upstream().fetchInfo(module, { signal })).rejects.toThrow(/more than 65536/)
})

test('a folder in the place of a file is not found', async () => {
  const tree = await makeTree()
  await rm(join(tree.versions, 'v1.0.0.mod'))
  await mkdir(join(tree.versions, 'v1.0.0.mod'))
  const asked = tree.upstream().fetchMod(module, { signal })
  await expect(asked).rejects.toBeInstanceOf(ModuleNotFoundError)
})
