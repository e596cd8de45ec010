import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { cloneFolder, type Origin } from './folders.ts'
import type { GoRunner, Run } from './go-runner.ts'
import { maxMemoTrees } from './limits.ts'
import { hostOf } from './questions.ts'
import { SharedWork } from './shared-work.ts'

type Options = { readonly signal: AbortSignal }

/**
 * Tells whether a folder of a repository's newest commit can hold a module. go clones that commit to find out, for
 * every prefix of an import path; its tree without the contents is enough, once for all folders.
 */
export class HeadTrees {
  readonly #runner: GoRunner
  /** Folders with a go.mod, by repository and commit. */
  readonly #modules = new Map<string, ReadonlySet<string>>()
  readonly #looks = new SharedWork<ReadonlySet<string> | undefined>()

  constructor(runner: GoRunner) {
    this.#runner = runner
  }

  /** False when there is surely no go.mod in any of the folders. Throws the signal's reason only. */
  async mayHoldModule(
    origin: Origin,
    folders: readonly string[],
    options: Options,
  ): Promise<boolean> {
    if (origin.vcs !== 'git') return true
    const host = hostOf(URL.parse(origin.url)?.host ?? origin.url)
    const work = (run: Run, inner: Options) => this.#findModules(run, origin, inner)
    const look = (inner: Options) => this.#runner.inRunFolder(host, work, inner)
    const modules = await this.#looks.join(origin.url, look, options)
    return modules === undefined || folders.some((folder) => modules.has(folder))
  }

  /** Undefined when git cannot tell: then go shall look itself. */
  async #findModules(
    run: Run,
    origin: Origin,
    options: Options,
  ): Promise<ReadonlySet<string> | undefined> {
    const listed = await run.run('git', ['ls-remote', '-q', '--', origin.url, 'HEAD'], options)
    const commit = listed.stdout.split('\t', 1)[0] ?? ''
    if (listed.exitCode !== 0 || commit === '') return undefined
    const key = `${origin.url} ${commit}`
    const known = this.#modules.get(key)
    if (known !== undefined) return known
    const cloned = await this.#readClone(run, origin, commit, options)
    const modules = cloned ?? (await fetchModules(run, origin, options))
    if (modules === undefined) return undefined
    this.#modules.set(key, modules)
    for (const oldest of this.#modules.keys()) {
      if (this.#modules.size <= maxMemoTrees) break
      this.#modules.delete(oldest)
    }
    return modules
  }

  /** The clone may have the commit already. */
  async #readClone(
    run: Run,
    origin: Origin,
    commit: string,
    options: Options,
  ): Promise<ReadonlySet<string> | undefined> {
    const clone = cloneFolder(this.#runner.folders, origin)
    if (!existsSync(join(clone, 'objects'))) return undefined
    const git = gitIn(run, clone, options)
    const found = await git('cat-file', '-e', `${commit}^{commit}`)
    return found === undefined ? undefined : await listModules(git, commit)
  }
}

/** Runs git on a repository; resolves with what it wrote, or undefined when it failed. */
type Git = (...args: readonly string[]) => Promise<string | undefined>

function gitIn(run: Run, repository: string, options: Options): Git {
  return async (...args) => {
    const result = await run.run('git', [`--git-dir=${repository}`, ...args], options)
    return result.exitCode === 0 ? result.stdout : undefined
  }
}

async function listModules(git: Git, commit: string): Promise<ReadonlySet<string> | undefined> {
  const names = await git('ls-tree', '-r', '-z', '--name-only', commit)
  if (names === undefined) return undefined
  const found = names.split('\0').filter((name) => name.endsWith('/go.mod'))
  return new Set(found.map((name) => name.slice(0, -'/go.mod'.length)))
}

/** The folders with a go.mod in the newest commit, from its trees alone. Undefined when git fails. */
async function fetchModules(
  run: Run,
  origin: Origin,
  options: Options,
): Promise<ReadonlySet<string> | undefined> {
  const git = gitIn(run, join(run.folder, 'tree.git'), options)
  const steps = [
    ['init', '-q', '--bare'],
    ['remote', 'add', '--', 'origin', origin.url],
    [
      'fetch',
      '-q',
      '--depth=1',
      '--filter=blob:none',
      '--no-tags',
      'origin',
      'HEAD:refs/heads/head',
    ],
  ]
  for (const step of steps) if ((await git(...step)) === undefined) return undefined
  return await listModules(git, 'refs/heads/head')
}
