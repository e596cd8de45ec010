import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isIncompatible, type ModuleVersion } from '@modmesh/module'
import { listClones } from './folders.ts'
import type { GoRunner } from './go-runner.ts'
import { hostOf } from './questions.ts'

/**
 * Removes the tags that a version may have come from out of all clones: go takes a tag that it has once fetched as
 * it is, for ever. That costs other modules with an equal tag one fetch.
 */
export async function forgetTag(runner: GoRunner, module: ModuleVersion): Promise<void> {
  const { version, path } = module
  const tag = isIncompatible(version) ? version.slice(0, version.indexOf('+')) : version
  if (!existsSync(runner.folders.clones)) return
  const clones: string[] = []
  for (const clone of await listClones(runner.folders)) {
    if (await mayHaveTag(clone, tag)) clones.push(clone)
  }
  if (clones.length === 0) return
  const { signal } = new AbortController()
  await runner.inRunFolder(
    hostOf(path),
    async (run, options) => {
      for (const clone of clones) {
        const git = (...args: readonly string[]) =>
          run.run('git', [`--git-dir=${clone}`, ...args], options)
        const { stdout } = await git('tag', '--list', tag, `*/${tag}`)
        const tags = stdout.split('\n').filter((name) => name !== '')
        if (tags.length > 0) await git('tag', '--delete', '--', ...tags)
      }
    },
    { signal },
  )
}

/** Looks at the files of a clone: there may be hundreds, and asking git takes a process each. */
async function mayHaveTag(clone: string, tag: string): Promise<boolean> {
  if (!existsSync(join(clone, 'objects'))) return false
  const folder = join(clone, 'refs', 'tags')
  const loose = existsSync(folder) ? await readdir(folder, { recursive: true }) : []
  if (loose.some((name) => name === tag || name.endsWith(`/${tag}`))) return true
  const packed = join(clone, 'packed-refs')
  return existsSync(packed) && (await readFile(packed, 'utf8')).includes(`/${tag}\n`)
}
