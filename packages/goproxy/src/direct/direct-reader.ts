import { createReadStream } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import type { ByteSink } from '@modmesh/fill'
import {
  formatModuleVersion,
  type ModulePath,
  type ModuleVersion,
  parseModuleVersion,
  splitPathMajor,
} from '@modmesh/module'
import { encodePath, type ProxyRequest, parseRequestTarget } from '../request-path.ts'
import { tooLarge } from '../upstream/body.ts'
import { FetchError } from '../upstream/fetch-error.ts'
import type { CopyOptions, ReadOptions, UpstreamReader } from '../upstream/upstream-reader.ts'
import { toDirectError } from './classify.ts'
import { noteUse } from './folders.ts'
import { forgetTag } from './forget-tag.ts'
import { type GoModule, parseGoModules } from './go-output.ts'
import { GoRunner, type GoRunnerInit, type Run } from './go-runner.ts'
import { HeadTrees } from './head-tree.ts'
import { Memo, type SmallFiles } from './memo.ts'
import { type Finding, hostOf, Questions } from './questions.ts'
import { RecentLists } from './recent-lists.ts'
import { type HideSecrets, hideSecrets } from './secrets.ts'

type Options = { readonly signal: AbortSignal }

/** No repository has a tag of it; go's answer tells in which folder it looked. */
const missingMinor = '99999.99999'

/** Reads modules from version control with the user's own `go` and `git`, as GOPROXY=direct does. */
export class DirectReader implements UpstreamReader, AsyncDisposable {
  readonly name = 'direct'
  readonly kind = 'direct'
  readonly #runner: GoRunner
  readonly #questions: Questions
  readonly #trees: HeadTrees
  readonly #memo = new Memo()
  readonly #lists = new RecentLists()
  readonly #hide: HideSecrets

  constructor(init: GoRunnerInit) {
    this.#hide = hideSecrets(init.around)
    this.#runner = new GoRunner(init)
    this.#questions = new Questions({ runner: this.#runner, hide: this.#hide })
    this.#trees = new HeadTrees(this.#runner)
  }

  async read(path: string, options: ReadOptions): Promise<Uint8Array> {
    const bytes = await this.#answer(parseRequestTarget(encodePath(path)), options)
    if (bytes.length <= options.maxBytes) return bytes
    throw tooLarge({ maxBytes: options.maxBytes, name: this.name })
  }

  async copy(path: string, sink: ByteSink, options: CopyOptions): Promise<void> {
    const request = parseRequestTarget(encodePath(path))
    if (request.kind !== 'zip') throw notHere(path)
    const { module } = request
    const name = formatModuleVersion(module)
    const work = async (run: Run, inner: Options): Promise<void> => {
      const result = await run.run('go', ['mod', 'download', '-json', '--', name], inner)
      const found = parseGoModules(result.stdout).find(({ path }) => path === module.path)
      await this.#copyZip(module, found ?? { error: result.stderr }, sink, options)
    }
    await this.#runner.inRunFolder(hostOf(module.path), work, options)
  }

  /** Makes the next answers come from the repository as it is then: a tag that moved is fetched anew. */
  async forget(module: ModuleVersion): Promise<void> {
    this.#memo.forget(module)
    await forgetTag(this.#runner, module)
  }

  /** Ends all children. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#runner[Symbol.asyncDispose]()
  }

  async #answer(request: ProxyRequest, options: Options): Promise<Uint8Array> {
    switch (request.kind) {
      case 'list':
        return await this.#list(request.path, options)
      case 'latest':
        return await this.#latest(request.path, options)
      case 'query':
        return (await this.#files(request.path, request.query, options)).info
      case 'info':
      case 'mod':
        return await this.#smallFile(request.module, request.kind, options)
      default:
        throw notHere(request.kind)
    }
  }

  async #list(path: ModulePath, options: Options): Promise<Uint8Array> {
    const versions = await this.#versions(path, options)
    return new TextEncoder().encode(versions.map((version) => `${version}\n`).join(''))
  }

  async #latest(path: ModulePath, options: Options): Promise<Uint8Array> {
    const known = this.#lists.hasVersions(path)
    const hasVersions = known ?? (await this.#versions(path, options)).length > 0
    if (!hasVersions) await this.#refuseEmptyFolder(path, options)
    return (await this.#files(path, 'latest', options)).info
  }

  async #versions(path: ModulePath, options: Options): Promise<readonly string[]> {
    const { versions } = (await this.#ask(path, undefined, options)).module
    this.#lists.note(path, versions.length > 0)
    return versions
  }

  /** Without a tag the newest commit counts, for which go needs a clone: not for a folder without a go.mod. */
  async #refuseEmptyFolder(path: ModulePath, options: Options): Promise<void> {
    const { prefix, pathMajor } = splitPathMajor(path) ?? { prefix: path, pathMajor: '' }
    if (pathMajor.startsWith('.')) return
    const missing = `${pathMajor === '' ? 'v0' : pathMajor.slice(1)}.${missingMinor}`
    const { module } = await this.#questions.ask(path, missing, options)
    const folder = folderOf(module.error ?? '', missing)
    if (folder === undefined || module.origin === undefined) return
    const candidates = pathMajor === '' ? [folder] : [folder, `${folder}${pathMajor}`]
    if (await this.#trees.mayHoldModule(module.origin, candidates, options)) return
    throw new FetchError('absent', `direct: no go.mod in ${folder} of ${prefix}, and no tag for it`)
  }

  async #smallFile(
    module: ModuleVersion,
    kind: 'info' | 'mod',
    options: Options,
  ): Promise<Uint8Array> {
    const known = this.#memo.get(module)
    if (known !== undefined) return known[kind]
    return (await this.#files(module.path, module.version, options))[kind]
  }

  /** The small files of the version that a query means. */
  async #files(path: ModulePath, query: string, options: Options): Promise<SmallFiles> {
    const { module, info, mod } = await this.#ask(path, query, options)
    if (info === undefined || mod === undefined || module.version === undefined) {
      throw new FetchError(
        'malformed',
        `direct: go found ${path}@${query}, but gave no files of it`,
      )
    }
    const files = { info, mod }
    this.#memo.put(parseModuleVersion(path, module.version), files)
    return files
  }

  async #ask(path: ModulePath, query: string | undefined, options: Options): Promise<Finding> {
    const finding = await this.#questions.ask(path, query, options)
    if (finding.error !== undefined) throw finding.error
    return finding
  }

  async #copyZip(
    module: ModuleVersion,
    found: Partial<GoModule>,
    sink: ByteSink,
    { maxBytes }: CopyOptions,
  ): Promise<void> {
    const { error, goMod, info, origin, version, zip } = found
    const isComplete = error === undefined && version === module.version
    if (!isComplete || zip === undefined || goMod === undefined || info === undefined) {
      throw toDirectError(error ?? 'go gave no zip', this.#hide)
    }
    if (origin !== undefined) await noteUse(this.#runner.folders, origin)
    this.#memo.put(module, { info: await readFile(info), mod: await readFile(goMod) })
    const { size } = await stat(zip)
    if (size > maxBytes) throw tooLarge({ maxBytes, name: this.name })
    for await (const chunk of createReadStream(zip)) await sink.write(chunk)
  }
}

function notHere(what: string): FetchError {
  return new FetchError('absent', `direct: ${what}: not in version control`)
}

/** The folder of a module in its repository, from the tag that go looked for: `unknown revision sub/v0.9.9`. */
function folderOf(error: string, version: string): string | undefined {
  const mark = 'unknown revision '
  const start = error.lastIndexOf(mark)
  const end = error.indexOf(`/${version}`, start)
  return start < 0 || end < 0 ? undefined : error.slice(start + mark.length, end)
}
