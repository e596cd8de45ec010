import { readdirSync, readFileSync } from 'node:fs'
import { formatModuleVersion, maxModBytes, maxSumBytes } from '@modmesh/module'
import { expect, test } from 'vitest'
import { parseTxtar } from '../../../../test/support/txtar.ts'
import {
  brokenPins,
  type ClosurePorts,
  closeProject,
  kindOfName,
  type NeededInfo,
  type ProjectClosure,
  type ProjectFile,
  type SumPin,
} from '../../src/index.ts'

const folder = new URL('../../testdata/close-project/', import.meta.url)
const signal = new AbortController().signal

test.for(readdirSync(folder))('closure of %s', async (name) => {
  const { files, ports, want } = readCase(readFileSync(new URL(name, folder), 'utf8'))
  const closure = await closeProject(files, ports, { signal })
  expect(format(closure)).toEqual(want)
})

test.for(readdirSync(folder))('closure of %s with CRLF in every file', async (name) => {
  const text = readFileSync(new URL(name, folder), 'utf8')
  const { files, ports, want } = readCase(text)
  const crlf = files.map((file) => ({
    ...file,
    bytes: Buffer.from(Buffer.from(file.bytes).toString().replaceAll('\n', '\r\n')),
  }))
  expect(format(await closeProject(crlf, ports, { signal }))).toEqual(want)
})

test('toolchains come on request, those of go 1.21 and later', async () => {
  const files = [
    text('a/go.mod', 'module example.com/a\ngo 1.22\ntoolchain go1.24.3\n'),
    text('b/go.mod', 'module example.com/b\ngo 1.23\n'),
    text('c/go.mod', 'module example.com/c\ngo 1.20\n'),
    text('d/go.mod', 'module example.com/d\ngo 1.25rc1\ntoolchain default\n'),
  ]
  expect((await closeProject(files, none, { signal })).zips).toEqual([])
  const { zips } = await closeProject(files, none, { signal, platforms: ['linux-amd64'] })
  expect(zips.map(({ module }) => formatModuleVersion(module)).sort()).toEqual([
    'golang.org/toolchain@v0.0.1-go1.23.0.linux-amd64',
    'golang.org/toolchain@v0.0.1-go1.24.3.linux-amd64',
    'golang.org/toolchain@v0.0.1-go1.25rc1.linux-amd64',
  ])
})

test.for([
  ['a go.sum line with two fields', 'go.sum', 'example.com/a v1.0.0\n', 'p/go.sum:1: wrong number'],
  ['a go.sum hash that is none', 'go.sum', 'example.com/a v1.0.0 h1:x\n', 'p/go.sum:1: not an h1'],
  ['a go.sum version that is none', 'go.sum', `a.b/c v1 h1:${'A'.repeat(43)}=\n`, 'p/go.sum:1:'],
  ['a go.sum of zeros', 'go.sum', '\0'.repeat(1000), 'p/go.sum:1: wrong number of fields'],
  ['a huge go.sum', 'go.sum', ' '.repeat(maxSumBytes + 1), 'p/go.sum: too large'],
  ['a huge go.mod', 'go.mod', ' '.repeat(maxModBytes + 1), 'p/go.mod: too large'],
  ['an open block', 'go.mod', 'module a.b/c\nrequire (\n', 'p/go.mod:2: unterminated block'],
  ['a branch in go.mod', 'go.mod', 'require a.b/c master\n', 'p/go.mod:1: require: usage'],
  ['a go.work that uses two at once', 'go.work', 'use a b\n', 'p/go.work:1: use: expects exactly'],
  ['a go.work with a broken replace', 'go.work', 'replace a b\n', 'p/go.work:1: replace:'],
  ['a list with a branch', 'list', 'a.b/c@master\n', 'p/list:1: invalid version "master"'],
] as const)('%s is refused by name and line', async ([, name, bytes, message]) => {
  const closing = closeProject([text(`p/${name}`, bytes)], none, { signal })
  await expect(closing).rejects.toThrow(message)
})

test('an abort ends the search with its reason', async () => {
  const controller = new AbortController()
  const ports: ClosurePorts = {
    mod: () => {
      controller.abort(new Error('enough'))
      return Promise.reject(new Error('cut'))
    },
  }
  const files = [text('go.mod', 'module a.b/c\ngo 1.22\nrequire a.b/d v1.0.0\n')]
  await expect(closeProject(files, ports, { signal: controller.signal })).rejects.toThrow('enough')
})

test('a graph that never ends is not followed for ever', async () => {
  let next = 0
  const ports: ClosurePorts = {
    mod: async ({ path }) => {
      const lines = Array.from({ length: 2_000 }, () => `require a.b/m${next++} v1.0.0\n`)
      return Buffer.from(`module ${path}\n${lines.join('')}`)
    },
  }
  const closing = closeProject([text('go.mod', 'require a.b/x v1.0.0\n')], ports, { signal })
  await expect(closing).rejects.toMatchObject({ code: 'GRAPH_TOO_LARGE' })
})

test('each go.mod is read once, however many projects and ways lead to it', async () => {
  const asked: string[] = []
  const ports: ClosurePorts = {
    mod: async (module) => {
      asked.push(formatModuleVersion(module))
      return Buffer.from('module a.b/d\nrequire a.b/e v1.0.0\n')
    },
  }
  const files = ['x', 'y', 'z'].map((name) =>
    text(`${name}/go.mod`, 'module a.b/c\ngo 1.17\nrequire a.b/d v1.0.0\nrequire a.b/e v1.0.0\n'),
  )
  await closeProject(files, ports, { signal })
  expect(asked.sort()).toEqual(['a.b/d@v1.0.0', 'a.b/e@v1.0.0'])
})

test('any hash of one go.sum will do, and every go.sum counts', () => {
  const pins: readonly SumPin<string>[] = [
    { file: 'x', hash: 'a' },
    { file: 'x', hash: 'b' },
    { file: 'y', hash: 'c' },
  ]
  expect(brokenPins(pins, 'b')).toEqual([{ file: 'y', hash: 'c' }])
  expect(brokenPins(pins, 'd')).toEqual(pins)
  expect(brokenPins(pins.slice(0, 2), 'a')).toEqual([])
})

const none: ClosurePorts = { mod: () => Promise.reject(new Error('not held')) }

function text(path: string, content: string): ProjectFile {
  return { kind: kindOfName(path) ?? 'versions', path, bytes: Buffer.from(content) }
}

interface Case {
  readonly files: readonly ProjectFile[]
  readonly ports: ClosurePorts
  readonly want: readonly string[]
}

/** Hashes are written as one word: `h1:word`. */
function readCase(archive: string): Case {
  const mods = new Map<string, Uint8Array>()
  const locals = new Map<string, Uint8Array>()
  const files: ProjectFile[] = []
  let want: readonly string[] = []
  for (const file of parseTxtar(archive).files) {
    const bytes = Buffer.from(file.text.replaceAll(/h1:(\w+)/g, (_, word: string) => hashOf(word)))
    if (file.name === 'want') want = file.text.trim().split('\n')
    else if (file.name.startsWith('mod/')) mods.set(file.name.slice(4), bytes)
    else if (file.name.startsWith('local ')) locals.set(file.name.slice(6), bytes)
    else files.push({ kind: kindOfName(file.name) ?? 'versions', path: file.name, bytes })
  }
  const ports: ClosurePorts = {
    mod: async (module) => {
      const bytes = mods.get(formatModuleVersion(module))
      if (bytes === undefined) throw new Error('not held')
      return bytes
    },
    local: async (path) => locals.get(path),
  }
  return { files, ports, want }
}

function hashOf(word: string): string {
  return `h1:${Buffer.from(word.padEnd(32, '.')).toString('base64')}`
}

function wordOf(hash: string): string {
  return Buffer.from(hash.slice(3), 'base64').toString().replaceAll('.', '')
}

function format({ zips, mods, infos, unread }: ProjectClosure): readonly string[] {
  const line = (what: string, need: NeededInfo & { readonly pins?: readonly SumPin<string>[] }) => {
    const pins = (need.pins ?? []).map(({ file, hash }) => ` ${file}=${wordOf(hash)}`).join('')
    return `${need.isOptional ? 'optional ' : ''}${what} ${formatModuleVersion(need.module)}${pins}`
  }
  return [
    ...zips.map((need) => line('zip', need)),
    ...mods.map((need) => line('mod', need)),
    ...infos.map((need) => line('info', need)),
    ...unread.map(({ name, reason }) => `unread ${name}: ${reason}`),
  ]
}
