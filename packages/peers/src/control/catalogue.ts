import {
  formatModuleVersion,
  type ModuleVersion,
  parseModuleVersion,
  parseZipHash,
  type ZipHash,
} from '@modmesh/module'
import { ProtocolError } from '../errors.ts'
import type { PeerShelf } from '../peer-shelf.ts'
import { controlLimits as limits } from './limits.ts'
import type { Reply } from './message.ts'
import type { PeerLink } from './peer-link.ts'

/** Something that can be had of a member: a zip with what belongs to it, or a go.mod alone. */
export interface CatalogueItem {
  readonly module: ModuleVersion
  /** As the member says; undefined where it has the go.mod alone. */
  readonly zipHash: ZipHash | undefined
}

/** All that can be had of us at one time, in order of the names. */
interface Listing {
  readonly names: readonly string[]
  readonly hashes: ReadonlyMap<string, ZipHash>
  /** When it was there, and how long it took, milliseconds. */
  readonly madeMs: number
  readonly tookMs: number
}

/**
 * Tells members what can be had of us, page by page. It is listed once for all pages of a reader, and no more
 * than half of the time, however many read it or ask for its beginning only.
 */
export class Catalogue {
  readonly #shelf: Pick<PeerShelf, 'contents' | 'mods'>
  #listing: Listing | undefined
  #making: Promise<Listing> | undefined
  #forgetting: NodeJS.Timeout | undefined

  constructor(components: { readonly shelf: Pick<PeerShelf, 'contents' | 'mods'> }) {
    this.#shelf = components.shelf
  }

  /** Writes what comes after a name, as much as a frame takes. */
  async page(after: string | undefined): Promise<Reply<'catalogue-query'>> {
    const { names, hashes } = await this.#find(after === undefined)
    let lines = ''
    for (let at = firstAfter(names, after); at < names.length; at++) {
      const name = names[at] ?? ''
      const hash = hashes.get(name)
      const line = hash === undefined ? `${name}\n` : `${name} ${hash}\n`
      if (lines.length + line.length > limits.versionsBytes) {
        return { kind: 'catalogue-answer', lines, last: false }
      }
      lines += line
    }
    return { kind: 'catalogue-answer', lines, last: true }
  }

  /** Who begins to read gets it as it is now, or was a moment ago. */
  async #find(isBeginning: boolean): Promise<Listing> {
    const kept = this.#listing
    const isNew = kept !== undefined && performance.now() - kept.madeMs <= kept.tookMs
    if (kept !== undefined && (isNew || !isBeginning)) return kept
    this.#making ??= this.#make().finally(() => {
      this.#making = undefined
    })
    return await this.#making
  }

  async #make(): Promise<Listing> {
    const startMs = performance.now()
    const names = new Set<string>()
    const hashes = new Map<string, ZipHash>()
    for await (const module of this.#shelf.mods()) names.add(formatModuleVersion(module))
    for await (const { module, zipHash } of this.#shelf.contents()) {
      const name = formatModuleVersion(module)
      names.add(name)
      hashes.set(name, zipHash)
    }
    const sorted = [...names].sort()
    const madeMs = performance.now()
    const listing = { names: sorted, hashes, madeMs, tookMs: madeMs - startMs }
    this.#listing = listing
    clearTimeout(this.#forgetting)
    this.#forgetting = setTimeout(() => {
      this.#listing = undefined
    }, limits.catalogueMs).unref()
    return listing
  }
}

/** Where the first name after one is. */
function firstAfter(names: readonly string[], after: string | undefined): number {
  if (after === undefined) return 0
  let [low, high] = [0, names.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((names[middle] ?? '') > after) high = middle
    else low = middle + 1
  }
  return low
}

/**
 * Reads all that can be had of a member, in order of the names. Throws ProtocolError for what is no
 * catalogue, QueryFailedError (`unsupported`: it is of an older version), SessionClosedError.
 */
export async function* readCatalogue(
  { session }: Pick<PeerLink, 'session'>,
  {
    maxItems = limits.inventoryEntries,
    ...options
  }: { readonly signal: AbortSignal; readonly maxItems?: number },
): AsyncGenerator<CatalogueItem> {
  let after: string | undefined
  for (let items = 0; ; ) {
    const query = { kind: 'catalogue-query', ...(after === undefined ? {} : { after }) } as const
    const { lines, last } = await session.ask<'catalogue-query'>(query, options)
    for (const line of lines.split('\n')) {
      if (line === '') continue
      const item = parseLine(line)
      const name = formatModuleVersion(item.module)
      // Else a liar could keep us reading for ever.
      if (after !== undefined && name <= after) throw new ProtocolError('a catalogue out of order')
      after = name
      items += 1
      if (items > maxItems) throw new ProtocolError('a catalogue without an end')
      yield item
    }
    if (last) return
    if (lines === '') throw new ProtocolError('an empty page of a catalogue')
  }
}

function parseLine(line: string): CatalogueItem {
  const [name = '', hash, ...more] = line.split(' ')
  const at = name.lastIndexOf('@')
  try {
    if (at < 0 || more.length > 0) throw new ProtocolError('no line of a catalogue')
    const module = parseModuleVersion(name.slice(0, at), name.slice(at + 1))
    return { module, zipHash: hash === undefined ? undefined : parseZipHash(hash) }
  } catch (error) {
    throw new ProtocolError('no line of a catalogue', { cause: error })
  }
}
