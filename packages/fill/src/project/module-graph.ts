import { compareVersions, type GoMod, prunesGraph } from '@modmesh/module'
import { GraphTooLargeError } from '../errors.ts'
import { maxGraphModules, maxParallelMods } from '../limits.ts'
import { drainQueue } from './drain-queue.ts'
import type { MainModule } from './main-modules.ts'
import type { GraphModule } from './replacements.ts'

/** How much of the graph below a module counts (golang.org/ref/mod#graph-pruning). */
type Depth =
  /** What it requires. */
  | 'pruned'
  /** Everything below. */
  | 'whole'
  /** Of the main modules of a workspace: what they require, each with what that requires. */
  | 'workspace'

/** What the graph is read with. */
export interface GraphPorts {
  /** Reads the go.mod of a required module, replaced as it may be; undefined when it is not to be had. */
  mod(module: GraphModule): Promise<GoMod | undefined>
  isExcluded(module: GraphModule): boolean
}

/** The module graph as `go` reads it: whose go.mod it takes, and the build list without the main modules. */
export interface ModuleGraph {
  readonly asked: readonly GraphModule[]
  readonly selected: readonly GraphModule[]
}

/** Reads the graph of one main module; `isWhole` looks at all of it, whatever the main module's Go version. Throws GraphTooLargeError. */
export async function readModuleGraph(
  main: MainModule,
  ports: GraphPorts,
  { isWhole = false }: { readonly isWhole?: boolean } = {},
): Promise<ModuleGraph> {
  const reading = new GraphReading(ports, [main])
  const depth = isWhole || !prunesGraph(main.mod.go) ? 'whole' : 'pruned'
  const roots = reading.requiredBy(main.mod)
  await reading.load(roots.map((module) => ({ module, depth })))
  return reading.result()
}

/** Reads the graph of the main modules of a workspace. Throws GraphTooLargeError. */
export async function readWorkspaceGraph(
  mains: readonly MainModule[],
  ports: GraphPorts,
): Promise<ModuleGraph> {
  const reading = new GraphReading(ports, mains)
  const tasks = mains.flatMap(({ mod }) => {
    const depth = prunesGraph(mod.go) ? 'pruned' : 'whole'
    return reading.requiredBy(mod).map((module) => ({ module, depth }) as const)
  })
  await reading.load(tasks)
  await reading.loadSelected(mains.map(({ mod }) => mod))
  return reading.result()
}

interface Task {
  readonly module: GraphModule
  readonly depth: Depth
}

/** One reading of a graph (cmd/go modload.readModGraph). */
class GraphReading {
  readonly #ports: GraphPorts
  readonly #mains: ReadonlySet<string>
  readonly #begun = new Set<string>()
  readonly #asked = new Map<string, GraphModule>()
  readonly #loaded = new Map<string, GoMod>()
  readonly #loading = new Map<string, Promise<GoMod | undefined>>()
  readonly #selected = new Map<string, GraphModule>()

  constructor(ports: GraphPorts, mains: readonly MainModule[]) {
    this.#ports = ports
    this.#mains = new Set(mains.map(({ mod }) => mod.module ?? ''))
  }

  /** The requirements that count; those of main modules are selected, too. */
  requiredBy(mod: GoMod): readonly GraphModule[] {
    const required = mod.require.filter((module) => !this.#ports.isExcluded(module))
    for (const module of required) this.#select(module)
    return required
  }

  async load(tasks: readonly Task[]): Promise<void> {
    await drainQueue(this.#fresh(tasks), maxParallelMods, async (task, push) => {
      const mod = await this.#load(task.module)
      if (mod === undefined) return
      for (const next of this.#fresh(this.#below(task, mod))) push(next)
    })
  }

  /**
   * Loads what is selected of the modules that may have packages of the build, until nothing higher turns up: in a
   * workspace the go.mod of one module does not know what another one raised.
   */
  async loadSelected(mains: readonly GoMod[]): Promise<void> {
    const seen = new Set<string>()
    let waiting = this.#raised(mains, seen)
    while (waiting.length > 0) {
      for (const module of waiting) seen.add(nameOf(module))
      await this.load(waiting.map((module) => ({ module, depth: 'workspace' })))
      const mods = [...seen].map((name) => this.#loaded.get(name))
      waiting = this.#raised([...mains, ...mods.filter((mod) => mod !== undefined)], seen)
    }
  }

  result(): ModuleGraph {
    const selected = [...this.#selected.values()].filter(({ path }) => !this.#mains.has(path))
    return { asked: [...this.#asked.values()], selected }
  }

  /** What is selected at a higher version than some go.mod requires. */
  #raised(mods: readonly GoMod[], seen: ReadonlySet<string>): readonly GraphModule[] {
    const found = new Map<string, GraphModule>()
    for (const { require } of mods) {
      for (const { path, version } of require) {
        const selected = this.#selected.get(path)
        if (selected === undefined || this.#mains.has(path) || seen.has(nameOf(selected))) continue
        if (compareVersions(selected.version, version) > 0) found.set(path, selected)
      }
    }
    return [...found.values()]
  }

  #load(module: GraphModule): Promise<GoMod | undefined> {
    const name = nameOf(module)
    const loading = this.#loading.get(name) ?? this.#read(name, module)
    this.#loading.set(name, loading)
    return loading
  }

  async #read(name: string, module: GraphModule): Promise<GoMod | undefined> {
    this.#asked.set(name, module)
    const mod = await this.#ports.mod(module)
    if (mod === undefined) return undefined
    this.#loaded.set(name, mod)
    this.requiredBy(mod)
    return mod
  }

  /** Without pruning the go.mod of a module does not tell all that it needs, so everything below counts. */
  #below({ depth }: Task, mod: GoMod): readonly Task[] {
    const isWhole = depth === 'whole' || !prunesGraph(mod.go)
    if (depth === 'pruned' && !isWhole) return []
    const required = mod.require.filter((module) => !this.#ports.isExcluded(module))
    return required.map((module) => ({ module, depth: isWhole ? 'whole' : 'pruned' }))
  }

  #fresh(tasks: readonly Task[]): readonly Task[] {
    return tasks.filter(({ module, depth }) => {
      const key = `${depth} ${nameOf(module)}`
      if (this.#begun.has(key)) return false
      this.#begun.add(key)
      if (this.#begun.size > maxGraphModules) throw new GraphTooLargeError()
      return true
    })
  }

  #select(module: GraphModule): void {
    const { path, version } = module
    const selected = this.#selected.get(path)
    if (selected === undefined || compareVersions(version, selected.version) > 0) {
      this.#selected.set(path, { path, version })
    }
  }
}

function nameOf({ path, version }: GraphModule): string {
  return `${path}@${version}`
}
