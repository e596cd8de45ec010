import { spawn, spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type TestAPI, test } from 'vitest'
import { goEnvironment } from './project.ts'

/** How a `go` command ended. */
export interface GoResult {
  readonly code: number | undefined
  readonly stdout: string
  readonly stderr: string
}

export interface GoHomeInit {
  readonly proxy: string
  readonly sumdb: string
  readonly env?: Readonly<Record<string, string>>
}

/** Longer than any command here needs; go itself has no limit. Milliseconds. */
const goTimeoutMs = 240_000

/**
 * `test`, skipped with the reason when there is no `go`; with MODMESH_REQUIRE_TOOLS=1 it is not
 * skipped, and fails.
 */
export const goTest: TestAPI = hasGo() ? test : (test.skip as unknown as TestAPI)

/** A place of its own for `go`: module cache, build cache and the memory of tree heads, all empty. */
export class GoHome implements AsyncDisposable {
  readonly dir: string
  readonly #init: GoHomeInit

  static async make(init: GoHomeInit): Promise<GoHome> {
    return new GoHome(await mkdtemp(join(tmpdir(), 'modmesh-go-')), init)
  }

  private constructor(dir: string, init: GoHomeInit) {
    this.dir = dir
    this.#init = init
  }

  get modCache(): string {
    return join(this.dir, 'pkg/mod')
  }

  /** Writes files into a folder of their own and returns it. */
  async project(files: Readonly<Record<string, string>>): Promise<string> {
    const folder = await mkdtemp(join(this.dir, 'project-'))
    for (const [name, text] of Object.entries(files)) {
      await mkdir(dirname(join(folder, name)), { recursive: true })
      await writeFile(join(folder, name), text)
    }
    return folder
  }

  /** Makes this client remember a tree head of a database, as if it had been there. */
  async rememberHead(database: string, note: string): Promise<void> {
    const file = this.#headFile(database)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, note)
  }

  /** Size of the tree that this client remembers. */
  async headSize(database: string): Promise<number> {
    const note = await readFile(this.#headFile(database), 'utf8')
    return Number(note.split('\n')[1])
  }

  run(
    args: readonly string[],
    options: {
      readonly cwd?: string
      readonly env?: Readonly<Record<string, string>>
      /** Program and arguments to run it through, such as `['ip', 'netns', 'exec', 'x']`. */
      readonly through?: readonly string[]
    } = {},
  ): Promise<GoResult> {
    const [program = '', ...words] = [...(options.through ?? []), 'go', ...args]
    const child = spawn(program, words, {
      cwd: options.cwd ?? this.dir,
      env: this.#env(options.env ?? {}),
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: goTimeoutMs,
    })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (chunk) => {
      stdout += chunk
    })
    child.stderr.on('data', (chunk) => {
      stderr += chunk
    })
    return new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code) => resolve({ code: code ?? undefined, stdout, stderr }))
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // A child that `go` leaves behind for a moment may still write there.
    await rm(this.dir, { recursive: true, force: true, maxRetries: 10 })
  }

  #headFile(database: string): string {
    return join(this.dir, 'pkg/sumdb', database, 'latest')
  }

  #env(more: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
    return goEnvironment(this.dir, {
      GOPROXY: this.#init.proxy,
      GOSUMDB: this.#init.sumdb,
      GOVCS: '*:off',
      GOWORK: 'off',
      GOTELEMETRY: 'off',
      GOPRIVATE: '',
      GONOSUMDB: '',
      GONOPROXY: '',
      ...this.#init.env,
      ...more,
    })
  }
}

function hasGo(): boolean {
  if (spawnSync('go', ['version']).status === 0) return true
  if (process.env['MODMESH_REQUIRE_TOOLS'] === '1') return true
  console.warn('skipped: these tests need the go command in PATH')
  return false
}
