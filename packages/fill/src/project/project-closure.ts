import {
  formatModuleVersion,
  type GoMod,
  type ModuleVersion,
  parseGoMod,
  parseModuleVersion,
  parseVendorModules,
  prunesGraph,
  tidiesWholeGraph,
} from '@modmesh/module'
import {
  type MainModule,
  type Projects,
  type ReadLocal,
  readProjects,
  type SumFile,
  type Workspace,
} from './main-modules.ts'
import {
  type GraphPorts,
  type ModuleGraph,
  readModuleGraph,
  readWorkspaceGraph,
} from './module-graph.ts'
import { type NeededInfo, type NeededMod, type NeededZip, Needs, type UnreadPart } from './needs.ts'
import { joinPath, named } from './paths.ts'
import { type ProjectFile, parseVersions } from './project-file.ts'
import {
  type GraphModule,
  type Resolve,
  replacementsOf,
  type Target,
  workspaceReplacements,
} from './replacements.ts'
import { toolchainOf } from './toolchains.ts'

/** What `go` asks for when it works on some projects, so that with all of it held it needs nobody else. */
export interface ProjectClosure {
  readonly zips: readonly NeededZip[]
  readonly mods: readonly NeededMod[]
  readonly infos: readonly NeededInfo[]
  /** Not empty: more may be needed. */
  readonly unread: readonly UnreadPart[]
}

/** Where the texts of go.mod files come from. */
export interface ClosurePorts {
  /** A verified go.mod. What it throws makes the closure incomplete, not fail. */
  mod(module: ModuleVersion, options: { readonly signal: AbortSignal }): Promise<Uint8Array>
  /** Local files that others name; absent where files come from nowhere, as from standard input. */
  readonly local?: ReadLocal
}

/**
 * Finds what is needed for `go build`, `vet`, `mod download`, `mod verify`, `mod tidy` and `list -m all` of projects
 * (cmd/go modload, golang.org/ref/mod#graph-pruning). `platforms`, such as `linux-amd64`: also the Go toolchains that
 * they name, for those. Throws InvalidFileError for a file that `go` would not read
 * either, GraphTooLargeError.
 */
export async function closeProject(
  files: readonly ProjectFile[],
  ports: ClosurePorts,
  options: { readonly signal: AbortSignal; readonly platforms?: readonly string[] },
): Promise<ProjectClosure> {
  const { signal } = options
  const given = new Map(files.map(({ path, bytes }) => [path, bytes]))
  const local: ReadLocal = async (path) =>
    given.get(path) ?? (await ports.local?.(path, { signal }))
  const closing = new Closing({ ...ports, local }, signal)
  const projects = await readProjects(files, { local, signal })
  await closing.addProjects(projects)
  for (const file of files) {
    if (file.kind === 'modules.txt') closing.addVendored(file, projects)
    if (file.kind === 'versions') closing.addVersions(file)
  }
  for (const platform of options.platforms ?? []) closing.addToolchains(projects, platform)
  const { zips, mods, infos, unread } = closing.needs
  return { zips, mods, infos, unread }
}

/** Main modules as `go` takes them together. */
interface World {
  readonly mains: readonly MainModule[]
  readonly sums: readonly SumFile[]
  readonly resolve: Resolve
  /** Whether the whole build list is taken: else only what go.mod names, and what go.sum has hashes of. */
  readonly takesAll: boolean
}

/** One search for what projects need. */
class Closing {
  readonly needs = new Needs()
  readonly #ports: Required<ClosurePorts>
  readonly #signal: AbortSignal
  readonly #mods = new Map<string, Promise<GoMod | undefined>>()

  constructor(ports: Required<ClosurePorts>, signal: AbortSignal) {
    this.#ports = ports
    this.#signal = signal
  }

  async addProjects({ mains, workspaces, loneSums, absent }: Projects): Promise<void> {
    for (const name of absent) this.needs.addUnread({ name, reason: 'there is no such file' })
    for (const sum of loneSums) this.#addLoneSum(sum)
    for (const workspace of workspaces) await this.#addWorkspace(workspace)
    for (const main of mains) await this.#addMain(main)
  }

  addVersions(file: ProjectFile): void {
    for (const module of parseVersions(file)) this.needs.add(module, ['zip', 'mod', 'info'])
  }

  /** With a go.mod above it the vendor folder says nothing new. */
  addVendored({ path, bytes }: ProjectFile, { mains }: Projects): void {
    const above = joinPath(path, '../../go.mod')
    if (mains.some((main) => main.path === above)) return
    for (const module of named(path, () => parseVendorModules(bytes))) {
      const { version } = module.replacedBy ?? module
      if (version === undefined) continue
      const { path: from } = module.replacedBy ?? module
      const parts = module.hasPackages
        ? (['zip', 'mod', 'info'] as const)
        : (['mod', 'info'] as const)
      this.needs.add({ path: from, version }, parts)
    }
  }

  addToolchains({ mains, workspaces }: Projects, platform: string): void {
    for (const file of [...mains.map(({ mod }) => mod), ...workspaces.map(({ work }) => work)]) {
      const module = toolchainOf(file, platform)
      if (module !== undefined) this.needs.add(module, ['zip', 'mod', 'info'])
    }
  }

  /** Nobody says which of it is old. */
  #addLoneSum(sum: SumFile): void {
    this.needs.addSum(sum)
    for (const { kind, module } of sum.lines) {
      this.needs.add(module, kind === 'zip' ? ['zip', 'mod', 'info'] : ['mod'])
    }
  }

  async #addMain(main: MainModule): Promise<void> {
    const sums = main.sum === undefined ? [] : [main.sum]
    const isPruned = prunesGraph(main.mod.go)
    // Without a go.sum nobody says of which of the others `go mod tidy` looks into packages.
    const takesAll = !isPruned || main.sum === undefined
    const world = { mains: [main], sums, resolve: replacementsOf(main), takesAll }
    const ports = this.#graphPorts(world)
    this.#addGraph(world, await readModuleGraph(main, ports))
    // `go mod tidy` of go 1.17 makes sure that go 1.16 would choose the same versions.
    if (tidiesWholeGraph(main.mod.go) && isPruned) {
      this.#addAsked(world, await readModuleGraph(main, ports, { isWhole: true }))
    }
  }

  async #addWorkspace(workspace: Workspace): Promise<void> {
    const { mains, sums } = workspace
    const world = { mains, sums, resolve: workspaceReplacements(workspace), takesAll: true }
    this.#addGraph(world, await readWorkspaceGraph(mains, this.#graphPorts(world)))
  }

  #addGraph(world: World, graph: ModuleGraph): void {
    this.#addAsked(world, graph)
    const inSums = new Set(world.sums.flatMap(zipNames))
    const required = new Set(world.mains.flatMap(({ mod }) => mod.require.map(({ path }) => path)))
    for (const selected of graph.selected) {
      const target = world.resolve(selected)
      if (target.kind === 'directory') continue
      // `go list -m all` asks for each .info, and for the go.mod if go.sum has it. It comes with all of them: no member
      // gives an .info of what it cannot prove.
      this.needs.add(target, ['mod', 'info'])
      const isTaken = world.takesAll || required.has(selected.path)
      if (isTaken || inSums.has(nameOf(target))) this.needs.add(target, ['zip'])
    }
  }

  #addAsked(world: World, { asked }: ModuleGraph): void {
    for (const sum of world.sums) this.needs.addSum(sum)
    for (const module of asked) {
      const target = world.resolve(module)
      if (target.kind === 'module') this.needs.add(target, ['mod'])
    }
  }

  #graphPorts({ mains, resolve }: World): GraphPorts {
    const excluded = new Set(mains.flatMap(({ mod }) => mod.exclude.map(nameOf)))
    return {
      mod: (module) => this.#readMod(resolve(module)),
      isExcluded: (module) => excluded.has(nameOf(module)),
    }
  }

  #readMod(target: Target): Promise<GoMod | undefined> {
    const name = target.kind === 'module' ? nameOf(target) : joinPath(target.folder, 'go.mod')
    const reading = this.#mods.get(name) ?? this.#read(name, target)
    this.#mods.set(name, reading)
    return reading
  }

  async #read(name: string, target: Target): Promise<GoMod | undefined> {
    try {
      const bytes = await this.#bytes(name, target)
      return parseGoMod(bytes)
    } catch (error) {
      this.#signal.throwIfAborted()
      const reason = error instanceof Error ? error.message : String(error)
      this.needs.addUnread({ name, reason })
      return undefined
    }
  }

  async #bytes(name: string, target: Target): Promise<Uint8Array> {
    const signal = this.#signal
    if (target.kind === 'module') {
      return await this.#ports.mod(parseModuleVersion(target.path, target.version), { signal })
    }
    const bytes = await this.#ports.local(name, { signal })
    if (bytes === undefined) throw new Error('there is no such file')
    return bytes
  }
}

function zipNames({ lines }: SumFile): readonly string[] {
  return lines.flatMap(({ kind, module }) => (kind === 'zip' ? [formatModuleVersion(module)] : []))
}

function nameOf({ path, version }: GraphModule): string {
  return `${path}@${version}`
}
