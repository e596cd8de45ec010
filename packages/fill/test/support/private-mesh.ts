import type { Clock, PrivateMesh, Published, PublishedRecord } from '@modmesh/fill'
import {
  formatModuleVersion,
  type ModHash,
  type ModulePath,
  type ModuleVersion,
  type Version,
  type ZipHash,
} from '@modmesh/module'

/** What a member says of one version. */
interface Telling {
  readonly record: PublishedRecord
  readonly delayMs: number
}

/** Members that may have private modules, as a test scripts them. */
export class FakePrivateMesh implements PrivateMesh {
  isOn = true
  /** What was asked, in order. */
  readonly asked: string[] = []
  /** Told with every answer. */
  refusal: string | undefined
  /** A member that never answers. */
  hangs = false
  readonly #clock: Clock
  readonly #tellings = new Map<string, Telling[]>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Lets a member tell of a version. */
  tell(record: PublishedRecord, delayMs = 1): void {
    const key = formatModuleVersion(record.module)
    this.#tellings.set(key, [...(this.#tellings.get(key) ?? []), { record, delayMs }])
  }

  canAsk(): boolean {
    return this.isOn
  }

  async *findRecords(
    module: ModuleVersion,
    options: { readonly signal: AbortSignal; readonly onRefused: (reason: string) => void },
  ): AsyncGenerator<PublishedRecord> {
    const key = formatModuleVersion(module)
    this.asked.push(key)
    if (this.refusal !== undefined) options.onRefused(this.refusal)
    for (const { record, delayMs } of this.#tellings.get(key) ?? []) {
      await this.#clock.sleep(delayMs, options)
      yield record
    }
    if (this.hangs) await this.#clock.sleep(1e9, options)
  }

  async *findVersions(
    path: ModulePath,
    options: { readonly signal: AbortSignal },
  ): AsyncGenerator<{ readonly peer: string; readonly versions: readonly Version[] }> {
    this.asked.push(path)
    await this.#clock.sleep(1, options)
    const records = [...this.#tellings.values()].flat().map(({ record }) => record)
    for (const { peer, module } of records) {
      if (module.path === path) yield { peer, versions: [module.version] }
    }
  }
}

/** A statement, as if it had been checked. */
export function statementBy(
  name: string,
  hashes: { readonly zip: ZipHash; readonly mod: ModHash },
  atMs = 1_000,
): Published {
  const statement = new TextEncoder().encode(`${name} ${hashes.zip} ${hashes.mod} ${atMs}`)
  return { ...hashes, publisher: { peer: `peer-of-${name}`, name, atMs }, statement }
}
