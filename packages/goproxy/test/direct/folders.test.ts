import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseModuleVersion } from '@modmesh/module'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { writeCaBundle } from '../../src/direct/ca-bundle.ts'
import {
  cloneFolder,
  type DirectFolders,
  directFolders,
  noteUse,
  prepareFolders,
  tidyClones,
} from '../../src/direct/folders.ts'
import { forgetTag } from '../../src/direct/forget-tag.ts'
import { GoRunner } from '../../src/direct/go-runner.ts'
import { FakeGo } from '../support/fake-go.ts'
import { tlsFile } from '../support/tls-server.ts'

let root = ''
let folders: DirectFolders
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'modmesh-folders-'))
  folders = directFolders(root)
  await prepareFolders(folders)
})
afterEach(() => rm(root, { recursive: true, force: true }))

const originOf = (name: string) => ({ vcs: 'git', url: `https://git.test/${name}` })

/** A clone of so many bytes, used so many minutes ago. */
async function clone(name: string, bytes: number, minutes: number): Promise<string> {
  const folder = cloneFolder(folders, originOf(name))
  await mkdir(join(folder, 'objects'), { recursive: true })
  await writeFile(join(folder, 'objects/pack'), Buffer.alloc(bytes))
  for (const suffix of ['.info', '.lock']) await writeFile(folder + suffix, '')
  const at = new Date(Date.now() - minutes * 60_000)
  await utimes(folder, at, at)
  return folder
}

describe('clones', () => {
  test('that were used least recently make room, with their locks', async () => {
    const [old, middle, young] = [
      await clone('old', 1_000, 30),
      await clone('middle', 1_000, 20),
      await clone('young', 1_000, 10),
    ]
    await tidyClones(folders, 3_000)
    expect([old, middle, young].map(existsSync)).toEqual([true, true, true])
    await tidyClones(folders, 2_500)
    expect([old, middle, young].map(existsSync)).toEqual([false, true, true])
    expect(existsSync(`${old}.info`) || existsSync(`${old}.lock`)).toBe(false)
    expect(existsSync(`${young}.info`)).toBe(true)
  })

  test('count as used when somebody says so, and the last one stays', async () => {
    const [old, young] = [await clone('old', 1_000, 30), await clone('young', 1_000, 10)]
    await noteUse(folders, originOf('old'))
    await noteUse(folders, originOf('never-cloned'))
    await tidyClones(folders, 10)
    expect([old, young].map(existsSync)).toEqual([true, false])
  })

  test('lose the tags of one version, loose and packed, and no others', async () => {
    await using go = await FakeGo.make()
    const around = { ...go.around, PATH: `${go.dir}:${process.env['PATH']}` }
    await using runner = new GoRunner({ folder: root, around, privatePaths: [], caFile: undefined })
    const git = (of: string, ...args: readonly string[]): string =>
      execFileSync('git', ['--git-dir', of, ...args], { encoding: 'utf8', env: quietGit })
    const made = ['a', 'b'].map((name) => cloneFolder(folders, originOf(name)))
    for (const folder of made) {
      execFileSync('git', ['init', '-q', '--bare', folder])
      const tree = git(folder, 'hash-object', '-t', 'tree', '-w', '/dev/null').trim()
      const commit = git(folder, 'commit-tree', '-m', 'x', tree).trim()
      for (const tag of ['v1.0.0', 'sub/v1.0.0', 'v1.0.0-rc.1', 'v2.0.0', 'xv1.0.0']) {
        git(folder, 'tag', tag, commit)
      }
    }
    git(made[1]!, 'pack-refs', '--all')
    await mkdir(join(folders.clones, 'no-repository'))
    await forgetTag(runner, parseModuleVersion('git.test/a', 'v1.0.0'))
    for (const folder of made) {
      expect(git(folder, 'tag').trim().split('\n')).toEqual(['v1.0.0-rc.1', 'v2.0.0', 'xv1.0.0'])
    }
    await forgetTag(runner, parseModuleVersion('git.test/a', 'v2.0.0+incompatible'))
    expect(git(made[0]!, 'tag').trim().split('\n')).toEqual(['v1.0.0-rc.1', 'xv1.0.0'])
  })
})

const quietGit = {
  ...process.env,
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_AUTHOR_NAME: 'x',
  GIT_AUTHOR_EMAIL: 'x@modmesh.test',
  GIT_COMMITTER_NAME: 'x',
  GIT_COMMITTER_EMAIL: 'x@modmesh.test',
}

test('authorities are those of the system, of the user and of --ca-file in one file', async () => {
  const own = join(root, 'own.pem')
  await writeFile(own, '-----BEGIN CERTIFICATE-----\nown\n-----END CERTIFICATE-----')
  const path = await writeCaBundle(root, {
    caFile: tlsFile('ca.pem'),
    others: [own, undefined, '', join(root, 'missing.pem')],
  })
  const bundle = await readFile(path, 'utf8')
  expect(bundle).toContain((await readFile(tlsFile('ca.pem'), 'utf8')).trim())
  expect(bundle).toContain('\nown\n')
  expect(bundle.split('BEGIN CERTIFICATE').length).toBeGreaterThan(20)
})
