import {
  formatModuleVersion,
  isGlob,
  type ModuleVersion,
  matchesPatterns,
  type Patterns,
  parsePathAtVersion,
  parsePatterns,
} from '@modmesh/module'
import type { Disk } from './disk.ts'
import { DurableFile } from './durable-file.ts'
import { InvalidPinError, StoreDamagedError } from './errors.ts'
import { maxPins } from './limits.ts'
import type { ReportEvent } from './store-event.ts'
import { isObject } from './zip-record.ts'

/** What is never evicted: `PATH@VERSION`, or all versions of the paths that a glob matches as in GOPRIVATE. */
export type Pin =
  | { readonly kind: 'version'; readonly text: string; readonly module: ModuleVersion }
  | { readonly kind: 'paths'; readonly text: string; readonly patterns: Patterns }

/** Reads a pin as people write it. Throws InvalidPinError. */
export function parsePin(text: string): Pin {
  if (text.includes('@')) return { kind: 'version', text, module: parseVersionPin(text) }
  if (text === '' || text.includes(',') || text.includes(' ') || !isGlob(text)) {
    throw new InvalidPinError(text)
  }
  return { kind: 'paths', text, patterns: parsePatterns(text) }
}

/** The module versions of a project, pinned together under a name. */
export interface PinnedProject {
  readonly name: string
  readonly modules: readonly ModuleVersion[]
}

/** Whether a pin speaks of a module version. */
export function pinCovers(pin: Pin, module: ModuleVersion): boolean {
  if (pin.kind === 'paths') return matchesPatterns(pin.patterns, module.path)
  return pin.module.path === module.path && pin.module.version === module.version
}

function parseVersionPin(text: string): ModuleVersion {
  try {
    return parsePathAtVersion(text)
  } catch (error) {
    throw new InvalidPinError(text, { cause: error })
  }
}

/**
 * The pins of a store, in a durable file. Where it cannot be read nothing is evicted any more: a
 * pin that got lost must not cost what it was to keep.
 */
export class Pins {
  readonly #file: DurableFile
  #pins: readonly Pin[]
  #projects: readonly PinnedProject[]
  #exact: ReadonlySet<string>
  #isLost: boolean
  #tail: Promise<unknown> = Promise.resolve()

  /** Undefined pins are lost ones. */
  private constructor(file: DurableFile, kept: KeptPins | undefined) {
    this.#file = file
    this.#isLost = kept === undefined
    const { pins, projects } = kept ?? noPins
    this.#pins = pins
    this.#projects = projects
    this.#exact = exactNames({ pins, projects })
  }

  /** Reads the pins; damaged ones are reported, and then everything counts as pinned. */
  static async open(
    { disk, report }: { readonly disk: Disk; readonly report: ReportEvent },
    path: string,
  ): Promise<Pins> {
    const file = new DurableFile(path, disk)
    const pins = await readPins(file)
    if (pins === undefined) report({ kind: 'pins-lost', path })
    return new Pins(file, pins)
  }

  /** Whether nobody knows what was pinned. Ends when somebody pins again. */
  get isLost(): boolean {
    return this.#isLost
  }

  list(): readonly Pin[] {
    return this.#pins
  }

  /** Projects that are pinned, in order of their names. */
  projects(): readonly PinnedProject[] {
    return this.#projects
  }

  /** Whether a module version must stay. */
  covers(module: ModuleVersion): boolean {
    if (this.#isLost || this.#exact.has(formatModuleVersion(module))) return true
    return this.#pins.some((pin) => pin.kind === 'paths' && pinCovers(pin, module))
  }

  /** Adds pins, durably. Throws InvalidPinError when there would be too many, StoreWriteError. */
  add(added: readonly Pin[]): Promise<void> {
    return this.#inOrder(async () => {
      const all = new Map([...this.#pins, ...added].map((pin) => [pin.text, pin]))
      const isNew = this.#isLost || all.size > this.#pins.length
      const pins = [...all.values()]
      if (isNew) await this.#write({ pins, projects: this.#projects })
    })
  }

  /** Pins the modules of a project, instead of those that were pinned under its name; durably. Throws as `add` does. */
  putProject(project: PinnedProject): Promise<void> {
    return this.#inOrder(async () => {
      const others = this.#projects.filter(({ name }) => name !== project.name)
      const projects = [...others, project].toSorted((a, b) => (a.name < b.name ? -1 : 1))
      await this.#write({ pins: this.#pins, projects })
    })
  }

  /** Ends the pins of a project, durably; false when there is none of that name. Throws StoreWriteError. */
  removeProject(name: string): Promise<boolean> {
    return this.#inOrder(async () => {
      const projects = this.#projects.filter((project) => project.name !== name)
      const isThere = projects.length < this.#projects.length
      if (isThere) await this.#write({ pins: this.#pins, projects })
      return isThere
    })
  }

  /** Removes pins, durably; returns those that were there. Throws StoreWriteError. */
  remove(texts: readonly string[]): Promise<readonly Pin[]> {
    return this.#inOrder(async () => {
      const unwanted = new Set(texts)
      const removed = this.#pins.filter(({ text }) => unwanted.has(text))
      const left = this.#pins.filter(({ text }) => !unwanted.has(text))
      // Ending what was not there says nothing about pins that got lost.
      if (removed.length > 0) await this.#write({ pins: left, projects: this.#projects })
      return removed
    })
  }

  /** One change after the other: each begins with what the one before left. */
  #inOrder<T>(change: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(change)
    // How this one ends is for its own caller.
    this.#tail = result.catch(() => {})
    return result
  }

  async #write(kept: KeptPins): Promise<void> {
    const count = kept.projects.reduce((sum, { modules }) => sum + modules.length, kept.pins.length)
    if (count > maxPins) throw new InvalidPinError(`more than ${maxPins} pins`)
    await this.#file.replace(formatPins(kept))
    this.#pins = kept.pins
    this.#projects = kept.projects
    this.#exact = exactNames(kept)
    this.#isLost = false
  }
}

/** All that is pinned. */
interface KeptPins {
  readonly pins: readonly Pin[]
  readonly projects: readonly PinnedProject[]
}

const noPins: KeptPins = { pins: [], projects: [] }

/** Undefined when nobody knows what was pinned. */
async function readPins(file: DurableFile): Promise<KeptPins | undefined> {
  try {
    return parsePins(await file.read())
  } catch (error) {
    if (error instanceof StoreDamagedError) return undefined
    throw error
  }
}

function exactNames({ pins, projects }: KeptPins): ReadonlySet<string> {
  const exact = pins.filter((pin) => pin.kind === 'version').map(({ module }) => module)
  const ofProjects = projects.flatMap(({ modules }) => modules)
  return new Set([...exact, ...ofProjects].map(formatModuleVersion))
}

function formatPins({ pins, projects }: KeptPins): Uint8Array {
  const named = projects.map(({ name, modules }) => {
    return { name, modules: modules.map(formatModuleVersion) }
  })
  const texts = pins.map(({ text }) => text)
  return Buffer.from(JSON.stringify({ format: 1, pins: texts, projects: named }))
}

/** Undefined for sound bytes of a form that we do not know. */
function parsePins(bytes: Uint8Array | undefined): KeptPins | undefined {
  if (bytes === undefined) return noPins
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'))
    if (!isObject(value) || value.format !== 1 || !Array.isArray(value.pins)) return undefined
    const pins = value.pins.map((text) => parsePin(String(text)))
    const projects: unknown = value.projects ?? []
    if (!Array.isArray(projects)) return undefined
    return { pins, projects: projects.map(parseProject) }
  } catch {
    // Written by another version of us: as good as lost.
    return undefined
  }
}

function parseProject(value: unknown): PinnedProject {
  if (!isObject(value) || typeof value.name !== 'string' || !Array.isArray(value.modules)) {
    throw new TypeError('not a project')
  }
  return {
    name: value.name,
    modules: value.modules.map((name) => parsePathAtVersion(String(name))),
  }
}
