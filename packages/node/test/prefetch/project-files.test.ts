import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { readProjectFiles } from '../../src/prefetch/project-files.ts'

let root = ''
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'modmesh-files-'))
})
afterEach(async () => {
  await rm(root, { recursive: true, force: true })
})

async function write(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, name)), { recursive: true })
    await writeFile(join(root, name), text)
  }
}

/** What is read, by kind and by the path below the root. */
async function read(...names: readonly string[]): Promise<Record<'files' | 'locals', string[]>> {
  const { files, locals } = await readProjectFiles(names, join(root, 'cwd'))
  return {
    files: files.map(({ kind, path }) => `${kind} ${relative(root, path)}`),
    locals: [...locals.keys()].map((path) => relative(root, path)),
  }
}

test('a go.sum brings its go.mod, and the other way round; neither need have the other', async () => {
  await write({ 'a/go.mod': 'module a.b/c\n', 'a/go.sum': '', 'b/x.sum': '', 'c/go.mod': '' })
  expect((await read('../a/go.sum')).files).toEqual(['go.sum a/go.sum', 'go.mod a/go.mod'])
  expect((await read('../a/go.mod')).files).toEqual(['go.mod a/go.mod', 'go.sum a/go.sum'])
  expect((await read('../b/x.sum', '../c/go.mod')).files).toEqual([
    'go.sum b/x.sum',
    'go.mod c/go.mod',
  ])
})

test('a folder is read with all below that go would look at', async () => {
  await write({
    'p/go.work': 'use ./sub\n',
    'p/sub/go.mod': 'module a.b/c\n',
    'p/sub/vendor/modules.txt': '# a.b/d v1.0.0\n',
    'p/sub/vendor/a.b/d/go.mod': 'module a.b/d\n',
    'p/.git/go.mod': '',
    'p/_old/go.mod': '',
    'p/testdata/go.mod': '',
    'p/node_modules/x/go.mod': '',
    'p/go/pkg/mod/x@v1/go.mod': '',
    'p/notes.txt': 'a.b/e@v1.0.0\n',
  })
  expect((await read('../p')).files).toEqual([
    'go.work p/go.work',
    'go.mod p/sub/go.mod',
    'modules.txt p/sub/vendor/modules.txt',
  ])
})

test('what files name is read along, and what that names', async () => {
  await write({
    'w/go.work': 'use ../one\nreplace a.b/r => ./r\n',
    'w/go.work.sum': '',
    'w/r/go.mod': 'module a.b/r\n',
    'one/go.mod': 'module a.b/one\nreplace a.b/two => ../two\n',
    'one/go.sum': '',
    'two/go.mod': 'module a.b/two\n',
  })
  const { files, locals } = await read('../w/go.work')
  expect(files).toEqual(['go.work w/go.work'])
  expect(locals.sort()).toEqual([
    'one/go.mod',
    'one/go.sum',
    'two/go.mod',
    'w/go.work.sum',
    'w/r/go.mod',
  ])
})

test('nothing means the nearest project: a go.work upwards counts before a go.mod', async () => {
  await write({ 'cwd/deep/x': '', 'cwd/go.mod': 'module a.b/c\n' })
  expect((await read()).files).toEqual(['go.mod cwd/go.mod'])
  await write({ 'go.work': 'use ./cwd\n' })
  expect((await read()).files).toEqual(['go.work go.work'])
})

test.for([
  { text: 'a.b/c@v1.0.0\n', kind: 'versions' },
  { text: '// why\nmodule a.b/c\n', kind: 'go.mod' },
  { text: 'go 1.22\n\nuse (\n\t./a\n)\n', kind: 'go.work' },
  { text: '# a.b/c v1.0.0\n## explicit\na.b/c\n', kind: 'modules.txt' },
  { text: `a.b/c v1.0.0 h1:${'A'.repeat(43)}=\n`, kind: 'go.sum' },
])('a file of another name is known by its text: $kind', async ({ text, kind }) => {
  await write({ 'cwd/some.thing': text })
  const { files } = await readProjectFiles(['some.thing'], join(root, 'cwd'))
  expect(files.map((file) => file.kind)).toEqual([kind])
})

test('a module version stands for itself', async () => {
  expect((await readProjectFiles(['a.b/c@v1.0.0'], root)).files).toEqual([
    { kind: 'versions', path: 'a.b/c@v1.0.0', bytes: Buffer.from('a.b/c@v1.0.0') },
  ])
})

test.for([
  { name: 'a.b/c@latest', text: 'invalid version "latest"' },
  { name: 'nothing/go.mod', text: 'nothing/go.mod does not exist' },
  { name: 'empty', text: 'empty has no go.mod, go.sum, go.work or vendor/modules.txt' },
  { name: 'broken/go.mod', text: 'broken/go.mod:1: unterminated block' },
])('$name is refused: $text', async ({ name, text }) => {
  await write({ 'cwd/empty/x': '', 'cwd/broken/go.mod': 'require (\n' })
  await expect(readProjectFiles([name], join(root, 'cwd'))).rejects.toThrow(text)
})
