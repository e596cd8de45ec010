import type { PeerId } from '@modmesh/fill'

/** Heads that wait for tiles: of one database there are few that nobody can reconcile at a time. */
const maxKeptHeads = 32

/** Where they outlive the process. */
export interface KeptHeadsFile {
  read(): Promise<Uint8Array | undefined>
  write(bytes: Uint8Array): Promise<void>
}

/** A signed head that could not yet be reconciled with ours. */
export interface KeptHead {
  /** Who showed it last. */
  readonly peer: PeerId
  readonly note: string
}

/** Keeps heads of peers until they are reconciled, also over a restart; of too many the oldest is given up. */
export class KeptHeads {
  readonly #file: KeptHeadsFile
  readonly #heads = new Map<string, PeerId>()
  #loading: Promise<void> | undefined

  constructor(file: KeptHeadsFile) {
    this.#file = file
  }

  /** Oldest first. Throws what the file throws. */
  async all(): Promise<readonly KeptHead[]> {
    await this.#load()
    return [...this.#heads].map(([note, peer]) => ({ peer, note }))
  }

  /** Resolves when it is durable. */
  async keep({ peer, note }: KeptHead): Promise<void> {
    await this.#load()
    if (this.#heads.has(note)) return
    this.#heads.set(note, peer)
    const [oldest] = this.#heads.size > maxKeptHeads ? this.#heads.keys() : []
    if (oldest !== undefined) this.#heads.delete(oldest)
    await this.#save()
  }

  async drop(note: string): Promise<void> {
    await this.#load()
    if (this.#heads.delete(note)) await this.#save()
  }

  async #load(): Promise<void> {
    this.#loading ??= this.#file.read().then((bytes) => {
      for (const { note, peer } of parse(bytes)) this.#heads.set(note, peer)
    })
    await this.#loading
  }

  async #save(): Promise<void> {
    const heads = [...this.#heads].map(([note, peer]) => ({ peer, note }))
    await this.#file.write(new TextEncoder().encode(JSON.stringify({ version: 1, heads })))
  }
}

/** What another version wrote is not understood, and only a loss of hints. */
function parse(bytes: Uint8Array | undefined): readonly KeptHead[] {
  if (bytes === undefined) return []
  const value: unknown = JSON.parse(new TextDecoder().decode(bytes))
  const isOurs = isObject(value) && value['version'] === 1 && Array.isArray(value['heads'])
  return isOurs ? value['heads'].filter(isKeptHead).slice(0, maxKeptHeads) : []
}

function isKeptHead(value: unknown): value is KeptHead {
  return isObject(value) && typeof value['peer'] === 'string' && typeof value['note'] === 'string'
}

function isObject(value: unknown): value is Record<string, unknown> & { heads: unknown[] } {
  return typeof value === 'object' && value !== null
}
