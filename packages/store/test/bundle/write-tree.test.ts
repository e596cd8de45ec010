import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { FakeSumdb } from '@modmesh/sumdb/testing'
import { expect, test } from 'vitest'
import { BundleReader } from '../../src/bundle/bundle-reader.ts'
import { writeTree } from '../../src/bundle/write-tree.ts'
import { tempDir } from '../support/temp-dir.ts'
import { inChunks, logged, makeBundle, newSigner, Site } from './bundle-site.ts'

test('a tree lists what is in it, and whatever else lies beside that is left alone', async () => {
  const sumdb = new FakeSumdb()
  const made = ['v1.0.0', 'v1.1.0'].map((version) => logged(sumdb, 'example.com/a', version))
  const site = await Site.open(sumdb, { isOnline: true })
  for (const each of made) await site.hold(each)
  const modules = made.map(({ module }) => module)
  const bundle = await makeBundle(site, modules, { signer: newSigner() })
  const dir = await tempDir()
  const folder = join(dir, 'example.com/a/@v')
  await mkdir(folder, { recursive: true })
  const others = ['notes.mod', '!!.mod', 'v2.mod', '.mod']
  for (const name of others) await writeFile(join(folder, name), 'mine')
  await writeTree(dir, await BundleReader.open(inChunks(bundle, 1_000)))
  expect(await readFile(join(folder, 'list'), 'utf8')).toBe('v1.0.0\nv1.1.0\n')
  for (const name of others) expect(await readFile(join(folder, name), 'utf8')).toBe('mine')
  expect((await readdir(folder)).filter((name) => name.startsWith('.modmesh-'))).toEqual([])
})
