import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ModulePath } from '@modmesh/module'
import { untilAborted } from '../until-aborted.ts'
import type { FetchError } from '../upstream/fetch-error.ts'
import { toDirectError } from './classify.ts'
import { noteUse } from './folders.ts'
import { type GoModule, parseGoModules } from './go-output.ts'
import type { GoRunner, Run } from './go-runner.ts'
import { gatherMs, maxGathered } from './limits.ts'
import type { HideSecrets } from './secrets.ts'

type Options = { readonly signal: AbortSignal }

/** What go found out about a path, or about a version of it. */
export interface Finding {
  readonly module: GoModule
  /** Set when there is no answer. */
  readonly error: FetchError | undefined
  /** Of the version that was asked for. */
  readonly info: Uint8Array | undefined
  readonly mod: Uint8Array | undefined
}

/** Several paths that one child is asked about. */
interface Batch {
  readonly query: string | undefined
  readonly paths: Set<ModulePath>
  readonly abort: AbortController
  readonly findings: Promise<ReadonlyMap<ModulePath, Finding>>
  /** Who still wants it; the last one to leave ends the child. */
  waiting: number
  isGathering: boolean
}

/**
 * Asks `go list` for versions and for what a query means. go sends a question for every prefix of an import path at
 * once: those are gathered and asked of one child, which looks at each repository once for all of them.
 */
export class Questions {
  readonly #runner: GoRunner
  readonly #hide: HideSecrets
  readonly #batches = new Set<Batch>()

  constructor(components: { readonly runner: GoRunner; readonly hide: HideSecrets }) {
    this.#runner = components.runner
    this.#hide = components.hide
  }

  /** Asks for the versions of a path, or for what a query means. Throws FetchError when go cannot be run. */
  async ask(path: ModulePath, query: string | undefined, { signal }: Options): Promise<Finding> {
    signal.throwIfAborted()
    const batch = this.#find(path, query) ?? this.#start(path, query)
    batch.waiting++
    try {
      const findings = await untilAborted(batch.findings, signal)
      return findings.get(path) ?? this.#silence(path)
    } finally {
      batch.waiting--
      if (batch.waiting === 0) this.#leave(batch, signal)
    }
  }

  #find(path: ModulePath, query: string | undefined): Batch | undefined {
    for (const batch of this.#batches) {
      if (batch.query !== query) continue
      if (batch.paths.has(path)) return batch
      if (!batch.isGathering || batch.paths.size >= maxGathered) continue
      if (![...batch.paths].some((other) => isPrefixOrLonger(path, other))) continue
      batch.paths.add(path)
      return batch
    }
    return undefined
  }

  #start(path: ModulePath, query: string | undefined): Batch {
    const abort = new AbortController()
    const begin = Promise.withResolvers<Batch>()
    const findings = begin.promise.then((self) => this.#run(self))
    const paths = new Set([path])
    const batch: Batch = { query, paths, abort, findings, waiting: 0, isGathering: true }
    this.#batches.add(batch)
    begin.resolve(batch)
    // Those who wait are told; when all have left there is nobody to tell.
    findings.catch(() => {}).finally(() => this.#batches.delete(batch))
    return batch
  }

  #leave(batch: Batch, signal: AbortSignal): void {
    this.#batches.delete(batch)
    batch.abort.abort(signal.reason)
  }

  async #run(batch: Batch): Promise<ReadonlyMap<ModulePath, Finding>> {
    const { signal } = batch.abort
    await sleep(gatherMs, undefined, { signal })
    const [first = ''] = batch.paths
    const work = async (run: Run, options: Options) => {
      batch.isGathering = false
      return await this.#askGo(run, batch, options)
    }
    return await this.#runner.inRunFolder(hostOf(first), work, { signal })
  }

  async #askGo(
    run: Run,
    { query, paths }: Batch,
    options: Options,
  ): Promise<ReadonlyMap<ModulePath, Finding>> {
    const asked = [...paths].map((path) => (query === undefined ? path : `${path}@${query}`))
    // With -retracted versions need no go.mod, and so no clone.
    const flags = query === undefined ? ['-versions', '-retracted'] : []
    const args = ['list', '-m', '-e', '-json', ...flags, '--', ...asked]
    const result = await run.run('go', args, options)
    const modules = parseGoModules(result.stdout)
    const findings = new Map<ModulePath, Finding>()
    for (const path of paths) {
      const module = modules.find((candidate) => candidate.path === path)
      const found = module ?? silent(path, result.stderr)
      findings.set(path, await this.#toFinding(run, path, found, options))
    }
    return findings
  }

  async #toFinding(run: Run, path: string, module: GoModule, options: Options): Promise<Finding> {
    if (module.error !== undefined) {
      const text = await explainPing(run, path, module.error, options)
      const error = toDirectError(text, this.#hide)
      return { module, error, info: undefined, mod: undefined }
    }
    const { goMod, origin } = module
    if (origin !== undefined) await noteUse(this.#runner.folders, origin)
    if (goMod === undefined) return { module, error: undefined, info: undefined, mod: undefined }
    const infoFile = `${goMod.slice(0, -'.mod'.length)}.info`
    const [mod, info] = await Promise.all([readFile(goMod), readFile(infoFile)])
    return { module, error: undefined, info, mod }
  }

  #silence(path: string): Finding {
    const module = silent(path, '')
    const error = toDirectError(module.error ?? '', this.#hide)
    return { module, error, info: undefined, mod: undefined }
  }
}

function silent(path: string, stderr: string): GoModule {
  const error = stderr.trim() === '' ? 'go gave no answer' : stderr
  const absent = { version: undefined, query: undefined, goMod: undefined, info: undefined }
  return { path, versions: [], zip: undefined, origin: undefined, error, ...absent }
}

/** For a path like `host/repo.git` go tries several protocols, and keeps what git said of them to itself. */
async function explainPing(
  run: Run,
  path: string,
  error: string,
  options: Options,
): Promise<string> {
  const end = path.indexOf('.git')
  if (!error.includes('protocol found for repository') || end < 0) return error
  const url = `https://${path.slice(0, end + '.git'.length)}`
  const { exitCode, stderr } = await run.run('git', ['ls-remote', '-q', '--', url, 'HEAD'], options)
  return exitCode === 0 ? error : `git ls-remote ${url}: exit status ${exitCode}:\n${stderr}`
}

/** The first element of a path: whom a question goes to. */
export function hostOf(path: string): string {
  return path.split('/', 1)[0] ?? ''
}

/** Others must not wait for a repository that hangs: only paths that may be in the same one share a child. */
function isPrefixOrLonger(a: string, b: string): boolean {
  return a.startsWith(`${b}/`) || b.startsWith(`${a}/`)
}
