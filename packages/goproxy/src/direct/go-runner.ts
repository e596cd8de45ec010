import { rm } from 'node:fs/promises'
import { FetchError } from '../upstream/fetch-error.ts'
import { writeCaBundle } from './ca-bundle.ts'
import { type ChildInit, type ChildResult, runChild } from './child.ts'
import { childEnvironment, moduleCacheOf } from './child-env.ts'
import {
  type DirectFolders,
  directFolders,
  makeRunFolder,
  prepareFolders,
  remove,
  tidyClones,
} from './folders.ts'
import { Lanes } from './lanes.ts'
import { runsBetweenTidying } from './limits.ts'
import { Watchdog } from './watchdog.ts'

type Options = { readonly signal: AbortSignal }

/** In what surroundings `go` and `git` run. */
export interface GoRunnerInit {
  /** Everything that is written goes below it. */
  readonly folder: string
  /** The user's environment. */
  readonly around: Readonly<Record<string, string | undefined>>
  /** GOPRIVATE patterns beside the user's own: GOVCS allows more for them. */
  readonly privatePaths: readonly string[]
  /** Certificates trusted in addition, PEM. */
  readonly caFile: string | undefined
  readonly lanes?: Lanes
}

/** A command in the folder of its run. */
export interface Run {
  readonly folder: string
  run(command: 'go' | 'git', args: readonly string[], options: Options): Promise<ChildResult>
}

/** Runs `go` and `git` as the user would, a bounded number at a time, each in a folder of its own. */
export class GoRunner implements AsyncDisposable {
  readonly folders: DirectFolders
  readonly #init: GoRunnerInit
  readonly #lanes: Lanes
  readonly #closing = new AbortController()
  readonly #watchdog = new Watchdog()
  readonly #running = new Set<Promise<unknown>>()
  #env: Promise<Readonly<Record<string, string>>> | undefined
  #runsSinceTidying = 0

  constructor(init: GoRunnerInit) {
    this.#init = init
    this.folders = directFolders(init.folder)
    this.#lanes = init.lanes ?? new Lanes()
  }

  /**
   * Runs work in a fresh folder, which is removed when the work has ended. `host` names whom it asks. Throws
   * FetchError when go is not there, and the signal's reason.
   */
  async inRunFolder<T>(
    host: string,
    work: (run: Run, options: Options) => Promise<T>,
    options: Options,
  ): Promise<T> {
    const signal = AbortSignal.any([options.signal, this.#closing.signal])
    const running = this.#lanes.run(host, () => this.#inFolder(work, signal), { signal })
    this.#running.add(running)
    try {
      return await running
    } finally {
      this.#running.delete(running)
      this.#tidyNowAndThen()
    }
  }

  /** Ends what runs, and waits for it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new FetchError('unreachable', 'direct: this node is shutting down'))
    await Promise.allSettled(this.#running)
    this.#watchdog.close()
    if (this.#env !== undefined) await rm(this.folders.inUse, { force: true })
  }

  async #inFolder<T>(
    work: (run: Run, options: Options) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    const env = await this.#environment()
    const folder = await makeRunFolder(this.folders)
    const ownEnv = { ...env, GOMODCACHE: moduleCacheOf(folder), PWD: folder }
    const run: Run['run'] = (command, args, options) =>
      runCommand(command, args, { cwd: folder, env: ownEnv, watchdog: this.#watchdog }, options)
    try {
      return await work({ folder, run }, { signal })
    } finally {
      await remove(folder)
    }
  }

  /** Made at the first run: a node that never needs `direct` writes and reads nothing for it. */
  #environment(): Promise<Readonly<Record<string, string>>> {
    const env = this.#env ?? this.#prepare()
    this.#env = env
    // What was wrong may be right at the next try.
    env.catch(() => {
      this.#env = undefined
    })
    return env
  }

  async #prepare(): Promise<Readonly<Record<string, string>>> {
    const { around, caFile, privatePaths } = this.#init
    await prepareFolders(this.folders)
    const plain = childEnvironment({
      around,
      folders: this.folders,
      privatePaths: '',
      caFile: undefined,
    })
    const ask = async (command: string, args: readonly string[]): Promise<string> => {
      const init = {
        cwd: this.folders.runs,
        env: { ...plain, GOPRIVATE: around['GOPRIVATE'] ?? '' },
        watchdog: this.#watchdog,
      }
      return (await runCommand(command, args, init, { signal: this.#closing.signal })).stdout.trim()
    }
    const ownPrivate = await ask('go', ['env', 'GOPRIVATE'])
    const all = [ownPrivate, ...privatePaths].filter((patterns) => patterns !== '').join(',')
    const bundle = caFile === undefined ? undefined : await this.#writeBundle(caFile, ask)
    return childEnvironment({ around, folders: this.folders, privatePaths: all, caFile: bundle })
  }

  async #writeBundle(
    caFile: string,
    ask: (command: string, args: readonly string[]) => Promise<string>,
  ): Promise<string> {
    const { around } = this.#init
    const gits = await ask('git', ['config', '--type=path', '--get', 'http.sslCAInfo'])
    const others = [around['SSL_CERT_FILE'], around['GIT_SSL_CAINFO'], gits]
    return await writeCaBundle(this.folders.root, { caFile, others })
  }

  /** The sizes of thousands of files are not looked up for every request, nor while somebody waits. */
  #tidyNowAndThen(): void {
    this.#runsSinceTidying++
    if (this.#runsSinceTidying < runsBetweenTidying) return
    const tidying = this.#lanes.whileIdle(async () => {
      this.#runsSinceTidying = 0
      await tidyClones(this.folders)
    })
    this.#running.add(tidying)
    // The next look finds the same, and a full disk is told by whoever writes.
    void tidying.catch(() => {}).finally(() => this.#running.delete(tidying))
  }
}

async function runCommand(
  command: string,
  args: readonly string[],
  init: ChildInit,
  options: Options,
): Promise<ChildResult> {
  try {
    return await runChild(command, args, init, options)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code !== 'ENOENT' && code !== 'EACCES') throw error
    const message = `direct: this node has no ${command} command in its PATH`
    throw new FetchError('unreachable', message, { cause: error })
  }
}
