import {
  compareBytes,
  compareModuleVersions,
  formatModuleVersion,
  type GoSumLine,
  type ModHash,
  type ModuleVersion,
  parseModuleVersion,
  type ZipHash,
} from '@modmesh/module'
import type { SumFile } from './main-modules.ts'

/** A hash that a go.sum names. */
export interface SumPin<H> {
  /** Path of the go.sum. */
  readonly file: string
  readonly hash: H
}

/** A file of a module version that a project needs. */
export interface NeededInfo {
  readonly module: ModuleVersion
  /** A go.sum names it, but `go` does not ask for it now: an older version, or one that only others build with. */
  readonly isOptional: boolean
}

/** A zip that is needed, and what it must hash to. */
export interface NeededZip extends NeededInfo {
  readonly pins: readonly SumPin<ZipHash>[]
}

/** A go.mod that is needed, and what it must hash to. */
export interface NeededMod extends NeededInfo {
  readonly pins: readonly SumPin<ModHash>[]
}

/** Something that the projects name and that cannot be read, so that more may be needed than is known. */
export interface UnreadPart {
  /** `path@version` of a go.mod, or the path of a local file. */
  readonly name: string
  readonly reason: string
}

/** The pins that a hash breaks: `go` takes any of those that one go.sum has for a module version, and each go.sum counts. */
export function brokenPins<H>(pins: readonly SumPin<H>[], actual: H): readonly SumPin<H>[] {
  const kept = new Set(pins.filter(({ hash }) => hash === actual).map(({ file }) => file))
  return pins.filter(({ file }) => !kept.has(file))
}

type Parts = 'zip' | 'mod' | 'info'

/** Gathers what is needed, each file once; what one project needs is not optional for another. */
export class Needs {
  readonly #wanted = {
    zip: new Map<string, NeededInfo>(),
    mod: new Map<string, NeededInfo>(),
    info: new Map<string, NeededInfo>(),
  }
  readonly #zipPins = new Map<string, SumPin<ZipHash>[]>()
  readonly #modPins = new Map<string, SumPin<ModHash>[]>()
  readonly #unread = new Map<string, UnreadPart>()
  readonly #seenSums = new Set<string>()

  /** Wants parts of a module; one whose name nobody could download is kept as unread. */
  add(
    named: { readonly path: string; readonly version: string },
    parts: readonly Parts[],
    { isOptional = false }: { readonly isOptional?: boolean } = {},
  ): void {
    const module = this.#parse(named)
    if (module === undefined) return
    const name = formatModuleVersion(module)
    for (const part of parts) {
      const before = this.#wanted[part].get(name)
      if (before === undefined || before.isOptional) {
        this.#wanted[part].set(name, {
          module,
          isOptional: isOptional && before?.isOptional !== false,
        })
      }
    }
  }

  /** Takes the hashes of a go.sum. What it names is optional, unless something else needs it. */
  addSum({ path, lines }: SumFile): void {
    if (this.#seenSums.has(path)) return
    this.#seenSums.add(path)
    for (const line of lines) {
      this.add(line.module, line.kind === 'zip' ? ['zip', 'info'] : ['mod'], { isOptional: true })
      this.#pin(path, line)
    }
  }

  addUnread(part: UnreadPart): void {
    this.#unread.set(part.name, part)
  }

  get zips(): readonly NeededZip[] {
    return sorted(this.#wanted.zip).map((need) => ({
      ...need,
      pins: this.#zipPins.get(formatModuleVersion(need.module)) ?? [],
    }))
  }

  get mods(): readonly NeededMod[] {
    return sorted(this.#wanted.mod).map((need) => ({
      ...need,
      pins: this.#modPins.get(formatModuleVersion(need.module)) ?? [],
    }))
  }

  get infos(): readonly NeededInfo[] {
    return sorted(this.#wanted.info)
  }

  get unread(): readonly UnreadPart[] {
    return [...this.#unread.values()].sort((a, b) => compareBytes(a.name, b.name))
  }

  #pin(file: string, line: GoSumLine): void {
    const name = formatModuleVersion(line.module)
    if (line.kind === 'zip') addTo(this.#zipPins, name, { file, hash: line.hash })
    else addTo(this.#modPins, name, { file, hash: line.hash })
  }

  #parse({
    path,
    version,
  }: {
    readonly path: string
    readonly version: string
  }): ModuleVersion | undefined {
    try {
      return parseModuleVersion(path, version)
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      this.addUnread({ name: `${path}@${version}`, reason })
      return undefined
    }
  }
}

function addTo<H>(pins: Map<string, SumPin<H>[]>, name: string, pin: SumPin<H>): void {
  const before = pins.get(name) ?? []
  const isKnown = before.some(({ file, hash }) => file === pin.file && hash === pin.hash)
  if (!isKnown) pins.set(name, [...before, pin])
}

function sorted(wanted: ReadonlyMap<string, NeededInfo>): NeededInfo[] {
  return [...wanted.values()].sort((a, b) => compareModuleVersions(a.module, b.module))
}
