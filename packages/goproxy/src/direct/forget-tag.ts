import { existsSync } from 'node:fs'
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
  const { signal } = new AbortController()
  await runner.inRunFolder(
    hostOf(path),
    async (run, options) => {
      for (const clone of await listClones(runner.folders)) {
        if (!existsSync(join(clone, 'objects'))) continue
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
