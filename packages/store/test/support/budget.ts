import { randomBytes } from 'node:crypto'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { HeldZip } from '@modmesh/fill'
import { formatModuleVersion } from '@modmesh/module'
import { DiskStore } from '../../src/disk-store.ts'
import type { StoreInit } from '../../src/open-store.ts'
import type { StoreEvent } from '../../src/store-event.ts'
import { tempDir } from './temp-dir.ts'
import { moduleAt, putZip, smallZip } from './zips.ts'

/** Zips of this test are all of about this size. Bytes. */
const contentBytes = 30_000
/** What a zip takes beside its content, generously. Bytes. */
export const zipBytes: number = contentBytes + 2_000

/** A module version of a family: each has a path of its own. */
export function nth(n: number): ReturnType<typeof moduleAt> {
  return moduleAt('v1.0.0', `example.com/m${n}`)
}

/** The bytes of a zip that does not get smaller by deflating. */
function noiseZip(n: number): Uint8Array {
  return smallZip(nth(n), randomBytes(contentBytes).toString('base64')).bytes
}

/** A store whose clock the test moves. */
export class ClockedStore {
  readonly dir: string
  readonly events: StoreEvent[] = []
  readonly removed: string[] = []
  nowMs: number = Date.UTC(2026, 0, 1)
  #store: DiskStore

  static async open(init: Partial<StoreInit> = {}): Promise<ClockedStore> {
    const dir = init.dir ?? (await tempDir())
    const self = new ClockedStore(dir)
    await self.reopen(init)
    return self
  }

  private constructor(dir: string) {
    this.dir = dir
    this.#store = undefined as unknown as DiskStore
  }

  get store(): DiskStore {
    return this.#store
  }

  async reopen(init: Partial<StoreInit> = {}): Promise<void> {
    const report = (event: StoreEvent): unknown => this.events.push(event)
    const wallMs = (): number => this.nowMs
    this.#store = await DiskStore.open({ evictGraceMs: 0, ...init, dir: this.dir, report, wallMs })
    this.#store.onRemoved(({ module }, why) =>
      this.removed.push(`${why} ${formatModuleVersion(module)}`),
    )
  }

  async put(n: number): Promise<HeldZip> {
    this.nowMs += 1_000
    return await putZip(this.#store, nth(n), noiseZip(n))
  }

  /** Reads a zip whole; returns how many bytes came, undefined when it is not held. */
  async read(n: number): Promise<number | undefined> {
    this.nowMs += 1_000
    const found = await this.#store.findZip(nth(n))
    if (found === undefined) return undefined
    let bytes = 0
    for await (const chunk of found.read()) bytes += chunk.length
    return bytes
  }

  /** Which of the family are held, by number. */
  held(): number[] {
    const numbers = [...this.#store.list()].map(({ module }) => Number(module.path.slice(13)))
    return numbers.toSorted((a, b) => a - b)
  }

  /** As if somebody had removed it between two starts. */
  async forgetIndex(): Promise<void> {
    await rm(join(this.dir, 'store/v1/index'), { recursive: true })
  }

  /** Zip files and records on disk. */
  async files(): Promise<number> {
    const names = await readdir(join(this.dir, 'store/v1/zip'), { recursive: true })
    return names.filter((name) => name.length > 60).length
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#store[Symbol.asyncDispose]()
  }
}
