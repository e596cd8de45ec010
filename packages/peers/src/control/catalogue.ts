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

/** Writes what comes after a name, as much as a frame takes. */
export async function cataloguePage(
  shelf: Pick<PeerShelf, 'contents' | 'mods'>,
  after: string | undefined,
): Promise<Reply<'catalogue-query'>> {
  const names = new Map<string, string>()
  for await (const module of shelf.mods()) {
    const name = formatModuleVersion(module)
    if (after === undefined || name > after) names.set(name, name)
  }
  for await (const { module, zipHash } of shelf.contents()) {
    const name = formatModuleVersion(module)
    if (after === undefined || name > after) names.set(name, `${name} ${zipHash}`)
  }
  let lines = ''
  for (const name of [...names.keys()].sort()) {
    const line = `${names.get(name)}\n`
    if (lines.length + line.length > limits.versionsBytes) {
      return { kind: 'catalogue-answer', lines, last: false }
    }
    lines += line
  }
  return { kind: 'catalogue-answer', lines, last: true }
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
