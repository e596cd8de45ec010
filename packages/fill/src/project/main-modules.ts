import {
  type GoMod,
  type GoSumLine,
  type GoWork,
  parseGoMod,
  parseGoSum,
  parseGoWork,
} from '@modmesh/module'
import { joinPath, named, parentOf } from './paths.ts'
import type { ProjectFile } from './project-file.ts'

/** Reads a local file, such as the go.mod of a `use` folder; undefined when there is none. */
export type ReadLocal = (
  path: string,
  options: { readonly signal: AbortSignal },
) => Promise<Uint8Array | undefined>

/** Lines of a go.sum and the file that has them. */
export interface SumFile {
  readonly path: string
  readonly lines: readonly GoSumLine[]
}

/** A go.mod that is worked on, with its go.sum. */
export interface MainModule {
  /** Of the go.mod. */
  readonly path: string
  readonly mod: GoMod
  readonly sum: SumFile | undefined
}

/** A go.work with the modules that it uses. */
export interface Workspace {
  /** Of the go.work. */
  readonly path: string
  readonly work: GoWork
  readonly mains: readonly MainModule[]
  /** Of go.work.sum and of every main module. */
  readonly sums: readonly SumFile[]
}

/** What belongs together of the files that were handed over. */
export interface Projects {
  readonly mains: readonly MainModule[]
  readonly workspaces: readonly Workspace[]
  /** Each go.sum without a go.mod or go.work beside it. */
  readonly loneSums: readonly SumFile[]
  /** Files that are named by others and not there. */
  readonly absent: readonly string[]
}

/** Reads go.mod, go.sum and go.work files and puts together what belongs together. `local` knows the files, too. Throws InvalidFileError. */
export async function readProjects(
  files: readonly ProjectFile[],
  options: { readonly local: ReadLocal; readonly signal: AbortSignal },
): Promise<Projects> {
  const reader = new ProjectReader(files, options)
  const workspaces: Workspace[] = []
  for (const file of files)
    if (file.kind === 'go.work') workspaces.push(await reader.workspace(file))
  const mains: MainModule[] = []
  for (const file of files) if (file.kind === 'go.mod') mains.push(await reader.main(file))
  const { absent } = reader
  return { mains, workspaces, loneSums: reader.loneSums(), absent }
}

/** One reading of the files of some projects. */
class ProjectReader {
  readonly absent: string[] = []
  readonly #files: readonly ProjectFile[]
  readonly #local: ReadLocal
  readonly #signal: AbortSignal
  readonly #mains = new Map<string, MainModule>()
  readonly #sums = new Map<string, SumFile>()

  constructor(
    files: readonly ProjectFile[],
    options: { readonly local: ReadLocal; readonly signal: AbortSignal },
  ) {
    this.#files = files
    this.#local = options.local
    this.#signal = options.signal
  }

  async main({ path, bytes }: Pick<ProjectFile, 'path' | 'bytes'>): Promise<MainModule> {
    const known = this.#mains.get(path)
    if (known !== undefined) return known
    const mod = named(path, () => parseGoMod(bytes))
    const sum = path.endsWith('.mod') ? await this.#sum(`${path.slice(0, -4)}.sum`) : undefined
    const main = { path, mod, sum }
    this.#mains.set(path, main)
    return main
  }

  async workspace({ path, bytes }: ProjectFile): Promise<Workspace> {
    const work = named(path, () => parseGoWork(bytes))
    const mains: MainModule[] = []
    for (const folder of work.use) {
      const file = joinPath(parentOf(path), folder, 'go.mod')
      const text = await this.#read(file)
      if (text === undefined) this.absent.push(file)
      else mains.push(await this.main({ path: file, bytes: text }))
    }
    const own = await this.#sum(`${path}.sum`)
    const sums = [own, ...mains.map(({ sum }) => sum)].filter((sum) => sum !== undefined)
    return { path, work, mains, sums }
  }

  /** Those that no go.mod and no go.work took. */
  loneSums(): readonly SumFile[] {
    const sums = this.#files.filter(({ kind }) => kind === 'go.sum')
    return sums.filter(({ path }) => !this.#sums.has(path)).map((file) => parseSum(file))
  }

  async #sum(path: string): Promise<SumFile | undefined> {
    const known = this.#sums.get(path)
    if (known !== undefined) return known
    const bytes = await this.#read(path)
    if (bytes === undefined) return undefined
    const sum = parseSum({ path, bytes })
    this.#sums.set(path, sum)
    return sum
  }

  async #read(path: string): Promise<Uint8Array | undefined> {
    return await this.#local(path, { signal: this.#signal })
  }
}

function parseSum({ path, bytes }: Pick<ProjectFile, 'path' | 'bytes'>): SumFile {
  return { path, lines: named(path, () => parseGoSum(bytes)) }
}
