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
  #exact: ReadonlySet<string>
  #isLost: boolean
  #tail: Promise<unknown> = Promise.resolve()

  /** Undefined pins are lost ones. */
  private constructor(file: DurableFile, pins: readonly Pin[] | undefined) {
    this.#file = file
    this.#isLost = pins === undefined
    this.#pins = pins ?? []
    this.#exact = exactNames(this.#pins)
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

  /** Whether a module version must stay. */
  covers(module: ModuleVersion): boolean {
    if (this.#isLost || this.#exact.has(formatModuleVersion(module))) return true
    return this.#pins.some((pin) => pin.kind === 'paths' && pinCovers(pin, module))
  }

  /** Adds pins, durably. Throws InvalidPinError when there would be too many, StoreWriteError. */
  add(added: readonly Pin[]): Promise<void> {
    return this.#inOrder(async () => {
      const pins = new Map([...this.#pins, ...added].map((pin) => [pin.text, pin]))
      if (pins.size > maxPins) throw new InvalidPinError(`more than ${maxPins} pins`)
      const isNew = this.#isLost || pins.size > this.#pins.length
      if (isNew) await this.#write([...pins.values()])
    })
  }

  /** Removes pins, durably; returns those that were there. Throws StoreWriteError. */
  remove(texts: readonly string[]): Promise<readonly Pin[]> {
    return this.#inOrder(async () => {
      const unwanted = new Set(texts)
      const removed = this.#pins.filter(({ text }) => unwanted.has(text))
      const left = this.#pins.filter(({ text }) => !unwanted.has(text))
      // Ending what was not there says nothing about pins that got lost.
      if (removed.length > 0) await this.#write(left)
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

  async #write(pins: readonly Pin[]): Promise<void> {
    await this.#file.replace(formatPins(pins))
    this.#pins = pins
    this.#exact = exactNames(pins)
    this.#isLost = false
  }
}

/** Undefined when nobody knows what was pinned. */
async function readPins(file: DurableFile): Promise<readonly Pin[] | undefined> {
  try {
    return parsePins(await file.read())
  } catch (error) {
    if (error instanceof StoreDamagedError) return undefined
    throw error
  }
}

function exactNames(pins: readonly Pin[]): ReadonlySet<string> {
  const exact = pins.filter((pin) => pin.kind === 'version')
  return new Set(exact.map(({ module }) => formatModuleVersion(module)))
}

function formatPins(pins: readonly Pin[]): Uint8Array {
  return Buffer.from(JSON.stringify({ format: 1, pins: pins.map(({ text }) => text) }))
}

/** Undefined for sound bytes of a form that we do not know. */
function parsePins(bytes: Uint8Array | undefined): readonly Pin[] | undefined {
  if (bytes === undefined) return []
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'))
    if (!isObject(value) || value.format !== 1 || !Array.isArray(value.pins)) return undefined
    return value.pins.map((text) => parsePin(String(text)))
  } catch {
    // Written by another version of us: as good as lost.
    return undefined
  }
}
