import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** Files of a working tree by their path. */
export type RepoFiles = Readonly<Record<string, string>>

/** The settings of whoever runs the tests must not decide what git does. */
const plainGit = {
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_TERMINAL_PROMPT: '0',
} as const

/** A bare repository `<root>/<name>.git` that a git host serves, and a working tree that commits into it. */
export class GitRepo {
  readonly name: string
  /** The bare repository. */
  readonly path: string
  readonly #work: string
  #commits = 0

  /** Makes an empty repository; names may have folders. */
  constructor(root: string, name: string) {
    this.name = name
    this.path = join(root, `${name}.git`)
    this.#work = join(root, '.work', name)
    mkdirSync(this.path, { recursive: true })
    mkdirSync(this.#work, { recursive: true })
    this.#git(['init', '-q', '--bare', '-b', 'main', this.path])
    this.#git(['--git-dir', this.path, 'config', 'uploadpack.allowFilter', 'true'])
    this.#git(['init', '-q', '-b', 'main'])
    this.#git(['remote', 'add', 'origin', this.path])
  }

  /** Commits changes on a branch, one minute after the commit before, with tags on it; returns its hash. */
  commit(
    files: RepoFiles,
    init: { readonly tags?: readonly string[]; readonly branch?: string } = {},
  ): string {
    if (init.branch !== undefined) this.#git(['checkout', '-q', '-B', init.branch])
    for (const [name, text] of Object.entries(files)) this.#put(name, text)
    this.#git(['add', '-A'])
    this.#git(['commit', '-q', '--allow-empty', '-m', `commit ${this.#commits}`])
    this.#commits++
    for (const tag of init.tags ?? []) this.tag(tag)
    this.#git(['push', '-q', '--force', 'origin', 'HEAD', '--tags'])
    const hash = this.#git(['rev-parse', 'HEAD']).trim()
    if (init.branch !== undefined) this.#git(['checkout', '-q', 'main'])
    return hash
  }

  /** Sets a tag on the newest commit, moving it when it is elsewhere. */
  tag(name: string): void {
    this.#git(['tag', '-f', name])
    this.#git(['push', '-q', '--force', 'origin', `refs/tags/${name}`])
  }

  #put(name: string, text: string): void {
    const path = join(this.#work, name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
  }

  #git(args: readonly string[]): string {
    const at = `2024-03-01T12:${String(this.#commits).padStart(2, '0')}:00Z`
    const who = { NAME: 'Test', EMAIL: 'test@modmesh.test', DATE: at }
    const people = Object.entries(who).flatMap(([key, value]) => [
      [`GIT_AUTHOR_${key}`, value],
      [`GIT_COMMITTER_${key}`, value],
    ])
    const env = { PATH: process.env['PATH'], ...plainGit, ...Object.fromEntries(people) }
    return execFileSync('git', args, { cwd: this.#work, env, encoding: 'utf8' })
  }
}
