import type { ModuleRecord, RecordProof } from '@modmesh/fill'
import {
  InvalidModulePathError,
  InvalidVersionError,
  parseModulePath,
  parseModuleVersion,
} from '@modmesh/module'
import type { PeerShelf, SiteFetcher } from '../peer-shelf.ts'
import type { PrivateQuery } from '../private/message.ts'
import { Catalogue } from './catalogue.ts'
import { joinKeys, splitKeys } from './content-set.ts'
import { controlLimits as limits } from './limits.ts'
import type { MembershipQuery } from './membership-message.ts'
import type { AnyReply, Reply, WireProof } from './message.ts'
import type { OwnInventory } from './own-inventory.ts'
import type { NodeQuery } from './served-queries.ts'

/** A query that is answered without asking anybody. */
type ShelfQuery = Exclude<
  NodeQuery,
  { readonly kind: 'fetch-query' | 'private-query' } | MembershipQuery
>

/**
 * Answers members' queries from the shelf alone. What is not on it costs one look; but tiles are fetched for
 * members of our site.
 */
export class AnswerDesk {
  readonly #shelf: PeerShelf
  readonly #catalogue: Catalogue
  readonly #own: OwnInventory
  readonly #fetcher: Pick<SiteFetcher, 'tile'> | undefined

  constructor(components: {
    readonly shelf: PeerShelf
    readonly own: OwnInventory
    readonly fetcher?: Pick<SiteFetcher, 'tile'> | undefined
  }) {
    this.#shelf = components.shelf
    this.#catalogue = new Catalogue(components)
    this.#own = components.own
    this.#fetcher = components.fetcher
  }

  /** Gives an answer within the limits of a frame; what cannot be given is left out. */
  async answer(query: ShelfQuery, asker: { readonly isSameSite: boolean }): Promise<AnyReply> {
    switch (query.kind) {
      case 'have-query':
        return { kind: 'have-answer', keys: this.#held(query.keys) }
      case 'record-query':
        return this.#record(query.path, query.version)
      case 'versions-query':
        return { kind: 'versions-answer', versions: await this.#versions(query.path) }
      case 'tile-query':
        return this.#tile(query.database, query.path, asker.isSameSite)
      case 'catalogue-query':
        return await this.#catalogue.page(query.after)
    }
  }

  #held(keys: Uint8Array): Uint8Array {
    return joinKeys([...splitKeys(keys)].filter((key) => this.#own.has(key)))
  }

  async #record(path: string, version: string): Promise<Reply<'record-query'>> {
    const module = validOrUndefined(() => parseModuleVersion(path, version))
    const record = module === undefined ? undefined : await this.#shelf.record(module)
    return formatRecord(record)
  }

  async #versions(path: string): Promise<string> {
    const valid = validOrUndefined(() => parseModulePath(path))
    if (valid === undefined) return ''
    let text = ''
    for (const version of await this.#shelf.versions(valid)) {
      if (text.length + version.length + 1 > limits.versionsBytes) break
      text += `${version}\n`
    }
    return text
  }

  async #tile(database: string, path: string, mayFetch: boolean): Promise<Reply<'tile-query'>> {
    const held = await this.#shelf.tile(database, path)
    const tile = held ?? (mayFetch ? await this.#fetcher?.tile?.(database, path) : undefined)
    if (tile === undefined || tile.byteLength > limits.tileBytes) return { kind: 'tile-answer' }
    return { kind: 'tile-answer', tile }
  }
}

/** Says that nothing is held. */
export function emptyAnswer(query: ShelfQuery | PrivateQuery): AnyReply {
  switch (query.kind) {
    case 'private-query':
      return { kind: 'private-answer' }
    case 'have-query':
      return { kind: 'have-answer', keys: new Uint8Array() }
    case 'record-query':
      return formatRecord(undefined)
    case 'versions-query':
      return { kind: 'versions-answer', versions: '' }
    case 'tile-query':
      return { kind: 'tile-answer' }
    case 'catalogue-query':
      return { kind: 'catalogue-answer', lines: '', last: true }
  }
}

/** Writes a record answer; parts beyond the limits are left out, as if not held. */
function formatRecord(record: Omit<ModuleRecord, 'peer'> | undefined): Reply<'record-query'> {
  return { kind: 'record-answer', ...recordFields(record) }
}

/** What is said of a module version. */
export function recordFields(
  record: Omit<ModuleRecord, 'peer'> | undefined,
): Omit<Reply<'record-query'>, 'kind'> {
  const info = within(record?.info, limits.infoBytes)
  const mod = within(record?.mod, limits.modBytes)
  const proof = formatProof(record?.record)
  return {
    holdsZip: record?.holdsZip ?? false,
    ...(info === undefined ? {} : { info }),
    ...(mod === undefined ? {} : { mod }),
    ...(proof === undefined ? {} : { record: proof }),
  }
}

/** Reads what a record answer says; undefined when it says nothing. */
export function parseRecord(
  answer: Omit<Reply<'record-query'>, 'kind'>,
): Omit<ModuleRecord, 'peer' | 'module'> | undefined {
  const { info, mod, record, holdsZip } = answer
  if (info === undefined && mod === undefined && record === undefined && !holdsZip) return undefined
  return { info, mod, holdsZip, record: record && parseProof(record) }
}

function formatProof(proof: RecordProof | undefined): WireProof | undefined {
  if (proof === undefined || proof.hashes.length > limits.proofHashes) return undefined
  const isTooLong =
    proof.database.length > limits.databaseLength ||
    proof.text.length > limits.recordBytes ||
    proof.head.length > limits.noteBytes
  if (isTooLong || proof.hashes.some((hash) => hash.byteLength !== hashBytes)) return undefined
  const hashes = new Uint8Array(proof.hashes.length * hashBytes)
  for (const [index, hash] of proof.hashes.entries()) hashes.set(hash, index * hashBytes)
  return { database: proof.database, id: proof.id, text: proof.text, hashes, head: proof.head }
}

function parseProof(proof: WireProof): RecordProof {
  const hashes: Uint8Array[] = []
  for (let at = 0; at < proof.hashes.length; at += hashBytes) {
    hashes.push(proof.hashes.slice(at, at + hashBytes))
  }
  return { ...proof, hashes }
}

/** SHA-256. */
const hashBytes = 32

function within(bytes: Uint8Array | undefined, max: number): Uint8Array | undefined {
  return bytes !== undefined && bytes.byteLength <= max ? bytes : undefined
}

/** A name that go would not accept is a question whose answer is no. */
export function validOrUndefined<T>(parse: () => T): T | undefined {
  try {
    return parse()
  } catch (error) {
    if (error instanceof InvalidModulePathError || error instanceof InvalidVersionError) {
      return undefined
    }
    throw error
  }
}
