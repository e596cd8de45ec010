import { formatModuleVersion, type ModuleVersion } from '@modmesh/module'
import { maxMemoBytes, memoMs } from './limits.ts'

/** The small files of a module version. */
export interface SmallFiles {
  readonly info: Uint8Array
  readonly mod: Uint8Array
}

interface Entry {
  readonly files: SmallFiles
  readonly untilMs: number
}

/** Keeps the small files that come along with every answer for a while: go asks for them one by one. */
export class Memo {
  readonly #entries = new Map<string, Entry>()
  readonly #nowMs: () => number
  #bytes = 0

  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs
  }

  get(module: ModuleVersion): SmallFiles | undefined {
    const entry = this.#entries.get(formatModuleVersion(module))
    return entry !== undefined && entry.untilMs > this.#nowMs() ? entry.files : undefined
  }

  /** Keeps files; the oldest make room. */
  put(module: ModuleVersion, files: SmallFiles): void {
    this.forget(module)
    this.#entries.set(formatModuleVersion(module), { files, untilMs: this.#nowMs() + memoMs })
    this.#bytes += sizeOf(files)
    for (const [key, entry] of this.#entries) {
      if (this.#bytes <= maxMemoBytes && entry.untilMs > this.#nowMs()) break
      this.#drop(key, entry)
    }
  }

  forget(module: ModuleVersion): void {
    const key = formatModuleVersion(module)
    const entry = this.#entries.get(key)
    if (entry !== undefined) this.#drop(key, entry)
  }

  #drop(key: string, entry: Entry): void {
    this.#entries.delete(key)
    this.#bytes -= sizeOf(entry.files)
  }
}

function sizeOf({ info, mod }: SmallFiles): number {
  return info.length + mod.length
}
